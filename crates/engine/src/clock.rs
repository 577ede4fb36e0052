//! A machine's clocks stand still while it is frozen.
//!
//! Else every deadline that a program has set would be due in each of its forks some time after the freeze, and each of
//! them would do again what is meant to be done once: V8 collects all garbage when that was last done 100 seconds ago.
//! The time of day is the host's all the same.

use std::os::fd::AsFd;
use std::sync::Arc;

use warmfork_linux::poller::{Host, monotonic};
use warmfork_loader::vdso::is_clock_page;
use warmfork_memory::{Area, Backing, MappedFile, Source};

/// So many nanoseconds of the time that a machine was frozen its forks see pass at most. Not none: what programs do every
/// second, they do to show the time of day, as in the Date of their answers.
const MOST_SEEN: u64 = 1_000_000_000;

/// When a machine was frozen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrozenAt {
    /// In nanoseconds of the host's CLOCK_MONOTONIC.
    at: u64,
    /// By how much its clocks were behind the host's.
    lag: u64,
}

impl FrozenAt {
    /// Now, for the machine that has `host`.
    pub fn now(host: &Host) -> Self {
        Self { at: monotonic(), lag: host.lag() }
    }

    /// By how much the clocks of a fork are behind the host's that begins to run when the host's shows `now`.
    fn lag_at(self, now: u64) -> u64 {
        let frozen = now.saturating_sub(self.at);
        self.lag.saturating_add(frozen.saturating_sub(MOST_SEEN))
    }

    /// Has the clocks of the machine that has `host` go on from here.
    pub fn go_on(self, host: &mut Host) {
        host.set_lag(self.lag_at(monotonic()));
        host.restart_busy();
    }
}

/// What a machine whose clock page is `clock` maps for `area`.
pub fn source<'a>(area: &'a Area, clock: &'a Arc<MappedFile>) -> Source<'a> {
    match &area.backing {
        Backing::File { file, offset } if is_clock_page(file) => {
            Source::File { fd: clock.fd.as_fd(), offset: *offset, shared: area.shared }
        }
        backing => backing.source(area.shared),
    }
}

#[cfg(test)]
mod tests {
    use super::{FrozenAt, MOST_SEEN};

    #[test]
    fn a_fork_sees_a_second_of_the_time_that_it_was_frozen_pass() {
        let frozen = FrozenAt { at: 100, lag: 0 };
        assert_eq!(frozen.lag_at(100), 0);
        assert_eq!(frozen.lag_at(100 + MOST_SEEN), 0);
        assert_eq!(frozen.lag_at(100 + 10 * MOST_SEEN), 9 * MOST_SEEN);
        // Saved by another boot of the host.
        assert_eq!(frozen.lag_at(5), 0);
    }

    #[test]
    fn lag_adds_up_over_freezes() {
        assert_eq!(FrozenAt { at: 100, lag: 70 }.lag_at(101 + MOST_SEEN), 71);
        assert_eq!(FrozenAt { at: 0, lag: u64::MAX }.lag_at(u64::MAX), u64::MAX);
    }
}
