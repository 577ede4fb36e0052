//! The same through the engine: guests that make system calls, and forks that dirty pages.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, getrlimit, setrlimit};
use warmfork_engine::boot::MachineLimits;
use warmfork_engine::outside::OutsideRules;
use warmfork_engine::{Goal, Machine, Outcome, PlatformChoice, PlatformKind, Program, RunLimits, Snapshot, boot};
use warmfork_linux::policy::Rules;
use warmfork_linux::process::Ending;

use super::{BATCHES, CALLS, Failure, Samples};

/// Pages that a fork dirties.
pub const PAGES: u64 = 200;
/// Resets that are measured, at most.
const RESETS: usize = 2000;
/// Forks that are there at once, and how often so many are made.
pub const CROWD: usize = 200;
const CROWDS: usize = 5;
/// The interpreter whose server is frozen for that: the one that benches/compare/in_python.py freezes, too.
pub const PYTHON: &str = "/usr/bin/python3";
/// Forks that are taken, at most.
const FORKS: usize = 100;
/// Requests of a fork whose resets are then measured.
const WARM_UPS: usize = 4;
/// A frozen guest's wait, of 50 ms, ends in so much time on any machine.
const WAIT_AT_MOST: Duration = Duration::from_secs(30);
/// As the command line has them.
const LIMITS: MachineLimits =
    MachineLimits { memory_bytes: 8 << 30, address_space_bytes: 1 << 47, files: 1024, threads: 1024, processes: 64 };

/// Where guests run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub platform: PlatformKind,
    pub huge_pages: bool,
}

impl Place {
    pub const PROCESS: Self = Self { platform: PlatformKind::Process, huge_pages: false };
    pub const KVM: Self = Self { platform: PlatformKind::Kvm, huge_pages: false };
    pub const KVM_HUGE: Self = Self { platform: PlatformKind::Kvm, huge_pages: true };

    pub fn name(self) -> &'static str {
        match self.platform {
            PlatformKind::Kvm if self.huge_pages => "kvm, huge pages",
            platform => platform.name(),
        }
    }
}

/// The guest programs, built from C in a directory of their own.
pub struct Guests {
    directory: PathBuf,
    /// Everything is done so many times less often.
    less: usize,
}

/// What the resets of one fork were like.
pub struct Resets {
    /// How long each took, in nanoseconds.
    pub taken: Samples,
    /// What the host did for each request and its reset.
    pub calls: Samples,
    pub faults: Samples,
}

