//! Timers that are read: timerfd_create(2).
//!
//! All times are kept on the monotonic clock; an absolute time of another clock is converted when it is set.

use warmfork_abi::Errno;

use crate::events::Events;
use crate::objects::{Context, Operations};

/// Shortest distance between two wake-ups for a timer that nobody reads.
const UNREAD_INTERVAL: u64 = 1_000_000;

/// The clock that a timer's times are given in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// CLOCK_REALTIME and CLOCK_REALTIME_ALARM.
    Realtime,
    /// CLOCK_MONOTONIC.
    Monotonic,
    /// CLOCK_BOOTTIME and CLOCK_BOOTTIME_ALARM.
    Boottime,
}

/// A timer.
#[derive(Clone, PartialEq, Debug)]
pub struct TimerFd {
    clock: Clock,
    /// When it next runs out, in monotonic nanoseconds; `None` when disarmed.
    next: Option<u64>,
    /// Nanoseconds between further expirations; 0 for none.
    interval: u64,
    /// Expirations not read yet.
    ticks: u64,
    /// Expirations since it was made.
    edges: u64,
    /// When the machine should look again.
    wake_at: Option<u64>,
}

/// When a timer runs out next and then, in nanoseconds from now (`struct itimerspec`); 0 is never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Remaining {
    /// it_value
    pub value: u64,
    /// it_interval
    pub interval: u64,
}

impl TimerFd {
    /// A disarmed timer.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, next: None, interval: 0, ticks: 0, edges: 0, wake_at: None }
    }

    /// The clock that absolute times are given in.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Arms the timer for the instant `next` (monotonic nanoseconds), or disarms it. Unread expirations are gone. The time that
    /// was left.
    pub fn arm(&mut self, context: &mut Context<'_>, next: Option<u64>, interval: u64) -> Remaining {
        self.at_present(context, |timer, now| {
            let before = timer.remaining(now);
            timer.set(next, interval);
            before
        })
    }

    /// The time that is left.
    pub fn time_left(&mut self, context: &mut Context<'_>) -> Remaining {
        self.at_present(context, Self::remaining)
    }

    /// Counts the expirations up to now.
    pub fn look(&mut self, context: &mut Context<'_>) {
        self.at_present(context, Self::settle);
    }

    /// Does `change` at the present time, and has the table of armed timers follow.
    fn at_present<T>(&mut self, context: &mut Context<'_>, change: impl FnOnce(&mut Self, u64) -> T) -> T {
        let before = self.wake_at;
        let result = change(self, context.host.monotonic());
        if self.wake_at != before {
            context.shared.timers.change(context.id, before, self.wake_at);
        }
        result
    }

    fn set(&mut self, next: Option<u64>, interval: u64) {
        self.next = next;
        self.interval = interval;
        self.ticks = 0;
        self.wake_at = next;
    }

    fn remaining(&mut self, now: u64) -> Remaining {
        self.settle(now);
        let value = self.next.map_or(0, |at| at.saturating_sub(now).max(1));
        Remaining { value, interval: self.interval }
    }

    fn settle(&mut self, now: u64) {
        let Some(next) = self.next.filter(|&next| next <= now) else { return };
        let late = now - next;
        let more = late.checked_div(self.interval).unwrap_or(0);
        let count = more.saturating_add(1);
        self.ticks = self.ticks.saturating_add(count);
        self.edges = self.edges.wrapping_add(count);
        self.next = match self.interval {
            0 => None,
            interval => Some(next.saturating_add(interval.saturating_mul(count))),
        };
        // A short interval that nobody reads must not keep an idle machine busy.
        self.wake_at = self.next.map(|at| at.max(now.saturating_add(UNREAD_INTERVAL)));
    }

    fn take(&mut self, now: u64) -> Result<u64, Errno> {
        self.settle(now);
        self.wake_at = self.next;
        if self.ticks == 0 { Err(Errno::EAGAIN) } else { Ok(std::mem::take(&mut self.ticks)) }
    }
}

impl Operations for TimerFd {
    fn link_text(&self) -> Vec<u8> {
        b"anon_inode:[timerfd]".to_vec()
    }

    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], _at: Option<u64>) -> Result<usize, Errno> {
        let into: &mut [u8; 8] = into.first_chunk_mut().ok_or(Errno::EINVAL)?;
        *into = self.at_present(context, Self::take)?.to_le_bytes();
        Ok(8)
    }

    fn seek(&mut self, _context: &mut Context<'_>, _by: i64, _whence: u32) -> Result<u64, Errno> {
        Ok(0)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        self.look(context);
        if self.ticks > 0 { Events::IN } else { Events::empty() }
    }

    fn edges(&mut self, context: &mut Context<'_>, _events: Events) -> u64 {
        self.look(context);
        self.edges
    }

    fn close(&mut self, context: &mut Context<'_>) {
        self.at_present(context, |timer, _| timer.wake_at = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_shot_runs_out_once() {
        let mut timer = TimerFd::new(Clock::Monotonic);
        timer.set(Some(1000), 0);
        assert_eq!(timer.wake_at, Some(1000));
        assert_eq!(timer.remaining(400), Remaining { value: 600, interval: 0 });
        assert_eq!(timer.take(999), Err(Errno::EAGAIN));
        assert_eq!(timer.take(1000), Ok(1));
        assert_eq!(timer.take(5000), Err(Errno::EAGAIN));
        assert_eq!(timer.wake_at, None);
    }

    #[test]
    fn missed_intervals_are_counted() {
        let mut timer = TimerFd::new(Clock::Monotonic);
        timer.set(Some(1000), 100);
        assert_eq!(timer.take(1350), Ok(4));
        assert_eq!(timer.remaining(1350), Remaining { value: 50, interval: 100 });
        assert_eq!(timer.take(1400), Ok(1));
    }

    #[test]
    fn setting_forgets_expirations() {
        let mut timer = TimerFd::new(Clock::Monotonic);
        timer.set(Some(10), 0);
        timer.settle(20);
        timer.set(None, 0);
        assert_eq!(timer.take(30), Err(Errno::EAGAIN));
    }

    #[test]
    fn an_unread_timer_wakes_seldom() {
        let mut timer = TimerFd::new(Clock::Monotonic);
        timer.set(Some(10), 1);
        timer.settle(1000);
        assert_eq!(timer.wake_at, Some(1000 + UNREAD_INTERVAL));
        timer.take(2000).unwrap();
        assert_eq!(timer.wake_at, Some(2001));
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let mut timer = TimerFd::new(Clock::Monotonic);
        timer.set(Some(1), 1);
        timer.settle(u64::MAX);
        timer.set(Some(1), u64::MAX);
        timer.settle(u64::MAX);
        assert_eq!(timer.take(u64::MAX), Ok(2));
    }
}
