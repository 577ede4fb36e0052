//! Memory from the system calls' side: how arguments are taken, and files behind mappings.

use warmfork_abi::numbers::{
    BRK, MADVISE, MEMFD_CREATE, MINCORE, MLOCK, MLOCK2, MLOCKALL, MMAP, MPROTECT, MREMAP, MSYNC, MUNLOCK, MUNLOCKALL,
    MUNMAP, PIPE2, PKEY_ALLOC, PKEY_FREE, PKEY_MPROTECT, PRLIMIT64, WRITE,
};
use warmfork_abi::signals::SIGTERM;
use warmfork_abi::{Errno, PAGE, USER_END};

use super::memory::MINCORE_PAGES_AT_ONCE;
use crate::dispatch::Entered;

use crate::signal::{SignalInfo, Target};
use crate::testing::{Bench, DATA};

const AT: u64 = DATA.start;
const PRIVATE: u64 = 0x22;
const NONE: u64 = u64::MAX;
/// In the upper half of a register, where Linux does not look for a C int.
const HIGH: u64 = 0xdead_beef << 32;

impl Bench {
    fn anonymous(&mut self, pages: u64) -> u64 {
        self.call(MMAP, &[0, pages * PAGE, 3, PRIVATE, NONE, 0]).unwrap()
    }

    /// A memory file with these bytes.
    fn file(&mut self, bytes: &[u8]) -> u64 {
        self.write(AT, &[u64::from_le_bytes(*b"testing\0")]);
        let fd = self.call(MEMFD_CREATE, &[AT, 0]).unwrap();
        self.guest_write(AT, bytes);
        assert_eq!(self.call(WRITE, &[fd, AT, bytes.len() as u64]), Ok(bytes.len() as u64));
        fd
    }

    fn guest_write(&mut self, address: u64, bytes: &[u8]) {
        use crate::call::Guest;
        self.guest.memory().write(address, bytes).unwrap();
    }
}

