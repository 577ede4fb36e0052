//! alarm, setitimer and timer_create timers.

use crate::kernel::Kernel;
use crate::poller::Host;
use crate::signal::Source;

/// The timers of a process.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Timers {}

impl Timers {
    /// When the next timer runs out, in monotonic nanoseconds.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        None
    }

    /// The signal of `source` is being taken: its timer goes on. How often it ran out since it was sent.
    pub fn signal_taken(&mut self, _source: Source, _now: u64) -> Option<i32> {
        None
    }

    /// The pending signal of `source` was dropped: its timer goes on.
    pub fn signal_dropped(&mut self, _source: Source) {}
}

impl Kernel {
    /// Sends the signals of every timer that has run out.
    pub fn expire_timers(&mut self, _host: &Host) {}
}
