//! The host side of one machine: waiting for host files, time, scratch memory, and the gate through which connections come.
//! A snapshot has none. A guest can observe some of it: the lag of its clocks, the CPU time that it has used, bytes not
//! pushed yet. A freeze settles those first.
//!
//! Every host file that a guest ever waited for in vain is in one edge-triggered host epoll set. Level questions are
//! asked with poll(2); the set tells when to ask again, so that an idle file costs no host call, and its edges count
//! for the guest's own edge-triggered sets.
//!
//! ```text
//!   poll(file): known idle since its last edge? -> no host call
//!               else poll(2); not ready         -> into the set, known idle from now on
//!   collect():  edges from the set              -> no longer known idle, edge number changes
//! ```
//!
//! No wake-up is lost: a file enters the set (which reports at once what is ready by then) before anyone sleeps, and
//! an edge that was collected outside of [`Host::wait`] makes the next wait return at once.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll};
use rustix::io::Errno;
use rustix::time::ClockId;
use warmfork_memory::HostFile;

use crate::coalesce::Coalescer;
use crate::events::Events;
use crate::gate::Gate;
use crate::ids::Tid;
use crate::wait_queues::{Queue, WaitQueues};

struct Watched {
    /// The file itself: a fork's own has the same id as its snapshot's, and another descriptor.
    handle: Weak<HostFile>,
    /// The events that it was not ready for when last asked, no edge having come since.
    idle: Events,
    /// The number of its last edge.
    edge: u64,
}

/// Waits on behalf of one machine.
pub struct Host {
    set: OwnedFd,
    interrupt: Arc<OwnedFd>,
    watched: HashMap<RawFd, Watched>,
    /// The number of the last edge of any file. No two hosts give out the same number, so a number that a fork
    /// inherited from its snapshot always counts as changed.
    last_edge: u64,
    /// Whether the set has been emptied since the guest last ran.
    fresh: bool,
    /// Edges were collected that the current round of questions may have missed.
    unseen: bool,
    /// A [`Waker`] woke, and [`Host::wait`] has not said so yet.
    interrupted: bool,
    scratch: Vec<u8>,
    /// The thread for which questions are asked: a signalfd answers each with its own signals.
    pub(crate) asking: Tid,
    /// Denied paths, and other denials in words, that the log has named.
    denials: HashSet<Vec<u8>>,
    /// How often the guest made each call that is not there, by number; `u64::MAX` for those that Linux lacks too.
    pub unknown_calls: HashMap<u64, u64>,
    /// In the host's own time.
    busy_since: u64,
    idle: u64,
    /// Nanoseconds by which the guest's clocks are behind the host's, but those of the time of day.
    lag: i64,
    /// Another thread asks this machine to stop; [`Host::take_interrupt`] answers.
    pub interrupt_asked: Arc<AtomicBool>,
    /// The bytes that have not been pushed yet.
    pub coalescer: Coalescer,
    /// Which connections come to the guest.
    pub gate: Gate,
    /// The threads that are to be asked again when something changes.
    pub(crate) queues: WaitQueues,
    /// The last answer of [`Kernel::next_interruption`](crate::Kernel::next_interruption) may be too late.
    deadlines_moved: Cell<bool>,
}

/// The token of the interrupt eventfd in the host's epoll set; no descriptor has it.
const INTERRUPT: u64 = u64::MAX;

/// Edge numbers of one host: more than a machine can see in its life.
const EDGES_EACH: u64 = 1 << 40;

/// Where the edge numbers of the next [`Host`] begin.
static NEXT_EDGES: AtomicU64 = AtomicU64::new(EDGES_EACH);

/// Most bytes that one call moves through [`Host::take_scratch`].
pub const SCRATCH: usize = 256 * 1024;

/// The target of log records of denials.
pub const DENIED: &str = "warmfork::denied";

/// A guest with so many denials is only probing: the log names no more.
const MAX_DENIALS: usize = 1000;

/// The reason why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// A host file changed, or the deadline passed.
    Events,
    /// [`Waker::wake`] was called.
    Interrupted,
}

