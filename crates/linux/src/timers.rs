//! Timers that send signals: alarm and setitimer, timer_create. Plain data.
//!
//! A timer whose signal is still pending does not fire again: it goes on (and counts what it missed) when the signal
//! is taken, so that a short interval costs nothing while nobody looks.

use std::collections::BTreeMap;

use crate::ids::Tid;
use crate::signal::Source;

/// A deadline that may repeat, in the nanoseconds of some counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Countdown {
    /// When it runs out next; `None` when it is not armed.
    pub deadline: Option<u64>,
    /// The time between repetitions; 0 for none.
    pub interval: u64,
}

impl Countdown {
    /// How long until it runs out; never 0 while it is armed, as Linux has it.
    #[must_use]
    pub fn remaining(&self, now: u64) -> u64 {
        let Some(mut deadline) = self.deadline else { return 0 };
        if deadline <= now && self.interval > 0 {
            (deadline, _) = self.after(deadline, now);
        }
        deadline.saturating_sub(now).max(1)
    }

    /// The first repetition of `deadline` after `now`, and its number (the first after `deadline` is 1).
    fn after(&self, deadline: u64, now: u64) -> (u64, u64) {
        let repetitions = ((now - deadline) / self.interval).saturating_add(1);
        (deadline.saturating_add(repetitions.saturating_mul(self.interval)), repetitions)
    }

    /// How often it has run out by `now`; it is then set for the next time, or disarmed.
    pub(crate) fn advance(&mut self, now: u64) -> u64 {
        let Some(deadline) = self.deadline.filter(|&deadline| deadline <= now) else { return 0 };
        if self.interval == 0 {
            self.deadline = None;
            return 1;
        }
        let (next, repetitions) = self.after(deadline, now);
        self.deadline = Some(next);
        repetitions
    }
}

/// The clock that a POSIX timer goes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counter {
    /// CLOCK_MONOTONIC of the host, whatever the clock that the guest named.
    Monotonic,
    /// CPU time of the process.
    Process,
    /// CPU time of a thread.
    Thread(Tid),
}

/// The effect of a POSIX timer that runs out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notify {
    /// Nothing: it is only read.
    Nothing,
    /// A signal.
    Signal {
        /// Its number.
        signal: u32,
        /// sigev_value.
        value: u64,
        /// The one thread to send it to.
        thread: Option<Tid>,
    },
}

/// A timer of timer_create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PosixTimer {
    /// The id of the clock that the guest named.
    pub clock: i32,
    /// The clock that it goes by.
    pub counter: Counter,
    /// Its effect when it runs out.
    pub notify: Notify,
    /// When.
    pub countdown: Countdown,
    /// Its signal is pending.
    pub queued: bool,
    /// How often it has run out since its pending signal was sent.
    pub missed: u64,
    /// The count that timer_getoverrun reports: `missed` of the signal last taken.
    pub overrun: i32,
}

/// The timers of a process.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Timers {
    /// ITIMER_REAL and alarm, in monotonic nanoseconds.
    pub real: Countdown,
    /// Its signal is pending.
    pub(crate) real_queued: bool,
    /// ITIMER_VIRTUAL and ITIMER_PROF, in nanoseconds of the process's CPU time.
    pub cpu: [Countdown; 2],
    /// timer_create's, by id.
    pub posix: BTreeMap<i32, PosixTimer>,
    next_id: i32,
}

impl Timers {
    /// When the next timer runs out, in monotonic nanoseconds. CPU time passes only while threads run, so its timers
    /// are looked at then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let real = if self.real_queued { None } else { self.real.deadline };
        let sends = |timer: &&PosixTimer| {
            timer.counter == Counter::Monotonic && !timer.queued && timer.notify != Notify::Nothing
        };
        let posix = self.posix.values().filter(sends).filter_map(|timer| timer.countdown.deadline);
        real.into_iter().chain(posix).min()
    }

    /// Whether none of them can run out.
    #[must_use]
    pub(crate) fn none_armed(&self) -> bool {
        let posix = self.posix.values().map(|timer| timer.countdown);
        let mut all = posix.chain(self.cpu).chain([self.real]);
        all.all(|countdown| countdown.deadline.is_none())
    }

    /// Timers of timer_create that may run out and have something to send.
    pub(crate) fn sending(&self) -> Vec<i32> {
        let sends = |timer: &PosixTimer| {
            let counting = timer.queued && timer.counter == Counter::Monotonic; // until the signal is taken
            timer.countdown.deadline.is_some() && timer.notify != Notify::Nothing && !counting
        };
        self.posix.iter().filter(|(_, timer)| sends(timer)).map(|(id, _)| *id).collect()
    }

    /// Sets ITIMER_REAL.
    pub fn set_real(&mut self, countdown: Countdown) {
        self.real = countdown;
        self.real_queued = false;
    }

    /// Adds a timer; its id.
    pub fn insert(&mut self, timer: PosixTimer) -> i32 {
        while self.posix.contains_key(&self.next_id) {
            self.next_id = self.next_id.checked_add(1).unwrap_or(0);
        }
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(0);
        self.posix.insert(id, timer);
        id
    }

    /// The signal of `source` is being taken at `now` (monotonic): its timer goes on. How often a POSIX timer ran out
    /// since it was sent.
    pub fn signal_taken(&mut self, source: Source, now: u64) -> Option<i32> {
        match source {
            Source::RealTimer => {
                self.real_queued = false;
                self.real.advance(now);
                None
            }
            Source::PosixTimer(id) => {
                let timer = self.posix.get_mut(&id)?;
                if timer.counter == Counter::Monotonic {
                    timer.missed = timer.missed.saturating_add(timer.countdown.advance(now));
                }
                timer.queued = false;
                timer.overrun = i32::try_from(timer.missed).unwrap_or(i32::MAX);
                Some(timer.overrun)
            }
        }
    }

    /// The pending signal of `source` was dropped: its timer goes on.
    pub fn signal_dropped(&mut self, source: Source) {
        match source {
            Source::RealTimer => self.real_queued = false,
            Source::PosixTimer(id) => {
                if let Some(timer) = self.posix.get_mut(&id) {
                    timer.queued = false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Countdown;

    #[test]
    fn a_single_deadline_runs_out_once() {
        let mut countdown = Countdown { deadline: Some(100), interval: 0 };
        assert_eq!(countdown.advance(99), 0);
        assert_eq!(countdown.remaining(99), 1);
        assert_eq!(countdown.advance(100), 1);
        assert_eq!(countdown.advance(1000), 0);
        assert_eq!(countdown.remaining(1000), 0);
    }

    #[test]
    fn repetitions_keep_their_phase() {
        let mut countdown = Countdown { deadline: Some(100), interval: 30 };
        assert_eq!(countdown.advance(100), 1);
        assert_eq!(countdown.deadline, Some(130));
        assert_eq!(countdown.advance(195), 3); // 130, 160, 190
        assert_eq!(countdown.deadline, Some(220));
        assert_eq!(countdown.remaining(200), 20);
        assert_eq!(countdown.remaining(260), 20); // 280
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let mut countdown = Countdown { deadline: Some(1), interval: u64::MAX };
        assert_eq!(countdown.advance(u64::MAX - 1), 1);
        assert_eq!(countdown.deadline, Some(u64::MAX));
        assert_eq!(countdown.remaining(u64::MAX - 1), 1);
        let mut fast = Countdown { deadline: Some(0), interval: 1 };
        assert_eq!(fast.advance(u64::MAX), u64::MAX);
    }
}
