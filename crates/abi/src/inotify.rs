//! inotify(7).

#![expect(missing_docs, reason = "the names are Linux's own")]

/// O_NONBLOCK
pub const IN_NONBLOCK: u32 = 0o4000;
/// O_CLOEXEC
pub const IN_CLOEXEC: u32 = 0o2_000_000;
pub const IN_ALL_EVENTS: u32 = 0xfff;
pub const IN_IGNORED: u32 = 0x8000;
pub const IN_ONLYDIR: u32 = 0x0100_0000;
pub const IN_DONT_FOLLOW: u32 = 0x0200_0000;
pub const IN_EXCL_UNLINK: u32 = 0x0400_0000;
pub const IN_MASK_CREATE: u32 = 0x1000_0000;
pub const IN_MASK_ADD: u32 = 0x2000_0000;
pub const IN_ONESHOT: u32 = 0x8000_0000;
/// Size of `struct inotify_event` without the name.
pub const INOTIFY_EVENT_SIZE: usize = 16;
