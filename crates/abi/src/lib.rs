//! Linux x86-64 ABI as data: error numbers, registers, system call numbers, flags and structures. No logic.
//!
//! Names are Linux's own. Add a constant here when a crate needs it; never spell a number elsewhere.

#![forbid(unsafe_code)]

pub mod epoll;
pub mod errno;
pub mod fcntl;
pub mod inotify;
pub mod ioctl;
pub mod mman;
pub mod numbers;
pub mod process;
pub mod registers;
pub mod signals;
pub mod socket;
pub mod stat;
pub mod termios;
pub mod threads;
pub mod time;

pub use errno::Errno;
pub use registers::Registers;

/// Size of a page in bytes.
pub const PAGE: u64 = 4096;

/// One past the highest address that user space may use with 47-bit addresses (the kernel's TASK_SIZE_MAX).
pub const USER_END: u64 = 0x7fff_ffff_f000;

/// `address` rounded down to a page.
#[must_use]
pub const fn page_down(address: u64) -> u64 {
    address & !(PAGE - 1)
}

/// `address` rounded up to a page; `None` when that does not fit.
#[must_use]
pub const fn page_up(address: u64) -> Option<u64> {
    match address.checked_add(PAGE - 1) {
        Some(sum) => Some(page_down(sum)),
        None => None,
    }
}
