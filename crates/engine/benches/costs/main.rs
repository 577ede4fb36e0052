//! What the engine adds to the price of an intercepted system call, and what a reset costs: `cargo bench --bench costs`.
//!
//! Prints a line for each measurement as it comes; with `--json` an object of name, value and unit. `make bench` reads
//! that. A part that fails is told in a line of its own, the others go on, and the exit status is 1. `--less=10` does
//! everything ten times less often: for an emulated CPU.
//! benches/interception has the prices of the mechanisms themselves.

mod bare;
mod guests;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use self::guests::{Guests, Place};

/// Measurements take turns in so many rounds, so that a slow moment does not fall on one of them alone.
const ROUNDS: usize = 9;
/// Batches in a round.
const BATCHES: usize = 15;
/// System calls in a batch: it is shorter than a time slice, so most batches meet no other work.
const CALLS: usize = 250;
/// Megabytes that the second kind of fork reads beside dirtying its pages.
const READ: usize = 20;

type Failure = Box<dyn std::error::Error>;

/// Values of one thing.
#[derive(Default)]
struct Samples(Vec<f64>);

impl Samples {
    fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The sample that `hundredths` of a hundred do not exceed.
    fn percentile(&self, hundredths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((sorted.len() * hundredths / 100).min(last)).copied().unwrap_or(f64::NAN)
    }
}

/// Tells what is measured as it comes, so that nothing is lost when the rest fails.
struct Report {
    json: bool,
    failed: bool,
}

impl Report {
    fn add(&self, name: &str, value: f64, unit: &'static str) -> Result<(), Failure> {
        // Names and units are our own and hold nothing to escape.
        say(&match self.json {
            true => format!("{{\"name\": \"{name}\", \"value\": {value:.4}, \"unit\": \"{unit}\"}}"),
            false => format!("{name:<48} {value:>10.3} {unit}"),
        })
    }

    /// The median of times in nanoseconds.
    fn times(&self, name: &str, samples: &Samples) -> Result<(), Failure> {
        self.add(name, samples.percentile(50) / 1e3, "us")
    }

    /// Measures a part. When that fails, the other parts do not.
    fn part(&mut self, name: &str, measure: impl FnOnce(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        let Err(error) = measure(self) else { return Ok(()) };
        self.failed = true;
        self.not_measured(name, "failed", &error.to_string())
    }

    /// Why a part is not in the results.
    fn not_measured(&self, name: &str, how: &str, why: &str) -> Result<(), Failure> {
        say(&match self.json {
            true => format!("{{\"name\": \"{name}\", \"{how}\": {}}}", quoted(why)),
            false => format!("{name}: {how}: {why}"),
        })
    }
}

fn say(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => quoted.push(' '),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

fn measure(report: &mut Report, less: usize) -> Result<(), Failure> {
    // Hand-offs across CPUs would be all that is measured.
    warmfork_engine::cpu::pin(0);
    let guests = Guests::build(less)?;
    report.part("interception", |report| interception(&guests, report))?;
    report.part("native/fork(2)", |report| {
        let (taken, first) = guests.native_forks()?;
        report.times("native/fork(2)", &taken)?;
        report.times("native/fork(2) until the first work is done", &first)
    })?;
    on(Place::PROCESS, &guests, report)?;
    if let Err(error) = warmfork_platform::kvm::probe() {
        return report.not_measured("kvm", "left out", &error.to_string());
    }
    on(Place::KVM, &guests, report)?;
    match guests::host_has_huge_pages() {
        true => on(Place::KVM_HUGE, &guests, report),
        false => report.not_measured(Place::KVM_HUGE.name(), "left out", "this host gives nobody huge pages"),
    }
}

/// The engine's system calls beside the bare mechanism.
fn interception(guests: &Guests, report: &Report) -> Result<(), Failure> {
    let (mut bare, mut engine, mut ratios) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..guests.times(ROUNDS) {
        let (bare_round, engine_round) = (bare::measure()?, guests.system_calls(Place::PROCESS)?.0);
        ratios.add(engine_round.percentile(50) / bare_round.percentile(50));
        bare.0.extend(bare_round.0);
        engine.0.extend(engine_round.0);
    }
    report.times("interception/bare", &bare)?;
    report.times("interception/system call", &engine)?;
    report.add("interception/ratio", ratios.percentile(50), "times")
}

/// What machines and forks cost on one platform.
fn on(place: Place, guests: &Guests, report: &mut Report) -> Result<(), Failure> {
    let named = |name: &str| format!("{}/{name}", place.name());
    report.part(&named("system call"), |report| {
        let (calls, entries) = guests.system_calls(place)?;
        report.times(&named("system call"), &calls)?;
        report.add(&named("entries for a system call"), entries, "")
    })?;
    for (kind, prepared) in [("fork", false), ("prepared fork", true)] {
        report.part(&named(kind), |report| {
            let (taken, first) = guests.forks(place, prepared)?;
            report.times(&named(kind), &taken)?;
            report.times(&named(&format!("{kind} until its first work is done")), &first)
        })?;
    }
    if Path::new(guests::PYTHON).exists() {
        python_forks(place, guests, report)?;
    }
    for (name, megabytes) in [("reset, 200 dirty pages", 0), ("reset, 200 dirty pages and 20 MB read", READ)] {
        report.part(&named(name), |report| {
            let resets = guests.resets(place, megabytes)?;
            report.times(&named(name), &resets.taken)?;
            report.add(&named(&format!("{name}, p99")), resets.taken.percentile(99) / 1e3, "us")?;
            if megabytes == 0 {
                // Nine of ten are steady: now and then the alarm interrupts one, or pages are given back.
                report.add(&named("host calls in a steady request"), resets.calls.percentile(90), "")?;
                report.add(&named("page faults in a steady request"), resets.faults.percentile(90), "")?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What forks of a Python server cost on one platform.
fn python_forks(place: Place, guests: &Guests, report: &mut Report) -> Result<(), Failure> {
    let taken = format!("{}/fork and end of a Python server", place.name());
    report.part(&taken, |report| report.times(&taken, &guests.python_forks(place)?))?;
    // Other processes' memory comes back to the host at its leisure: there is nothing to see on that platform.
    if place == Place::PROCESS {
        return Ok(());
    }
    let memory = format!("{}/memory of a fork of a Python server", place.name());
    report.part(&memory, |report| report.add(&memory, guests.memory(place)? / 1024.0, "KiB"))
}

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    if given(bare::CHILD) {
        bare::be_child()?;
        return Ok(ExitCode::SUCCESS);
    }
    // `cargo test --benches` runs benches too, without --bench: then there is nothing to measure.
    if !given("--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    let less = arguments.iter().find_map(|argument| argument.strip_prefix("--less="));
    let mut report = Report { json: given("--json"), failed: false };
    let less = less.map_or(Ok(1), str::parse)?.max(1);
    report.part("costs", |report| measure(report, less))?;
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
