//! A machine's clocks stand still while it is frozen.
//!
//! Otherwise each deadline of a program would pass in each of its forks some time after the freeze, and each fork would repeat
//! work that is meant to be done once: V8, for one, collects all garbage 100 seconds after the last time. The time of day
//! does not stand still: it is the host's.

use warmfork_linux::host::{Host, monotonic};

/// The most nanoseconds that forks see pass of the time for which their machine was frozen. It is not zero because of programs
/// that show the time of day, as in the Date of their answers, and refresh it every second.
pub const MAX_SEEN: u64 = 1_000_000_000;

/// A program is ready when it has no deadline within this many nanoseconds: if it is frozen then, all of its deadlines are a
/// second further away than the time that its forks see pass.
const SOON: u64 = 2 * MAX_SEEN;

/// When a machine was frozen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrozenAt {
    /// The instant, in nanoseconds of the host's CLOCK_MONOTONIC.
    at: u64,
    /// The nanoseconds by which its clocks were behind the host's.
    lag: i64,
}

impl FrozenAt {
    /// Now, for the machine that has `host`.
    pub fn now(host: &Host) -> Self {
        Self { at: monotonic(), lag: host.lag() }
    }

    /// The nanoseconds by which a fork's clocks are behind the host's, if the fork begins to run when the host's clock shows `now`.
    fn lag_at(self, now: u64) -> i64 {
        let frozen = now.saturating_sub(self.at);
        let unseen = i64::try_from(frozen.saturating_sub(MAX_SEEN)).unwrap_or(i64::MAX);
        self.lag.saturating_add(unseen)
    }

    /// Lets the clocks of the machine that has `host` go on from here.
    pub fn resume(self, host: &mut Host) {
        host.set_lag(self.lag_at(monotonic()));
        host.restart_busy();
    }
}

/// Skips a ready machine's clocks to its next deadline, while that is near: the machine then does the due work once, instead of
/// each of its forks doing it.
#[derive(Debug, Default)]
pub struct ClockSkip {
    /// Nanoseconds skipped so far.
    skipped: u64,
}

impl ClockSkip {
    /// The most nanoseconds skipped in all: a program may always set another deadline.
    const MAX: u64 = 3 * SOON;
    /// The least nanoseconds that a step counts.
    const STEP: u64 = Self::MAX / 1000;

    /// Skips the clocks of `host` to `deadline`, in nanoseconds of the guest's clock, if that is near. Returns whether it did.
    pub fn skip_to(&mut self, host: &mut Host, deadline: Option<u64>) -> bool {
        let distance = deadline.map(|at| at.saturating_sub(host.monotonic()));
        let Some(distance) = distance.filter(|&distance| distance <= SOON) else { return false };
        let all = self.skipped + distance.max(Self::STEP);
        if all > Self::MAX {
            return false;
        }
        self.skipped = all;
        host.set_lag(host.lag().saturating_sub_unsigned(distance));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockSkip, FrozenAt, Host, MAX_SEEN, SOON};

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
        let (mut host, mut skip) = (Host::new().unwrap(), ClockSkip::default());
        assert!(!skip.skip_to(&mut host, None));
        let far = host.monotonic() + 2 * SOON;
        assert!(!skip.skip_to(&mut host, Some(far)));
        let near = host.monotonic() + SOON / 2;
        assert!(skip.skip_to(&mut host, Some(near)));
        assert!(host.monotonic() >= near);
        // Which has brought the far one near.
        assert!(skip.skip_to(&mut host, Some(far - SOON / 2)));
    }

    #[test]
    fn a_machine_that_is_never_done_is_given_up() {
        let (mut host, mut skip) = (Host::new().unwrap(), ClockSkip::default());
        let started = host.monotonic();
        let steps = (0..10_000).take_while(|_| {
            let next = host.monotonic() + 1_000_000;
            skip.skip_to(&mut host, Some(next))
        });
        assert_eq!(steps.count(), 1000);
        assert!(host.lag() < 0 && host.monotonic() - started < ClockSkip::MAX);
    }
}
