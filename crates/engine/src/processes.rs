//! Several processes of one machine: what each runs on, how one is forked, how it gets another program.
//!
//! ```text
//!   Machine.platform, registers          the current process
//!   Processes.bodies[address space]      the platforms of the others, with whose registers they have loaded
//! ```
//!
//! Two processes are on one platform only between vfork and execve (or exit).

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use warmfork_abi::{Errno, PAGE, page_up};
use warmfork_linux::call::ExecRequest;
use warmfork_linux::gate::Gate;
use warmfork_linux::host::Host;
use warmfork_linux::ids::{FIRST_PID, Pid, SpaceId};
use warmfork_linux::process::RLIMIT_STACK;
use warmfork_linux::processes::{Executed, Forked};
use warmfork_linux::{Guest as _, Kernel, Tid};
use warmfork_loader::{DEFAULT_STACK, Loaded, ProgramFiles, Request};
use warmfork_memory::{AddressSpace, Backing, HostFile, Source, Span, SpanSet};
use warmfork_platform::{Interrupter, Mapping, Platform};

use crate::error::EngineError;
use crate::guest::PlatformGuest;
use crate::identity::{identity, name};
use crate::machine::Machine;

/// What the processes that are not the current one run on.
pub(crate) struct Processes {
    bodies: BTreeMap<SpaceId, Body>,
    /// The address space that the machine's platform holds.
    space: SpaceId,
    /// The thread whose FPU state that platform has loaded.
    pub(crate) loaded: Tid,
    interrupter: Arc<Current>,
}

/// A platform that does not run.
struct Body {
    platform: Box<dyn Platform>,
    loaded: Tid,
    interrupter: Arc<dyn Interrupter>,
}

impl Body {
    fn new(platform: Box<dyn Platform>, loaded: Tid) -> Self {
        let interrupter = platform.interrupter();
        Self { platform, loaded, interrupter }
    }
}

/// Interrupts whichever process runs. Locks: its own alone.
struct Current(Mutex<Arc<dyn Interrupter>>);

impl Current {
    fn set(&self, interrupter: Arc<dyn Interrupter>) -> Arc<dyn Interrupter> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), interrupter)
    }
}

impl Interrupter for Current {
    fn interrupt(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).interrupt();
    }
}

/// No thread: nobody's state is to be kept.
const NOBODY: Tid = 0;

impl Processes {
    pub(crate) fn new(kernel: &Kernel, platform: &dyn Platform) -> Self {
        let interrupter = Arc::new(Current(Mutex::new(platform.interrupter())));
        let process = kernel.process();
        Self { bodies: BTreeMap::new(), space: process.space, loaded: process.tasks.current, interrupter }
    }

    /// Interrupts the machine, whatever process it runs.
    pub(crate) fn interrupter(&self) -> Arc<dyn Interrupter> {
        Arc::clone(&self.interrupter) as Arc<dyn Interrupter>
    }

    /// Drops what the others run on.
    pub(crate) fn clear(&mut self) {
        self.bodies.clear();
    }

    /// Bytes that the others have privately written.
    pub(crate) fn touched_bytes(&mut self, spans: &[Span]) -> Result<u64, EngineError> {
        let mut bytes = 0_u64;
        for body in self.bodies.values_mut() {
            let touched = body.platform.touched(spans)?;
            bytes = touched.iter().fold(bytes, |bytes, span| bytes.saturating_add(span.len()));
        }
        Ok(bytes)
    }

    /// What `of` says of the others' platforms, in all.
    pub(crate) fn sum(&self, of: fn(&dyn Platform) -> u64) -> u64 {
        self.bodies.values().fold(0, |sum, body| sum.saturating_add(of(body.platform.as_ref())))
    }
}

impl Machine {
    /// Makes `pid` the current process, which runs next.
    pub(crate) fn switch_process(&mut self, pid: Pid) -> Result<(), EngineError> {
        self.store_registers();
        self.kernel.run_process(&mut self.host, pid);
        self.follow()
    }

    /// Makes `pid` the current process, to look at it or to put it back: no CPU time is booked.
    pub(crate) fn visit_process(&mut self, pid: Pid) -> Result<(), EngineError> {
        if pid == self.kernel.process().pid {
            return Ok(());
        }
        self.store_registers();
        self.kernel.processes.set_current(pid);
        self.follow()
    }

    fn store_registers(&mut self) {
        let current = self.kernel.process().tasks.current;
        if let Some(task) = self.kernel.process_mut().tasks.find(current) {
            task.registers = self.registers;
        }
    }

