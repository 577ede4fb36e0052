//! A machine's clocks stand still while it is frozen.
//!
//! Else every deadline that a program has set would be due in each of its forks some time after the freeze, and each of
//! them would do again what is meant to be done once: V8 collects all garbage when that was last done 100 seconds ago.
//! The time of day is the host's all the same.

use warmfork_linux::host::{Host, monotonic};

/// So many nanoseconds of the time that a machine was frozen its forks see pass at most. Not none: what programs do every
/// second, they do to show the time of day, as in the Date of their answers.
pub const MAX_SEEN: u64 = 1_000_000_000;

/// A program that has nothing to do within so many nanoseconds is ready: when it is frozen then, all that it has set itself is
/// further away than what its forks see pass, and by a second.
const SOON: u64 = 2 * MAX_SEEN;

/// When a machine was frozen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrozenAt {
    /// In nanoseconds of the host's CLOCK_MONOTONIC.
    at: u64,
    /// By how much its clocks were behind the host's.
    lag: i64,
}

impl FrozenAt {
    /// Now, for the machine that has `host`.
    pub fn now(host: &Host) -> Self {
        Self { at: monotonic(), lag: host.lag() }
    }

    /// By how much the clocks of a fork are behind the host's that begins to run when the host's shows `now`.
    fn lag_at(self, now: u64) -> i64 {
        let frozen = now.saturating_sub(self.at);
        let unseen = i64::try_from(frozen.saturating_sub(MAX_SEEN)).unwrap_or(i64::MAX);
        self.lag.saturating_add(unseen)
    }

    /// Has the clocks of the machine that has `host` go on from here.
    pub fn go_on(self, host: &mut Host) {
        host.set_lag(self.lag_at(monotonic()));
        host.restart_busy();
    }
}

/// A machine that is ready has its clocks put ahead, to the next time for which it has set itself something, as long as
/// that is soon: it does that now, once, and not each of its forks.
#[derive(Debug, Default)]
pub struct Rest {
    ahead: u64,
}

impl Rest {
    /// How far in all, in nanoseconds: there may always be something to do.
    const MAX: u64 = 3 * SOON;
    /// The least that a step counts.
    const STEP: u64 = Self::MAX / 1000;

    /// Puts the clocks of `host` ahead to `deadline`, if that is near.
    pub fn step(&mut self, host: &mut Host, deadline: Option<u64>) -> bool {
        let ahead = deadline.map(|at| at.saturating_sub(host.monotonic()));
        let Some(ahead) = ahead.filter(|&ahead| ahead <= SOON) else { return false };
        let all = self.ahead + ahead.max(Self::STEP);
        if all > Self::MAX {
            return false;
        }
        self.ahead = all;
        host.set_lag(host.lag().saturating_sub_unsigned(ahead));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{FrozenAt, Host, MAX_SEEN, Rest, SOON};

    #[test]
    fn a_fork_sees_a_second_of_the_time_that_it_was_frozen_pass() {
        let frozen = FrozenAt { at: 100, lag: 0 };
        assert_eq!(frozen.lag_at(100), 0);
        assert_eq!(frozen.lag_at(100 + MAX_SEEN), 0);
        assert_eq!(frozen.lag_at(100 + 10 * MAX_SEEN), 9 * MAX_SEEN.cast_signed());
        // Saved by another boot of the host.
        assert_eq!(frozen.lag_at(5), 0);
    }

    #[test]
    fn lag_adds_up_over_freezes() {
        assert_eq!(FrozenAt { at: 100, lag: 70 }.lag_at(101 + MAX_SEEN), 71);
        assert_eq!(FrozenAt { at: 100, lag: -70 }.lag_at(101 + MAX_SEEN), -69);
        assert_eq!(FrozenAt { at: 0, lag: i64::MAX }.lag_at(u64::MAX), i64::MAX);
    }

    #[test]
    fn what_is_due_soon_is_due_at_once() {
        let (mut host, mut rest) = (Host::new().unwrap(), Rest::default());
        assert!(!rest.step(&mut host, None));
        let far = host.monotonic() + 2 * SOON;
        assert!(!rest.step(&mut host, Some(far)));
        let near = host.monotonic() + SOON / 2;
        assert!(rest.step(&mut host, Some(near)));
        assert!(host.monotonic() >= near);
        // Which has brought the far one near.
        assert!(rest.step(&mut host, Some(far - SOON / 2)));
    }

    #[test]
    fn a_machine_that_is_never_done_is_given_up() {
        let (mut host, mut rest) = (Host::new().unwrap(), Rest::default());
        let started = host.monotonic();
        let steps = (0..10_000).take_while(|_| {
            let next = host.monotonic() + 1_000_000;
            rest.step(&mut host, Some(next))
        });
        assert_eq!(steps.count(), 1000);
        assert!(host.lag() < 0 && host.monotonic() - started < Rest::MAX);
    }
}
