//! One step of a guest thread: it runs until it leaves user code; then the kernel answers.

use warmfork_abi::signals::SIGSEGV;
use warmfork_linux::dispatch::Entered;
use warmfork_linux::process::Ending;
use warmfork_linux::signal::frame::unreturnable;
use warmfork_linux::signal::{Delivery, SignalInfo, Trap};
use warmfork_linux::task::State;
use warmfork_linux::{Guest as _, Tid};
use warmfork_platform::Exit;

use crate::error::EngineError;
use crate::executor::Executor;
use crate::machine::Machine;
use crate::platform_guest::PlatformGuest;

/// The number of the CPU's general protection exception.
const GENERAL_PROTECTION: u8 = 13;

/// The run loop's next action after one step of a thread.
pub(crate) enum Step {
    /// Go on with the same thread.
    Same,
    /// Let another thread run.
    Switch,
    /// Let another thread run, if there is one.
    Yield,
    /// Check whether the run is to stop; otherwise let another thread run.
    Interrupted,
    /// The machine is over.
    Ended(Ending),
}

impl Machine {
    /// Runs thread `tid`, which is loaded, until it leaves user code once.
    pub(crate) fn step(&mut self, tid: Tid) -> Result<Step, EngineError> {
        if matches!(self.guest.kernel.process().tasks.get(tid).state(), State::Retry(_)) {
            match self.enter(tid)? {
                Step::Same => {}
                other => return Ok(other),
            }
        }
        if self.guest.kernel.process().signals_to_deliver(tid) {
            let mut guest = PlatformGuest(self.executor.platform.as_mut());
            let delivery = self
                .guest
                .kernel
                .deliver_signals(&self.guest.host, &mut guest, &mut self.executor.registers, tid)
                .map_err(|source| EngineError::Kernel { operation: "delivering a signal", source })?;
            match delivery {
                Delivery::Run => {}
                Delivery::End(ending) => {
                    let mut guest = PlatformGuest(self.executor.platform.as_mut());
                    let entered = self.guest.kernel.end_process(&mut self.guest.host, guest.memory(), ending);
                    return self.after(tid, entered);
                }
            }
            if self.guest.kernel.process().tasks.stopped {
                return Ok(Step::Switch);
            }
            if !matches!(self.guest.kernel.process().tasks.get(tid).state(), State::Ready) {
                return Ok(Step::Same);
            }
        }
        if let Some(error) = unreturnable(&self.executor.registers) {
            return Ok(self.exception(tid, SignalInfo::kernel(SIGSEGV), GENERAL_PROTECTION, error));
        }
        match self.run_platform()? {
            Exit::Syscall => {
                self.guest.counters.syscalls += 1;
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
                let mut guest = PlatformGuest(self.executor.platform.as_mut());
                self.guest.kernel.interrupted(guest.memory(), &mut self.executor.registers, tid);
                Ok(Step::Interrupted)
            }
            Exit::Dead => Err(EngineError::State("the guest's host process was killed from outside")),
        }
    }

    /// Runs the loaded thread. The pieces that it gathers meanwhile are calls that it made before the one that it stops for.
    fn run_platform(&mut self) -> Result<Exit, EngineError> {
        let Executor { platform, registers, gathers, .. } = &mut self.executor;
        let offered = self.guest.host.coalescer.offered(self.guest.kernel.process().pid).filter(|_| *gathers);
        let Some((fd, room)) = offered else { return Ok(platform.run(registers)?) };
        platform.gather(fd, room);
        let exit = platform.run(registers)?;
        let gathered = platform.gathered();
        self.guest.counters.syscalls += gathered.pieces as u64;
        self.guest.host.coalescer.gathered(&gathered.bytes, gathered.pieces);
        Ok(exit)
    }

    fn enter(&mut self, tid: Tid) -> Result<Step, EngineError> {
        let mut guest = PlatformGuest(self.executor.platform.as_mut());
        match self.guest.kernel.enter(&mut self.guest.host, &mut guest, &mut self.executor.registers, tid) {
            Entered::Continue => Ok(Step::Same),
            entered => self.after(tid, entered),
        }
    }

    /// The next action after a call that did not simply return.
    fn after(&mut self, tid: Tid, entered: Entered) -> Result<Step, EngineError> {
        Ok(match entered {
            Entered::Continue => Step::Same,
            Entered::Blocked | Entered::ThreadEnded => Step::Switch,
            Entered::Yielded => Step::Yield,
            Entered::ProcessEnded => {
                self.executor.follow(&mut self.guest)?;
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
            Entered::Ended(ending) => Step::Ended(ending),
        })
    }

    /// A CPU exception that is no page fault: the address of the last one stays, as Linux leaves it in cr2.
    fn exception(&mut self, tid: Tid, info: SignalInfo, number: u8, error: u64) -> Step {
        let address = self.guest.kernel.process().tasks.get(tid).signals.trap.address;
        self.force(tid, info, Trap { number: u64::from(number), error, address })
    }

    fn force(&mut self, tid: Tid, info: SignalInfo, trap: Trap) -> Step {
        self.guest.counters.faults += 1;
        self.guest.kernel.process_mut().force_signal(tid, info, trap);
        Step::Same
    }
}
