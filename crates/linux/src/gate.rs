//! The serving gate: which connections come to a guest through the listening sockets that it is served on.
//!
//! A worker accepts a connection itself and offers it to its fork. The fork's listening socket polls readable only
//! while it has an offer, and accept hands that out; further ones are not seen. Closing or shutting down the
//! connection ends the request. So a fork never takes a connection that it can't serve, and does not run at all while
//! there is none.
//!
//! A fork that is not reset accepts by itself; then the gate only counts, until it is shut.
//!
//! Before the freeze a program accepts only the client that warms it up: the bytes of any other client would be in every
//! fork. The gate holds the connections of other clients, and they go to forks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketAddrUnix, SocketFlags};
use warmfork_memory::HostFile;

use crate::events::DescriptionId;
use crate::objects::options::SetOption;
use crate::objects::received::Speaker;

/// The connections that a gate lets in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Admission {
    /// Every connection.
    #[default]
    Any,
    /// This process's own client; others are held.
    Own,
    /// The one that a worker offers.
    Offers,
    /// Nothing.
    Nothing,
}

/// Which connections a fork serves, and whether they are over. Of one machine alone: no snapshot has it.
#[derive(Debug, Default)]
pub struct Gate {
    admission: Admission,
    /// The listening sockets that it stands before, if any. It leaves the guest's other ones alone.
    listeners: Option<Arc<Vec<Arc<HostFile>>>>,
    /// Connections for the guest.
    offers: Vec<Offer>,
    /// The number of offers so far.
    offered: u64,
    /// Connections that this guest must not accept: forks of its snapshot will.
    held: Vec<Offer>,
    /// The client that warms the program up, once there is one.
    client: Option<OwnClient>,
    connections: BTreeSet<DescriptionId>,
    accepted: u64,
    ended: u64,
    /// Who said something first, over the connections that were accepted and have ended: clients, the guest.
    first: (bool, bool),
    /// The program's doings while it is offered a silent connection; see `early_accept.rs`.
    early: Option<EarlyAccept>,
}

/// A connection that waits for its guest.
#[derive(Clone, PartialEq, Debug)]
pub struct Offer {
    /// The listening socket that it came to.
    pub listener: Arc<HostFile>,
    /// The host's socket of the connection.
    pub connection: Arc<HostFile>,
    /// Whom it came from, where accepting it has told.
    pub peer: Option<SocketAddrAny>,
}

impl Offer {
    /// A connection that has come to `listener`, which does not block, if there is one that has not gone again.
    ///
    /// # Errors
    /// The host's refusal of a descriptor.
    pub fn accept(listener: &Arc<HostFile>) -> Result<Option<Self>, Errno> {
        match rustix::net::acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok((connection, peer)) => {
                Ok(Some(Self { listener: listener.clone(), connection: HostFile::socket(connection), peer }))
            }
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Joins `held`, those that wait for the program to be ready; it is closed when there are too many.
    pub fn hold(self, held: &mut Vec<Self>) {
        if held.len() < MAX_HELD {
            held.push(self);
        } else {
            log::warn!("a connection is closed: {MAX_HELD} wait for the program to be ready");
        }
    }
}

/// More strangers than these wait in vain: as many as a listening socket of Linux's has waiting by default.
const MAX_HELD: usize = 4096;

/// The names by which a client is known, which nobody else has while it is connected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientName {
    /// Of TCP: both ends. Others may have the port of one of them at another address.
    Internet {
        /// The client's own address.
        from: SocketAddr,
        /// The address that it connects to.
        to: SocketAddr,
    },
    /// The abstract name of a Unix socket. Its process is not enough: guests of other machines are this process's too.
    Unix(Vec<u8>),
}

impl ClientName {
    /// The name of a Unix client, which is bound to one.
    ///
    /// # Errors
    /// The host's own; EINVAL for a socket without an abstract name.
    pub fn unix(client: impl AsFd) -> Result<Self, Errno> {
        Self::unix_named(rustix::net::getsockname(client)?).ok_or(Errno::INVAL)
    }

    fn unix_named(address: SocketAddrAny) -> Option<Self> {
        Some(Self::Unix(SocketAddrUnix::try_from(address).ok()?.abstract_name()?.to_vec()))
    }

    /// The name of the client that made `connection`, which was accepted.
    fn of(connection: &HostFile) -> Option<Self> {
        let (peer, own) = (rustix::net::getpeername(connection).ok()??, rustix::net::getsockname(connection).ok()?);
        match (SocketAddr::try_from(peer.clone()), SocketAddr::try_from(own)) {
            (Ok(from), Ok(to)) => Some(Self::Internet { from, to }.plain()),
            _ => Self::unix_named(peer),
        }
    }

