//! Threads that own forks: one for each CPU and pinned to it, each with any number of forks of any snapshots.
//!
//! ```text
//!   callers on any thread                    a pool thread
//!   Owned::new(make) --make, on the thread-> slots[key] = value
//!   Owned::start(job) ---------------------> job(value), at once; behind the value's run, if it runs
//!   Owned::run(begin) ---------------------> a run of the value's machine: in slices by turns with the others' runs;
//!            <------------ outcome ---------  while all of them wait, the thread waits for all of their hosts at once
//! ```
//!
//! A fork costs no thread, and those of one thread never run at the same time. A panic of a job costs its value.
//!
//! Locks: none but those of channels.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, OnceLock};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use warmfork_linux::host::monotonic;

use crate::cpu;
use crate::error::EngineError;
use crate::fork::Fork;
use crate::goal::{Goal, Outcome, RunLimits};
use crate::machine::Machine;
use crate::run::{Progress, Run};

/// The nanoseconds for which a run goes on before other runs, and jobs, have their turn.
const SLICE: u64 = 5_000_000;

/// The token of a thread's own eventfd; no value has this key.
const COMMANDS: u64 = 0;

/// A value that a pool can own and run.
pub trait Driven: 'static {
    /// The machine to run.
    fn driven(&mut self) -> &mut Machine;
}

impl Driven for Fork {
    fn driven(&mut self) -> &mut Machine {
        self.machine_mut()
    }
}

/// A value that a pool's thread keeps for its caller.
type Value = Box<dyn Any>;
/// A job for a value. It is dropped, which its caller notices, if the value is lost.
type Job = Box<dyn FnOnce(&mut Value) + Send>;

/// Begins a run of a value, or sends the error to its caller.
type Begin = Box<dyn FnOnce(&mut Value) -> Option<Running> + Send>;

enum Command {
    /// Make a value; `None` keeps nothing.
    Make(u64, Box<dyn FnOnce() -> Option<Value> + Send>),
    Do(u64, Job),
    Run(u64, Begin),
    /// Drop a value and then the sender.
    Drop(u64, Sender<()>),
}

/// A run that goes on.
struct Running {
    run: Run<'static>,
    machine: fn(&mut Value) -> Option<&mut Machine>,
    answer: Sender<Result<Outcome, EngineError>>,
}

/// One value of a thread's.
struct Slot {
    value: Value,
    running: Option<Running>,
    /// Commands for when the run is over.
    queue: VecDeque<Command>,
}

/// A thread of the pool, as callers see it.
struct Worker {
    commands: Sender<Command>,
    wake: OwnedFd,
    /// How many values it has.
    values: AtomicUsize,
}

impl Worker {
    fn start(index: usize) -> Result<Arc<Self>, EngineError> {
        let failed =
            |error: rustix::io::Errno| EngineError::Host { operation: "starting a pool", source: error.into() };
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let set = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        epoll::add(&set, &wake, epoll::EventData::new_u64(COMMANDS), epoll::EventFlags::IN).map_err(failed)?;
        let (commands, queue) = channel();
        let worker = Arc::new(Self { commands, wake, values: AtomicUsize::new(0) });
        let shared = Arc::clone(&worker);
        std::thread::Builder::new()
            .name(format!("warmfork-pool-{index}"))
            .spawn(move || {
                cpu::pin(index);
                Thread { worker: shared, set, queue, slots: BTreeMap::new(), ready: VecDeque::new() }.run();
            })
            .map_err(EngineError::host("starting a pool's thread"))?;
        Ok(worker)
    }

    fn send(&self, command: Command) -> Result<(), EngineError> {
        self.commands.send(command).map_err(|_| EngineError::Ended)?;
        // This fails when the counter is at its end; the thread wakes then too.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        Ok(())
    }
}

/// The pool of this process: its threads are started by the first use and stay.
fn workers() -> Result<&'static [Arc<Worker>], EngineError> {
    static POOL: OnceLock<Vec<Arc<Worker>>> = OnceLock::new();
    if let Some(pool) = POOL.get() {
        return Ok(pool);
    }
    let started = (0..cpu::count()).map(Worker::start).collect::<Result<Vec<_>, _>>()?;
    // Where two callers are first at once, the threads of the other end with their channels.
    Ok(POOL.get_or_init(|| started))
}

/// A value that a thread of the pool owns. Dropping it drops the value there, and waits for that.
pub struct Owned<T> {
    worker: Arc<Worker>,
    key: u64,
    value: PhantomData<fn(T)>,
}

