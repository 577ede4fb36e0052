//! When a machine is to stop, and why it did.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use warmfork_linux::host::monotonic;
use warmfork_linux::process::Ending;

/// When to stop driving a machine, beside its own end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Until<'a> {
    /// Stop when the program is ready: every thread blocked, one of them waiting for a connection, and nothing to do
    /// within two seconds. It does not wait for that: its clocks are put ahead.
    pub ready: bool,
    /// Stop when it has accepted a connection since it is watched, and every thread is blocked, one of them for the first
    /// bytes of that or for another; or as soon as it has done something that it must not do ahead, which
    /// [`warmfork_linux::gate::Gate::is_disqualified`] tells.
    pub ahead: bool,
    /// Stop at this instant, in nanoseconds of the host's CLOCK_MONOTONIC.
    pub deadline: Option<u64>,
    /// Stop when more than this many bytes have been privately written, or to memory files (checked each tick).
    pub touched_bytes: Option<u64>,
    /// Stop whenever the guest has accepted or ended a connection that a serving gate counts.
    pub connections: bool,
    /// Somebody waits to be served whom [`warmfork_linux::gate::Gate`] does not see: stop as soon as the program only waits
    /// and is done with its client, as when somebody waits whom that sees.
    pub impatient: bool,
    /// Stop when the machine has made this many system calls since it was made, all processes and threads together: behind
    /// the last one, or where that blocks.
    pub calls: Option<u64>,
    /// Stop when this is set. Whoever sets it calls [`crate::Handle::look`] then.
    pub flag: Option<&'a AtomicBool>,
}

impl Until<'_> {
    /// Stop after `time`, if any, from now on.
    #[must_use]
    pub fn within(time: Option<Duration>) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let deadline = time.map(|time| monotonic().saturating_add(nanoseconds(time)));
        Self { deadline, ..Self::default() }
    }
}

/// Why driving a machine stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The program ended.
    Ended(Ending),
    /// It waits for a connection.
    Ready,
    /// The one connection of a serving fork, or the last one behind a shut gate, was closed or shut down; or the program
    /// was done with it and others wait.
    Served,
    /// A connection was accepted or ended.
    Connection,
    /// It has made [`Until::calls`].
    Paused,
    /// The deadline passed.
    TimedOut,
    /// It wrote to more memory than it may.
    OutOfMemory,
    /// [`crate::Handle::interrupt`] was called.
    Interrupted,
    /// [`Until::flag`] was set.
    Flagged,
}
