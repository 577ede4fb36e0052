//! One worker: accepts a connection, lets its fork serve it, resets the fork.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use warmfork_linux::gate::Offer;
use warmfork_linux::process::Ending;

use super::acceptor::Acceptor;
use super::control::{Control, RETRY_DELAY};
use super::{ServeOptions, Statistics};
use crate::cpu;
use crate::error::EngineError;
use crate::fork::{Fork, ResetKind};
use crate::goal::{Goal, Outcome, RunLimits};
use crate::snapshot::Snapshot;

/// A worker's view of its server.
pub struct Worker {
    index: usize,
    cpu: usize,
    snapshot: Arc<Snapshot>,
    options: ServeOptions,
    control: Arc<Control>,
    acceptor: Arc<Acceptor>,
    /// The last attempt to accept found a connection.
    busy: Cell<bool>,
}

impl Worker {
    pub fn new(
        index: usize,
        cpu: usize,
        snapshot: Arc<Snapshot>,
        options: ServeOptions,
        control: Arc<Control>,
        acceptor: Arc<Acceptor>,
    ) -> Self {
        Self { index, cpu, snapshot, options, control, acceptor, busy: Cell::new(false) }
    }

    /// Serves until the server stops.
    pub fn run(&self) {
        cpu::pin(self.cpu);
        let mut fork = None;
        while !self.control.stopping() {
            if fork.is_none() {
                fork = self.survive(|| self.new_fork()).flatten();
            }
            let Some(ready) = &mut fork else {
                self.control.pause();
                continue;
            };
            let serve = || if self.options.ephemeral { self.serve_one(ready) } else { self.serve_on(ready) };
            if self.survive(serve) != Some(true) {
                self.survive(|| drop(fork.take()));
            }
        }
        self.control.set_handle(self.index, None);
    }

    /// Does `task`; `None` if it panics. A bug that a request meets then costs its connection and its fork, which nobody may
    /// use any more, and not the worker with all connections to come.
    fn survive<R>(&self, task: impl FnOnce() -> R) -> Option<R> {
        catch_unwind(AssertUnwindSafe(task)).map_err(|panic| self.report(&*panic)).ok()
    }

    fn report(&self, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Statistics::add(&self.control.statistics.panics, 1);
        log::error!("worker {}: a bug in warmfork: {text}; a new fork is made", self.index);
    }

    fn new_fork(&self) -> Option<Fork> {
        let statistics = &self.control.statistics;
        let ready = |mut fork: Fork| fork.prepare().map(|()| fork);
        let fork = Fork::new(Arc::clone(&self.snapshot)).and_then(ready).inspect_err(|error| {
            log::error!("worker {} has no fork: {error}; trying again in {RETRY_DELAY:?}", self.index);
        });
        let mut fork = fork.ok()?;
        fork.rewrite_limit = self.options.limit_request_memory;
        Statistics::add(&statistics.forks, 1);
        self.control.set_handle(self.index, Some(fork.machine().handle()));
        Some(fork)
    }

    /// Waits for a connection.
    fn next_offer(&self) -> Option<Offer> {
        if let Some(waiting) = self.snapshot.take_waiting() {
            return self.acceptor.admit(waiting);
        }
        self.acceptor.accept(&self.busy)
    }

    /// Waits for a connection and lets `fork` serve it. Returns whether the fork is pristine again; otherwise it is lost.
    fn serve_one(&self, fork: &mut Fork) -> bool {
        let statistics = &self.control.statistics;
        let Some(offer) = self.next_offer() else { return true };
        let accepted = Instant::now();
        #[cfg(debug_assertions)]
        super::planted::meet();
        let before = fork.machine().counters().syscalls;
        fork.take(offer);
        let touched_bytes = self.options.max_request_memory;
        let goal = if self.snapshot.has_waiting() { Goal::NextClient } else { Goal::End };
        let limits = RunLimits { touched_bytes, ..RunLimits::within(self.options.max_request_time) };
        let outcome = fork.run(goal, limits);
        statistics.observe(accepted.elapsed());
        Statistics::add(&statistics.syscalls, fork.machine().counters().syscalls - before);
        if !self.count(&outcome) {
            return false;
        }
        let started = Instant::now();
        let pages = fork.resets.pages;
        let reset = fork.reset();
        let spent = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Statistics::add(&statistics.reset_us, spent);
        match reset {
            Ok(ResetKind::Rewritten) => {
                Statistics::add(&statistics.resets_rewritten, 1);
                Statistics::add(&statistics.pages_rewritten, fork.resets.pages - pages);
            }
            Ok(ResetKind::Dropped) => Statistics::add(&statistics.resets_dropped, 1),
            Ok(ResetKind::Rebuilt) => Statistics::add(&statistics.resets_rebuilt, 1),
            Err(error) => {
                log::error!("worker {} threw its fork away: {error}", self.index);
                return false;
            }
        }
        true
    }

    /// Lets `fork` accept and serve by itself until it ends, or the server stops and its connections have ended. Returns that
    /// the fork is lost.
    fn serve_on(&self, fork: &mut Fork) -> bool {
        let statistics = &self.control.statistics;
        let mut counted = ((0, 0), 0);
        fork.open();
        // Stopping the server interrupts the fork; where the server was stopped before the fork was known, it shows here.
        let mut stopping = self.control.stopping();
        if stopping {
            fork.shut();
        }
        let outcome = loop {
            let outcome = fork.run(Goal::Connection, RunLimits::default());
            let ((accepted, ended), syscalls) = counted;
            counted = (fork.machine().host().gate.counts(), fork.machine().counters().syscalls);
            Statistics::add(&statistics.connections, counted.0.0 - accepted);
            Statistics::add(&statistics.served, counted.0.1 - ended);
            Statistics::add(&statistics.syscalls, counted.1 - syscalls);
            #[cfg(debug_assertions)]
            super::planted::meet();
            match outcome {
                Ok(Outcome::Connection) => {}
                Ok(Outcome::Interrupted) if self.control.stopping() && !stopping => {
                    stopping = true;
                    fork.shut();
                }
                Ok(Outcome::Served) => return false,
                outcome => break outcome,
            }
        };
        self.count(&outcome);
        false
    }

    /// Counts how a run ended, and logs failures for the operator. Returns whether the fork can be reset.
    fn count(&self, outcome: &Result<Outcome, EngineError>) -> bool {
        let statistics = &self.control.statistics;
        let index = self.index;
        let (counter, what) = match outcome {
            Ok(Outcome::Served) => {
                Statistics::add(&statistics.served, 1);
                return true;
            }
            // The server stops.
            Ok(Outcome::Interrupted | Outcome::Ready | Outcome::Connection | Outcome::Paused | Outcome::Flagged) => {
                return false;
            }
            Ok(Outcome::TimedOut) => (&statistics.timeouts, "took longer than --max-request-time".to_owned()),
            Ok(Outcome::OutOfMemory) => {
                (&statistics.out_of_memory, "wrote to more memory than --max-request-memory".to_owned())
            }
            Ok(Outcome::Ended(Ending::Signaled(signal))) => {
                (&statistics.crashes, format!("was killed by signal {signal}"))
            }
            Ok(Outcome::Ended(Ending::Exited(status))) => (&statistics.exits, format!("exited with status {status}")),
            Err(error) => (&statistics.failures, format!("was lost: {error}")),
        };
        Statistics::add(counter, 1);
        log::warn!("worker {index}: a guest {what}; its connection is closed and a new fork made");
        false
    }
}
