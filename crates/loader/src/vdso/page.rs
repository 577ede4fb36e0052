//! A clock page: for each clock a straight line over the CPU's time stamp counter. See vdso/vdso.c, which reads it.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::ClockId;
use warmfork_memory::{HostFile, Origin, SharedPage};

use super::{VdsoError, tsc};

/// The layout of the page, which the word `usable` holds; see vdso/vdso.c, which this mirrors.
pub(super) const LAYOUT: u64 = 1;

/// A line that is ahead of its clock meets it again after this time, if the difference is small.
pub(super) const SLEW_TIME: u64 = 100_000_000;
/// A line that is far ahead runs slower by this part of its rate at most.
pub(super) const MAX_SLEW: u64 = 32;
/// If CLOCK_REALTIME goes back further than this, it has been set.
const SET_BACK: u64 = 1_000_000;
/// Cycles that a reader waits for a page that is being written; as in vdso/vdso.c.
const PATIENCE: u64 = 1 << 30;

/// The clocks that have a line, in the page's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Clock {
    Realtime,
    Monotonic,
    MonotonicRaw,
    Boottime,
}

impl Clock {
    pub(super) const ALL: [Self; 4] = [Self::Realtime, Self::Monotonic, Self::MonotonicRaw, Self::Boottime];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Realtime => 0,
            Self::Monotonic => 1,
            Self::MonotonicRaw => 2,
            Self::Boottime => 3,
        }
    }

    pub(super) fn id(self) -> ClockId {
        match self {
            Self::Realtime => ClockId::Realtime,
            Self::Monotonic => ClockId::Monotonic,
            Self::MonotonicRaw => ClockId::MonotonicRaw,
            Self::Boottime => ClockId::Boottime,
        }
    }
}

/// Words of the page.
#[derive(Clone, Copy)]
pub(super) enum Word {
    Sequence,
    Usable,
    TscBase,
    CoarseTick,
    Base(Clock),
    Multiplier(Clock),
}

impl Word {
    fn index(self) -> usize {
        match self {
            Self::Sequence => 0,
            Self::Usable => 1,
            Self::TscBase => 2,
            Self::CoarseTick => 3,
            Self::Base(clock) => 4 + 2 * clock.index(),
            Self::Multiplier(clock) => 5 + 2 * clock.index(),
        }
    }
}

/// A clock's time as a straight line over the counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Line {
    /// Nanoseconds at its beginning.
    pub(super) base: u64,
    /// Nanoseconds per cycle, 32.32 fixed point.
    pub(super) multiplier: u64,
}

impl Line {
    /// Shows nothing: the vDSO makes the system call for this clock.
    pub(super) const HIDDEN: Self = Self { base: 0, multiplier: 0 };

    /// Nanoseconds `cycles` after its beginning.
    pub(super) fn at(self, cycles: u64) -> u64 {
        let elapsed = (u128::from(cycles) * u128::from(self.multiplier)) >> 32;
        self.base.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// The line that follows one that has come to `shown`, when the clock shows `actual`.
    pub(super) fn following(clock: Clock, shown: u64, actual: u64, multiplier: u64) -> Self {
        let ahead = shown.saturating_sub(actual);
        if ahead == 0 || (clock == Clock::Realtime && ahead > SET_BACK) {
            return Self { base: actual, multiplier };
        }
        let slower = u128::from(multiplier) * u128::from(ahead) / u128::from(SLEW_TIME);
        let slower = u64::try_from(slower).unwrap_or(u64::MAX).min(multiplier / MAX_SLEW);
        Self { base: shown, multiplier: multiplier - slower }
    }
}

/// A page of lines.
#[derive(Debug)]
pub(super) struct Page {
    words: SharedPage,
    /// The file that guests map, shared and read-only: it was not opened for writing.
    pub(super) file: Arc<HostFile>,
}

impl Page {
    /// A page that is not usable yet.
    pub(super) fn new() -> Result<Self, VdsoError> {
        let make = || {
            let words = SharedPage::new("warmfork-clock")?;
            let file = HostFile::new(words.as_fd().try_clone_to_owned()?, Origin::Clock);
            Ok(Self { words, file })
        };
        make().map_err(|error| super::failure("clock page", &error))
    }

    /// Whether it may be believed.
    pub(super) fn is_usable(&self) -> bool {
        self.load(Word::Usable) == LAYOUT
    }

    /// The result of `read` between two changes of the page; `None` when the writer does not come to an end.
    pub(super) fn consistent<T>(&self, read: impl Fn(&Self) -> T) -> Option<T> {
        let begin = tsc::read();
        loop {
            let sequence = self.load(Word::Sequence);
            let found = read(self);
            let tsc = tsc::read();
            if sequence.is_multiple_of(2) && self.load(Word::Sequence) == sequence {
                return Some(found);
            }
            if tsc.saturating_sub(begin) > PATIENCE {
                return None;
            }
            std::hint::spin_loop();
        }
    }

    /// Has `write` change the page, which nobody reads meanwhile; nothing happens, and that is returned, when somebody else
    /// writes.
    pub(super) fn change(&self, write: impl FnOnce(&Self)) -> bool {
        let Some(sequence) = self.begin() else { return false };
        write(self);
        self.store(Word::Sequence, sequence + 2);
        true
    }

    /// Makes the sequence odd, and returns the even number that it was; `None` when somebody else writes.
    pub(super) fn begin(&self) -> Option<u64> {
        let sequence = self.load(Word::Sequence);
        let word = self.word(Word::Sequence);
        let odd = sequence.is_multiple_of(2).then(|| sequence.wrapping_add(1))?;
        word.compare_exchange(sequence, odd, Ordering::SeqCst, Ordering::Relaxed).ok()
    }

    pub(super) fn line(&self, clock: Clock) -> Line {
        Line { base: self.load(Word::Base(clock)), multiplier: self.load(Word::Multiplier(clock)) }
    }

    pub(super) fn set_line(&self, clock: Clock, line: Line) {
        self.store(Word::Base(clock), line.base);
        self.store(Word::Multiplier(clock), line.multiplier);
    }

    fn word(&self, word: Word) -> &AtomicU64 {
        &self.words.words()[word.index()]
    }

    pub(super) fn load(&self, word: Word) -> u64 {
        self.word(word).load(Ordering::Acquire)
    }

    pub(super) fn store(&self, word: Word, value: u64) {
        self.word(word).store(value, Ordering::Release);
    }
}
