//! The conditions that a blocked thread waits for.

use crate::events::{DescriptionId, Events};

/// The conditions that a blocked thread waits for; any one of them wakes it. Its call then runs again.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wait {
    /// Descriptions and the events that end the wait, as errors and hang-ups always do unless `exact`.
    pub descriptions: Vec<(DescriptionId, Events)>,
    /// Only the events named in `descriptions` end the wait: select(2).
    pub exact: bool,
    /// Monotonic nanoseconds at which the wait ends by itself.
    pub deadline: Option<u64>,
    /// Signals (bit n-1 for signal n) that end the wait although they are blocked: sigtimedwait, signalfd reads.
    pub signals: u64,
    /// A signal handler with SA_RESTART restarts the call; otherwise it fails with EINTR in any case.
    pub restartable: bool,
    /// The call starts again after any handler, SA_RESTART or not.
    pub always_restarts: bool,
    /// No signal but SIGKILL ends it: a call that Linux does not interrupt either, in the middle of its work.
    pub uninterruptible: bool,
    /// A child's end, stop or continuation ends the wait.
    pub children: bool,
    /// The signal mask to take while waiting (ppoll, pselect6, epoll_pwait, rt_sigsuspend).
    pub mask: Option<u64>,
}

impl Wait {
    /// A restartable wait for `events` on one description.
    #[must_use]
    pub fn for_description(id: DescriptionId, events: Events, deadline: Option<u64>) -> Self {
        Self { descriptions: vec![(id, events)], deadline, restartable: true, ..Self::default() }
    }

    /// A wait for nothing but time (or a signal).
    #[must_use]
    pub fn until(deadline: Option<u64>) -> Self {
        Self { deadline, ..Self::default() }
    }
}
