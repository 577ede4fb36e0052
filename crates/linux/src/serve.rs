//! The serving gate: one connection for each pristine fork.
//!
//! A worker accepts a connection itself and offers it to its fork. The fork's listening socket polls readable only
//! while it has an offer, and accept hands that out; further ones are not seen. Closing or shutting down the
//! connection ends the request. So a fork never takes a connection that it can't serve, and does not run at all while
//! there is none.

use crate::files::DescriptionId;
use crate::poller::HostHandle;

/// Which connections a guest may accept.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Admission {
    /// Whatever comes to its listening sockets.
    #[default]
    Any,
    /// Only what a worker offers.
    Offered,
}

/// Which connection a fork serves, and whether it is over.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Gate {
    admission: Admission,
    offer: Option<Offer>,
    connection: Option<DescriptionId>,
    accepted: u64,
    finished: bool,
}

/// A connection that waits for its guest.
#[derive(Clone, PartialEq, Debug)]
struct Offer {
    listener: HostHandle,
    connection: HostHandle,
}

impl Gate {
    /// A gate that lets `admission` in.
    #[must_use]
    pub fn new(admission: Admission) -> Self {
        Self { admission, ..Self::default() }
    }

    /// Whether listening sockets take connections from the host (true) or only offers (false).
    #[must_use]
    pub fn admits_any(&self) -> bool {
        self.admission == Admission::Any
    }

    /// Offers a connection that came to the guest's listening socket `listener`.
    pub fn offer(&mut self, listener: HostHandle, connection: HostHandle) {
        self.offer = Some(Offer { listener, connection });
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

    /// A connection was accepted as `id`.
    pub fn accepted(&mut self, id: DescriptionId) {
        self.accepted += 1;
        if self.admission == Admission::Offered {
            self.connection = Some(id);
        }
    }

    /// Description `id` was closed for good, or its sending side shut down.
    pub fn closed(&mut self, id: DescriptionId) {
        if self.connection == Some(id) {
            self.connection = None;
            self.finished = true;
        }
    }

    /// Whether the offered connection has been served.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Connections accepted since the gate was made.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.accepted
    }
}