#[test]
fn arguments_are_taken_as_linux_does() {
    let mut bench = Bench::new();
    // Access bits that do not exist are ignored, unlike those of mprotect.
    let address = bench.call(MMAP, &[0, PAGE, 0xff3, PRIVATE, NONE, 0]).unwrap();
    assert_eq!(bench.call(MPROTECT, &[address, PAGE, 0xff3]), Err(Errno::EINVAL));
    assert_eq!(bench.call(MMAP, &[0, PAGE, 3, PRIVATE, NONE, 5]), Err(Errno::EINVAL));
    assert_eq!(bench.call(MADVISE, &[address, PAGE, HIGH | 4]), Ok(0));
    assert_eq!(bench.call(MADVISE, &[address, PAGE, u64::MAX]), Err(Errno::EINVAL));
    assert_eq!(bench.call(MSYNC, &[address, PAGE, HIGH | 4]), Ok(0));
    assert_eq!(bench.call(MLOCKALL, &[HIGH | 1]), Ok(0));
    assert_eq!(bench.call(MREMAP, &[address, PAGE, 2 * PAGE, HIGH, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(MUNMAP, &[address, PAGE]), Ok(0));
    assert_eq!(bench.call(MUNMAP, &[address, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(BRK, &[0]), Ok(0));
}

#[test]
fn files_are_mapped_by_their_descriptors() {
    let mut bench = Bench::new();
    let fd = bench.file(b"bytes of a file");
    let shared = bench.call(MMAP, &[0, PAGE, 3, 1, HIGH | fd, 0]).unwrap();
    let private = bench.call(MMAP, &[0, PAGE, 3, 2, fd, 0]).unwrap();
    assert_eq!(bench.read(private), u64::from_le_bytes(*b"bytes of"));
    bench.write(shared, &[u64::from_le_bytes(*b"BYTES OF")]);
    assert_eq!(bench.read(private), u64::from_le_bytes(*b"BYTES OF"));
    bench.write(private, &[0]);
    assert_eq!(bench.read(shared), u64::from_le_bytes(*b"BYTES OF"));
}

#[test]
fn what_is_no_file_is_not_mapped() {
    let mut bench = Bench::new();
    let map = |bench: &mut Bench, length, fd| bench.call(MMAP, &[0, length, 1, 2, fd, 0]);
    for fd in [99, NONE] {
        assert_eq!(map(&mut bench, PAGE, fd), Err(Errno::EBADF));
    }
    assert_eq!(bench.call(PIPE2, &[AT, 0]), Ok(0));
    let (reader, writer) = (bench.read_half(AT).into(), bench.read_half(AT + 4).into());
    assert_eq!(map(&mut bench, PAGE, reader), Err(Errno::ENODEV));
    assert_eq!(map(&mut bench, PAGE, writer), Err(Errno::EACCES));
    assert_eq!(map(&mut bench, 0, reader), Err(Errno::EINVAL));
}

#[test]
fn mincore_tells_what_is_there() {
    let mut bench = Bench::new();
    let address = bench.anonymous(4);
    bench.write(address + 2 * PAGE, &[1]);
    bench.write(AT, &[u64::MAX]);
    assert_eq!(bench.call(MINCORE, &[address, 3 * PAGE + 1, AT]), Ok(0));
    assert_eq!(bench.read(AT), 0xffff_ffff_0001_0000);
    assert_eq!(bench.call(MINCORE, &[address, PAGE, 0]), Err(Errno::EFAULT));
    assert_eq!(bench.call(MINCORE, &[address, PAGE, USER_END]), Err(Errno::EFAULT));
    assert_eq!(bench.call(MINCORE, &[address, u64::MAX, AT]), Err(Errno::ENOMEM));
    // Pages before a hole are told of all the same.
    bench.call(MUNMAP, &[address + 3 * PAGE, PAGE]).unwrap();
    bench.write(AT, &[u64::MAX]);
    assert_eq!(bench.call(MINCORE, &[address, 4 * PAGE, AT]), Err(Errno::ENOMEM));
    assert_eq!(bench.read(AT), 0xffff_ffff_ff01_0000);
}

#[test]
fn mincore_reports_more_than_one_buffer() {
    let mut bench = Bench::new();
    // Nothing lies behind the first mapping.
    let (vector, address) = (bench.anonymous(3), bench.anonymous(10_000));
    bench.write(address + 9_999 * PAGE, &[1]);
    assert_eq!(bench.call(MINCORE, &[address, 10_000 * PAGE, vector]), Ok(0));
    assert_eq!(bench.read(vector + 9_992), 1 << 56);
    // A vector that ends too early.
    assert_eq!(bench.call(MINCORE, &[address, 10_000 * PAGE, vector + PAGE]), Err(Errno::EFAULT));
}

#[test]
fn a_long_mincore_pauses_and_no_signal_ends_it() {
    let mut bench = Bench::new();
    let pages: u64 = 2 * MINCORE_PAGES_AT_ONCE as u64 + 10;
    let vector = bench.anonymous(pages.div_ceil(PAGE));
    let address = bench.anonymous(pages);
    bench.write(address + (pages - 1) * PAGE, &[1]);
    let tid = bench.pid();
    assert_eq!(bench.start(tid, MINCORE, &[address, pages * PAGE, vector]), Entered::Blocked);
    bench.kernel.processes.send_signal(tid, Target::Thread(tid), SignalInfo::kernel(SIGTERM)).unwrap();
    assert_eq!(bench.await_call(tid), Ok(0));
    assert_eq!(bench.read(vector + pages - 8), 1 << 56);
}

#[test]
fn locks_and_keys_are_checked() {
    let mut bench = Bench::new();
    let address = bench.anonymous(1);
    for call in [MLOCK, MUNLOCK] {
        assert_eq!(bench.call(call, &[address + 5, 10]), Ok(0));
        assert_eq!(bench.call(call, &[address - PAGE, 2 * PAGE]), Err(Errno::ENOMEM));
    }
    assert_eq!(bench.call(MLOCK2, &[address, PAGE, 1]), Ok(0));
    assert_eq!(bench.call(MLOCK2, &[address, PAGE, 2]), Err(Errno::EINVAL));
    for flags in [0, 4, 8] {
        assert_eq!(bench.call(MLOCKALL, &[flags]), Err(Errno::EINVAL));
    }
    assert_eq!(bench.call(MUNLOCKALL, &[]), Ok(0));
    assert_eq!(bench.call(PKEY_ALLOC, &[0, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(PKEY_FREE, &[1]), Err(Errno::EINVAL));
    assert_eq!(bench.call(PKEY_MPROTECT, &[address, PAGE, 1, u64::MAX]), Ok(0));
    assert_eq!(bench.call(PKEY_MPROTECT, &[address, PAGE, 1, 1]), Err(Errno::EINVAL));
}

#[test]
fn a_program_can_limit_its_memory() {
    let mut bench = Bench::new();
    let mapped = bench.kernel.space().areas().mapped_bytes();
    bench.write(AT, &[mapped + 4 * PAGE, u64::MAX]);
    assert_eq!(bench.call(PRLIMIT64, &[0, 9, AT, 0]), Ok(0));
    assert_eq!(bench.call(MMAP, &[0, 5 * PAGE, 3, PRIVATE, NONE, 0]), Err(Errno::ENOMEM));
    bench.anonymous(4);
}

#[test]
fn shared_memory_can_be_seen_twice() {
    let mut bench = Bench::new();
    let address = bench.call(MMAP, &[0, 100 * PAGE, 3, 0x21, NONE, 0]).unwrap();
    bench.write(address, &[1]);
    bench.write(address + 99 * PAGE, &[2]);
    let second = bench.call(MREMAP, &[address, 0, 100 * PAGE, 1]).unwrap();
    assert_ne!(second, address);
    assert_eq!([0, 50, 99].map(|page| bench.read(second + page * PAGE)), [1, 0, 2]);
    bench.write(second + 50 * PAGE, &[3]);
    assert_eq!(bench.read(address + 50 * PAGE), 3);
    // Not of private memory.
    let private = bench.anonymous(1);
    assert_eq!(bench.call(MREMAP, &[private, 0, PAGE, 1]), Err(Errno::EINVAL));
}
