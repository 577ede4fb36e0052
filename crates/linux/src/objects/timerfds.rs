//! The armed timerfds of a machine, in the order in which the machine should look at them.

use std::collections::BTreeSet;

use crate::events::DescriptionId;

/// The timers at which the machine should look at some time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TimerFds {
    armed: BTreeSet<(u64, DescriptionId)>,
}

impl TimerFds {
    /// When the machine should look next, in monotonic nanoseconds.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.armed.first().map(|(at, _)| *at)
    }

    /// The timers at which it should look by `now`.
    #[must_use]
    pub fn due(&self, now: u64) -> Vec<DescriptionId> {
        self.armed.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect()
    }

    /// The machine should look at timer `id` when `to` says, and not when `from` does.
    pub fn change(&mut self, id: DescriptionId, from: Option<u64>, to: Option<u64>) {
        if let Some(at) = from {
            self.armed.remove(&(at, id));
        }
        self.armed.extend(to.map(|at| (at, id)));
    }
}
