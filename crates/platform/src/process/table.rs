//! The call table: a few pages that the parent and the stub share.
//!
//! The guest can read and write these pages too, so nothing in them is believed that was not written for the call at
//! hand, and they are cleared whenever a fork is reset.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::MemfdFlags;
use rustix::mm::{MapFlags, ProtFlags};

use super::calls::HostCall;
use super::filter::Instruction;
use super::layout;
use crate::PlatformError;

/// The shared pages, mapped in the parent.
pub struct Table {
    memory: NonNull<u64>,
    fd: OwnedFd,
}

const WORDS: usize = layout::TABLE_SIZE / 8;

impl Table {
    pub fn new() -> Result<Self, PlatformError> {
        let failed =
            |operation| move |error: rustix::io::Errno| PlatformError::Host { operation, source: error.into() };
        let fd = rustix::fs::memfd_create("warmfork-table", MemfdFlags::CLOEXEC).map_err(failed("memfd_create"))?;
        rustix::fs::ftruncate(&fd, layout::TABLE_SIZE as u64).map_err(failed("ftruncate"))?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new shared mapping of our own memory file, at an address that the kernel chooses.
        let address =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), layout::TABLE_SIZE, protection, MapFlags::SHARED, &fd, 0) }
                .map_err(failed("mmap of the call table"))?;
        let memory = NonNull::new(address.cast()).ok_or_else(|| PlatformError::Gone("mmap returned null".into()))?;
        Ok(Self { memory, fd })
    }

    /// The memory file, for mapping it into the stub.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn put(&mut self, word: usize, value: u64) {
        assert!(word < WORDS, "within the table");
        // SAFETY: in bounds of our mapping; volatile, since the stub's process reads the same page.
        unsafe { self.memory.add(word).write_volatile(value) };
    }

    /// Writes `calls`, at most [`layout::ENTRIES`] of them.
    pub fn fill(&mut self, calls: &[HostCall]) {
        for (index, call) in calls.iter().enumerate() {
            let first = index * layout::ENTRY / 8;
            self.put(first, call.number.cast_unsigned());
            for (at, argument) in (first + 1..).zip(call.arguments) {
                self.put(at, argument);
            }
            self.put(first + 7, (-i64::from(libc::EIO)).cast_unsigned());
        }
    }

    /// What call `index` of the last batch returned.
    pub fn result(&self, index: usize) -> u64 {
        let word = index * layout::ENTRY / 8 + 7;
        assert!(word < WORDS, "within the table");
        // SAFETY: as in `put`.
        unsafe { self.memory.add(word).read_volatile() }
    }

    /// Writes the `struct msghdr` with which the stub receives one file.
    pub fn prepare_message(&mut self) {
        let base = layout::TABLE + layout::MESSAGE as u64;
        let first = layout::MESSAGE / 8;
        let (vector, byte, control) = (base + 64, base + 128, base + 192);
        // name, name length, iovec, iovec count, control, control length, flags
        for (at, value) in (first..).zip([0, 0, vector, 1, control, 24, 0]) {
            self.put(at, value);
        }
        self.put(first + 8, byte);
        self.put(first + 9, 1);
    }

    /// Writes the argument of seccomp(2), a `struct sock_fprog`, and returns its guest address.
    pub fn place_filter(&mut self, program: &[Instruction]) -> u64 {
        self.put(0, program.len() as u64);
        self.put(1, layout::TABLE + 16);
        for (word, instruction) in (2..).zip(program) {
            self.put(word, instruction.encoded());
        }
        layout::TABLE
    }

    /// Zeroes the pages: what a guest has written there must not reach the next.
    pub fn clear(&mut self) {
        // SAFETY: the whole of our mapping; the stub is stopped.
        unsafe { self.memory.write_bytes(0, WORDS) };
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nothing refers to any more.
        let _ = unsafe { rustix::mm::munmap(self.memory.as_ptr().cast(), layout::TABLE_SIZE) };
    }
}