    /// Without what only one of the ends may know: that an address is mapped, a scope.
    fn plain(self) -> Self {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        match self {
            Self::Internet { from, to } => Self::Internet { from: plain(from), to: plain(to) },
            name @ Self::Unix(_) => name,
        }
    }
}

/// The client that warms a program up. The lock is held for moments, and with no other.
#[derive(Clone, Debug, Default)]
pub struct OwnClient(Arc<Mutex<Option<ClientName>>>);

impl OwnClient {
    /// It connects by `connect`, which must not wait and returns its name. Nobody is taken for it, or for a stranger,
    /// before that is known.
    ///
    /// # Errors
    /// Those of `connect`.
    pub fn connects(&self, connect: impl FnOnce() -> std::io::Result<ClientName>) -> std::io::Result<()> {
        let mut name = self.name();
        *name = None;
        *name = Some(connect()?.plain());
        Ok(())
    }

    /// It does not connect any more: the next client with its name is a stranger.
    pub fn is_gone(&self) {
        *self.name() = None;
    }

    fn name(&self) -> MutexGuard<'_, Option<ClientName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `connection`, which was accepted, is its.
    #[must_use]
    pub fn made(&self, connection: &HostFile) -> bool {
        let name = ClientName::of(connection);
        name.is_some() && *self.name() == name
    }
}

/// A connection that was accepted early.
#[derive(Clone, PartialEq, Debug)]
pub struct Accepted {
    /// The listening socket that it came to.
    pub listener: Arc<HostFile>,
    /// The description that it was accepted as.
    pub id: DescriptionId,
    /// The options that were set on it since.
    pub options: Vec<SetOption>,
}

/// A program's doings since it was offered a silent connection.
#[derive(Debug, Default)]
struct EarlyAccept {
    accepted: Option<Accepted>,
    /// It did something that each fork has to do by itself.
    disqualified: bool,
}

impl EarlyAccept {
    fn is_about(&self, id: DescriptionId) -> bool {
        self.accepted.as_ref().is_some_and(|accepted| accepted.id == id)
    }
}

impl Gate {
    /// A gate before `listeners` that lets everything in, first the `waiting` connections, and counts.
    #[must_use]
    pub fn open(listeners: Arc<Vec<Arc<HostFile>>>, waiting: Vec<Offer>) -> Self {
        Self { listeners: Some(listeners), offered: waiting.len() as u64, offers: waiting, ..Self::default() }
    }

    /// From now on nobody is let in but the client that is returned; others are held.
    pub fn admit_own(&mut self) -> OwnClient {
        self.admission = Admission::Own;
        self.held.append(&mut self.offers);
        self.client.get_or_insert_default().clone()
    }

    /// Lets everybody in again, the held connections first.
    pub fn admit_any(&mut self) {
        self.admission = Admission::Any;
        self.offered += self.held.len() as u64;
        self.offers.append(&mut self.held);
    }

    /// Whether a connection that came to `listener` may be let in; else it is held.
    pub fn admits(&mut self, listener: &Arc<HostFile>, connection: &Arc<HostFile>) -> bool {
        if self.admission != Admission::Own || self.client.as_ref().is_some_and(|client| client.made(connection)) {
            return true;
        }
        Offer { listener: listener.clone(), connection: connection.clone(), peer: None }.hold(&mut self.held);
        false
    }

    /// The connections that are held or were not taken.
    pub fn take_waiting(&mut self) -> Vec<Offer> {
        let mut waiting = std::mem::take(&mut self.held);
        waiting.append(&mut self.offers);
        waiting
    }

    /// A gate before `listeners` that lets in one connection.
    #[must_use]
    pub fn offering(listeners: Arc<Vec<Arc<HostFile>>>, offer: Offer) -> Self {
        Self { admission: Admission::Offers, listeners: Some(listeners), offers: vec![offer], ..Self::default() }
    }

    /// A gate before `listeners` that lets nothing in, for the guest has its connection already: description `id`.
    #[must_use]
    pub fn serving(listeners: Arc<Vec<Arc<HostFile>>>, id: DescriptionId) -> Self {
        let (listeners, connections) = (Some(listeners), BTreeSet::from([id]));
        Self { admission: Admission::Offers, listeners, connections, accepted: 1, ..Self::default() }
    }

    /// Lets nothing in any more.
    pub fn shut(&mut self) {
        self.admission = Admission::Nothing;
        self.offers.clear();
    }

    /// Whether `listener` shows its guest offers alone, and not the connections that clients make to it.
    #[must_use]
    pub fn guards(&self, listener: &Arc<HostFile>) -> bool {
        matches!(self.admission, Admission::Offers | Admission::Nothing) && self.stands_before(listener)
    }

