//! The serving gate: which connections come to a guest through the listening sockets that it is served on.
//!
//! A worker accepts a connection itself and offers it to its fork. The fork's listening socket polls readable only
//! while it has an offer, and accept hands that out; further ones are not seen. Closing or shutting down the
//! connection ends the request. So a fork never takes a connection that it can't serve, and does not run at all while
//! there is none.
//!
//! A fork that is not reset accepts by itself; then the gate only counts, until it is shut.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::files::DescriptionId;
use crate::poller::HostHandle;

/// What a gate lets in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Admission {
    /// Whatever comes.
    #[default]
    Any,
    /// What a worker offers.
    Offers,
    /// Nothing.
    Nothing,
}

/// Which connections a fork serves, and whether they are over.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Gate {
    admission: Admission,
    /// The listening sockets that it stands before. What a guest listens on besides is its own affair.
    listeners: Arc<Vec<HostHandle>>,
    offer: Option<Offer>,
    connections: BTreeSet<DescriptionId>,
    accepted: u64,
    ended: u64,
}

/// A connection that waits for its guest.
#[derive(Clone, PartialEq, Debug)]
struct Offer {
    listener: HostHandle,
    connection: HostHandle,
}

impl Gate {
    /// A gate before `listeners` that lets everything in, and counts.
    #[must_use]
    pub fn open(listeners: Arc<Vec<HostHandle>>) -> Self {
        Self { listeners, ..Self::default() }
    }

    /// A gate before `listeners` that lets in one connection, which came to `listener`.
    #[must_use]
    pub fn offering(listeners: Arc<Vec<HostHandle>>, listener: HostHandle, connection: HostHandle) -> Self {
        let offer = Some(Offer { listener, connection });
        Self { admission: Admission::Offers, listeners, offer, ..Self::default() }
    }

    /// Lets nothing in any more.
    pub fn shut(&mut self) {
        self.admission = Admission::Nothing;
        self.offer = None;
    }

    /// Whether `listener` shows its guest offers alone, and not what comes to it.
    #[must_use]
    pub fn guards(&self, listener: &HostHandle) -> bool {
        self.admission != Admission::Any && self.listeners.contains(listener)
    }

    /// Whether `listener` has an offer to show.
    #[must_use]
    pub fn has_offer(&self, listener: &HostHandle) -> bool {
        self.offer.as_ref().is_some_and(|offer| offer.listener == *listener)
    }

    /// Hands out the connection offered on `listener`.
    pub fn take_offer(&mut self, listener: &HostHandle) -> Option<HostHandle> {
        self.offer.take_if(|offer| offer.listener == *listener).map(|offer| offer.connection)
    }

    /// A connection that came to `listener` was accepted as `id`.
    pub fn accepted(&mut self, listener: &HostHandle, id: DescriptionId) {
        if self.listeners.contains(listener) {
            self.accepted += 1;
            self.connections.insert(id);
        }
    }

    /// Description `id` was closed for good, or its sending side shut down.
    pub fn closed(&mut self, id: DescriptionId) {
        if self.connections.remove(&id) {
            self.ended += 1;
        }
    }

    /// Whether everything that was let in has been served, and nothing more will come.
    #[must_use]
    pub fn finished(&self) -> bool {
        match self.admission {
            Admission::Any => false,
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
