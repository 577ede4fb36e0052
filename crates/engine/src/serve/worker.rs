//! One worker: accepts a connection, lets its fork serve it, resets the fork.

use std::any::Any;
use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use warmfork_linux::gate::Offer;
use warmfork_linux::process::Ending;
use warmfork_memory::HostFile;

use super::{Control, ServeOptions, Statistics};
use crate::cpu;
use crate::error::EngineError;
use crate::fork::{Fork, ResetKind};
use crate::goal::{Goal, Outcome, RunLimits};
use crate::snapshot::Snapshot;

/// How long a worker waits before it asks again for something that the host refused (a fork, a connection).
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// A worker's view of its server.
pub struct Worker {
    index: usize,
    cpu: usize,
    snapshot: Arc<Snapshot>,
    options: ServeOptions,
    control: Arc<Control>,
}

/// A worker's listening sockets, from which it accepts connections.
struct Acceptor {
    set: OwnedFd,
    listeners: Arc<Vec<Arc<HostFile>>>,
    /// The last attempt found a connection: a busy server has another already.
    busy: Cell<bool>,
}

/// The token of the stop eventfd; listeners have their index.
const STOP: u64 = u64::MAX;

impl Acceptor {
    fn new(listeners: Arc<Vec<Arc<HostFile>>>, control: &Control) -> Result<Self, Errno> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&set, &control.stop, epoll::EventData::new_u64(STOP), epoll::EventFlags::IN)?;
        for (listener, token) in listeners.iter().zip(0..) {
            let flags = epoll::EventFlags::IN | epoll::EventFlags::EXCLUSIVE;
            epoll::add(&set, listener, epoll::EventData::new_u64(token), flags)?;
        }
        Ok(Self { set, listeners, busy: Cell::new(false) })
    }

    /// The next connection and the listening socket it came to. `None` when the server stops, or when another worker took
    /// the connection.
    fn accept(&self, control: &Control) -> Option<Offer> {
        // With several listening sockets, one would keep the worker from the others.
        if self.busy.take()
            && self.listeners.len() == 1
            && let Some(offer) = self.take(0, control)
        {
            return Some(offer);
        }
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 8];
        let count = epoll::wait(&self.set, &mut events[..], None).unwrap_or(0);
        for event in &events[..count] {
            let token = event.data.u64();
            let index = usize::try_from(token).unwrap_or(usize::MAX);
            if let Some(offer) = self.take(index, control) {
                return Some(offer);
            }
        }
        None
    }

    /// A connection that has come to the listening socket `index`, if there is one.
    fn take(&self, index: usize, control: &Control) -> Option<Offer> {
        let listener = self.listeners.get(index)?;
        // `None` when another worker took it, or the client has gone again.
        let offer = Offer::accept(listener).unwrap_or_else(|error| {
            log::error!("accepting a connection failed: {error}; trying again in {RETRY_DELAY:?}");
            control.pause();
            None
        });
        self.busy.set(offer.is_some());
        offer
    }
}

impl Control {
    /// Waits [`RETRY_DELAY`], or until the server stops.
    fn pause(&self) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: RETRY_DELAY.subsec_nanos().into() };
        let mut set = [rustix::event::PollFd::new(&self.stop, rustix::event::PollFlags::IN)];
        let _ = rustix::event::poll(&mut set, Some(&timeout));
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

impl Worker {
    pub fn new(
        index: usize,
        cpu: usize,
        snapshot: Arc<Snapshot>,
        options: ServeOptions,
        control: Arc<Control>,
    ) -> Self {
        Self { index, cpu, snapshot, options, control }
    }

    /// Serves until the server stops.
    pub fn run(&self) {
        cpu::pin(self.cpu);
        let acceptor = match Acceptor::new(Arc::clone(&self.snapshot.listeners), &self.control) {
            Ok(acceptor) => acceptor,
            Err(error) => return log::error!("worker {} cannot wait for connections: {error}", self.index),
        };
        let mut fork = None;
        while !self.control.stopping() {
            if fork.is_none() {
                fork = self.survive(|| self.new_fork()).flatten();
            }
            let Some(ready) = &mut fork else {
                self.control.pause();
                continue;
            };
            let serve = || if self.options.ephemeral { self.serve_one(ready, &acceptor) } else { self.serve_on(ready) };
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

    /// Waits for a connection and lets `fork` serve it. Returns whether the fork is pristine again; otherwise it is lost.
    fn serve_one(&self, fork: &mut Fork, acceptor: &Acceptor) -> bool {
        let statistics = &self.control.statistics;
        let waiting = self.snapshot.take_waiting();
        let Some(offer) = waiting.or_else(|| acceptor.accept(&self.control)) else { return true };
        let accepted = Instant::now();
        Statistics::add(&statistics.connections, 1);
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
