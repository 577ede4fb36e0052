//! Signal state and delivery.

use warmfork_abi::{Errno, Registers};

use crate::call::{Ending, Guest};
use crate::kernel::Kernel;
use crate::task::Tid;

/// A signal with what its handler is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalInfo {
    /// Signal number, 1 to 64.
    pub signal: u32,
    /// si_code
    pub code: i32,
    /// The rest of siginfo_t after its first 16 bytes (its union), little-endian words.
    pub fields: [u64; 3],
}

/// Signal state of one thread.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TaskSignals {
    /// Blocked signals: bit n-1 for signal n.
    pub mask: u64,
    /// Pending for this thread, oldest first.
    pub pending: Vec<SignalInfo>,
    /// The call that a signal cut short, until delivery has decided whether it restarts.
    pub interrupted: Option<Interrupted>,
}

/// A call that was cut short by a signal.
#[derive(Clone, PartialEq, Debug)]
pub struct Interrupted {
    /// What it waited for: `restartable` and `mask` decide what happens next.
    pub wait: crate::task::Wait,
}

/// Signal state of the process.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ProcessSignals {
    /// Pending for any thread, oldest first.
    pub pending: Vec<SignalInfo>,
}

/// What delivery came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Run the thread from its registers.
    Run,
    /// A default action ended the program.
    End(Ending),
}

impl Kernel {
    /// Whether thread `tid` has a signal to act on, with `mask` in place of its own when given.
    #[must_use]
    pub fn signal_due(&self, _tid: Tid, _mask: Option<u64>) -> bool {
        false
    }

    /// Whether [`Kernel::deliver_signals`] has anything to do for thread `tid`.
    #[must_use]
    pub fn signals_to_deliver(&self, tid: Tid) -> bool {
        self.tasks.get(tid).signals.interrupted.is_some() || self.signal_due(tid, None)
    }

    /// Sends a signal that thread `tid` itself caused (a fault, an exception): it cannot be blocked or ignored.
    pub fn force_signal(&mut self, _tid: Tid, info: SignalInfo) -> Delivery {
        Delivery::End(Ending::Signaled(info.signal))
    }

    /// Acts on all due signals of thread `tid` before it returns to user code: builds frames, restarts or fails the
    /// interrupted call, or ends the program.
    ///
    /// # Errors
    /// EIO when the guest's platform fails.
    pub fn deliver_signals(
        &mut self,
        _guest: &mut dyn Guest,
        _registers: &mut Registers,
        _tid: Tid,
    ) -> Result<Delivery, Errno> {
        Ok(Delivery::Run)
    }
}
