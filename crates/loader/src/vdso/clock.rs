//! The clocks of the host, as straight lines, from which the vDSO in every guest tells the time.
//!
//! ```text
//!   host's clocks --refresh--> HostClock, one for the whole process --show--> MachineClock, each machine's own
//! ```
//!
//! For each clock a page holds a straight line over the CPU's time stamp counter; `refresh`, called before a guest runs,
//! bends the lines to the host's clocks when they are older than 50 ms. A line never goes back: where it was ahead
//! of the host's clock it goes on from where it was, a little slower. (CLOCK_REALTIME alone is set back when the
//! host's is: then Linux shows that as well.) A machine's own page shows the same, but for the time that it was frozen.
//!
//! Who holds which lock: `calibration` keeps the threads of this process apart and is only ever tried, never waited
//! for; `sequence` in a page is what readers look at, and keeps apart two processes that share the page after a
//! fork. While `sequence` is odd nothing blocks: a few hundred cycles.

use std::ops::RangeInclusive;
use std::sync::{Mutex, OnceLock};

use rustix::time::{ClockId, clock_getres, clock_gettime};

use super::page::{Clock, LAYOUT, Line, Page, Word};
use super::{VdsoError, tsc};

const NANOSECONDS: u64 = 1_000_000_000;
/// A line is renewed when it is older than this.
const MAX_AGE: u64 = 50_000_000;
/// How long the first calibration takes.
const FIRST_CALIBRATION: u64 = 2_000_000;
/// Rates are measured over windows of one to two times this length.
const WINDOW: u64 = NANOSECONDS;
/// Nanoseconds per cycle, 32.32 fixed point, of counters from 100 MHz to 100 GHz.
const PLAUSIBLE: RangeInclusive<u64> = (1 << 32) / 100..=10 << 32;
/// Readings of which the best is taken: one that was interrupted is useless.
const ATTEMPTS: usize = 5;
const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const CPU_FLAGS: &str = "/proc/cpuinfo";

/// A reading of a clock of the host at one value of the counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reading {
    tsc: u64,
    time: u64,
}

impl Reading {
    fn take(clock: Clock) -> Self {
        let attempt = || {
            let before = tsc::read();
            let time = clock_gettime(clock.id());
            let width = tsc::read().saturating_sub(before);
            (width, Self { tsc: before.saturating_add(width / 2), time: nanoseconds(time) })
        };
        let mut best = attempt();
        for _ in 1..ATTEMPTS {
            let next = attempt();
            if next.0 < best.0 {
                best = next;
            }
        }
        best.1
    }

    /// The time of the clock at `tsc`, at a rate of `multiplier`.
    fn at(self, tsc: u64, multiplier: u64) -> u64 {
        Line { base: self.time, multiplier }.at(tsc.saturating_sub(self.tsc))
    }
}

fn nanoseconds(time: rustix::time::Timespec) -> u64 {
    let (seconds, rest) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(NANOSECONDS).saturating_add(rest.unwrap_or(0))
}

/// The rate of a clock against the counter, measured over the last one or two [`WINDOW`]s.
#[derive(Clone, Copy, Debug)]
struct Rate {
    start: Reading,
    next_start: Reading,
    multiplier: u64,
}

impl Rate {
    fn between(start: Reading, end: Reading) -> Option<Self> {
        let multiplier = multiplier(start, end)?;
        Some(Self { start, next_start: end, multiplier })
    }

    /// Takes up a further reading. `None` when it does not fit at all: the host was suspended, or moved to another
    /// machine.
    fn refine(&mut self, now: Reading) -> Option<()> {
        let cycles = now.tsc.checked_sub(self.next_start.tsc)?;
        let expected = self.next_start.at(now.tsc, self.multiplier);
        let elapsed = expected.saturating_sub(self.next_start.time);
        if expected.abs_diff(now.time) > elapsed / 1000 + 1_000_000 {
            return None;
        }
        self.multiplier = multiplier(self.start, now)?;
        if (Line { base: 0, multiplier: self.multiplier }).at(cycles) > WINDOW {
            self.start = self.next_start;
            self.next_start = now;
        }
        Some(())
    }
}

fn multiplier(start: Reading, end: Reading) -> Option<u64> {
    let (cycles, time) = (end.tsc.checked_sub(start.tsc)?, end.time.checked_sub(start.time)?);
    let multiplier = (u128::from(time) << 32).checked_div(u128::from(cycles))?;
    u64::try_from(multiplier).ok().filter(|multiplier| PLAUSIBLE.contains(multiplier))
}

/// The two rates there are: that of the raw clock, and the one that NTP adjusts, of all others.
#[derive(Clone, Copy, Debug)]
struct Calibration {
    raw: Rate,
    adjusted: Rate,
}

impl Calibration {
    /// Measures anew; takes about 2 ms. `None` when counter and clocks have nothing to do with each other.
    fn measure() -> Option<Self> {
        let take = || (Reading::take(Clock::MonotonicRaw), Reading::take(Clock::Monotonic));
        let (raw, adjusted) = take();
        while Reading::take(Clock::Monotonic).time < adjusted.time.saturating_add(FIRST_CALIBRATION) {
            std::hint::spin_loop();
        }
        let (raw_now, adjusted_now) = take();
        Some(Self { raw: Rate::between(raw, raw_now)?, adjusted: Rate::between(adjusted, adjusted_now)? })
    }

