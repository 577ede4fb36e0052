//! Runs a guest, bound to the thread that made it: a platform for each address space, with the loaded thread's state.
//!
//! ```text
//!   platform, registers       the current process: thread `loaded` has its FPU state there, the current thread its registers here
//!   others[address space]     the platforms of the other processes
//! ```
//!
//! Two processes are on one platform only between vfork and execve (or exit).

use std::collections::BTreeMap;
use std::sync::Arc;

use warmfork_abi::Registers;
use warmfork_linux::ids::{FIRST_PID, Pid, SpaceId};
use warmfork_linux::{Kernel, Tid};
use warmfork_memory::Span;
use warmfork_platform::{Interrupter, Platform};

use crate::error::EngineError;
use crate::guest::Guest;

/// No thread: the loaded state belongs to none.
pub(crate) const NO_THREAD: Tid = 0;

/// The platforms of a guest's processes.
pub(crate) struct Executor {
    /// The current process's platform.
    pub platform: Box<dyn Platform>,
    /// Registers of the current thread.
    pub registers: Registers,
    /// The thread whose FPU state the platform has loaded.
    pub loaded: Tid,
    /// Whether guests may gather pieces by themselves: not in a run that counts calls.
    pub gathers: bool,
    /// The address space that the platform holds.
    space: SpaceId,
    others: BTreeMap<SpaceId, IdlePlatform>,
}

/// A platform that does not run.
struct IdlePlatform {
    platform: Box<dyn Platform>,
    loaded: Tid,
    interrupter: Arc<dyn Interrupter>,
}

impl IdlePlatform {
    fn new(platform: Box<dyn Platform>, loaded: Tid) -> Self {
        let interrupter = platform.interrupter();
        Self { platform, loaded, interrupter }
    }
}

impl Executor {
    /// An executor for `guest`, whose current process's memory is on `platform`. [`Self::add`] adds those of the others.
    pub fn new(guest: &Guest, platform: Box<dyn Platform>) -> Self {
        guest.interrupter.set(Some(platform.interrupter()));
        let process = guest.kernel.process();
        let (registers, loaded) = (process.tasks.running().registers, process.tasks.current);
        Self { platform, registers, loaded, gathers: true, space: process.space, others: BTreeMap::new() }
    }

    /// Lets the guest's current thread run next. The caller loads its FPU state.
    pub fn begin(&mut self, guest: &Guest) {
        let tasks = &guest.kernel.process().tasks;
        self.registers = tasks.running().registers;
        self.loaded = tasks.current;
    }

    /// Drops the platforms of the processes that are not the current one.
    pub fn clear(&mut self) {
        self.others.clear();
    }

    /// Bytes within `spans` that the processes have privately written, each its own count.
    pub fn touched_bytes(&mut self, spans: &[Span]) -> Result<u64, EngineError> {
        let mut bytes = 0_u64;
        let others = self.others.values_mut().map(|body| &mut body.platform);
        for platform in std::iter::once(&mut self.platform).chain(others) {
            let touched = platform.touched(spans)?;
            bytes = touched.iter().fold(bytes, |bytes, span| bytes.saturating_add(span.len()));
        }
        Ok(bytes)
    }

    /// The sum of `of` over the processes' platforms.
    pub fn sum(&self, of: fn(&dyn Platform) -> u64) -> u64 {
        let others = self.others.values().map(|body| of(body.platform.as_ref()));
        others.fold(of(self.platform.as_ref()), u64::saturating_add)
    }

    /// Makes `tid` of process `pid` the current thread: its registers here, its FPU state on the platform.
    pub fn load(&mut self, guest: &mut Guest, pid: Pid, tid: Tid) -> Result<(), EngineError> {
        if pid != guest.kernel.process().pid {
            guest.counters.switches += 1;
            self.switch_process(guest, pid)?;
        }
        if tid == guest.kernel.process().tasks.current {
            return Ok(());
        }
        guest.counters.switches += 1;
        self.save(guest)?;
        let task = guest.kernel.process_mut().tasks.get_mut(tid);
        self.registers = task.registers;
        if let Some(state) = task.fpu.take() {
            self.platform.set_fpu(&state)?;
        }
        guest.kernel.switch_to(&guest.host, tid);
        self.loaded = tid;
        Ok(())
    }

    /// Makes another thread the current one if that has ended: a snapshot needs a living one.
    pub fn ensure_current(&mut self, guest: &mut Guest) -> Result<(), EngineError> {
        let tasks = &guest.kernel.process().tasks;
        let first = tasks.iter().next().map(|task| task.tid);
        match first {
            Some(first) if tasks.lookup(tasks.current).is_none() => self.load(guest, guest.kernel.process().pid, first),
            _ => Ok(()),
        }
    }

