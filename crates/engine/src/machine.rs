//! One guest program being run: its memory and CPU (a platform), its kernel, and the loop between the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use warmfork_abi::Registers;
use warmfork_abi::signals::SIGSEGV;
use warmfork_linux::dispatch::Entered;
use warmfork_linux::gate::{Gate, Offer, OwnClient};
use warmfork_linux::host::{Host, Waker, Woken, monotonic, nanoseconds};
use warmfork_linux::ids::{FIRST_PID, Pid};
use warmfork_linux::process::Ending;
use warmfork_linux::schedule::Turn;
use warmfork_linux::signal::frame::unreturnable;
use warmfork_linux::signal::{Delivery, SignalInfo, Trap};
use warmfork_linux::task::State;
use warmfork_linux::{Guest as _, Kernel, Tid};
use warmfork_loader::vdso::MachineClock;
use warmfork_platform::{Exit, Interrupter, Platform, alarm};

use crate::choice::Chosen;
use crate::clock::{FrozenAt, Rest};
use crate::error::EngineError;
use crate::guest::PlatformGuest;
use crate::processes::Processes;
use crate::until::{Outcome, Until};

/// How often, in nanoseconds, a machine that runs is looked at: its clock page, its use of memory.
const TICK: u64 = 10_000_000;

/// The CPU exception of what is forbidden in general.
const GENERAL_PROTECTION: u8 = 13;

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
    /// When what is due every [`TICK`] is due next, in nanoseconds of the host's CLOCK_MONOTONIC.
    next_tick: u64,
    /// Signals of the terminal's keys that have not been passed on; see `keys.rs`.
    pub(crate) keys: Arc<AtomicU64>,
    /// What the machine has done.
    pub counters: Counters,
    ended: Option<Ending>,
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

    /// Makes the machine's current or next run look at [`Until::flag`].
    pub fn look(&self) {
        self.interrupter.interrupt();
        self.waker.wake();
    }
}

/// What to do after one step of a thread.
enum Step {
    /// Go on with the same thread.
    Same,
    /// Let another thread run.
    Switch,
    /// Let another thread run, if there is one.
    Yield,
    /// Stop.
    Stop(Outcome),
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

    /// Drives the program until it ends or `until` says so.
    ///
    /// # Errors
    /// [`EngineError::Platform`] when the platform fails; the machine is then of no more use.
    pub fn run(&mut self, until: &Until<'_>) -> Result<Outcome, EngineError> {
        if let Some(ending) = self.ended {
            return Ok(Outcome::Ended(ending));
        }
        if let Some(frozen) = self.frozen.take() {
            frozen.go_on(&mut self.host);
            self.kernel.begin();
        }
        self.refresh_clock();
        let mut outcome = self.drive(until);
        alarm::spare();
        self.host.push();
        if let Ok(Outcome::Ended(ending)) = outcome {
            self.ended = Some(ending);
            self.processes.clear();
        } else if self.kernel.process().pid != FIRST_PID
            && let Err(error) = self.switch_process(FIRST_PID)
        {
            outcome = Err(error);
        }
        outcome
    }

    fn drive(&mut self, until: &Until<'_>) -> Result<Outcome, EngineError> {
        let mut turn = Turn::Lasts;
        let mut rest = Rest::default();
        let mut began = self.host.monotonic();
        let counts = self.host.gate.counts();
        self.begin_ticks();
        self.set_alarm(until, began)?;
        loop {
            if self.host.gate.finished() {
                return Ok(Outcome::Served);
            }
            if until.ahead && self.host.gate.is_disqualified() {
                return Ok(Outcome::Ready);
            }
            if until.connections && self.host.gate.counts() != counts {
                return Ok(Outcome::Connection);
            }
            if until.calls.is_some_and(|calls| self.counters.syscalls >= calls) {
                return Ok(Outcome::Paused);
            }
            if alarm::has_rung() || self.is_tick_due() {
                turn = Turn::Over;
                if let Some(outcome) = self.tick(until)? {
                    return Ok(outcome);
                }
            }
            if turn != Turn::Lasts {
                let now = self.host.monotonic();
                if self.kernel.processes.thread_count() > 1 {
                    // What the last thread did may have ended another's wait.
                    self.kernel.wake(&mut self.host);
                    self.kernel.count_turn(now.saturating_sub(began));
                }
                began = now;
            }
            let Some((pid, tid)) = self.kernel.next_thread(turn) else {
                if let Some(outcome) = self.idle(until, &mut rest)? {
                    return Ok(outcome);
                }
                began = self.host.monotonic();
                continue;
            };
            self.load(pid, tid)?;
            if turn != Turn::Lasts || self.host.have_deadlines_moved() {
                self.set_alarm(until, began)?;
            }
            turn = match self.step(tid, until)? {
                Step::Same => Turn::Lasts,
                Step::Switch => Turn::Over,
                Step::Yield => Turn::Given,
                Step::Stop(outcome) => return Ok(outcome),
            };
        }
    }

