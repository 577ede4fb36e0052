//! Tests of the clock page, on the host's side and, with tests/programs/vdso_probe.c, on the guest's.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use warmfork_memory::HostFile;

use super::*;
use crate::testing::compile;
use crate::vdso::page::{MAX_SLEW, SLEW_TIME};
use crate::vdso::{MachineClock, image_file};

/// The greatest error that is allowed; the median of a thousand readings is far below it.
const CLOSE: i64 = 20_000;

fn page() -> HostClock {
    HostClock::new(true).expect("a clock page")
}

/// Nothing where the counter is no clock.
fn usable_page() -> Option<HostClock> {
    Some(page()).filter(HostClock::is_usable)
}

fn probe() -> PathBuf {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| compile("vdso_probe", "vdso_probe.c", &["-O2"])).clone()
}

/// The time of `clock`, in nanoseconds; `None` when guests ask the kernel.
fn now(page: &Page, clock: Clock) -> Option<u64> {
    let look = |page: &Page| (page.is_usable(), page.line(clock), page.load(Word::TscBase), tsc::read());
    let (usable, line, base, tsc) = page.consistent(look)?;
    usable.then(|| line.at(tsc.saturating_sub(base)))
}

/// A command that maps `page` and the vDSO and then does as `arguments` say.
fn probing(page: &HostClock, arguments: &[&str]) -> Command {
    let path_of = |file: &HostFile| format!("/proc/{}/fd/{}", std::process::id(), file.as_fd().as_raw_fd());
    let mut command = Command::new(probe());
    command.arg(path_of(&page.page.file)).arg(path_of(&image_file().expect("vDSO"))).args(arguments);
    command
}

fn output_of(page: &HostClock, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = probing(page, arguments).output().expect("probe");
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

/// Clock numbers with the median and the largest difference between vDSO and kernel.
fn differences(page: &HostClock) -> Vec<(u32, i64, i64)> {
    let number = |field: Option<&str>| field.and_then(|field| field.parse().ok()).expect("a number");
    let parse = |line: &str| {
        let mut fields = line.split(' ');
        let clock = u32::try_from(number(fields.next())).expect("a clock");
        (clock, number(fields.next()), number(fields.next()))
    };
    output_of(page, &["compare"]).lines().map(parse).collect()
}

#[test]
fn guests_see_the_hosts_clocks() {
    let Some(page) = usable_page() else { return };
    page.renew();
    let differences = differences(&page);
    assert_eq!(differences.len(), 9);
    let tick = i64::try_from(coarse_tick()).expect("a tick");
    for (clock, median, _) in differences {
        // The coarse clocks have their ticks at other moments than the kernel's.
        let allowed = if clock == 5 || clock == 6 { 2 * tick } else { CLOSE };
        assert!(median <= allowed, "clock {clock} is off by {median} ns");
    }
}

#[test]
fn without_a_usable_page_guests_ask_the_kernel() {
    let page = HostClock::new(false).expect("a clock page");
    assert!(!page.is_usable());
    assert_eq!(now(&page.page, Clock::Monotonic), None);
    page.refresh();
    for (clock, median, most) in differences(&page) {
        assert_eq!((median, most), (0, 0), "clock {clock}");
    }
    output_of(&page, &["others"]);
}

#[test]
fn a_page_that_is_never_finished_stops_nobody() {
    let page = page();
    let Some(sequence) = page.page.begin() else { panic!("somebody else writes") };
    assert!(sequence.is_multiple_of(2));
    assert_eq!(page.page.begin(), None);
    page.renew();
    assert_eq!(page.page.load(Word::Sequence), sequence + 1);
    assert_eq!(now(&page.page, Clock::Monotonic), None);
    output_of(&page, &["monotonic", "1"]);
}

#[test]
fn the_other_functions_answer_as_the_kernel() {
    output_of(&page(), &["others"]);
}

#[test]
fn guests_cannot_write_the_page() {
    output_of(&page(), &["protection"]);
}

/// Renews the lines as fast as readers can bear it, from readings that are alternately too high and too low.
fn disturb(page: &HostClock, done: &AtomicBool) {
    let rates = page.calibration.lock().expect("lock").expect("calibrated");
    let readings = Clock::ALL.map(Reading::take);
    for noise in [20_000, 0, 500, 100].into_iter().cycle() {
        page.publish(readings.map(|reading| Reading { time: reading.time + noise, ..reading }), rates);
        (0..100).for_each(|_| std::hint::spin_loop());
        if done.load(Ordering::Relaxed) {
            return;
        }
    }
}

#[test]
fn time_never_goes_back_while_lines_are_renewed() {
    let Some(page) = usable_page() else { return };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| disturb(&page, &done));
        scope.spawn(|| disturb(&page, &done));
        let mut last = Clock::ALL.map(|_| 0);
        for _ in 0..500_000 {
            for clock in [Clock::Monotonic, Clock::MonotonicRaw, Clock::Boottime] {
                let Some(now) = now(&page.page, clock) else { continue };
                if now < last[clock.index()] {
                    done.store(true, Ordering::Relaxed);
                    panic!("{clock:?} went back by {} ns", last[clock.index()] - now);
                }
                last[clock.index()] = now;
            }
        }
        let output = probing(&page, &["monotonic", "5000000"]).output();
        done.store(true, Ordering::Relaxed);
        let output = output.expect("probe");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}