impl<T: Driven> Owned<T> {
    /// Lets the thread with the fewest values make one.
    ///
    /// # Errors
    /// As `make`; the host's refusal of threads.
    pub fn new(make: impl FnOnce() -> Result<T, EngineError> + Send + 'static) -> Result<Self, EngineError> {
        static KEYS: AtomicU64 = AtomicU64::new(COMMANDS + 1);
        let least = workers()?.iter().min_by_key(|worker| worker.values.load(Ordering::Relaxed));
        let worker = Arc::clone(least.ok_or(EngineError::Ended)?);
        let key = KEYS.fetch_add(1, Ordering::Relaxed);
        let (answer, made) = channel();
        let make = Box::new(move || match make() {
            Ok(value) => answer.send(Ok(())).is_ok().then(|| Box::new(value) as Value),
            Err(error) => {
                // This fails when the caller is gone.
                let _ = answer.send(Err(error));
                None
            }
        });
        worker.values.fetch_add(1, Ordering::Relaxed);
        // From here on, dropping it gives the place back.
        let owned = Self { worker, key, value: PhantomData };
        owned.worker.send(Command::Make(key, make))?;
        made.recv().map_err(|_| EngineError::Ended)??;
        Ok(owned)
    }

    /// Lets its thread do `job`, after its run if it runs; the receiver gets the answer.
    ///
    /// # Errors
    /// [`EngineError::Ended`] when the thread is gone.
    pub fn start<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<Receiver<R>, EngineError> {
        let (answer, receiver) = channel();
        let job: Job = Box::new(move |value| {
            if let Some(value) = value.downcast_mut() {
                // This fails when the caller is gone.
                let _ = answer.send(job(value));
            }
        });
        self.worker.send(Command::Do(self.key, job))?;
        Ok(receiver)
    }

    /// Lets its thread do `job` and waits for the answer.
    ///
    /// # Errors
    /// [`EngineError::Ended`] when the thread or the value is gone.
    pub fn call<R: Send + 'static>(&self, job: impl FnOnce(&mut T) -> R + Send + 'static) -> Result<R, EngineError> {
        self.start(job)?.recv().map_err(|_| EngineError::Ended)
    }

    /// Lets its thread run its machine, to the goal and within the limits that `begin` returns there.
    ///
    /// # Errors
    /// [`EngineError::Ended`] when the thread is gone. The receiver gets errors of `begin` and of [`Machine::run`].
    pub fn run(
        &self,
        begin: impl FnOnce(&mut T) -> Result<(Goal<'static>, RunLimits), EngineError> + Send + 'static,
    ) -> Result<Receiver<Result<Outcome, EngineError>>, EngineError> {
        let (answer, receiver) = channel();
        let begin = Box::new(move |value: &mut Value| {
            let begun = begin(value.downcast_mut()?);
            match begun {
                Ok((goal, limits)) => {
                    let run = machine_of::<T>(value)?.begin_run(goal, limits);
                    Some(Running { run, machine: machine_of::<T>, answer })
                }
                Err(error) => {
                    // This fails when the caller is gone.
                    let _ = answer.send(Err(error));
                    None
                }
            }
        });
        self.worker.send(Command::Run(self.key, begin))?;
        Ok(receiver)
    }
}