    /// Ticks begin anew, if the machine has not run when the last one was due.
    fn begin_ticks(&mut self) {
        let now = monotonic();
        if self.next_tick <= now {
            self.next_tick = now.saturating_add(TICK);
        }
        // It rang for who ran on this thread before.
        let _ = alarm::has_rung();
    }

    fn is_tick_due(&self) -> bool {
        // Within a jiffy of the host's, which is near enough, and a sixth of the price of the exact time.
        nanoseconds(rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse)) >= self.next_tick
    }

    /// Sets the alarm for what is due next while the current thread runs, whose turn began when the guest's clock showed
    /// `began`.
    fn set_alarm(&mut self, until: &Until<'_>, began: u64) -> Result<(), EngineError> {
        let interruption = self.kernel.next_interruption(&self.host, began);
        let at = interruption.map_or(u64::MAX, |at| self.host.to_host_time(at));
        let limit = until.deadline.unwrap_or(u64::MAX);
        // Only a guest that makes no call over a whole tick is interrupted for it.
        Ok(alarm::set(at.min(limit).min(self.next_tick.saturating_add(TICK)))?)
    }

    /// Timers' signals and limits of time, which are due when the alarm has rung; the clock page and the limit of memory, which
    /// are due every [`TICK`].
    fn tick(&mut self, until: &Until<'_>) -> Result<Option<Outcome>, EngineError> {
        let pid = self.kernel.process().pid;
        self.kernel.processes.expire_timers(&self.host, pid);
        self.pass_on_keys();
        if let Some(outcome) = self.asked(until) {
            return Ok(Some(outcome));
        }
        let now = monotonic();
        if until.deadline.is_some_and(|at| at <= now) {
            return Ok(Some(Outcome::TimedOut));
        }
        if now < self.next_tick {
            return Ok(None);
        }
        self.next_tick = now.saturating_add(TICK);
        alarm::set_anew(self.next_tick.saturating_add(TICK))?;
        self.refresh_clock();
        self.host.push();
        let short = self.is_short_of_memory(until.touched_bytes)?;
        Ok(short.then_some(Outcome::OutOfMemory))
    }

    /// Whether somebody wants this run to stop.
    fn asked(&self, until: &Until<'_>) -> Option<Outcome> {
        if self.host.take_interrupt() {
            return Some(Outcome::Interrupted);
        }
        let flagged = until.flag.is_some_and(|flag| flag.load(Ordering::SeqCst));
        flagged.then_some(Outcome::Flagged)
    }

    /// Keeps the time that guests read without a system call true.
    fn refresh_clock(&mut self) {
        self.clock.show(self.host.lag());
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

    /// No thread can run: waits for the host, or stops.
    fn idle(&mut self, until: &Until<'_>, rest: &mut Rest) -> Result<Option<Outcome>, EngineError> {
        self.kernel.wake(&mut self.host);
        if self.kernel.next_thread(Turn::Lasts).is_some() {
            return Ok(None);
        }
        let next = self.kernel.next_deadline();
        if until.ahead && self.kernel.awaits_request(&self.host) {
            return Ok(Some(Outcome::Ready));
        }
        if until.ready && self.kernel.awaits_connection() {
            // What others have been asked for would not come in time.
            if !self.kernel.is_connected() && rest.step(&mut self.host, next) {
                self.refresh_clock();
                return Ok(None);
            }
            return Ok(Some(Outcome::Ready));
        }
        if self.kernel.is_done(&self.host) && (until.impatient || self.host.is_awaited()) {
            return Ok(Some(Outcome::Served));
        }
        let asked = until.deadline.map(|at| self.host.guests(at));
        let deadline = [next, asked].into_iter().flatten().min();
        alarm::spare();
        let woken = self.host.wait(deadline);
        if woken == Woken::Interrupted {
            self.pass_on_keys();
            if let Some(outcome) = self.asked(until) {
                return Ok(Some(outcome));
            }
        }
        if until.deadline.is_some_and(|at| at <= monotonic()) {
            return Ok(Some(Outcome::TimedOut));
        }
        self.kernel.wake(&mut self.host);
        Ok(None)
    }

    /// Makes `tid` of process `pid` the current thread: its registers here, its FPU state on the platform.
    fn load(&mut self, pid: Pid, tid: Tid) -> Result<(), EngineError> {
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

    /// Runs thread `tid`, which is loaded, until it leaves user code once.
    fn step(&mut self, tid: Tid, until: &Until<'_>) -> Result<Step, EngineError> {
        if matches!(self.kernel.process().tasks.get(tid).state, State::Retry(_)) {
            match self.enter(tid)? {
                Step::Same => {}
                other => return Ok(other),
            }
        }
        if self.kernel.process().signals_to_deliver(tid) {
            let mut guest = PlatformGuest(self.platform.as_mut());
            let delivery = self
                .kernel
                .deliver_signals(&self.host, &mut guest, &mut self.registers, tid)
                .map_err(|source| EngineError::Kernel { operation: "delivering a signal", source })?;
            match delivery {
                Delivery::Run => {}
                Delivery::End(ending) => {
                    let mut guest = PlatformGuest(self.platform.as_mut());
                    let entered = self.kernel.end_process(&mut self.host, guest.memory(), ending);
                    return self.after(tid, entered);
                }
            }
            if self.kernel.process().tasks.stopped {
                return Ok(Step::Switch);
            }
            if !matches!(self.kernel.process().tasks.get(tid).state, State::Ready) {
                return Ok(Step::Same);
            }
        }
        if let Some(error) = unreturnable(&self.registers) {
            return Ok(self.exception(tid, SignalInfo::kernel(SIGSEGV), GENERAL_PROTECTION, error));
        }
        match self.platform.run(&mut self.registers)? {
            Exit::Syscall => {
                self.counters.syscalls += 1;
                self.enter(tid)
            }
            Exit::Fault(fault) => {
                let info = SignalInfo::fault(fault.signal, fault.code, fault.address);
                Ok(self.force(tid, info, Trap { number: 14, error: fault.error, address: fault.address }))
            }
            Exit::Exception(exception) => {
                let info = SignalInfo::fault(exception.signal, exception.code, exception.address);
                Ok(self.exception(tid, info, exception.trap, exception.error))
            }
            Exit::Interrupted => {
                let mut guest = PlatformGuest(self.platform.as_mut());
                self.kernel.interrupted(guest.memory(), &mut self.registers, tid);
                self.pass_on_keys();
                Ok(self.asked(until).map_or(Step::Switch, Step::Stop))
            }
            Exit::Dead => Err(EngineError::State("the guest's host process was killed from outside")),
        }
    }

    fn enter(&mut self, tid: Tid) -> Result<Step, EngineError> {
        let mut guest = PlatformGuest(self.platform.as_mut());
        match self.kernel.enter(&mut self.host, &mut guest, &mut self.registers, tid) {
            Entered::Continue => Ok(Step::Same),
            entered => self.after(tid, entered),
        }
    }

    /// What to do after a call that did not simply return.
    fn after(&mut self, tid: Tid, entered: Entered) -> Result<Step, EngineError> {
        Ok(match entered {
            Entered::Continue => Step::Same,
            Entered::Blocked | Entered::ThreadEnded => Step::Switch,
            Entered::Yielded => Step::Yield,
            Entered::ProcessEnded => {
                self.follow()?;
                Step::Switch
            }
            Entered::Forked(forked) => {
                self.finish_fork(forked);
                Step::Same
            }
            Entered::Exec(request) => {
                self.execute(tid, &request)?;
                Step::Same
            }
            Entered::Ended(ending) => Step::Stop(Outcome::Ended(ending)),
        })
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

    /// A CPU exception that is no page fault: the address of the last one stays, as Linux leaves it in cr2.
    fn exception(&mut self, tid: Tid, info: SignalInfo, number: u8, error: u64) -> Step {
        let address = self.kernel.process().tasks.get(tid).signals.trap.address;
        self.force(tid, info, Trap { number: u64::from(number), error, address })
    }

    fn force(&mut self, tid: Tid, info: SignalInfo, trap: Trap) -> Step {
        self.counters.faults += 1;
        self.kernel.process_mut().force_signal(tid, info, trap);
        Step::Same
    }
}
