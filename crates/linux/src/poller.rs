//! The host side of one machine: waiting for host files, and time. Holds nothing that a guest can observe.
//!
//! Every host file that a guest ever waited for is in one edge-triggered host epoll set. Level questions are asked
//! with poll(2); the set tells when to ask again, and its edges count for the guest's own edge-triggered sets.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll};
use rustix::io::Errno;
use rustix::time::ClockId;

use crate::files::Events;

/// A host file shared between a snapshot and its forks. Equal when it is the same host file description.
#[derive(Clone, Debug)]
pub struct HostHandle(pub Arc<OwnedFd>);

impl HostHandle {
    /// Takes over `fd`.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl PartialEq for HostHandle {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl AsFd for HostHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

struct Watched {
    handle: Weak<OwnedFd>,
    edges: u64,
}

/// Waits on behalf of one machine.
pub struct Host {
    set: OwnedFd,
    interrupt: Arc<OwnedFd>,
    watched: HashMap<RawFd, Watched>,
    /// How often the guest made each call that is not there, by number.
    pub unknown_calls: HashMap<u64, u64>,
    busy_since: u64,
    idle: u64,
    /// Somebody wants this machine to stop; [`Host::take_interrupt`] answers.
    pub interrupt_asked: Arc<AtomicBool>,
}

/// The token of the interrupt eventfd in the host's epoll set; no descriptor has it.
const INTERRUPT: u64 = u64::MAX;

/// What ended a wait.
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
            unknown_calls: HashMap::new(),
            busy_since: nanoseconds(rustix::time::clock_gettime(ClockId::Monotonic)),
            idle: 0,
            interrupt_asked: Arc::default(),
        })
    }

    /// A handle that ends waits from other threads.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.interrupt))
    }

    /// Whether somebody asked this machine to stop since the last time this was called.
    #[must_use]
    pub fn take_interrupt(&self) -> bool {
        self.interrupt_asked.swap(false, Ordering::SeqCst)
    }

    /// CLOCK_MONOTONIC in nanoseconds.
    #[must_use]
    pub fn monotonic(&self) -> u64 {
        nanoseconds(rustix::time::clock_gettime(ClockId::Monotonic))
    }

    /// Nanoseconds for which the machine did not wait since this was made or restarted: its CPU time, for want of a
    /// better measure.
    #[must_use]
    pub fn busy(&self) -> u64 {
        self.monotonic().saturating_sub(self.busy_since).saturating_sub(self.idle)
    }

    /// Begins to count [`Host::busy`] anew.
    pub fn restart_busy(&mut self) {
        self.busy_since = self.monotonic();
        self.idle = 0;
    }

    /// CLOCK_REALTIME in nanoseconds.
    #[must_use]
    pub fn realtime(&self) -> u64 {
        nanoseconds(rustix::time::clock_gettime(ClockId::Realtime))
    }

    /// What `handle` is ready for now, out of `events` (and errors). Watches it when it is not ready, so that the
    /// next [`Host::wait`] ends when it becomes so.
    pub fn poll(&mut self, handle: &HostHandle, events: Events) -> Events {
        let ready = poll_once(handle, events);
        if (ready & events).is_empty() {
            self.watch(handle);
        }
        ready
    }

    /// How many edges the host has reported for `handle`.
    pub fn edges(&mut self, handle: &HostHandle) -> u64 {
        self.watch(handle);
        self.harvest();
        self.watched.get(&handle.as_fd().as_raw_fd()).map_or(0, |watched| watched.edges)
    }

    /// Adds `handle` to the epoll set, once. A file that epoll does not take (a regular file) is always ready.
    fn watch(&mut self, handle: &HostHandle) {
        let raw = handle.as_fd().as_raw_fd();
        let known = self.watched.get(&raw).and_then(|watched| watched.handle.upgrade());
        if known.is_some_and(|known| Arc::ptr_eq(&known, &handle.0)) {
            return;
        }
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
        let edges = self.watched.get(&raw).map_or(0, |watched| watched.edges);
        self.watched.insert(raw, Watched { handle: Arc::downgrade(&handle.0), edges });
    }

    /// Counts the edges that are there already, without waiting.
    fn harvest(&mut self) {
        let _ = self.collect(Some(0));
    }

    /// Waits until a watched file changes, `deadline` (monotonic nanoseconds) passes or a [`Waker`] wakes.
    pub fn wait(&mut self, deadline: Option<u64>) -> Woken {
        let began = self.monotonic();
        let woken = self.collect(deadline.map(|at| at.saturating_sub(began)));
        self.idle = self.idle.saturating_add(self.monotonic().saturating_sub(began));
        woken
    }

    fn collect(&mut self, timeout: Option<u64>) -> Woken {
        let timeout = timeout.map(timespec);
        let mut buffer = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 64];
        let Ok(count) = epoll::wait(&self.set, &mut buffer[..], timeout.as_ref()) else {
            return Woken::Events; // EINTR: whoever waits looks again
        };
        let mut woken = Woken::Events;
        for event in &buffer[..count] {
            let token = event.data.u64();
            if token == INTERRUPT {
                let _ = rustix::io::read(&self.interrupt, &mut [0; 8]);
                woken = Woken::Interrupted;
            } else if let Some(watched) = RawFd::try_from(token).ok().and_then(|raw| self.watched.get_mut(&raw)) {
                watched.edges += 1;
            }
        }
        woken
    }
}

/// poll(2) with no timeout.
fn poll_once(handle: &HostHandle, events: Events) -> Events {
    let interest = PollFlags::from_bits_truncate(u16::try_from(events.bits() & 0xffff).unwrap_or(0));
    let mut set = [PollFd::new(handle, interest)];
    match rustix::event::poll(&mut set, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(_) => Events::from_bits_truncate(u32::from(set[0].revents().bits())),
        Err(_) => Events::empty(),
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

fn timespec(nanoseconds: u64) -> Timespec {
    let seconds = i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanoseconds % 1_000_000_000).unwrap_or(0) }
}