#[test]
fn refresh_renews_what_is_old_and_nothing_else() {
    let Some(page) = usable_page() else { return };
    let sequence = page.page.load(Word::Sequence);
    // As if it had been renewed just now, or long ago.
    page.page.store(Word::TscBase, tsc::read());
    page.refresh();
    assert_eq!(page.page.load(Word::Sequence), sequence);
    page.page.store(Word::TscBase, tsc::read() - page.max_age);
    page.refresh();
    assert_eq!(page.page.load(Word::Sequence), sequence + 2);
}

#[test]
fn a_line_behind_its_clock_jumps_and_one_ahead_slows_down() {
    let multiplier = 1 << 31;
    for clock in Clock::ALL {
        assert_eq!(Line::following(clock, 1000, 1500, multiplier), Line { base: 1500, multiplier });
        let line = Line::following(clock, 1500, 1000, multiplier);
        assert_eq!(line.base, 1500);
        assert!(line.multiplier < multiplier);
        // After the time to meet it is where the clock is, to a nanosecond.
        let cycles = 2 * SLEW_TIME;
        assert!(line.at(cycles).abs_diff(1000 + SLEW_TIME) <= 1);
    }
}

#[test]
fn a_line_far_ahead_slows_down_a_little_unless_its_clock_was_set() {
    let multiplier = 1 << 31;
    let hour = 3600 * NANOSECONDS;
    let slowest = multiplier - multiplier / MAX_SLEW;
    for clock in [Clock::Monotonic, Clock::MonotonicRaw, Clock::Boottime] {
        assert_eq!(Line::following(clock, hour, 1, multiplier), Line { base: hour, multiplier: slowest });
        assert_eq!(Line::following(clock, u64::MAX, 0, multiplier).multiplier, slowest);
    }
    assert_eq!(Line::following(Clock::Realtime, hour, 1, multiplier), Line { base: 1, multiplier });
}

#[test]
fn rates_are_refined_over_a_moving_window() {
    let reading = |milliseconds: u64, noise: u64| Reading {
        tsc: 5000 + milliseconds * 2_000_000,
        time: 77 + milliseconds * 1_000_000 + noise,
    };
    // 20 ns too long over 2 ms: 10 parts in a million.
    let mut rate = Rate::between(reading(0, 0), reading(2, 20)).expect("plausible");
    let truth = 1_u64 << 31;
    assert!(rate.multiplier > truth + truth / 120_000);
    for now in (50..5000).step_by(50) {
        rate.refine(reading(now, 0)).expect("fits");
    }
    assert!(rate.multiplier.abs_diff(truth) <= 1, "{}", rate.multiplier);
    assert!(rate.start.tsc > reading(2000, 0).tsc);
}

