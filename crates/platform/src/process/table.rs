//! The pages that the parent and the stub share: the call table, and the stack for signal frames.
//!
//! The guest can read and write these pages too, so nothing in them is believed that was not written for the call at
//! hand, and they are cleared whenever a fork is reset.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::MemfdFlags;
use rustix::mm::{MapFlags, ProtFlags};

use super::filter::Instruction;
use super::host_call::HostCall;
use super::layout;
use crate::PlatformError;

/// The shared pages, mapped in the parent.
pub struct Table {
    memory: NonNull<u64>,
    fd: OwnedFd,
}

/// The kernel wants to be told where a handler returns to; ours never does.
const SA_RESTORER: i32 = 0x0400_0000;

const WORDS: usize = layout::SHARED_SIZE / 8;

impl Table {
    pub fn new() -> Result<Self, PlatformError> {
        let failed =
            |operation| move |error: rustix::io::Errno| PlatformError::Host { operation, source: error.into() };
        let fd = rustix::fs::memfd_create("warmfork-table", MemfdFlags::CLOEXEC).map_err(failed("memfd_create"))?;
        rustix::fs::ftruncate(&fd, layout::SHARED_SIZE as u64).map_err(failed("ftruncate"))?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new shared mapping of our own memory file, at an address that the kernel chooses.
        let address = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), layout::SHARED_SIZE, protection, MapFlags::SHARED, &fd, 0)
        }
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

    /// Writes `copies` (to, from, bytes), at most [`layout::COPIES`] of them.
    pub fn fill_copies(&mut self, copies: &[[u64; layout::COPY_WORDS]]) {
        for (word, value) in copies.iter().flatten().enumerate() {
            self.put(word, *value);
        }
    }

    /// Writes the vector state `state`, and returns its guest address. `None` when it is too large.
    pub fn place_vectors(&mut self, state: &[u8]) -> Option<u64> {
        let (words, rest) = state.as_chunks::<8>();
        if !rest.is_empty() || state.len() > layout::SHARED_SIZE - layout::VECTORS {
            return None;
        }
        for (word, value) in (layout::VECTORS / 8..).zip(words) {
            self.put(word, u64::from_le_bytes(*value));
        }
        Some(layout::TABLE + layout::VECTORS as u64)
    }

    fn word(&self, word: usize) -> u64 {
        assert!(word < WORDS, "within the table");
        // SAFETY: as in `put`.
        unsafe { self.memory.add(word).read_volatile() }
    }

    /// The result of call `index` of the last batch.
    pub fn result(&self, index: usize) -> u64 {
        self.word(index * layout::ENTRY / 8 + 7)
    }

    /// The word at guest address `address`; `None` when it is not within these pages.
    pub fn at(&self, address: u64) -> Option<u64> {
        let offset = usize::try_from(address.checked_sub(layout::TABLE)?).ok()?;
        (offset % 8 == 0 && offset < layout::SHARED_SIZE).then(|| self.word(offset / 8))
    }

    /// Writes the arguments of the calls that catch faults, and returns their guest addresses: a `stack_t` and a
    /// `struct kernel_sigaction`.
    pub fn place_handler(&mut self) -> (u64, u64) {
        for (word, value) in [layout::FRAMES, 0, layout::FRAMES_SIZE as u64].into_iter().enumerate() {
            self.put(word, value);
        }
        // Not blocking its own signal, so that taking the registers back is all there is to undo.
        let flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | SA_RESTORER;
        let flags = u64::from(flags.cast_unsigned());
        for (word, value) in (8..).zip([layout::CAUGHT, flags, layout::CAUGHT, 0]) {
            self.put(word, value);
        }
        (layout::TABLE, layout::TABLE + 64)
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

    /// Zeroes the pages: a guest's bytes there must not reach the next.
    pub fn clear(&mut self) {
        // SAFETY: the whole of our mapping; the stub is stopped.
        unsafe { self.memory.write_bytes(0, WORDS) };
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nothing refers to any more.
        let _ = unsafe { rustix::mm::munmap(self.memory.as_ptr().cast(), layout::SHARED_SIZE) };
    }
}
