//! What this host can do for guests, probed once, cheaply, and why that matters. `warmfork doctor` shows it.

use warmfork_loader::vdso::clock::ClockPage;
use warmfork_platform::process::ProcessPlatform;

use crate::cpu;

/// One thing that was probed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// What was probed.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub good: bool,
    /// What was found.
    pub value: String,
    /// Why it matters.
    pub why: &'static str,
}

/// Everything that was probed, and what comes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// What `auto` chooses; nothing when no platform works.
    pub platform: Option<&'static str>,
    /// What was probed.
    pub facts: Vec<Fact>,
}

/// Probes this host.
#[must_use]
pub fn diagnose() -> Diagnosis {
    let process = process_platform();
    let platform = process.good.then_some("process");
    Diagnosis { platform, facts: vec![kernel(), process, kvm(), clock(), paths(), cpus()] }
}

fn kernel() -> Fact {
    let name = rustix::system::uname();
    let value = format!("{} {}", name.release().to_string_lossy(), name.machine().to_string_lossy());
    let good = name.machine().to_bytes() == b"x86_64";
    Fact { name: "kernel", good, value, why: "guests are x86-64 programs and run on the host's own CPU" }
}

fn process_platform() -> Fact {
    let (good, value) = match ProcessPlatform::new() {
        Ok(_) => (true, "works".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    Fact { name: "process platform", good, value, why: "needs ptrace, seccomp and /proc; containers may forbid them" }
}

fn kvm() -> Fact {
    let device = std::fs::File::options().read(true).write(true).open("/dev/kvm");
    let value = match device {
        Ok(_) => "/dev/kvm can be opened; this version has no kvm platform".to_owned(),
        Err(error) => format!("opening /dev/kvm failed: {error}"),
    };
    Fact { name: "kvm platform", good: false, value, why: "would isolate by hardware" }
}

fn clock() -> Fact {
    let (good, value) = match ClockPage::global() {
        Ok(page) if page.is_usable() => (true, "read from the CPU's time stamp counter".to_owned()),
        Ok(_) => (false, "the CPU's time stamp counter is not steady here".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    Fact { name: "clock", good, value, why: "otherwise reading the time costs a guest a system call" }
}

fn paths() -> Fact {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    let opened = openat2(
        CWD,
        "/",
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS),
    );
    // "/" is not beneath the working directory, so a kernel that knows the call refuses with EXDEV.
    let (good, value) = match opened {
        Err(rustix::io::Errno::XDEV) => (true, "works".to_owned()),
        Ok(_) => (false, "does not keep paths beneath a directory".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    Fact { name: "openat2", good, value, why: "the kernel keeps guests' paths beneath allowed directories" }
}

fn cpus() -> Fact {
    let count = cpu::count();
    Fact { name: "CPUs", good: true, value: count.to_string(), why: "--threads 0 serves with so many forks" }
}
