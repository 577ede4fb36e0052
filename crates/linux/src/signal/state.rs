//! Signal state of a thread and of the process: plain data.

use warmfork_abi::signals::{
    IGNORED_BY_DEFAULT, SIG_DFL, SIG_IGN, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, STOPPING, UNBLOCKABLE, signal_bit,
};

use super::PendingSignals;
use crate::ids::{Pid, Tid};
use crate::news::News;
use crate::wait::Wait;

/// Signals there are.
pub const SIGNALS: usize = 64;

/// The guest's action for a signal (the kernel's `struct sigaction`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Action {
    /// SIG_DFL, SIG_IGN or the handler's address.
    pub handler: u64,
    /// SA_* flags.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked while the handler runs, beside the signal itself.
    pub mask: u64,
}

impl Action {
    /// Whether a signal of `set` (one bit) with this action has no effect.
    #[must_use]
    pub fn ignores(&self, set: u64) -> bool {
        self.handler == SIG_IGN || self.handler == SIG_DFL && set & IGNORED_BY_DEFAULT != 0
    }
}

/// The alternate signal stack of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AlternateStack {
    /// Its lowest address.
    pub start: u64,
    /// Its size in bytes; 0 when there is none.
    pub size: u64,
    /// The flags it was set with.
    pub flags: u32,
}

impl AlternateStack {
    /// The stack that SS_AUTODISARM leaves while a handler runs.
    pub const DISABLED: Self = Self { start: 0, size: 0, flags: SS_DISABLE };

    /// Whether `stack_pointer` lies within, however the stack was set.
    #[must_use]
    pub fn holds(&self, stack_pointer: u64) -> bool {
        stack_pointer > self.start && stack_pointer - self.start <= self.size
    }

    /// Whether a thread at `stack_pointer` runs on it. With SS_AUTODISARM it never does: then it is not set meanwhile.
    #[must_use]
    pub fn in_use(&self, stack_pointer: u64) -> bool {
        self.flags & SS_AUTODISARM == 0 && self.holds(stack_pointer)
    }

    /// `ss_flags` as sigaltstack reports them to a thread at `stack_pointer`.
    #[must_use]
    pub fn reported_flags(&self, stack_pointer: u64) -> u32 {
        let state = match self.size {
            0 => SS_DISABLE,
            _ if self.in_use(stack_pointer) => SS_ONSTACK,
            _ => 0,
        };
        state | self.flags & SS_AUTODISARM
    }
}

/// The last CPU exception of a thread, for `uc_mcontext`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Trap {
    /// Exception number.
    pub number: u64,
    /// Error code.
    pub error: u64,
    /// Address of the last page fault.
    pub address: u64,
}

/// A call that was cut short by a signal.
#[derive(Clone, PartialEq, Debug)]
pub struct Interrupted {
    /// Its wait: `restartable` and `mask` decide how it goes on.
    pub wait: Wait,
}

/// Signal state of one thread.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TaskSignals {
    /// Blocked signals: bit n-1 for signal n.
    pub mask: u64,
    /// The mask to return to when `mask` is that of a call (ppoll, rt_sigsuspend) which a signal has just cut short.
    pub saved_mask: Option<u64>,
    /// Pending for this thread.
    pub pending: PendingSignals,
    /// The alternate stack.
    pub stack: AlternateStack,
    /// The last CPU exception.
    pub trap: Trap,
    /// The call that a signal cut short, until delivery has decided whether it restarts.
    pub interrupted: Option<Interrupted>,
}

impl TaskSignals {
    /// The state that a new thread inherits: the mask.
    #[must_use]
    pub fn inherited(&self) -> Self {
        Self { mask: self.mask, ..Self::default() }
    }

    /// Blocks exactly `mask`, except signals that cannot be blocked.
    pub fn set_mask(&mut self, mask: u64) {
        self.mask = mask & !UNBLOCKABLE;
    }
}

/// Signal state of the process.
#[derive(Clone, PartialEq, Debug)]
pub struct ProcessSignals {
    /// Pending for any thread.
    pub pending: PendingSignals,
    /// Those among them that `runner` takes, if it may, and not the first thread.
    pub(super) timed: u64,
    /// The thread that ran when a timer expired that counts CPU time.
    pub(super) runner: Tid,
    actions: [Action; SIGNALS],
    /// The process, when a signal has come for it or for one of its threads.
    pub(crate) news: News<Pid>,
}

impl Default for ProcessSignals {
    fn default() -> Self {
        Self {
            pending: PendingSignals::default(),
            timed: 0,
            runner: 0,
            actions: [Action::default(); SIGNALS],
            news: News::default(),
        }
    }
}

impl ProcessSignals {
    /// The action for `signal`; the default one for a number that is no signal.
    #[must_use]
    pub fn action(&self, signal: u32) -> Action {
        index(signal).map_or_else(Action::default, |index| self.actions[index])
    }

    /// Sets the action for `signal`; nothing for a number that is no signal.
    pub fn set_action(&mut self, signal: u32, action: Action) {
        if let Some(index) = index(signal) {
            self.actions[index] = action;
        }
    }

    /// Back to the default for every signal that has a handler, as execve does. Ignored ones stay so.
    pub fn reset_handlers(&mut self) {
        for action in &mut self.actions {
            let handler = if action.handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
            *action = Action { handler, ..Action::default() };
        }
    }

    /// The signals that are ignored by choice, for /proc/self/status.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.set_where(|action| action.handler == SIG_IGN)
    }

    /// The signals that have handlers, for /proc/self/status.
    #[must_use]
    pub fn caught(&self) -> u64 {
        self.set_where(|action| action.handler != SIG_IGN && action.handler != SIG_DFL)
    }

    /// The signals that end the program.
    #[must_use]
    pub fn fatal(&self) -> u64 {
        self.set_where(|action| action.handler == SIG_DFL) & !(IGNORED_BY_DEFAULT | STOPPING)
    }

    fn set_where(&self, holds: impl Fn(&Action) -> bool) -> u64 {
        let chosen = (1..).zip(&self.actions).filter(|(_, action)| holds(action));
        chosen.fold(0, |set, (signal, _)| set | signal_bit(signal))
    }
}

fn index(signal: u32) -> Option<usize> {
    let index = usize::try_from(signal.checked_sub(1)?).ok()?;
    (index < SIGNALS).then_some(index)
}
