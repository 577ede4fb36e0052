//! Acting on signals just before a thread returns to user code.

use log::{debug, info};
use warmfork_abi::signals::{
    IGNORED_BY_DEFAULT, SA_NODEFER, SA_RESETHAND, SA_RESTART, SIG_DFL, SIG_IGN, SIGKILL, SIGSEGV, SS_AUTODISARM,
    STOPPING, UNBLOCKABLE, signal_bit,
};
use warmfork_abi::{Errno, Registers};

use super::frame::Frame;
use super::{Action, AlternateStack, Interrupted, SignalInfo, vector};
use crate::call::Guest;
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::process::Ending;
use crate::process::Process;

/// Length of the `syscall` instruction: how far a restarted call goes back.
const SYSCALL_LENGTH: u64 = 2;

/// The outcome of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Run the thread from its registers, or try its call again when its state is [`State::Retry`](crate::task::State::Retry): no handler ran.
    Run,
    /// A default action ended the program.
    End(Ending),
}

/// The action for one signal.
enum Disposition {
    Nothing,
    Stop,
    Terminate,
    Handle(Action),
}

impl Kernel {
    /// Acts on all due signals of thread `tid` before it returns to user code: builds frames, restarts or fails the
    /// interrupted call, or ends the program.
    ///
    /// # Errors
    /// EIO when the guest's platform fails.
    pub fn deliver_signals(
        &mut self,
        host: &Host,
        guest: &mut dyn Guest,
        registers: &mut Registers,
        tid: Tid,
    ) -> Result<Delivery, Errno> {
        let process = self.process_mut();
        let signals = &mut process.tasks.get_mut(tid).signals;
        if signals.interrupted.is_none() && signals.pending.is_empty() && process.signals.pending.is_empty() {
            return Ok(Delivery::Run);
        }
        let mut interrupted = signals.interrupted.take();
        if let Some(mask) = interrupted.as_ref().and_then(|call| call.wait.mask) {
            signals.saved_mask = Some(signals.mask);
            signals.set_mask(mask);
        }
        while let Some(info) = self.process_mut().next_signal(host, tid) {
            match self.dispose(tid, info) {
                Disposition::Nothing => {}
                Disposition::Stop => break,
                Disposition::Terminate => return Ok(Delivery::End(Ending::Signaled(info.signal))),
                Disposition::Handle(action) => {
                    if let Some(call) = interrupted.take() {
                        restart_or_fail(&call, action, registers);
                    }
                    self.handle(guest, registers, tid, info, action)?;
                }
            }
        }
        let task = self.process_mut().tasks.get_mut(tid);
        if let Some(mask) = task.signals.saved_mask.take() {
            task.signals.mask = mask;
        }
        if let Some(call) = interrupted {
            self.process_mut().tasks.retry(tid, call.wait);
        }
        Ok(Delivery::Run)
    }

    fn dispose(&mut self, tid: Tid, info: SignalInfo) -> Disposition {
        let signal = info.signal;
        let bit = signal_bit(signal);
        let action = self.process().signals.action(signal);
        match action.handler {
            SIG_IGN => Disposition::Nothing,
            SIG_DFL if bit & IGNORED_BY_DEFAULT != 0 => Disposition::Nothing,
            SIG_DFL if bit & STOPPING != 0 => {
                if self.processes.stop(signal) {
                    return Disposition::Stop;
                }
                debug!("signal {signal} would stop the program: it goes on");
                Disposition::Nothing
            }
            SIG_DFL => {
                info!("thread {tid} ends the program by signal {signal} (code {}, {:#x})", info.code, info.fields[0]);
                Disposition::Terminate
            }
            _ => {
                if action.flags & SA_RESETHAND != 0 {
                    self.process_mut().signals.set_action(signal, Action { handler: SIG_DFL, ..action });
                }
                Disposition::Handle(action)
            }
        }
    }