    /// Whether `listener` has an offer to show.
    #[must_use]
    pub fn has_offer(&self, listener: &Arc<HostFile>) -> bool {
        self.offers.iter().any(|offer| offer.listener == *listener)
    }

    /// How many offers there have been: more than before when one has come since.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// Hands out the connection offered on `listener`.
    pub fn take_offer(&mut self, listener: &Arc<HostFile>) -> Option<Offer> {
        let first = self.offers.iter().position(|offer| offer.listener == *listener)?;
        Some(self.offers.remove(first))
    }

    /// A connection that came to `listener` was accepted as `id`.
    pub fn accepted(&mut self, listener: &Arc<HostFile>, id: DescriptionId) {
        if let Some(early) = &mut self.early {
            early.disqualified |= early.accepted.is_some();
            early.accepted = Some(Accepted { listener: listener.clone(), id, options: Vec::new() });
        }
        if self.stands_before(listener) {
            self.accepted += 1;
            self.connections.insert(id);
        }
    }

    /// Description `id` was closed for good, or its sending side shut down.
    pub fn closed(&mut self, id: DescriptionId) {
        if let Some(early) = &mut self.early {
            early.disqualified |= early.is_about(id);
        }
        if self.connections.remove(&id) {
            self.ended += 1;
        }
    }

    /// Over a connection that was accepted and ends, `speaker` said something first.
    pub(crate) fn spoke_first(&mut self, speaker: Speaker) {
        let (peer, guest) = &mut self.first;
        *(if speaker == Speaker::Peer { peer } else { guest }) = true;
    }

    /// Whether clients spoke first over all connections that were accepted, and there was one.
    #[must_use]
    pub fn clients_speak_first(&self) -> bool {
        self.first == (true, false)
    }

    /// An option of description `id`, a socket, was set.
    pub(crate) fn option_set(&mut self, id: DescriptionId, option: impl FnOnce() -> SetOption) {
        let Some(early) = &mut self.early else { return };
        match &mut early.accepted {
            Some(accepted) if accepted.id == id => accepted.options.push(option()),
            _ => early.disqualified = true,
        }
    }

    /// The program is about to be offered a connection that says nothing: from now on it is watched.
    pub fn watch_early_accept(&mut self) {
        self.early = Some(EarlyAccept::default());
    }

    /// Stops watching the program. The connection that it accepted meanwhile, if everything that it did is the same for
    /// every client at any time.
    pub(crate) fn take_early_accept(&mut self) -> Option<Accepted> {
        let early = self.early.take()?;
        early.accepted.filter(|_| !early.disqualified)
    }

    /// Whether the program is watched.
    #[must_use]
    pub(crate) fn is_watching(&self) -> bool {
        self.early.is_some()
    }

    /// The program did something that each fork has to do itself.
    pub(crate) fn disqualify(&mut self) {
        if let Some(early) = &mut self.early {
            early.disqualified = true;
        }
    }

    /// Whether it has done something while it was watched that each fork has to do itself.
    #[must_use]
    pub fn is_disqualified(&self) -> bool {
        self.early.as_ref().is_some_and(|early| early.disqualified)
    }

    /// Whether it has accepted a connection since it is watched.
    #[must_use]
    pub(crate) fn has_accepted_early(&self) -> bool {
        self.early.as_ref().is_some_and(|early| early.accepted.is_some())
    }

    /// Whether description `id` is the connection that it was watched accepting.
    #[must_use]
    pub(crate) fn is_accepted_early(&self, id: DescriptionId) -> bool {
        self.early.as_ref().is_some_and(|early| early.is_about(id))
    }

    /// The connection that it has let in, where it lets in one.
    #[must_use]
    pub fn only_connection(&self) -> Option<DescriptionId> {
        let one = self.admission == Admission::Offers && self.connections.len() == 1;
        self.connections.first().copied().filter(|_| one)
    }

    /// The listening sockets that it stands before, if any.
    pub(crate) fn listeners(&self) -> Option<Arc<Vec<Arc<HostFile>>>> {
        self.listeners.clone()
    }

    fn stands_before(&self, listener: &Arc<HostFile>) -> bool {
        self.listeners.as_ref().is_some_and(|listeners| listeners.contains(listener))
    }

    /// Whether everything that was let in has been served, and nothing more will come.
    #[must_use]
    pub fn finished(&self) -> bool {
        match self.admission {
            Admission::Any | Admission::Own => false,
            Admission::Offers => self.ended > 0,
            Admission::Nothing => self.connections.is_empty(),
        }
    }

    /// Connections accepted since the gate was made, and how many of them the guest has ended.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.accepted, self.ended)
    }
}

#[cfg(test)]
mod tests;