#[test]
fn a_reading_that_does_not_fit_asks_for_a_new_calibration() {
    let start = Reading { tsc: 1_000_000, time: NANOSECONDS };
    let end = Reading { tsc: 5_000_000, time: NANOSECONDS + 2_000_000 };
    let rate = Rate::between(start, end).expect("plausible");
    // The counter was set back; the clock stood still for a second; the counter runs twice as fast.
    for (tsc, time) in [(0, 1_000_000), (2_005_000_000, 0), (4_005_000_000, NANOSECONDS)] {
        let now = Reading { tsc, time: end.time + time };
        assert!(rate.clone().refine(now).is_none(), "{now:?}");
    }
    assert!(rate.clone().refine(Reading { tsc: 2_005_000_000, time: end.time + NANOSECONDS }).is_some());
    // A counter that stands still, or runs at an absurd rate.
    assert!(Rate::between(start, Reading { tsc: start.tsc, ..end }).is_none());
    assert!(Rate::between(start, Reading { tsc: start.tsc + 1, ..end }).is_none());
    assert!(Rate::between(end, start).is_none());
}

#[test]
fn a_lost_calibration_is_made_anew() {
    let Some(page) = usable_page() else { return };
    if let Some(calibration) = page.calibration.lock().expect("lock").as_mut() {
        calibration.raw.next_start.tsc = u64::MAX;
    }
    let before = now(&page.page, Clock::Monotonic).expect("usable");
    page.renew();
    assert!(page.is_usable());
    assert!(now(&page.page, Clock::Monotonic).expect("usable") >= before);
    assert_ne!(page.calibration.lock().expect("lock").expect("calibrated").raw.next_start.tsc, u64::MAX);
}

#[test]
fn a_machine_that_is_not_to_know_the_day_asks_for_it() {
    let Some(host) = usable_page() else { return };
    let mut machine = MachineClock::of(Box::leak(Box::new(host))).expect("a clock page");
    for hidden in [true, true, false, true, false] {
        machine.hide_time_of_day(hidden);
        machine.copy(0);
        for clock in Clock::ALL {
            assert_eq!(machine.page.line(clock) == Line::HIDDEN, hidden && clock == Clock::Realtime, "{clock:?}");
        }
    }
}

#[test]
fn a_machines_clocks_lag_but_that_of_the_day() {
    let Some(host) = usable_page() else { return };
    let host: &HostClock = Box::leak(Box::new(host));
    let mut machine = MachineClock::of(host).expect("a clock page");
    assert_eq!(now(&machine.page, Clock::Monotonic), None);
    let second = NANOSECONDS.cast_signed();
    for lag in [0, 7 * second, 7 * second, -second] {
        machine.copy(lag);
        for clock in Clock::ALL {
            let before = now(&host.page, clock).expect("usable");
            let shown = now(&machine.page, clock).expect("usable");
            let after = now(&host.page, clock).expect("usable");
            let lag = if clock == Clock::Realtime { 0 } else { lag };
            assert!(
                (before..=after).contains(&shown.saturating_add_signed(lag)),
                "{clock:?}: {shown} with a lag of {lag}"
            );
        }
    }
    // Of what is older than a clock, nothing is seen.
    machine.copy(i64::MAX);
    assert!(now(&machine.page, Clock::Monotonic).expect("usable") < NANOSECONDS);
}

#[test]
fn a_machines_page_follows_the_hosts_and_nothing_else_changes_it() {
    let Some(host) = usable_page() else { return };
    let host: &HostClock = Box::leak(Box::new(host));
    let mut machine = MachineClock::of(host).expect("a clock page");
    machine.copy(5);
    let sequence = machine.page.load(Word::Sequence);
    machine.copy(5);
    assert_eq!(machine.page.load(Word::Sequence), sequence);
    host.renew();
    machine.copy(5);
    assert_eq!(machine.page.load(Word::Sequence), sequence + 2);
    host.give_up();
    machine.copy(5);
    assert_eq!(now(&machine.page, Clock::Monotonic), None);
}

#[test]
fn absurd_lines_do_not_overflow() {
    let line = Line { base: u64::MAX - 5, multiplier: u64::MAX };
    assert_eq!(line.at(u64::MAX), u64::MAX);
    assert_eq!(Reading { tsc: 9, time: 5 }.at(1, 1 << 32), 5);
}
