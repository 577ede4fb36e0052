//! Loads whatever bytes the fuzzer makes, as a program that is also its own interpreter. Nothing may panic, and what
//! loads lies in user space.

#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, memfd_create};
use warmfork_abi::fcntl::O_RDONLY;
use warmfork_abi::{Errno, USER_END};
use warmfork_loader::vdso::MachineClock;
use warmfork_loader::{ProgramFiles, Randomness, Request, load};
use warmfork_memory::{AddressSpace, FakeMemory, HostFile, Layout, Limits};

/// The one file there is, whatever it is called.
struct OneFile(Arc<HostFile>);

impl ProgramFiles for OneFile {
    fn open(&mut self, _path: &[u8]) -> Result<Arc<HostFile>, Errno> {
        Ok(Arc::clone(&self.0))
    }
}

fuzz_target!(|bytes: &[u8]| {
    static CLOCK: OnceLock<MachineClock> = OnceLock::new();
    let clock = CLOCK.get_or_init(|| MachineClock::new().expect("a clock page"));
    let fd = memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("memfd");
    rustix::io::pwrite(&fd, bytes, 0).expect("write");
    let file = HostFile::opened(fd, b"fuzz", O_RDONLY).expect("fstat");
    let argv = [b"fuzz".to_vec()];
    let request = Request { randomness: Randomness::Seed(1), ..Request::new(b"fuzz", &argv, &[], clock.file()) };
    let mut space = AddressSpace::new(Layout::new(USER_END, &[]), Limits::default());
    let mut memory = FakeMemory::new();
    if let Ok(loaded) = load(&request, &mut OneFile(file), &mut space, &mut memory) {
        assert!(space.areas().iter().all(|area| area.span.end <= USER_END));
        assert!(loaded.registers.rip < USER_END && loaded.stack.contains(loaded.registers.rsp));
    }
});