impl Guests {
    pub fn build(less: usize) -> Result<Self, Failure> {
        let directory = std::env::temp_dir().join(format!("warmfork-costs-{}", std::process::id()));
        std::fs::create_dir(&directory)?;
        let guests = Self { directory, less };
        for name in ["system_calls", "dirty_pages", "native_fork"] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/costs/guests").join(name);
            let status = Command::new(std::env::var_os("CC").unwrap_or_else(|| "gcc".into()))
                .args(["-O2", "-static", "-o"])
                .args([guests.directory.join(name), source.with_extension("c")])
                .status()?;
            if !status.success() {
                return Err(format!("{name}.c can't be compiled: {status}").into());
            }
        }
        Ok(guests)
    }

    /// How often to do what is done `often` times when there is time.
    pub fn times(&self, often: usize) -> usize {
        (often / self.less).max(1)
    }

    fn boot(&self, place: Place, arguments: &[&str], output: OwnedFd) -> Result<Machine, Failure> {
        let [name, ..] = arguments else { return Err("a guest has a name".into()) };
        let null = || rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        Ok(boot(Program {
            path: self.directory.join(name).into_os_string().into_encoded_bytes(),
            arguments: arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
            environment: Vec::new(),
            cwd: b"/".to_vec(),
            rules: Rules::everything(),
            limits: LIMITS,
            stdio: [null()?, output, null()?],
            platform: PlatformChoice::Only(place.platform),
            huge_pages: place.huge_pages,
        })?)
    }

    /// [`BATCHES`] batches of system calls, in nanoseconds for one; and how often the guest was entered for each.
    pub fn system_calls(&self, place: Place) -> Result<(Samples, f64), Failure> {
        let mut samples = Samples::default();
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (batches, calls) = (BATCHES.to_string(), CALLS.to_string());
        let mut machine = self.boot(place, &["system_calls", &batches, &calls], write)?;
        let outcome = machine.run(Goal::End, RunLimits::default())?;
        let counted = machine.counts();
        let entries = (counted.entries - counted.fills) as f64 / machine.counters().syscalls as f64;
        if outcome != Outcome::Ended(Ending::Exited(0)) {
            return Err(format!("the guest did not end well: {outcome:?}").into());
        }
        drop(machine);
        let mut text = String::new();
        File::from(read).read_to_string(&mut text)?;
        for line in text.lines() {
            samples.add(line.parse()?);
        }
        if samples.0.len() != BATCHES {
            return Err(format!("the guest said {} times, not {BATCHES}", samples.0.len()).into());
        }
        Ok((samples, entries))
    }

    /// A guest that dirties [`PAGES`] pages and reads `megabytes` whenever it is run, frozen.
    fn snapshot(&self, place: Place, megabytes: usize) -> Result<Arc<Snapshot>, Failure> {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let mut machine = self.boot(place, &["dirty_pages", &megabytes.to_string()], null)?;
        expect_ready(machine.run(Goal::Ready, RunLimits::default())?)?;
        let snapshot = Snapshot::freeze(machine, &OutsideRules::default())?;
        await_time(&snapshot)?;
        Ok(snapshot)
    }

    /// A Python server that has not served yet, frozen.
    fn python_server(&self, place: Place) -> Result<Arc<Snapshot>, Failure> {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let server = [PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "0"];
        let mut machine = self.boot(place, &server, null)?;
        expect_ready(machine.run(Goal::Ready, RunLimits::default())?)?;
        Ok(Snapshot::freeze(machine, &OutsideRules::default())?)
    }

    /// How long it took to make a fork of a Python server and to end it, in nanoseconds.
    pub fn python_forks(&self, place: Place) -> Result<Samples, Failure> {
        let snapshot = self.python_server(place)?;
        let mut taken = Samples::default();
        for _ in 0..self.times(FORKS) {
            let start = Instant::now();
            drop(snapshot.fork()?);
            taken.add(start.elapsed().as_secs_f64() * 1e9);
        }
        Ok(taken)
    }

    /// Bytes of host memory, the kernel's included, for each of [`CROWD`] forks of a Python server that have not run yet.
    pub fn memory(&self, place: Place) -> Result<f64, Failure> {
        let snapshot = self.python_server(place)?;
        let mut taken = Samples::default();
        allow_many_files()?;
        // What others on the machine take and give back meanwhile is not the same each time.
        for _ in 0..self.times(CROWDS) {
            let mut forks = vec![snapshot.fork()?];
            let before = free_memory()?;
            for _ in 0..CROWD {
                forks.push(snapshot.fork()?);
            }
            taken.add((before - free_memory()?) / CROWD as f64);
        }
        let memory = taken.percentile(50);
        if memory > 0.0 { Ok(memory) } else { Err("others on this machine gave back more than the forks took".into()) }
    }

    /// How long it took to take a fork of that, and then until the fork had first done its work, in nanoseconds.
    /// With `prepared`, forks before have told what they write to.
    pub fn forks(&self, place: Place, prepared: bool) -> Result<(Samples, Samples), Failure> {
        let snapshot = self.snapshot(place, 0)?;
        let (mut taken, mut first) = (Samples::default(), Samples::default());
        for _ in 0..self.times(FORKS) {
            let start = Instant::now();
            let mut fork = snapshot.fork()?;
            if prepared {
                fork.prepare()?;
            }
            taken.add(start.elapsed().as_secs_f64() * 1e9);
            expect_ready(fork.run(Goal::Ready, RunLimits::default())?)?;
            first.add(start.elapsed().as_secs_f64() * 1e9);
        }
        Ok((taken, first))
    }

    /// How long fork(2) of the same process took natively, and then until the child had done the same work and ended.
    pub fn native_forks(&self) -> Result<(Samples, Samples), Failure> {
        let output = Command::new(self.directory.join("native_fork")).arg(self.times(FORKS).to_string()).output()?;
        let (mut taken, mut first) = (Samples::default(), Samples::default());
        for line in String::from_utf8(output.stdout)?.lines() {
            let (fork, all) = line.split_once(' ').ok_or("the program says two numbers in a line")?;
            taken.add(fork.parse()?);
            first.add(all.parse()?);
        }
        if taken.0.len() == self.times(FORKS) { Ok((taken, first)) } else { Err("native_fork did not end well".into()) }
    }

    /// Resets of a fork that had dirtied [`PAGES`] pages and read `megabytes`.
    pub fn resets(&self, place: Place, megabytes: usize) -> Result<Resets, Failure> {
        let mut fork = self.snapshot(place, megabytes)?.fork()?;
        let (mut taken, mut calls, mut faults) = (Samples::default(), Samples::default(), Samples::default());
        for _ in 0..WARM_UPS {
            expect_ready(fork.run(Goal::Ready, RunLimits::default())?)?;
            fork.reset()?;
        }
        let (before, mut counted) = (fork.resets, fork.machine().counts());
        let resets = self.times(RESETS);
        for _ in 0..resets {
            expect_ready(fork.run(Goal::Ready, RunLimits::default())?)?;
            let start = Instant::now();
            fork.reset()?;
            taken.add(start.elapsed().as_secs_f64() * 1e9);
            let counts = fork.machine().counts();
            calls.add((counts.calls + counts.copies - counted.calls - counted.copies) as f64);
            faults.add((counts.faults + counts.fills - counted.faults - counted.fills) as f64);
            counted = counts;
        }
        let pages = (fork.resets.pages - before.pages) / resets as u64;
        if pages < PAGES || fork.resets.rewritten - before.rewritten != resets as u64 {
            return Err(format!("a reset rewrote {pages} pages").into());
        }
        let differences = fork.differences()?;
        if !differences.is_empty() {
            return Err(format!("a fork is not pristine after its reset: {differences:?}").into());
        }
        Ok(Resets { taken, calls, faults })
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        // What is left is a few files in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Has forks of a frozen dirty_pages run until one finds its wait over, and dirties its pages. In some of the runs before
/// that it may do nothing: a fast machine makes thousands of them in the 50 ms.
fn await_time(snapshot: &Arc<Snapshot>) -> Result<(), Failure> {
    let mut fork = snapshot.fork()?;
    let start = Instant::now();
    while start.elapsed() < WAIT_AT_MOST {
        let before = fork.resets.pages;
        expect_ready(fork.run(Goal::Ready, RunLimits::default())?)?;
        fork.reset()?;
        if fork.resets.pages >= before + PAGES {
            return Ok(());
        }
    }
    Err(format!("no fork has dirtied its pages within {WAIT_AT_MOST:?}").into())
}

fn expect_ready(outcome: Outcome) -> Result<(), Failure> {
    if outcome == Outcome::Ready { Ok(()) } else { Err(format!("the guest is not ready: {outcome:?}").into()) }
}

/// A fork on kvm has a few descriptors of its own, and a shell may be allowed a thousand.
fn allow_many_files() -> Result<(), Failure> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Whether this host gives huge pages to who asks for them.
pub fn host_has_huge_pages() -> bool {
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    setting.is_ok_and(|setting| !setting.contains("[never]"))
}

/// Bytes of the host's memory that nobody uses.
fn free_memory() -> Result<f64, Failure> {
    let mut free = 0.0;
    for line in std::fs::read_to_string("/proc/meminfo")?.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if ["MemFree", "Buffers", "Cached", "SReclaimable"].contains(&name) {
            free += value.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0;
        }
    }
    Ok(free)
}
