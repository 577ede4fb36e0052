//! From a program's name and arguments to a machine that is about to run its first instruction.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::OFlags;
use warmfork_abi::Errno;
use warmfork_linux::Kernel;
use warmfork_linux::files::Description;
use warmfork_linux::host::Host;
use warmfork_linux::ids::FIRST_PID;
use warmfork_linux::objects::{Object, stream::Stream};
use warmfork_linux::policy::{Policy, Rules};
use warmfork_linux::process::{Limit, Process, RLIMIT_NOFILE};
use warmfork_linux::processes::ProcessTable;
use warmfork_linux::task::Task;
use warmfork_loader::vdso::MachineClock;
use warmfork_loader::{Loaded, Request};
use warmfork_memory::{AddressSpace, HostFile, Layout, Limits, Origin};
use warmfork_platform::process::RESERVED;

use crate::error::EngineError;
use crate::files::HostFiles;
use crate::identity::{identity, name};
use crate::machine::Machine;
use crate::platform_choice::PlatformChoice;

/// The resource limits of a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MachineLimits {
    /// Bytes in accessible mappings.
    pub memory_bytes: u64,
    /// Bytes in all mappings, reservations included.
    pub address_space_bytes: u64,
    /// Open descriptors (RLIMIT_NOFILE).
    pub files: u64,
    /// Threads at once, of all processes.
    pub threads: usize,
    /// Processes at once.
    pub processes: usize,
}

/// A program to boot, with its policy and limits.
#[derive(Debug)]
pub struct Program {
    /// Its path as the guest sees it, absolute.
    pub path: Vec<u8>,
    /// Its arguments, its name first.
    pub arguments: Vec<Vec<u8>>,
    /// Its environment, `NAME=value` each, already reduced to what it may see.
    pub environment: Vec<Vec<u8>>,
    /// Its working directory, a guest path.
    pub cwd: Vec<u8>,
    /// The paths and addresses that it may touch; the program itself is added.
    pub rules: Rules,
    /// Its resource limits.
    pub limits: MachineLimits,
    /// Standard input, output and error.
    pub stdio: [OwnedFd; 3],
    /// The platform that runs it.
    pub platform: PlatformChoice,
    /// Whether the host may back its memory, and that of its forks, with huge pages. Guests that use much memory at once then take
    /// fewer faults; resets of guests that touch single pages cost more. Only on kvm.
    pub huge_pages: bool,
}

/// Loads `program` into a new machine on the calling thread.
///
/// # Errors
/// [`EngineError::Load`] for a program that cannot be run; [`EngineError::Policy`] for rules with a path that cannot be
/// opened or a host without an address; [`EngineError::Platform`] when the host refuses a new guest.
pub fn boot(mut program: Program) -> Result<Machine, EngineError> {
    let kind = program.platform.select(program.huge_pages);
    let mut platform = kind.guest()?;
    let limits = Limits {
        reserved_bytes: program.limits.address_space_bytes,
        accessible_bytes: program.limits.memory_bytes,
        areas: kind.kind.max_areas(),
    };
    let mut space = AddressSpace::new(Layout::new(RESERVED.start, &[RESERVED]), limits);
    let mut files = HostFiles::new(&program.rules, &program.cwd);
    let identity = identity();
    let clock = MachineClock::new()?;
    let request = Request::new(&program.path, &program.arguments, &program.environment, clock.file());
    let request = Request { identity, ..request };
    let mut guest = crate::platform_guest::PlatformGuest(platform.as_mut());
    let loaded = warmfork_loader::load(&request, &mut files, &mut space, &mut guest)?;
    program.rules.programs.extend(files.opened());
    let policy = Arc::new(Policy::new(program.rules.clone())?);
    let host = Host::new()
        .map_err(|error| EngineError::Kernel { operation: "making a machine", source: Errno(error.raw_os_error()) })?;
    let kernel = kernel(program, &loaded, space, policy, &host)?;
    Ok(Machine::new(kind, platform, kernel, host, clock))
}

fn kernel(
    program: Program,
    loaded: &Loaded,
    space: AddressSpace,
    policy: Arc<Policy>,
    host: &Host,
) -> Result<Kernel, EngineError> {
    let mut process = Process::new(loaded.real_path.clone(), loaded.argv.clone(), program.environment);
    process.tasks.insert(Task::new(FIRST_PID, loaded.registers, name(&program.path)));
    process.tasks.current = FIRST_PID;
    process.fs.cwd = program.cwd;
    process.auxiliary_vector.clone_from(&loaded.auxv);
    process.limits[RLIMIT_NOFILE] = Limit { soft: program.limits.files, hard: program.limits.files };
    process.started = host.monotonic();
    let processes = ProcessTable::new(process, space, program.limits.threads, program.limits.processes);
    let mut kernel = Kernel::new(processes, policy);
    for (fd, host) in program.stdio.into_iter().enumerate() {
        let failed = |source| EngineError::Kernel { operation: "opening standard streams", source };
        let flags = rustix::fs::fcntl_getfl(&host).map_err(|error| failed(Errno(error.raw_os_error())))?;
        let kept = OFlags::RWMODE | OFlags::APPEND;
        let stream = Stream::adopt(HostFile::new(host, Origin::Stdio(fd))).map_err(failed)?;
        let id = kernel.files.insert(Description::new(Object::Stream(stream), (flags & kept).bits()));
        kernel.process_mut().descriptors.install(id, fd, fd + 1, false).map_err(failed)?;
    }
    Ok(kernel)
}
