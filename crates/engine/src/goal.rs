//! What a machine is driven to, how far, and why that ended.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use warmfork_linux::host::monotonic;
use warmfork_linux::process::Ending;

/// What a machine is driven to, beside its own end and the end of what its gate has let in ([`Outcome::Served`]).
#[derive(Clone, Copy, Debug, Default)]
pub enum Goal<'a> {
    /// Nothing else.
    #[default]
    End,
    /// That somebody who waits to be served, and whom [`warmfork_linux::gate::Gate`] does not see, can be: the program only
    /// waits, and is done with its client.
    NextClient,
    /// The program is ready: every thread blocked, one of them waiting for a connection, and nothing to do within two seconds.
    /// It does not wait for that: its clocks are put ahead.
    Ready,
    /// It has accepted a connection since it is watched, and every thread is blocked, one of them for the first bytes of that
    /// or for another; or it has done something that it must not do early, which
    /// [`warmfork_linux::gate::Gate::is_disqualified`] tells.
    EarlyAccept,
    /// It has accepted or ended a connection that its gate counts.
    Connection,
    /// It has made this many system calls since it was made, all processes and threads together: behind the last one, or where
    /// that blocks.
    Calls(u64),
    /// This is set. Whoever sets it calls [`crate::Handle::notify`] then.
    Flag(&'a AtomicBool),
}

/// How much a machine may take on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RunLimits {
    /// When it is stopped, in nanoseconds of the host's CLOCK_MONOTONIC.
    pub deadline: Option<u64>,
    /// Bytes that it may have written to privately, or in memory files; checked each tick of 10 ms.
    pub touched_bytes: Option<u64>,
}

impl RunLimits {
    /// No more than `time`, if any, from now on.
    #[must_use]
    pub fn within(time: Option<Duration>) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let deadline = time.map(|time| monotonic().saturating_add(nanoseconds(time)));
        Self { deadline, touched_bytes: None }
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
    /// It has made [`Goal::Calls`].
    Paused,
    /// The deadline passed.
    TimedOut,
    /// It wrote to more memory than it may.
    OutOfMemory,
    /// [`crate::Handle::interrupt`] was called.
    Interrupted,
    /// [`Goal::Flag`] was set.
    Flagged,
}
