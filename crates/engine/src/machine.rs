//! One guest program being run: its memory and CPU (a platform), its kernel, and the loop between the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use warmfork_abi::Registers;
use warmfork_linux::gate::{Gate, Offer, OwnClient};
use warmfork_linux::host::{Host, Waker};
use warmfork_linux::ids::Pid;
use warmfork_linux::process::Ending;
use warmfork_linux::{Kernel, Tid};
use warmfork_loader::vdso::MachineClock;
use warmfork_platform::{Interrupter, Platform};

use crate::choice::Chosen;
use crate::clock::FrozenAt;
use crate::error::EngineError;
use crate::processes::Processes;

/// What a machine has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// System calls answered.
    pub syscalls: u64,
    /// Page faults and exceptions turned into signals.
    pub faults: u64,
    /// Switches between guest threads.
    pub switches: u64,
}

/// A guest program with everything that it runs on.
pub struct Machine {
    pub(crate) kind: Chosen,
    pub(crate) platform: Box<dyn Platform>,
    pub(crate) kernel: Kernel,
    pub(crate) host: Host,
    pub(crate) clock: MachineClock,
    /// What its clocks go on from when it runs next.
    pub(crate) frozen: Option<FrozenAt>,
    /// Registers of the current thread, whose FPU state the platform has loaded.
    pub(crate) registers: Registers,
    /// What the processes that are not the current one run on.
    pub(crate) processes: Processes,
    /// When what is due every tick is due next, in nanoseconds of the host's CLOCK_MONOTONIC.
    pub(crate) next_tick: u64,
    /// Signals of the terminal's keys that have not been passed on; see `keys.rs`.
    pub(crate) keys: Arc<AtomicU64>,
    /// What the machine has done.
    pub counters: Counters,
    pub(crate) ended: Option<Ending>,
}

/// Stops a machine from another thread.
#[derive(Clone)]
pub struct Handle {
    interrupter: Arc<dyn Interrupter>,
    waker: Waker,
    asked: Arc<AtomicBool>,
    pub(crate) keys: Arc<AtomicU64>,
}

impl Handle {
    /// Makes the machine's current or next run return [`Outcome::Interrupted`].
    pub fn interrupt(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.look();
    }

    /// Makes the machine's current or next run look at [`crate::Goal::Flag`].
    pub fn look(&self) {
        self.interrupter.interrupt();
        self.waker.wake();
    }
}

impl Machine {
    /// A machine from its parts; the current thread's registers are taken from the kernel's.
    pub(crate) fn new(
        kind: Chosen,
        platform: Box<dyn Platform>,
        kernel: Kernel,
        host: Host,
        clock: MachineClock,
    ) -> Self {
        let processes = Processes::new(&kernel, platform.as_ref());
        let registers = kernel.process().tasks.running().registers;
        let (keys, counters) = (Arc::default(), Counters::default());
        let (frozen, ended, next_tick) = (None, None, 0);
        Self { kind, platform, kernel, host, clock, frozen, registers, processes, next_tick, keys, counters, ended }
    }

    /// The emulated kernel's state.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// What runs it.
    #[must_use]
    pub fn platform(&self) -> Chosen {
        self.kind
    }

    /// The host side: time, unknown calls.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What running the guest has taken of the host.
    #[must_use]
    pub fn counts(&self) -> warmfork_platform::Counts {
        self.platform.counts()
    }

    /// How the program ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ending> {
        self.ended
    }

    /// A handle that stops this machine from another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            interrupter: self.processes.interrupter(),
            waker: self.host.waker(),
            asked: Arc::clone(&self.host.interrupt_asked),
            keys: Arc::clone(&self.keys),
        }
    }

    /// From now on the program accepts nobody but the client that is returned: others' connections wait for a fork of it, or
    /// until [`Self::admit_any`].
    pub fn admit_own(&mut self) -> OwnClient {
        self.host.gate.admit_own()
    }

    /// The connections that the program has not been allowed to accept.
    pub(crate) fn take_waiting(&mut self) -> Vec<Offer> {
        self.host.gate.take_waiting()
    }

    /// The program accepts whoever comes.
    pub fn admit_any(&mut self) {
        self.host.gate.admit_any();
    }

    /// Makes `tid` of process `pid` the current thread: its registers here, its FPU state on the platform.
    pub(crate) fn load(&mut self, pid: Pid, tid: Tid) -> Result<(), EngineError> {
        if pid != self.kernel.process().pid {
            self.counters.switches += 1;
            self.switch_process(pid)?;
        }
        if tid == self.kernel.process().tasks.current {
            return Ok(());
        }
        self.counters.switches += 1;
        self.save()?;
        let task = self.kernel.process_mut().tasks.get_mut(tid);
        self.registers = task.registers;
        if let Some(state) = task.fpu.take() {
            self.platform.set_fpu(&state)?;
        }
        self.kernel.switch_to(&self.host, tid);
        self.processes.loaded = tid;
        Ok(())
    }

    /// Makes another thread the current one when that has ended: a snapshot needs one that lives.
    pub(crate) fn ensure_current(&mut self) -> Result<(), EngineError> {
        let tasks = &self.kernel.process().tasks;
        let first = tasks.iter().next().map(|task| task.tid);
        match first {
            Some(first) if tasks.lookup(tasks.current).is_none() => self.load(self.kernel.process().pid, first),
            _ => Ok(()),
        }
    }

    /// Stores the current thread's registers and FPU state in its task, if it still lives.
    pub(crate) fn save(&mut self) -> Result<(), EngineError> {
        let current = self.kernel.process().tasks.current;
        if let Some(task) = self.kernel.process_mut().tasks.find(current) {
            task.fpu = Some(self.platform.fpu()?);
            task.registers = self.registers;
        }
        Ok(())
    }

    /// Assigns the state of a snapshot's `kernel`; memory and FPU state are the caller's.
    pub(crate) fn reset_kernel(&mut self, kernel: &Kernel) {
        self.kernel.reset_from(kernel);
        self.host.gate = Gate::default();
        self.start();
    }

    /// What runs next is the kernel's current thread.
    pub(crate) fn start(&mut self) {
        let tasks = &self.kernel.process().tasks;
        self.registers = tasks.running().registers;
        self.processes.loaded = tasks.current;
        self.ended = None;
    }
}