    /// As [`Rate::refine`], with a reading of each clock.
    fn refine(&mut self, readings: &[Reading; 4]) -> Option<()> {
        self.raw.refine(readings[Clock::MonotonicRaw.index()])?;
        self.adjusted.refine(readings[Clock::Monotonic.index()])
    }

    fn multiplier(&self, clock: Clock) -> u64 {
        match clock {
            Clock::MonotonicRaw => self.raw.multiplier,
            Clock::Realtime | Clock::Monotonic | Clock::Boottime => self.adjusted.multiplier,
        }
    }
}

/// The clocks of the host, in a page that no guest sees.
#[derive(Debug)]
pub struct HostClock {
    pub(super) page: Page,
    /// [`MAX_AGE`] in cycles.
    max_age: u64,
    /// `None` when the page is not usable.
    calibration: Mutex<Option<Calibration>>,
}

impl HostClock {
    /// The one of this process; the first call makes and calibrates it, which takes about 2 ms.
    ///
    /// # Errors
    /// [`VdsoError`] when the host refuses memory for it.
    pub fn global() -> Result<&'static Self, VdsoError> {
        static PAGE: OnceLock<HostClock> = OnceLock::new();
        match PAGE.get() {
            Some(page) => Ok(page),
            None => {
                let page = Self::new(counter_is_clock())?;
                Ok(PAGE.get_or_init(|| page))
            }
        }
    }
}

impl HostClock {
    /// A page of its own, for tests too. `usable`: whether the counter may be trusted.
    fn new(usable: bool) -> Result<Self, VdsoError> {
        let page = Page::new()?;
        // Without a calibration the page stays as it is: all zero, not usable.
        let calibration = if usable { Calibration::measure() } else { None };
        let max_age = match &calibration {
            Some(calibration) => (u128::from(MAX_AGE) << 32) / u128::from(calibration.raw.multiplier),
            None => 0,
        };
        let max_age = u64::try_from(max_age).unwrap_or(u64::MAX);
        let clock_page = Self { page, max_age, calibration: Mutex::new(calibration) };
        if let Some(calibration) = calibration {
            clock_page.publish(Clock::ALL.map(Reading::take), calibration);
        }
        Ok(clock_page)
    }

    /// Whether guests tell the time from their pages. If not, the vDSO makes system calls.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.page.is_usable()
    }

    /// Bends the lines to the host's clocks if they are older than 50 ms. Else it costs one look at the counter.
    pub fn refresh(&self) {
        if !self.is_usable() || tsc::read().wrapping_sub(self.page.load(Word::TscBase)) < self.max_age {
            return;
        }
        self.renew();
    }

    /// Bends the lines to the host's clocks.
    fn renew(&self) {
        // Who holds the lock does just this. (In a process forked off at that moment it stays locked: then the lines
        // run on as they are.)
        let Ok(mut calibration) = self.calibration.try_lock() else { return };
        let readings = Clock::ALL.map(Reading::take);
        let refined = calibration.as_mut().and_then(|calibration| calibration.refine(&readings));
        if refined.is_none() {
            *calibration = Calibration::measure();
        }
        match *calibration {
            Some(rates) if refined.is_some() => self.publish(readings, rates),
            Some(rates) => self.publish(Clock::ALL.map(Reading::take), rates),
            None => self.give_up(),
        }
    }

    /// Replaces the lines by ones that go on from where they are at this moment.
    fn publish(&self, readings: [Reading; 4], rates: Calibration) {
        self.page.change(|page| {
            // From here to the end nobody reads the old lines: no reader has seen them beyond this value of the counter.
            let tsc = tsc::read();
            let age = tsc.saturating_sub(page.load(Word::TscBase));
            let was_usable = page.is_usable();
            for (clock, reading) in Clock::ALL.into_iter().zip(readings) {
                let multiplier = rates.multiplier(clock);
                let shown = if was_usable { page.line(clock).at(age) } else { 0 };
                page.set_line(clock, Line::following(clock, shown, reading.at(tsc, multiplier), multiplier));
            }
            page.store(Word::TscBase, tsc);
            page.store(Word::CoarseTick, coarse_tick());
            page.store(Word::Usable, LAYOUT);
        });
    }

    /// Has guests ask the kernel from now on.
    fn give_up(&self) {
        self.page.change(|page| page.store(Word::Usable, 0));
    }
}

/// The resolution of the host's coarse clocks, which is that of the guest's.
fn coarse_tick() -> u64 {
    static TICK: OnceLock<u64> = OnceLock::new();
    *TICK.get_or_init(|| nanoseconds(clock_getres(ClockId::RealtimeCoarse)).max(1))
}

/// Whether the counters of all CPUs run alike and at one rate: the host kernel takes its own time from them, or the
/// CPU says so (its invariant TSC is the kernel's flag nonstop_tsc).
fn counter_is_clock() -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    read(CLOCKSOURCE).trim() == "tsc" || read(CPU_FLAGS).split_whitespace().any(|word| word == "nonstop_tsc")
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