fn machine_of<T: Driven>(value: &mut Value) -> Option<&mut Machine> {
    value.downcast_mut::<T>().map(T::driven)
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        let (done, dropped) = channel();
        if self.worker.send(Command::Drop(self.key, done)).is_ok() {
            // The thread drops the sender with the value.
            let _ = dropped.recv();
        }
        self.worker.values.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A thread of the pool, as it sees itself.
struct Thread {
    worker: Arc<Worker>,
    set: OwnedFd,
    queue: Receiver<Command>,
    slots: BTreeMap<u64, Slot>,
    /// Those whose runs can go on, in order.
    ready: VecDeque<u64>,
}

impl Thread {
    fn run(mut self) {
        let mut deadlines = BTreeMap::new();
        loop {
            loop {
                match self.queue.try_recv() {
                    Ok(command) => self.execute(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let Some(key) = self.ready.pop_front() else {
                self.wait(&mut deadlines);
                continue;
            };
            deadlines.remove(&key);
            if let Some(deadline) = self.advance(key) {
                deadlines.insert(key, deadline);
            }
        }
    }

    fn execute(&mut self, command: Command) {
        let key = match &command {
            Command::Make(key, _) | Command::Do(key, _) | Command::Run(key, _) | Command::Drop(key, _) => *key,
        };
        if let Command::Make(_, make) = command {
            // A panic has been reported by the panic hook.
            if let Ok(Some(value)) = catch_unwind(AssertUnwindSafe(make)) {
                self.slots.insert(key, Slot { value, running: None, queue: VecDeque::new() });
            }
            return;
        }
        // If the value is gone, the command is dropped, and with it the sender of its answer.
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if slot.running.is_some() {
            slot.queue.push_back(command);
            return;
        }
        match command {
            Command::Make(..) => {}
            Command::Do(_, job) => {
                if catch_unwind(AssertUnwindSafe(|| job(&mut slot.value))).is_err() {
                    self.discard(key);
                }
            }
            Command::Run(_, begin) => match catch_unwind(AssertUnwindSafe(|| begin(&mut slot.value))) {
                Ok(Some(running)) => {
                    slot.running = Some(running);
                    self.ready.push_back(key);
                }
                Ok(None) => {}
                Err(_) => self.discard(key),
            },
            Command::Drop(_, done) => {
                self.discard(key);
                drop(done);
            }
        }
    }

    /// Drops the value `key`, with its run and its commands.
    fn discard(&mut self, key: u64) {
        self.ready.retain(|ready| *ready != key);
        let slot = self.slots.remove(&key);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(slot)));
    }

    /// Advances a run for a slice. Returns the deadline of its wait, if it waits.
    fn advance(&mut self, key: u64) -> Option<Option<u64>> {
        let Slot { value, running: Some(running), .. } = self.slots.get_mut(&key)? else { return None };
        let end = monotonic().saturating_add(SLICE);
        let machine = running.machine;
        let progress = catch_unwind(AssertUnwindSafe(|| {
            let machine = machine(value).ok_or(EngineError::Ended)?;
            let progress = machine.advance(&mut running.run, Some(end))?;
            if let Progress::Waits(_) = progress {
                watch(&self.set, machine.host().source(), key)?;
            }
            Ok(progress)
        }));
        let outcome = match progress {
            Ok(Ok(Progress::Runs)) => {
                self.ready.push_back(key);
                return None;
            }
            Ok(Ok(Progress::Waits(deadline))) => return Some(deadline),
            Ok(Ok(Progress::Over(outcome))) => Ok(outcome),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                self.discard(key);
                return None;
            }
        };
        self.finish(key, outcome);
        None
    }

    /// Ends a run: sends its outcome and executes the commands that have waited for its end.
    fn finish(&mut self, key: u64, outcome: Result<Outcome, EngineError>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if let Some(machine) = slot.running.as_ref().map(|running| running.machine).and_then(|of| of(&mut slot.value)) {
            // This fails when the run never had to wait.
            let _ = epoll::delete(&self.set, machine.host().source());
        }
        if let Some(running) = slot.running.take() {
            // This fails when the caller is gone.
            let _ = running.answer.send(outcome);
        }
        for command in std::mem::take(&mut slot.queue) {
            self.execute(command);
        }
    }

    /// No run can go on: waits for a command, for an event of a run's host, or for the first of the `deadlines`.
    fn wait(&mut self, deadlines: &mut BTreeMap<u64, Option<u64>>) {
        let now = monotonic();
        let next = deadlines.values().flatten().min();
        let timeout = next.map(|at| at.saturating_sub(now)).map(|left| Timespec {
            tv_sec: i64::try_from(left / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(left % 1_000_000_000).unwrap_or(0),
        });
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 64];
        // A signal's EINTR is no event: the loop looks again.
        let count = epoll::wait(&self.set, &mut events[..], timeout.as_ref()).unwrap_or(0);
        for event in &events[..count] {
            let token = event.data.u64();
            if token == COMMANDS {
                let _ = rustix::io::read(&self.worker.wake, &mut [0; 8]);
            } else if deadlines.remove(&token).is_some() {
                self.ready.push_back(token);
            }
        }
        let now = monotonic();
        let due = |deadline: &Option<u64>| deadline.is_some_and(|at| at <= now);
        let over: Vec<u64> = deadlines.iter().filter(|(_, at)| due(at)).map(|(key, _)| *key).collect();
        for key in over {
            deadlines.remove(&key);
            self.ready.push_back(key);
        }
    }
}

/// Lets `set` report once, as `key`, that `source` is readable.
fn watch(set: &OwnedFd, source: BorrowedFd<'_>, key: u64) -> Result<(), EngineError> {
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
    let data = epoll::EventData::new_u64(key);
    let watched = match epoll::modify(set.as_fd(), source, data, flags) {
        Err(rustix::io::Errno::NOENT) => epoll::add(set.as_fd(), source, data, flags),
        watched => watched,
    };
    watched.map_err(|error| EngineError::Host { operation: "waiting for a machine", source: error.into() })
}