    /// Makes thread `tid` run a handler next. A frame that cannot be written is a SIGSEGV, of the default action when
    /// it was SIGSEGV's own.
    fn handle(
        &mut self,
        guest: &mut dyn Guest,
        registers: &mut Registers,
        tid: Tid,
        info: SignalInfo,
        action: Action,
    ) -> Result<(), Errno> {
        if self.restart_sequence(guest.memory(), registers, tid).is_err() {
            self.process_mut().force_fatal(tid, info.signal);
            return Ok(());
        }
        let vector_state = self.vector_state(guest, tid)?;
        let signals = &self.process().tasks.get(tid).signals;
        let frame = Frame {
            info,
            action,
            registers: *registers,
            mask: signals.saved_mask.unwrap_or(signals.mask),
            stack: signals.stack,
            trap: signals.trap,
            vector_state: &vector_state,
        };
        let Ok(entry) = frame.write(guest.memory()) else {
            debug!("no room for the frame of signal {} at {:#x}", info.signal, registers.rsp);
            self.process_mut().force_fatal(tid, info.signal);
            return Ok(());
        };
        *registers = entry;
        self.set_vector_state(guest, tid, vector::at_handler_entry(&vector_state))?;
        let signals = &mut self.process_mut().tasks.get_mut(tid).signals;
        signals.saved_mask = None;
        let own = if action.flags & SA_NODEFER == 0 { signal_bit(info.signal) } else { 0 };
        signals.set_mask(signals.mask | action.mask | own);
        if signals.stack.flags & SS_AUTODISARM != 0 {
            signals.stack = AlternateStack::DISABLED;
        }
        Ok(())
    }

    /// The vector state of thread `tid`, wherever it is kept now: the platform has the current thread's.
    ///
    /// # Errors
    /// EIO when the platform fails.
    pub(crate) fn vector_state(&mut self, guest: &mut dyn Guest, tid: Tid) -> Result<Vec<u8>, Errno> {
        let tasks = &self.process().tasks;
        match &tasks.get(tid).fpu {
            Some(state) if tid != tasks.current => Ok(state.clone()),
            _ => guest.fpu(),
        }
    }

    /// Replaces the vector state of thread `tid`, wherever it is kept now.
    ///
    /// # Errors
    /// EINVAL for a state that the CPU does not take, EIO when the platform fails.
    pub(crate) fn set_vector_state(&mut self, guest: &mut dyn Guest, tid: Tid, state: Vec<u8>) -> Result<(), Errno> {
        let tasks = &mut self.process_mut().tasks;
        if tid == tasks.current {
            return guest.set_fpu(&state);
        }
        tasks.get_mut(tid).fpu = Some(state);
        Ok(())
    }
}

impl Process {
    /// Takes the next signal that thread `tid` does not block.
    fn next_signal(&mut self, host: &Host, tid: Tid) -> Option<SignalInfo> {
        let signals = &mut self.tasks.get_mut(tid).signals;
        let unblocked = !(signals.mask & !UNBLOCKABLE);
        let kill = signal_bit(SIGKILL);
        let own = signals.pending.take(kill).or_else(|| self.signals.pending.take(kill));
        let own = own.or_else(|| self.tasks.get_mut(tid).signals.pending.take(unblocked));
        let taken = own.or_else(|| {
            let shared = self.shared_due(tid, unblocked);
            self.signals.pending.take(shared)
        })?;
        Some(self.taken(host, taken))
    }

    /// Forces SIGSEGV on thread `tid`, which could not go on to the handler of `signal`: without a handler when that was
    /// SIGSEGV itself.
    fn force_fatal(&mut self, tid: Tid, signal: u32) {
        if signal == SIGSEGV {
            let action = self.signals.action(SIGSEGV);
            self.signals.set_action(SIGSEGV, Action { handler: SIG_DFL, ..action });
        }
        self.force(tid, SignalInfo::kernel(SIGSEGV));
    }
}

/// The end of a call that a handler cut short: it starts again after the handler, or fails.
fn restart_or_fail(call: &Interrupted, action: Action, registers: &mut Registers) {
    let restarts = call.wait.always_restarts || call.wait.restartable && action.flags & SA_RESTART != 0;
    if restarts {
        registers.rax = registers.orig_rax;
        registers.rip = registers.rip.wrapping_sub(SYSCALL_LENGTH);
    } else {
        registers.rax = Errno::EINTR.as_result();
    }
}