/// Ends a machine's wait from another thread.
#[derive(Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Makes the current or the next wait return at once.
    pub fn wake(&self) {
        // A full counter already wakes; nothing else can fail on our own eventfd.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl Host {
    /// A host side with nothing watched.
    ///
    /// # Errors
    /// The host's refusal to make an epoll set or an eventfd (EMFILE, ENOMEM).
    pub fn new() -> Result<Self, Errno> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let interrupt = Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&set, &interrupt, epoll::EventData::new_u64(INTERRUPT), epoll::EventFlags::IN)?;
        Ok(Self {
            set,
            interrupt,
            watched: HashMap::new(),
            last_edge: NEXT_EDGES.fetch_add(EDGES_EACH, Ordering::Relaxed),
            fresh: false,
            unseen: false,
            interrupted: false,
            scratch: Vec::new(),
            asking: 0,
            denials: HashSet::new(),
            unknown_calls: HashMap::new(),
            busy_since: monotonic(),
            idle: 0,
            lag: 0,
            interrupt_asked: Arc::default(),
            coalescer: Coalescer::default(),
            gate: Gate::default(),
            queues: WaitQueues::default(),
            deadlines_moved: Cell::new(false),
        })
    }

    /// A descriptor that becomes readable when a wait would end before its deadline: for waiting for several machines at
    /// once.
    #[must_use]
    pub fn source(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }

    /// The machine was not driven for `nanoseconds`, and so not busy.
    pub fn count_idle(&mut self, nanoseconds: u64) {
        self.idle = self.idle.saturating_add(nanoseconds);
    }

    /// A handle that ends waits from other threads.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.interrupt))
    }

    /// Whether another thread asked this machine to stop since the last call of this.
    #[must_use]
    pub fn take_interrupt(&self) -> bool {
        self.interrupt_asked.load(Ordering::SeqCst) && self.interrupt_asked.swap(false, Ordering::SeqCst)
    }

    /// CLOCK_MONOTONIC of the guest in nanoseconds.
    #[must_use]
    pub fn monotonic(&self) -> u64 {
        self.to_guest_time(monotonic())
    }

    /// The time of the guest's clocks, but those of the time of day, when the host's clock shows `nanoseconds`.
    #[must_use]
    pub fn to_guest_time(&self, nanoseconds: u64) -> u64 {
        nanoseconds.saturating_add_signed(self.lag.saturating_neg())
    }

    /// A host clock as the guest sees it, in nanoseconds.
    #[must_use]
    pub fn clock(&self, id: ClockId) -> u64 {
        let time = nanoseconds(rustix::time::clock_gettime(id));
        let stops =
            matches!(id, ClockId::Monotonic | ClockId::MonotonicCoarse | ClockId::MonotonicRaw | ClockId::Boottime);
        if stops { self.to_guest_time(time) } else { time }
    }

    /// The time of the host's CLOCK_MONOTONIC when the guest's shows `nanoseconds`.
    #[must_use]
    pub fn to_host_time(&self, nanoseconds: u64) -> u64 {
        nanoseconds.saturating_add_signed(self.lag)
    }

    /// A timer was set, its signal was taken, or there is another thread.
    pub(crate) fn move_deadlines(&self) {
        self.deadlines_moved.set(true);
    }

    /// [`Kernel::next_interruption`](crate::Kernel::next_interruption) says when, now.
    pub(crate) fn deadlines_are_known(&self) {
        self.deadlines_moved.set(false);
    }

    /// Whether the running thread may have to be interrupted earlier than
    /// [`Kernel::next_interruption`](crate::Kernel::next_interruption) last said.
    #[must_use]
    pub fn have_deadlines_moved(&self) -> bool {
        self.deadlines_moved.get()
    }

    /// By how many nanoseconds the guest's clocks are behind the host's, but those of the time of day.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.lag
    }

    /// Sets [`Host::lag`]. The guest's deadlines stay, for they are in its own time.
    pub fn set_lag(&mut self, lag: i64) {
        self.lag = lag;
    }

    /// Nanoseconds for which the machine did not wait since this was made or restarted: its CPU time, for want of a
    /// better measure.
    #[must_use]
    pub fn busy(&self) -> u64 {
        monotonic().saturating_sub(self.busy_since).saturating_sub(self.idle)
    }

    /// Begins to count [`Host::busy`] anew.
    pub fn restart_busy(&mut self) {
        self.busy_since = monotonic();
        self.idle = 0;
    }

    /// CLOCK_REALTIME in nanoseconds.
    #[must_use]
    pub fn realtime(&self) -> u64 {
        self.clock(ClockId::Realtime)
    }

    /// CLOCK_BOOTTIME of the guest in nanoseconds.
    #[must_use]
    pub fn boottime(&self) -> u64 {
        self.clock(ClockId::Boottime)
    }

    /// A buffer of `length` bytes (at most [`SCRATCH`]) for one copy. It holds bytes of earlier copies: show nobody more
    /// of it than was written. Give it back with [`Host::return_scratch`], which saves an allocation.
    #[must_use]
    pub fn take_scratch(&mut self, length: usize) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let length = length.min(SCRATCH);
        if scratch.len() < length {
            scratch.resize(length, 0);
        }
        scratch
    }

    /// Takes back a buffer of [`Host::take_scratch`].
    pub fn return_scratch(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
    }

    /// Whether the log has not named `denial` yet, and names it now.
    pub(crate) fn is_new_denial(&mut self, denial: &[u8]) -> bool {
        self.denials.len() < MAX_DENIALS && self.denials.insert(denial.to_vec())
    }

    /// Names a denial in the log, the first time.
    pub fn deny(&mut self, denial: &str) {
        if self.is_new_denial(denial.as_bytes()) {
            log::warn!(target: DENIED, "{denial}");
        }
    }

    /// The guest has run: the edges collected so far are no longer up to date.
    pub fn guest_ran(&mut self) {
        self.fresh = false;
    }

    /// Every blocked thread is to be asked whether its wait is over: nobody may have told of what has changed.
    pub fn ask_all(&mut self) {
        self.queues.ask_all();
    }

    /// A new round of questions of readiness begins: it will see every edge collected so far.
    pub fn begin_round(&mut self) {
        self.unseen = false;
    }

    /// The events out of `events` (and errors) that `handle` is ready for now. Watches it when it is not ready, so that the
    /// next [`Host::wait`] ends when it becomes so.
    pub fn poll(&mut self, handle: &Arc<HostFile>, events: Events) -> Events {
        self.queues.join(Queue::File(handle.as_fd().as_raw_fd()));
        if self.watched(handle).is_some() {
            self.freshen();
        }
        let asked = events | Events::ERR | Events::HUP;
        if self.watched(handle).is_some_and(|watched| watched.idle.contains(asked)) {
            return Events::empty();
        }
        let ready = poll_once(handle, events);
        if (ready & events).is_empty() {
            self.watch(handle);
        }
        if let Some(watched) = self.watched(handle) {
            watched.idle = (watched.idle | asked) - ready;
        }
        ready
    }

    /// Whether a client waits that the gate does not let in.
    #[must_use]
    pub fn is_awaited(&mut self) -> bool {
        let listeners = self.gate.listeners();
        listeners
            .iter()
            .flat_map(|listeners| listeners.iter())
            .any(|listener| self.poll(listener, Events::IN).contains(Events::IN))
    }

    /// The number of the last edge that the host has reported for `handle`; changes with each.
    pub fn edges(&mut self, handle: &Arc<HostFile>) -> u64 {
        self.queues.join(Queue::File(handle.as_fd().as_raw_fd()));
        self.watch(handle);
        self.freshen();
        self.watched(handle).map_or(0, |watched| watched.edge)
    }

    /// Makes the next [`Host::poll`] of `handle` ask the host: for calls that change the file itself (connect,
    /// listen, options).
    pub fn changed(&mut self, handle: &Arc<HostFile>) {
        self.queues.files.add(handle.as_fd().as_raw_fd());
        if let Some(watched) = self.watched(handle) {
            watched.idle = Events::empty();
        }
    }

    fn watched(&mut self, handle: &Arc<HostFile>) -> Option<&mut Watched> {
        let watched = self.watched.get_mut(&handle.as_fd().as_raw_fd())?;
        std::ptr::eq(watched.handle.as_ptr(), Arc::as_ptr(handle)).then_some(watched)
    }

    /// Adds `handle` to the epoll set, once. A file that epoll does not take (a regular file) is always ready.
    fn watch(&mut self, handle: &Arc<HostFile>) {
        if self.watched(handle).is_some() {
            return;
        }
        let raw = handle.as_fd().as_raw_fd();
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::PRI
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(u64::from(raw.cast_unsigned()));
        // EEXIST: the number was reused while a duplicate kept the old file in the set; modify re-arms it.
        if epoll::add(&self.set, handle, data, flags) == Err(Errno::EXIST) {
            let _ = epoll::modify(&self.set, handle, data, flags);
        }
        self.last_edge += 1;
        let watched = Watched { handle: Arc::downgrade(handle), idle: Events::empty(), edge: self.last_edge };
        self.watched.insert(raw, watched);
        // Its present readiness comes as an edge, which must not look like a later one.
        self.fresh = false;
    }

    /// Collects the edges that are there already, unless that was done since the guest last ran.
    pub(crate) fn freshen(&mut self) {
        if self.fresh || self.watched.is_empty() {
            return;
        }
        self.unseen |= self.collect(Some(0));
        self.fresh = true;
    }

    /// Waits until a watched file changes, `deadline` (monotonic nanoseconds) passes or a [`Waker`] wakes.
    pub fn wait(&mut self, deadline: Option<u64>) -> Woken {
        let began = self.monotonic();
        let at_once = self.unseen || self.interrupted;
        self.collect(if at_once { Some(0) } else { deadline.map(|at| at.saturating_sub(began)) });
        self.idle = self.idle.saturating_add(self.monotonic().saturating_sub(began));
        self.fresh = true;
        self.unseen = false;
        if std::mem::take(&mut self.interrupted) { Woken::Interrupted } else { Woken::Events }
    }

    /// Empties the set, having waited for at most `timeout` nanoseconds; whether a file had an edge.
    fn collect(&mut self, timeout: Option<u64>) -> bool {
        let mut timeout = timeout;
        if let Some(nanoseconds) = timeout.filter(|nanoseconds| nanoseconds % 1_000_000 != 0) {
            // epoll_wait(2) counts milliseconds; poll(2) of the set itself is exact.
            let mut set = [PollFd::new(&self.set, PollFlags::IN)];
            let _ = rustix::event::poll(&mut set, Some(&timespec(nanoseconds)));
            timeout = Some(0);
        }
        let mut changed = false;
        loop {
            let (count, files) = self.collect_some(timeout);
            changed |= files;
            if count < BATCH {
                return changed;
            }
            timeout = Some(0);
        }
    }

    fn collect_some(&mut self, timeout: Option<u64>) -> (usize, bool) {
        let timeout = timeout.map(timespec);
        let mut buffer =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; BATCH];
        let Ok(count) = epoll::wait(&self.set, &mut buffer[..], timeout.as_ref()) else {
            return (0, false); // EINTR: the caller looks again
        };
        let mut files = false;
        for event in &buffer[..count] {
            let token = event.data.u64();
            if token == INTERRUPT {
                let _ = rustix::io::read(&self.interrupt, &mut [0; 8]);
                self.interrupted = true;
            } else if let Ok(raw) = RawFd::try_from(token)
                && let Some(watched) = self.watched.get_mut(&raw)
            {
                self.last_edge += 1;
                watched.edge = self.last_edge;
                watched.idle = Events::empty();
                self.queues.files.add(raw);
                files = true;
            }
        }
        (count, files)
    }
}

/// CLOCK_MONOTONIC of the host in nanoseconds.
#[must_use]
pub fn monotonic() -> u64 {
    nanoseconds(rustix::time::clock_gettime(ClockId::Monotonic))
}

/// Events taken from the host's set at once.
const BATCH: usize = 64;

/// A host error as the guest sees it.
pub(crate) fn errno(error: Errno) -> warmfork_abi::Errno {
    warmfork_abi::Errno(error.raw_os_error())
}

/// poll(2) with no timeout.
fn poll_once(handle: &Arc<HostFile>, events: Events) -> Events {
    let interest = PollFlags::from_bits_truncate(u16::try_from(events.bits() & 0xffff).unwrap_or(0));
    let mut set = [PollFd::new(handle, interest)];
    match rustix::event::poll(&mut set, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(_) => Events::from_bits_truncate(u32::from(set[0].revents().bits())),
        Err(_) => Events::empty(),
    }
}

/// `time` in nanoseconds; 0 for one before the epoch.
#[must_use]
pub fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

fn timespec(nanoseconds: u64) -> Timespec {
    let seconds = i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanoseconds % 1_000_000_000).unwrap_or(0) }
}

#[cfg(test)]
mod tests;
