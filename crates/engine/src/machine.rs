//! One guest program: a guest and the executor that runs it on this thread. `run.rs` has the loop between the two.

use warmfork_linux::Kernel;
use warmfork_linux::gate::{Gate, Offer, OwnClient};
use warmfork_linux::host::Host;
use warmfork_linux::ids::Pid;
use warmfork_linux::process::Ending;
use warmfork_loader::vdso::MachineClock;
use warmfork_platform::Platform;

use crate::error::EngineError;
use crate::executor::Executor;
use crate::guest::Guest;
use crate::platform_choice::SelectedPlatform;

pub use crate::guest::{Counters, Handle};

/// A guest program with its executor.
pub struct Machine {
    pub(crate) guest: Guest,
    pub(crate) executor: Executor,
}

impl Machine {
    /// A machine from its parts. The current thread's registers are the kernel's.
    pub(crate) fn new(
        kind: SelectedPlatform,
        platform: Box<dyn Platform>,
        kernel: Kernel,
        host: Host,
        clock: MachineClock,
    ) -> Self {
        Self::of(Guest::new(kind, kernel, host, clock), platform)
    }

    /// `guest`, whose first process's memory is on `platform`.
    pub(crate) fn of(guest: Guest, platform: Box<dyn Platform>) -> Self {
        let executor = Executor::new(&guest, platform);
        Self { guest, executor }
    }

    /// The guest without its executor.
    pub(crate) fn into_guest(self) -> Guest {
        self.guest.interrupter.set(None);
        self.guest
    }

    /// Its counters since it was made.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.guest.counters
    }

    /// The emulated kernel's state.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.guest.kernel
    }

    /// The platform that runs it.
    #[must_use]
    pub fn platform(&self) -> SelectedPlatform {
        self.guest.kind
    }

    /// The host side: time, unknown calls.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.guest.host
    }

    /// The cost of running the guest so far.
    #[must_use]
    pub fn counts(&self) -> warmfork_platform::Counts {
        self.executor.platform.counts()
    }

    /// How the program ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ending> {
        self.guest.ended
    }

    /// A handle that stops this machine from another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.guest.handle()
    }

    /// Lets the program accept only the client that is returned. Other clients' connections wait for a fork of it, or until
    /// [`Self::admit_any`].
    pub fn admit_own(&mut self) -> OwnClient {
        self.guest.host.gate.admit_own()
    }

    /// The connections that the program has not been allowed to accept.
    pub(crate) fn take_waiting(&mut self) -> Vec<Offer> {
        self.guest.host.gate.take_waiting()
    }

    /// Lets the program accept any client.
    pub fn admit_any(&mut self) {
        self.guest.host.gate.admit_any();
    }

    /// Makes `pid` the current process, to examine or to reset it: no CPU time is counted.
    pub(crate) fn visit_process(&mut self, pid: Pid) -> Result<(), EngineError> {
        self.executor.visit_process(&mut self.guest, pid)
    }

    /// Assigns the state of a snapshot's `kernel`; memory and FPU state are the caller's.
    pub(crate) fn reset_kernel(&mut self, kernel: &Kernel) {
        self.guest.kernel.reset_from(kernel);
        self.start();
    }

    /// Replaces the kernel's state and the platforms; the host side stays. `platform` is the first process's.
    pub(crate) fn replace(&mut self, platform: Box<dyn Platform>, kernel: Kernel) {
        self.guest.kernel = kernel;
        self.executor = Executor::new(&self.guest, platform);
        self.start();
    }

    /// Begins anew: with an empty gate, and the kernel's current thread to run next.
    fn start(&mut self) {
        self.guest.host.gate = Gate::default();
        self.executor.begin(&self.guest);
        self.guest.ended = None;
    }
}