    /// Takes the platform and the registers of the kernel's current process, and drops the platforms that no process
    /// has any more.
    pub(crate) fn follow(&mut self) -> Result<(), EngineError> {
        let (kernel, processes) = (&mut self.kernel, &mut self.processes);
        let space = kernel.process().space;
        if space != processes.space {
            let body = processes.bodies.remove(&space).ok_or(EngineError::State("a process has no memory"))?;
            let platform = std::mem::replace(&mut self.platform, body.platform);
            let loaded = std::mem::replace(&mut processes.loaded, body.loaded);
            let interrupter = processes.interrupter.set(body.interrupter);
            let left = std::mem::replace(&mut processes.space, space);
            if kernel.processes.find_space(left).is_some() {
                processes.bodies.insert(left, Body { platform, loaded, interrupter });
            }
        }
        let (current, loaded) = (kernel.process().tasks.current, processes.loaded);
        let Some(task) = kernel.process_mut().tasks.find(current) else { return Ok(()) };
        self.registers = task.registers;
        if loaded != current {
            let state = task.fpu.take();
            if let Some(other) = kernel.processes.find_task_mut(loaded) {
                other.fpu = Some(self.platform.fpu()?);
            }
            if let Some(state) = state {
                self.platform.set_fpu(&state)?;
            }
            processes.loaded = current;
        }
        Ok(())
    }

    /// Drops the memory of the processes that are not among `pristine`; whether all of those still have theirs.
    pub(crate) fn keep_only(&mut self, pristine: &[(SpaceId, Pid, Tid)]) -> Result<bool, EngineError> {
        let has = |&(space, owner, _): &(SpaceId, Pid, Tid)| {
            let own = self.kernel.processes.find(owner).is_some_and(|process| process.space == space);
            own && (self.processes.space == space || self.processes.bodies.contains_key(&space))
        };
        if !pristine.iter().all(has) {
            return Ok(false);
        }
        self.visit_process(FIRST_PID)?;
        self.processes.bodies.retain(|space, _| pristine.iter().any(|(kept, ..)| kept == space));
        Ok(true)
    }

    /// Gives the processes with address space `space` their `platform`.
    pub(crate) fn add_body(&mut self, space: SpaceId, platform: Box<dyn Platform>) {
        self.processes.bodies.insert(space, Body::new(platform, NOBODY));
    }

    /// Puts another machine in the place of this one, on the same host side: `platform` is its first process's.
    pub(crate) fn replace(&mut self, platform: Box<dyn Platform>, kernel: Kernel) {
        self.processes.bodies.clear();
        self.processes.interrupter.set(platform.interrupter());
        self.processes.space = kernel.process().space;
        self.platform = platform;
        self.kernel = kernel;
        self.host.gate = Gate::default();
        self.start();
    }

    /// Loads the FPU state that thread `loaded` has in `kernel` into the platform that holds address space `space`.
    pub(crate) fn load_fpu(&mut self, kernel: &Kernel, space: SpaceId, loaded: Tid) -> Result<(), EngineError> {
        let (platform, loads) = if space == self.processes.space {
            (&mut self.platform, &mut self.processes.loaded)
        } else {
            let Some(body) = self.processes.bodies.get_mut(&space) else { return Ok(()) };
            (&mut body.platform, &mut body.loaded)
        };
        *loads = loaded;
        match kernel.processes.find_task(loaded).and_then(|task| task.fpu.as_ref()) {
            Some(state) => Ok(platform.set_fpu(state)?),
            None => Ok(()),
        }
    }

    /// Stores the FPU state that the current platform has loaded in its thread's task; whose it is.
    pub(crate) fn save_loaded(&mut self) -> Result<Tid, EngineError> {
        let loaded = self.processes.loaded;
        if let Some(task) = self.kernel.processes.find_task_mut(loaded) {
            task.fpu = Some(self.platform.fpu()?);
        }
        Ok(loaded)
    }

    /// Gives a new process its memory and lets its maker go on, with an error when there is none.
    pub(crate) fn finish_fork(&mut self, forked: Forked) {
        let pid = forked.pid;
        let child = match self.child_platform(pid) {
            Ok(child) => child,
            Err(error) => {
                log::warn!("a fork of the guest failed: {error}");
                self.kernel.undo_fork(&mut self.host, pid, forked.pidfd);
                self.registers.rax = Errno::EAGAIN.as_result();
                return;
            }
        };
        let space = self.kernel.processes.find(pid).map_or(SpaceId::default(), |process| process.space);
        let mut body = Body::new(child, pid);
        for (address, platform) in [(forked.parent_tid, &mut self.platform), (forked.child_tid, &mut body.platform)] {
            if address != 0 {
                // Linux ignores a bad pointer here too: the process exists.
                let _ = PlatformGuest(platform.as_mut()).memory().write_u32(address, pid.cast_unsigned());
            }
        }
        self.processes.bodies.insert(space, body);
        self.registers.rax = u64::from(pid.cast_unsigned());
    }

    /// What the new process `pid` runs on: a copy of the current process's memory.
    fn child_platform(&mut self, pid: Pid) -> Result<Box<dyn Platform>, EngineError> {
        let mut child = match self.platform.duplicate()? {
            Some(child) => child,
            None => self.copied_platform()?,
        };
        let wiped = self.kernel.wipe_for_child(PlatformGuest(child.as_mut()).memory(), pid);
        wiped.map_err(|source| EngineError::Kernel { operation: "forking", source })?;
        Ok(child)
    }

