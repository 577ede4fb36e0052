//! Waiting for events: epoll(7), eventfd(2), timerfd_create(2).

/// Size of `struct epoll_event`, which is packed on x86-64: events at 0, data at 4.
pub const EPOLL_EVENT_SIZE: usize = 12;

/// epoll_ctl: add.
pub const EPOLL_CTL_ADD: u32 = 1;
/// epoll_ctl: remove.
pub const EPOLL_CTL_DEL: u32 = 2;
/// epoll_ctl: change.
pub const EPOLL_CTL_MOD: u32 = 3;

/// Wake one waiter only.
pub const EPOLLEXCLUSIVE: u32 = 1 << 28;
/// Keep the system awake.
pub const EPOLLWAKEUP: u32 = 1 << 29;
/// Report once.
pub const EPOLLONESHOT: u32 = 1 << 30;
/// Report changes only.
pub const EPOLLET: u32 = 1 << 31;

/// eventfd2: a read takes one.
pub const EFD_SEMAPHORE: u32 = 1;

/// timerfd_settime: the time is absolute.
pub const TFD_TIMER_ABSTIME: u32 = 1;
/// timerfd_settime: a read fails when the clock is set.
pub const TFD_TIMER_CANCEL_ON_SET: u32 = 2;

/// Size of `struct pollfd`: fd at 0, events at 4, revents at 6.
pub const POLLFD_SIZE: usize = 8;
