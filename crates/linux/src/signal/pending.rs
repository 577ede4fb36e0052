//! A queue of pending signals: of one thread, or of the process.

use warmfork_abi::signals::{SI_USER, SIGRTMIN, SYNCHRONOUS, signal_bit};

use super::SignalInfo;

/// The timer that a pending signal came from; it goes on when the signal is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// setitimer's ITIMER_REAL, or alarm.
    RealTimer,
    /// timer_create's timer of this id.
    PosixTimer(i32),
}

/// One signal that waits to be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// The signal.
    pub info: SignalInfo,
    /// The timer that sent it, if one did.
    pub source: Option<Source>,
}

/// The outcome of adding a signal to a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// It waits in the queue.
    Queued,
    /// A standard signal of the same number was pending already.
    Collapsed,
}

/// Signals that wait to be taken, oldest first. Standard signals are in it once at most.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PendingSignals {
    queue: Vec<Pending>,
    set: u64,
}

impl PendingSignals {
    /// Which signals are pending: bit n-1 for signal n.
    #[must_use]
    pub fn set(&self) -> u64 {
        self.set
    }

    /// How many entries the queue has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds a signal.
    pub fn add(&mut self, pending: Pending) -> Added {
        let bit = signal_bit(pending.info.signal);
        if pending.info.signal < SIGRTMIN && self.set & bit != 0 {
            return Added::Collapsed;
        }
        self.set |= bit;
        self.queue.push(pending);
        Added::Queued
    }

    /// Takes the next signal that is in `wanted`: those that an instruction caused first, then by number, then by age.
    pub fn take(&mut self, wanted: u64) -> Option<Pending> {
        let available = self.set & wanted;
        if available == 0 {
            return None;
        }
        let caused =
            |entry: &Pending| entry.info.code > SI_USER && signal_bit(entry.info.signal) & SYNCHRONOUS & available != 0;
        let index = self.queue.iter().position(caused).or_else(|| {
            let first = if available & SYNCHRONOUS != 0 { available & SYNCHRONOUS } else { available };
            let signal = first.trailing_zeros() + 1;
            self.queue.iter().position(|entry| entry.info.signal == signal)
        })?;
        let taken = self.queue.remove(index);
        if !self.queue.iter().any(|entry| entry.info.signal == taken.info.signal) {
            self.set &= !signal_bit(taken.info.signal);
        }
        Some(taken)
    }

    /// Drops every signal in `unwanted`; the timers that had sent them.
    pub fn discard(&mut self, unwanted: u64) -> Vec<Source> {
        if self.set & unwanted == 0 {
            return Vec::new();
        }
        self.set &= !unwanted;
        let mut sources = Vec::new();
        self.queue.retain(|entry| {
            let dropped = signal_bit(entry.info.signal) & unwanted != 0;
            if dropped {
                sources.extend(entry.source);
            }
            !dropped
        });
        sources
    }

    /// Drops the pending signal of a timer that is deleted or set anew.
    pub fn discard_source(&mut self, source: Source) {
        self.queue.retain(|entry| entry.source != Some(source));
        self.set = self.queue.iter().fold(0, |set, entry| set | signal_bit(entry.info.signal));
    }
}
