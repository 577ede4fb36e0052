//! The goal of a run, its limits, and its outcome.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use warmfork_linux::host::monotonic;
use warmfork_linux::process::Ending;

/// The condition that ends a run, beside the program's end and the end of the connections that its gate has let in
/// ([`Outcome::Served`]).
#[derive(Clone, Copy, Debug, Default)]
pub enum Goal<'a> {
    /// No other condition.
    #[default]
    End,
    /// The program only waits, and is done with its client: another client, of which [`warmfork_linux::gate::Gate`] does not know,
    /// waits to be served.
    NextClient,
    /// The program is ready: every thread blocked, one of them waiting for a connection, and nothing to do within two seconds.
    /// The run does not wait for those two seconds: it skips the clocks.
    Ready,
    /// The program has accepted a connection since [`warmfork_linux::gate::Gate::watch_early_accept`], and every thread is blocked,
    /// one of them for that connection's first bytes or for another connection. Or the program has made a call that it must not
    /// make early, as [`warmfork_linux::gate::Gate::is_disqualified`] says.
    EarlyAccept,
    /// The program has accepted or ended a connection that its gate counts.
    Connection,
    /// The machine has made this many system calls since it was made, all processes and threads together. The run ends behind the
    /// last one, or where that blocks.
    Calls(u64),
    /// This flag is set. The thread that sets it calls [`crate::Handle::notify`] afterwards.
    Flag(&'a AtomicBool),
}

/// The limits of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RunLimits {
    /// The time at which the run ends, in nanoseconds of the host's CLOCK_MONOTONIC.
    pub deadline: Option<u64>,
    /// The most bytes that the machine may have written to privately, or in memory files; checked each tick of 10 ms.
    pub touched_bytes: Option<u64>,
}

impl RunLimits {
    /// Limits that end the run when `time`, if any, has passed from now on.
    #[must_use]
    pub fn within(time: Option<Duration>) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let deadline = time.map(|time| monotonic().saturating_add(nanoseconds(time)));
        Self { deadline, touched_bytes: None }
    }
}

/// The reason why a run ended.
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
