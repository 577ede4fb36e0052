//! Serving: every accepted connection gets a pristine fork.
//!
//! ```text
//!   worker thread (pinned):  wait for a connection -> accept -> offer it to the fork -> run -> reset -> again
//! ```
//!
//! Workers wait for the shared listening sockets in one epoll set, so that a connection wakes one of them, and a connection whose
//! client has said nothing yet takes none (acceptor.rs). A fork does not run between connections. A failure of a connection (crash,
//! time, memory, platform, a panic of the worker) costs that connection alone: its fork is thrown away and a new one made.
//!
//! Locks: `Control::handles`, `Control::ended`, `Server::workers` and the acceptor's, never two at once.

mod acceptor;
mod control;
mod early_accept;
pub mod freeze_point;
#[cfg(debug_assertions)]
pub mod planted;
pub mod statistics;
pub mod warmup;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use self::acceptor::Acceptor;
use self::control::Control;
use crate::cpu;
use crate::error::EngineError;
use crate::machine::Handle;
use crate::platform_choice::SelectedPlatform;
use crate::snapshot::Snapshot;

pub use freeze_point::{FreezeOutcome, freeze_at_best};
pub use statistics::Statistics;
pub use warmup::{Address, WarmUp, warm_up};

/// How to serve.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Workers, each with one fork; 0 for one a CPU.
    pub threads: usize,
    /// Reset after every connection. Otherwise each worker's fork lives on and accepts by itself.
    pub ephemeral: bool,
    /// The longest time that a connection may take after it was accepted.
    pub max_request_time: Option<Duration>,
    /// How long a client may say nothing after it has connected, where clients speak first.
    pub max_idle_time: Option<Duration>,
    /// Bytes that a connection may write to, counted in whole pages and checked each tick of 10 ms.
    pub max_request_memory: Option<u64>,
    /// Above this many touched bytes a reset drops pages instead of rewriting them.
    pub limit_request_memory: u64,
}

/// A running server. Dropping it stops it at once.
pub struct Server {
    control: Arc<Control>,
    threads: usize,
    platform: SelectedPlatform,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Server {
    /// Starts serving from `snapshot`, which must have been frozen while it waited for a connection.
    ///
    /// # Errors
    /// [`EngineError::State`] when the snapshot does not listen, and the host's refusals.
    pub fn start(snapshot: &Arc<Snapshot>, options: ServeOptions) -> Result<Self, EngineError> {
        if snapshot.listeners.is_empty() {
            return Err(EngineError::State("serving a program that does not listen: freeze it when it is ready"));
        }
        let threads = if options.threads == 0 { cpu::count() } else { options.threads };
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| EngineError::Host { operation: "eventfd", source: error.into() })?;
        let control = Arc::new(Control {
            stopping: AtomicBool::new(false),
            stop,
            statistics: Statistics::default(),
            handles: Mutex::new(vec![None; threads]),
            interrupts: !options.ephemeral,
            running: AtomicUsize::new(0),
            ended: (Mutex::new(()), Condvar::new()),
        });
        let patience = snapshot.clients_speak_first.then(|| options.max_idle_time.unwrap_or(Duration::MAX));
        let acceptor = Arc::new(Acceptor::new(Arc::clone(&snapshot.listeners), patience, Arc::clone(&control))?);
        let server = Self { control, platform: snapshot.platform(), threads, workers: Mutex::default() };
        let first_cpu = cpu::here();
        for index in 0..threads {
            let worker = worker::Worker::new(
                index,
                first_cpu + index,
                Arc::clone(snapshot),
                options,
                Arc::clone(&server.control),
                Arc::clone(&acceptor),
            );
            let end = EndOnDrop::of(&server.control);
            let thread = std::thread::Builder::new().name(format!("warmfork-worker-{index}")).spawn(move || {
                let _end = end;
                worker.run();
            });
            server.lock_workers().push(thread.map_err(EngineError::host("starting a worker's thread"))?);
        }
        Ok(server)
    }

    /// The counters of all workers so far.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.control.statistics
    }

    /// The platform that the guests run on.
    #[must_use]
    pub fn platform(&self) -> SelectedPlatform {
        self.platform
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.threads
    }

    /// Accepts no more connections; returns at once.
    pub fn close(&self) {
        self.control.stopping.store(true, Ordering::SeqCst);
        // Never read again, so every worker sees it.
        let _ = rustix::io::write(&self.control.stop, &1_u64.to_ne_bytes());
        if self.control.interrupts {
            self.interrupt();
        }
    }

    /// Accepts no more connections; returns when the present ones have ended, cutting those that last longer than
    /// `grace`.
    pub fn stop(&self, grace: Duration) {
        self.close();
        let until = Instant::now() + grace;
        while !self.wait(until.saturating_duration_since(Instant::now())) {
            if Instant::now() >= until {
                self.interrupt();
                // A worker may have been between two runs just now: ask until they are gone.
                let _ = self.wait(Duration::from_millis(20));
            }
        }
        let workers = std::mem::take(&mut *self.lock_workers());
        for worker in workers {
            // A panic has already been reported by the panic hook.
            let _ = worker.join();
        }
    }

    /// Waits up to `timeout` for all workers to end; whether they have.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let (lock, condition) = &self.control.ended;
        let mut guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.control.running.load(Ordering::SeqCst) > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            guard = condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock_workers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interrupt(&self) {
        let handles = self.control.handles.lock().unwrap_or_else(PoisonError::into_inner).clone();
        handles.iter().flatten().for_each(Handle::interrupt);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.lock_workers().is_empty() {
            self.stop(Duration::ZERO);
        }
    }
}

/// Tells the server that a worker has ended: also by a panic, or because the host refused its thread.
struct EndOnDrop(Arc<Control>);

impl EndOnDrop {
    fn of(control: &Arc<Control>) -> Self {
        control.running.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(control))
    }
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let (lock, condition) = &self.0.ended;
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        condition.notify_all();
    }
}
