//! The part of a machine that belongs to no thread: the emulated kernel's state, the host side, the clock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use warmfork_linux::Kernel;
use warmfork_linux::host::{Host, Waker};
use warmfork_linux::process::Ending;
use warmfork_loader::vdso::MachineClock;
use warmfork_platform::Interrupter;

use crate::clock::FrozenAt;
use crate::platform_choice::SelectedPlatform;

/// Counters of a machine since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// System calls answered.
    pub syscalls: u64,
    /// Page faults and exceptions turned into signals.
    pub faults: u64,
    /// Switches between guest threads.
    pub switches: u64,
}

/// A guest without its executor. It may go from thread to thread; an [`crate::executor::Executor`] may not.
pub(crate) struct Guest {
    pub kind: SelectedPlatform,
    pub kernel: Kernel,
    pub host: Host,
    pub clock: MachineClock,
    /// The clocks that it continues from when it runs next; `None` once it has run since it was made or reset.
    pub frozen: Option<FrozenAt>,
    /// The time of the next tick, in nanoseconds of the host's CLOCK_MONOTONIC.
    pub next_tick: u64,
    /// Signals of the terminal that have not been forwarded, one bit each; see `terminal_signals.rs`.
    pub terminal_signals: Arc<AtomicU64>,
    pub counters: Counters,
    pub ended: Option<Ending>,
    /// Interrupts the platform that runs it.
    pub interrupter: Arc<Current>,
}

const fn may_go_to_another_thread<T: Send>() {}
const _: () = may_go_to_another_thread::<Guest>();

impl Guest {
    pub fn new(kind: SelectedPlatform, kernel: Kernel, host: Host, clock: MachineClock) -> Self {
        let (frozen, next_tick, ended) = (None, 0, None);
        let (terminal_signals, counters, interrupter) = (Arc::default(), Counters::default(), Arc::default());
        Self { kind, kernel, host, clock, frozen, next_tick, terminal_signals, counters, ended, interrupter }
    }

    /// A handle that stops it from another thread.
    pub fn handle(&self) -> Handle {
        Handle {
            interrupter: Arc::clone(&self.interrupter),
            waker: self.host.waker(),
            asked: Arc::clone(&self.host.interrupt_asked),
            terminal_signals: Arc::clone(&self.terminal_signals),
        }
    }
}

/// Interrupts whichever platform runs a guest, if any does. Locks: its own alone.
#[derive(Default)]
pub(crate) struct Current(Mutex<Option<Arc<dyn Interrupter>>>);

impl Current {
    pub fn set(&self, interrupter: Option<Arc<dyn Interrupter>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = interrupter;
    }

    fn interrupt(&self) {
        if let Some(interrupter) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            interrupter.interrupt();
        }
    }
}

/// Stops a machine from another thread.
#[derive(Clone)]
pub struct Handle {
    interrupter: Arc<Current>,
    waker: Waker,
    asked: Arc<AtomicBool>,
    pub(crate) terminal_signals: Arc<AtomicU64>,
}

impl Handle {
    /// Makes the machine's current or next run return [`crate::Outcome::Interrupted`].
    pub fn interrupt(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.notify();
    }

    /// Makes the machine's current or next run check [`crate::Goal::Flag`] soon.
    pub fn notify(&self) {
        self.interrupter.interrupt();
        self.waker.wake();
    }
}
