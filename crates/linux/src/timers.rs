//! alarm, setitimer and timer_create timers.

use crate::kernel::Kernel;
use crate::poller::Host;

/// The timers of a process.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Timers {}

impl Timers {
    /// When the next timer runs out, in monotonic nanoseconds.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        None
    }
}

impl Kernel {
    /// Sends the signals of every timer that has run out.
    pub fn expire_timers(&mut self, _host: &Host) {}
}