    /// A new platform with the same mappings and a copy of what is private: for platforms that cannot duplicate themselves.
    fn copied_platform(&mut self) -> Result<Box<dyn Platform>, EngineError> {
        const CHUNK: u64 = 256 * PAGE;
        let mut child = self.kind.guest()?;
        let space = self.kernel.space();
        let mappings = space.areas().iter().map(|area| Mapping {
            span: area.span,
            protection: area.protection,
            source: match &area.backing {
                Backing::Anonymous => Source::Anonymous,
                Backing::File { file, offset } => {
                    Source::File { fd: self.clock.own_file(file).as_fd(), offset: *offset, shared: area.shared }
                }
            },
        });
        child.map_all(&mappings.collect::<Vec<_>>())?;
        let spans = self.private_spans();
        let mut filled: SpanSet = self.platform.touched(&spans)?.into_iter().collect();
        for span in self.kernel.space().imaged().iter() {
            filled.insert(span);
        }
        for area in self.kernel.space().areas().iter().filter(|area| !area.is_shared_file()) {
            for span in filled.within(area.span) {
                for start in (span.start..span.end).step_by(usize::try_from(CHUNK).unwrap_or(1 << 20)) {
                    let chunk = Span { start, end: span.end.min(start + CHUNK) };
                    self.copy_pages(child.as_mut(), chunk)?;
                }
            }
        }
        child.set_fpu(&self.platform.fpu()?)?;
        Ok(child)
    }

    /// Copies the pages of `span` that are there to `child`.
    fn copy_pages(&self, child: &mut dyn Platform, span: Span) -> Result<(), EngineError> {
        let mut bytes = vec![0; usize::try_from(span.len()).unwrap_or(0)];
        self.platform.read_any(span.start, &mut bytes).map_err(EngineError::host("copying a guest's memory"))?;
        child.restore(&[(span, &bytes)])?;
        Ok(())
    }

    /// Puts another program in the place of the current process's, or tells thread `tid` why not.
    pub(crate) fn execute(&mut self, tid: Tid, request: &ExecRequest) -> Result<(), EngineError> {
        let (platform, space, loaded) = match self.load_program(request) {
            Ok(program) => program,
            Err(errno) => {
                self.registers.rax = errno.as_result();
                return Ok(());
            }
        };
        let program = Executed {
            space,
            registers: loaded.registers,
            executable: loaded.real_path,
            name: name(&request.path),
            arguments: loaded.argv,
            environment: request.environment.clone(),
            auxiliary_vector: loaded.auxv,
        };
        let mut guest = PlatformGuest(self.platform.as_mut());
        let space = self.kernel.execute(&mut self.host, guest.memory(), tid, program);
        let body = Body::new(platform, self.kernel.process().pid);
        self.processes.bodies.insert(space, body);
        // Its thread's old state is nobody's.
        self.processes.loaded = NOBODY;
        self.follow()
    }

    fn load_program(&mut self, request: &ExecRequest) -> Result<(Box<dyn Platform>, AddressSpace, Loaded), Errno> {
        let mut platform = self.kind.guest().map_err(|error| {
            log::warn!("execve of the guest failed: {error}");
            Errno::EAGAIN
        })?;
        let old = self.kernel.space();
        let layout = warmfork_memory::Layout::new(old.layout().top(), old.layout().reserved());
        let mut space = AddressSpace::new(layout, old.limits());
        let wanted = Request {
            identity: identity(),
            stack_size: stack_size(&self.kernel),
            ..Request::new(&request.path, &request.arguments, &request.environment, self.clock.file())
        };
        let mut files = GuestFiles { kernel: &mut self.kernel, host: &mut self.host };
        let mut guest = PlatformGuest(platform.as_mut());
        let loaded = warmfork_loader::load(&wanted, &mut files, &mut space, &mut guest).map_err(|error| {
            log::debug!("{error}");
            error.errno()
        })?;
        Ok((platform, space, loaded))
    }
}

/// The stack that a new program gets: what RLIMIT_STACK says, within reason.
fn stack_size(kernel: &Kernel) -> u64 {
    const MIN_STACK: u64 = 256 << 10;
    const MAX_STACK: u64 = 1 << 30;
    let limit = kernel.process().limits[RLIMIT_STACK].soft;
    let wanted = if limit > MAX_STACK { DEFAULT_STACK } else { limit.max(MIN_STACK) };
    page_up(wanted).unwrap_or(DEFAULT_STACK).max(PAGE)
}

/// Opens programs and their interpreters as the guest may see them.
struct GuestFiles<'a> {
    kernel: &'a mut Kernel,
    host: &'a mut Host,
}

impl ProgramFiles for GuestFiles<'_> {
    fn open(&mut self, path: &[u8]) -> Result<Arc<HostFile>, Errno> {
        self.kernel.open_program(self.host, path, true)
    }
}
