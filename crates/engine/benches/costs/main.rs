//! What the engine adds to the price of an intercepted system call, and what a reset costs: `cargo bench --bench costs`.
//!
//! Prints a table; with `--json`, one JSON object of name, value and unit. `make bench` reads that. `--less=10` does
//! everything ten times less often: for an emulated CPU.
//! benches/interception has the prices of the mechanisms themselves.

mod bare;
mod guests;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

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

/// A line of the results.
struct Line {
    name: String,
    value: f64,
    unit: &'static str,
}

/// The results so far.
#[derive(Default)]
struct Lines(Vec<Line>);

impl Lines {
    fn add(&mut self, name: &str, value: f64, unit: &'static str) {
        // On an emulated CPU it takes minutes: this says how far it is. Nobody reads it if it cannot be written.
        let _ = writeln!(std::io::stderr(), "{name}: {value:.3} {unit}");
        self.0.push(Line { name: name.into(), value, unit });
    }

    /// The median of times in nanoseconds.
    fn times(&mut self, name: &str, samples: &Samples) {
        self.add(name, samples.percentile(50) / 1e3, "us");
    }
}

fn measure(less: usize) -> Result<Vec<Line>, Failure> {
    // Hand-offs across CPUs would be all that is measured.
    warmfork_engine::cpu::pin(0);
    let guests = Guests::build(less)?;
    let mut lines = Lines::default();
    interception(&guests, &mut lines)?;
    let (taken, first) = guests.native_forks()?;
    lines.times("native/fork(2)", &taken);
    lines.times("native/fork(2) until the first work is done", &first);
    on(Place::PROCESS, &guests, &mut lines)?;
    if warmfork_platform::kvm::probe().is_ok() {
        on(Place::KVM, &guests, &mut lines)?;
        if guests::host_has_huge_pages() {
            on(Place::KVM_HUGE, &guests, &mut lines)?;
        }
    }
    Ok(lines.0)
}

/// The engine's system calls beside the bare mechanism.
fn interception(guests: &Guests, lines: &mut Lines) -> Result<(), Failure> {
    let (mut bare, mut engine, mut ratios) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..guests.times(ROUNDS) {
        let (bare_round, engine_round) = (bare::measure()?, guests.system_calls(Place::PROCESS)?.0);
        ratios.add(engine_round.percentile(50) / bare_round.percentile(50));
        bare.0.extend(bare_round.0);
        engine.0.extend(engine_round.0);
    }
    lines.times("interception/bare", &bare);
    lines.times("interception/system call", &engine);
    lines.add("interception/ratio", ratios.percentile(50), "times");
    Ok(())
}

/// What machines and forks cost on one platform.
fn on(place: Place, guests: &Guests, lines: &mut Lines) -> Result<(), Failure> {
    let named = |name: &str| format!("{}/{name}", place.name());
    let (calls, entries) = guests.system_calls(place)?;
    lines.times(&named("system call"), &calls);
    lines.add(&named("entries for a system call"), entries, "");
    for (kind, prepared) in [("fork", false), ("prepared fork", true)] {
        let (taken, first) = guests.forks(place, prepared)?;
        lines.times(&named(kind), &taken);
        lines.times(&named(&format!("{kind} until its first work is done")), &first);
    }
    // Other processes' memory comes back to the host at its leisure: there is nothing to see on that platform.
    if place != Place::PROCESS && Path::new(guests::PYTHON).exists() {
        lines.add(&named("memory of a fork of a Python server"), guests.memory(place)? / 1024.0, "KiB");
    }
    for (name, megabytes) in [("reset, 200 dirty pages", 0), ("reset, 200 dirty pages and 20 MB read", READ)] {
        let resets = guests.resets(place, megabytes)?;
        lines.times(&named(name), &resets.taken);
        lines.add(&named(&format!("{name}, p99")), resets.taken.percentile(99) / 1e3, "us");
        if megabytes == 0 {
            lines.add(&named("host calls in a steady request"), resets.calls, "");
            lines.add(&named("page faults in a steady request"), resets.faults, "");
        }
    }
    Ok(())
}

fn table(lines: &[Line]) -> Result<String, Failure> {
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{:<48} {:>10.3} {}", line.name, line.value, line.unit)?;
    }
    Ok(text)
}

fn json(lines: &[Line]) -> Result<String, Failure> {
    let mut text = String::from("{");
    for (index, line) in lines.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Names and units are our own and hold nothing to escape.
        write!(text, "{comma}\n  \"{}\": {{\"value\": {:.4}, \"unit\": \"{}\"}}", line.name, line.value, line.unit)?;
    }
    text.push_str("\n}\n");
    Ok(text)
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    if given(bare::CHILD) {
        return bare::be_child();
    }
    // `cargo test --benches` runs benches too, without --bench: then there is nothing to measure.
    if !given("--bench") {
        return Ok(());
    }
    let less = arguments.iter().find_map(|argument| argument.strip_prefix("--less="));
    let lines = measure(less.map_or(Ok(1), str::parse)?.max(1))?;
    let text = if given("--json") { json(&lines)? } else { table(&lines)? };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