    /// Stores the current thread's registers and FPU state in its task, if it still lives.
    pub fn save(&mut self, guest: &mut Guest) -> Result<(), EngineError> {
        let current = guest.kernel.process().tasks.current;
        if let Some(task) = guest.kernel.process_mut().tasks.find(current) {
            task.fpu = Some(self.platform.fpu()?);
            task.registers = self.registers;
        }
        Ok(())
    }

    /// Makes `pid` the current process, which runs next.
    pub fn switch_process(&mut self, guest: &mut Guest, pid: Pid) -> Result<(), EngineError> {
        self.store_registers(guest);
        guest.kernel.run_process(&mut guest.host, pid);
        self.follow(guest)
    }

    /// Makes `pid` the current process, to examine or to reset it: no CPU time is counted.
    pub fn visit_process(&mut self, guest: &mut Guest, pid: Pid) -> Result<(), EngineError> {
        if pid == guest.kernel.process().pid {
            return Ok(());
        }
        self.store_registers(guest);
        guest.kernel.processes.set_current(pid);
        self.follow(guest)
    }

    fn store_registers(&self, guest: &mut Guest) {
        let current = guest.kernel.process().tasks.current;
        if let Some(task) = guest.kernel.process_mut().tasks.find(current) {
            task.registers = self.registers;
        }
    }

    /// Loads the platform and the registers of the kernel's current process. Drops the platform of the last one if no process has
    /// its address space any more.
    pub fn follow(&mut self, guest: &mut Guest) -> Result<(), EngineError> {
        let kernel = &mut guest.kernel;
        let space = kernel.process().space;
        if space != self.space {
            let body = self.others.remove(&space).ok_or(EngineError::State("a process has no memory"))?;
            guest.interrupter.set(Some(body.interrupter));
            let platform = std::mem::replace(&mut self.platform, body.platform);
            let loaded = std::mem::replace(&mut self.loaded, body.loaded);
            let left = std::mem::replace(&mut self.space, space);
            if kernel.processes.find_space(left).is_some() {
                self.others.insert(left, IdlePlatform::new(platform, loaded));
            }
        }
        let (current, loaded) = (kernel.process().tasks.current, self.loaded);
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
            self.loaded = current;
        }
        Ok(())
    }

    /// Drops the memory of the processes that are not among `pristine`. Returns whether all of those still have theirs.
    pub fn keep_only(&mut self, guest: &mut Guest, pristine: &[(SpaceId, Pid, Tid)]) -> Result<bool, EngineError> {
        let has = |&(space, owner, _): &(SpaceId, Pid, Tid)| {
            let own = guest.kernel.processes.find(owner).is_some_and(|process| process.space == space);
            own && (self.space == space || self.others.contains_key(&space))
        };
        if !pristine.iter().all(has) {
            return Ok(false);
        }
        self.visit_process(guest, FIRST_PID)?;
        self.others.retain(|space, _| pristine.iter().any(|(kept, ..)| kept == space));
        Ok(true)
    }

    /// Gives the processes with address space `space` their `platform`, which has loaded thread `loaded`'s state.
    pub fn add(&mut self, space: SpaceId, platform: Box<dyn Platform>, loaded: Tid) {
        self.others.insert(space, IdlePlatform::new(platform, loaded));
    }

    /// Loads the FPU state that thread `loaded` has in `kernel` into the platform that holds address space `space`.
    pub fn load_fpu(&mut self, kernel: &Kernel, space: SpaceId, loaded: Tid) -> Result<(), EngineError> {
        let platform = if space == self.space {
            &mut self.platform
        } else {
            let Some(body) = self.others.get_mut(&space) else { return Ok(()) };
            &mut body.platform
        };
        if let Some(state) = kernel.processes.fpu_of(loaded) {
            platform.set_fpu(state)?;
        }
        self.has_loaded(space, loaded);
        Ok(())
    }

    /// The platform that holds address space `space` has thread `loaded`'s FPU state.
    pub fn has_loaded(&mut self, space: SpaceId, loaded: Tid) {
        if space == self.space {
            self.loaded = loaded;
        } else if let Some(body) = self.others.get_mut(&space) {
            body.loaded = loaded;
        }
    }

    /// Stores the FPU state that the current platform has loaded in its thread's task. Returns that thread.
    pub fn save_loaded(&mut self, guest: &mut Guest) -> Result<Tid, EngineError> {
        let loaded = self.loaded;
        if let Some(task) = guest.kernel.processes.find_task_mut(loaded) {
            task.fpu = Some(self.platform.fpu()?);
        }
        Ok(loaded)
    }
}
