//! Accepts connections for the workers of a server, and keeps those of clients that have said nothing yet.
//!
//! ```text
//!   listening socket --accept--> has bytes, or is over ----------------> a worker's fork
//!                          \---> silent: it waits in the set ---bytes---/
//!                                                            \--max_idle_time--> closed
//! ```
//!
//! A program in which clients speak first would only wait for them, and its fork could serve nobody else meanwhile. A program that
//! speaks first, or of which that is not known, gets each connection at once.
//!
//! All workers wait in one epoll set. So a connection that was silent goes to a worker that has nothing to do.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use warmfork_linux::gate::Offer;
use warmfork_memory::HostFile;

use super::control::{Control, RETRY_DELAY};
use super::statistics::Statistics;
use crate::error::EngineError;

/// The token of the stop eventfd. Listening sockets have their index, and silent connections numbers from [`FIRST_SILENT`] on.
const STOP: u64 = u64::MAX;
const FIRST_SILENT: u64 = 1 << 32;

/// Most silent connections that are kept, and of the descriptors that this process may have: the one that has waited longest is
/// closed for one more.
const MAX_SILENT: u64 = 1024;
const SHARE_OF_DESCRIPTORS: u64 = 4;

/// The listening sockets of a server, and its silent connections.
pub struct Acceptor {
    control: Arc<Control>,
    set: OwnedFd,
    listeners: Arc<Vec<Arc<HostFile>>>,
    /// Clients speak first, and may take this long for it.
    patience: Option<Duration>,
    silent: Mutex<Silent>,
    /// Most of these.
    most: usize,
}

/// Connections without a byte so far, by number: those that came first have the lowest. The lock is held for moments, and with no
/// other.
#[derive(Default)]
struct Silent {
    waiting: BTreeMap<u64, (Offer, Option<Instant>)>,
    accepted: u64,
}

impl Acceptor {
    /// One for `listeners`. With a `patience`, connections whose clients say nothing wait as long for it.
    ///
    /// # Errors
    /// The host's refusal of an epoll set.
    pub fn new(
        listeners: Arc<Vec<Arc<HostFile>>>,
        patience: Option<Duration>,
        control: Arc<Control>,
    ) -> Result<Self, EngineError> {
        let make = || {
            let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            epoll::add(&set, &control.stop, epoll::EventData::new_u64(STOP), epoll::EventFlags::IN)?;
            for (listener, token) in listeners.iter().zip(0..) {
                epoll::add(&set, listener, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?;
            }
            Ok(set)
        };
        let refused = |error: Errno| EngineError::Host { operation: "waiting for connections", source: error.into() };
        let set = make().map_err(refused)?;
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(MAX_SILENT.min(descriptors / SHARE_OF_DESCRIPTORS)).unwrap_or(0);
        Ok(Self { control, set, listeners, patience, silent: Mutex::default(), most })
    }

    /// The next connection for a fork. `None` when the server stops, or when it was another worker's after all. `busy` says
    /// whether the worker's last attempt found a connection at once: a busy server has another already.
    pub fn accept(&self, busy: &Cell<bool>) -> Option<Offer> {
        // With several listening sockets, one would keep the worker from the others.
        if busy.take()
            && self.listeners.len() == 1
            && let Some(offer) = self.take(0)
        {
            busy.set(true);
            return Some(offer);
        }
        let timeout = self.close_idle();
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }];
        // One event at a time: others stay for the other workers.
        if epoll::wait(&self.set, &mut events[..], timeout.as_ref()).unwrap_or(0) == 0 {
            return None;
        }
        let token = events[0].data.u64();
        if (FIRST_SILENT..STOP).contains(&token) {
            return self.lock().waiting.remove(&token).map(|(offer, _)| self.release(offer));
        }
        let offer = self.take(usize::try_from(token).unwrap_or(usize::MAX));
        busy.set(offer.is_some());
        offer
    }

    /// A connection that has come to the listening socket `index` and is ready for a fork, if there is one.
    fn take(&self, index: usize) -> Option<Offer> {
        let listener = self.listeners.get(index)?;
        // `None` when another worker took it, or the client has gone again.
        let offer = Offer::accept(listener).unwrap_or_else(|error| {
            log::error!("accepting a connection failed: {error}; trying again in {:?}", RETRY_DELAY);
            self.control.pause();
            None
        })?;
        self.admit(offer)
    }

    /// Counts a new connection, and gives it back if it is ready for a fork.
    pub fn admit(&self, offer: Offer) -> Option<Offer> {
        Statistics::add(&self.control.statistics.connections, 1);
        match self.patience.filter(|_| is_silent(&offer)) {
            Some(patience) => self.keep(offer, patience),
            None => Some(offer),
        }
    }

    /// Keeps a connection until it has bytes; gives it back if the host refuses to watch it.
    fn keep(&self, offer: Offer, patience: Duration) -> Option<Offer> {
        let mut silent = self.lock();
        let token = FIRST_SILENT + silent.accepted;
        silent.accepted += 1;
        let watched = epoll::add(&self.set, &offer.connection, epoll::EventData::new_u64(token), epoll::EventFlags::IN);
        if watched.is_err() {
            return Some(offer);
        }
        // No instant is so late as without a limit.
        silent.waiting.insert(token, (offer, Instant::now().checked_add(patience)));
        if silent.waiting.len() > self.most
            && let Some((_, (offer, _))) = silent.waiting.pop_first()
        {
            self.close(offer);
        }
        None
    }

    /// Closes the connections whose clients have said nothing for too long; the time until the next one is due.
    fn close_idle(&self) -> Option<Timespec> {
        self.patience?;
        let mut silent = self.lock();
        let now = Instant::now();
        while let Some(first) = silent.waiting.first_entry() {
            let left = first.get().1?.saturating_duration_since(now);
            if !left.is_zero() {
                return Timespec::try_from(left).ok();
            }
            let (_, (offer, _)) = first.remove_entry();
            self.close(offer);
        }
        None
    }

    fn close(&self, offer: Offer) {
        Statistics::add(&self.control.statistics.idle, 1);
        drop(self.release(offer));
    }

    /// Watches the connection of `offer` no more.
    fn release(&self, offer: Offer) -> Offer {
        // It is in the set: nothing else takes it out.
        let _ = epoll::delete(&self.set, &offer.connection);
        offer
    }

    fn lock(&self) -> MutexGuard<'_, Silent> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the client of `offer` has said nothing, and is still there. Reading would take the error of one that is gone.
fn is_silent(offer: &Offer) -> bool {
    let mut set = [PollFd::new(&offer.connection, PollFlags::IN)];
    rustix::event::poll(&mut set, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0)
}
