//! Probes what guests need of this host. `warmfork doctor` shows the result.

use warmfork_loader::vdso::HostClock;
use warmfork_platform::process::ProcessPlatform;

use crate::cpu;
use crate::platform_choice::{self, PlatformKind};

/// One property of the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// The property's name.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub good: bool,
    /// The finding, for people.
    pub value: String,
    /// The reason why it matters.
    pub why: &'static str,
}

/// All properties that were probed, and the platform that follows from them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// The platform that `auto` chooses; `None` when no platform works.
    pub platform: Option<&'static str>,
    /// The properties.
    pub facts: Vec<Fact>,
}

const WHY_AUTO: &str = "the platform that guests get unless --platform chooses another";

/// Probes this host.
#[must_use]
pub fn diagnose() -> Diagnosis {
    let process = process_platform();
    let (automatic, reason) = platform_choice::automatic();
    let works = process.good || automatic == PlatformKind::Kvm;
    let platform = works.then_some(automatic.name());
    let choice = Fact { name: "auto", good: works, value: format!("{}: {reason}", automatic.name()), why: WHY_AUTO };
    Diagnosis { platform, facts: vec![kernel(), process, kvm(), choice, clock(), paths(), cpus()] }
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
    let (good, value) = match warmfork_platform::kvm::probe() {
        Ok(found) => (true, format!("works: a system call leaves {}, and costs {:.1?}", found.how(), found.exit)),
        Err(error) => (false, error.to_string()),
    };
    Fact { name: "kvm platform", good, value, why: "isolates by the CPU's own means; needs /dev/kvm" }
}

fn clock() -> Fact {
    let (good, value) = match HostClock::global() {
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
