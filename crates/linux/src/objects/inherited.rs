//! Sockets that a fork has from its snapshot. The host has each of them once, for all forks. A guest's changes must not reach
//! the host's socket: a reset could not undo them, and other forks would notice.
//!
//! ```text
//!   neither bound nor connected    the fork opens one of its own when it first uses it
//!   datagrams, at no port that     likewise, connected to the same peer; the guest still sees the old name
//!   the program has asked for
//!   a stream, only bound           likewise once it connects; it listens for the machine's own processes alone
//!   listening, or at such a port   options and shutdown(2) are written down here, listen(2) has happened already; the fork
//!                                  that takes a connection or a datagram first has it
//!   connected by a stream          ends (outside.rs); or is kept: all forks use the host's one
//! ```

use std::net::SocketAddr;

use warmfork_abi::socket::{SHUT_RD, SHUT_WR};

use crate::events::Events;
use crate::objects::address::Address;
use crate::objects::options::Options;

/// The changes that a fork made to an inherited socket.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inherited {
    /// The fork makes one of its own when it uses it.
    pub(super) renewal: Option<Renewal>,
    /// The options that it set.
    pub options: Options,
    /// It listens since, where the machine's own processes find it.
    pub listens: bool,
    /// It receives no more.
    pub no_receive: bool,
    /// It sends no more.
    pub no_send: bool,
}

/// The socket that a fork makes in the place of one that it inherited.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Renewal {
    /// It is bound here, at any port.
    pub(super) at: Option<SocketAddr>,
    /// It is connected to this, which the host knows by this name.
    pub(super) peer: Option<Address>,
}

impl Inherited {
    /// shutdown(2)
    pub fn shut(&mut self, how: u32) {
        self.no_receive |= how != SHUT_WR;
        self.no_send |= how != SHUT_RD;
    }

    /// The events of poll(2) in addition to those of the host's socket.
    #[must_use]
    pub fn events(&self) -> Events {
        let mut events = Events::empty();
        events.set(Events::IN | Events::RDNORM | Events::RDHUP, self.no_receive);
        events.set(Events::HUP, self.no_receive && self.no_send);
        events
    }
}
