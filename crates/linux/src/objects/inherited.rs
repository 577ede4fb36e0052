//! Sockets that a fork has from its snapshot. The host has them once, for all forks: what a guest does to one must not
//! reach it, for a reset could not undo it and other forks would notice.
//!
//! ```text
//!   neither bound nor connected    the fork opens one of its own when it first uses it
//!   datagrams, at no port that     likewise, connected to the same peer; the guest goes on to see the name that it had
//!   the program has asked for
//!   a stream, only bound           likewise once it connects; it listens for the machine's own processes alone
//!   listening, or at such a port   options and shutdown(2) are written down here, listen(2) has happened already; what comes
//!                                  to it goes to the fork that takes it first
//!   connected by a stream          ends (outside.rs), or was to be kept: bytes go to and come from the one that there is
//! ```

use std::net::SocketAddr;

use rustix::net::{SocketAddrAny, SocketAddrUnix};
use warmfork_abi::Errno;
use warmfork_abi::socket::{SHUT_RD, SHUT_WR};

use crate::events::Events;
use crate::host::errno;
use crate::objects::address::Address;
use crate::objects::options::Options;
use crate::objects::socket::Socket;

/// What a fork did to an inherited socket.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inherited {
    /// The fork makes one of its own when it uses it.
    renewal: Option<Renewal>,
    /// The options that it set.
    pub options: Options,
    /// It listens since, where the machine's own processes find it.
    pub listens: bool,
    /// It receives no more.
    pub no_receive: bool,
    /// It sends no more.
    pub no_send: bool,
}

/// What a fork makes in the place of a socket that it inherited.
#[derive(Clone, PartialEq, Debug, Default)]
struct Renewal {
    /// It is bound here, at any port.
    at: Option<SocketAddr>,
    /// It is connected to this, which the host knows by this name.
    peer: Option<Address>,
}

impl Inherited {
    /// shutdown(2)
    pub fn shut(&mut self, how: u32) {
        self.no_receive |= how != SHUT_WR;
        self.no_send |= how != SHUT_RD;
    }

    /// What poll(2) says in addition to what the host's socket is ready for.
    #[must_use]
    pub fn events(&self) -> Events {
        let mut events = Events::empty();
        events.set(Events::IN | Events::RDNORM | Events::RDHUP, self.no_receive);
        events.set(Events::HUP, self.no_receive && self.no_send);
        events
    }
}

impl Socket {
    /// From now on the socket is one that forks share.
    pub fn share(&mut self) {
        if self.inherited.is_none() {
            self.inherited = Some(Inherited { renewal: self.renewal(), ..Inherited::default() });
        }
    }

    fn renewal(&self) -> Option<Renewal> {
        if self.listening() {
            return None;
        }
        if self.is_datagram() {
            let named = self.bound.is_some() || self.local.name.is_some() || self.asked_for_port;
            return (!named).then(|| Renewal {
                at: self.address.map(|address| SocketAddr::new(address.ip(), 0)),
                peer: if self.has_peer() { self.host_peer() } else { None },
            });
        }
        let unbound = match self.name() {
            Ok(Address::Internet(address)) => address.port() == 0,
            Ok(Address::Unnamed) => true,
            _ => false,
        };
        (unbound && !self.has_peer()).then(Renewal::default)
    }

    /// Whether it is a datagram socket that a fork has to make anew before it can be asked what it is ready for.
    pub(super) fn is_stale(&self) -> bool {
        self.is_datagram() && self.inherited.as_ref().is_some_and(|inherited| inherited.renewal.is_some())
    }

    /// Gives the fork a host socket of its own in the place of one that it inherited, if it is to have one.
    ///
    /// # Errors
    /// The host's refusal of a socket, or of its peer.
    pub(crate) fn own(&mut self) -> Result<(), Errno> {
        match self.inherited.as_ref().and_then(|inherited| inherited.renewal.clone()) {
            Some(renewal) => self.renew(&renewal),
            None => Ok(()),
        }
    }

    /// As [`Self::own`], for one that is about to connect: its port stays its snapshot's.
    ///
    /// # Errors
    /// As [`Self::own`].
    pub(super) fn own_to_connect(&mut self) -> Result<(), Errno> {
        self.own()?;
        let bound = self.is_stream() && !self.listening() && !self.has_peer();
        match self.address {
            Some(address) if bound && self.inherited.is_some() => {
                self.renew(&Renewal { at: Some(SocketAddr::new(address.ip(), 0)), peer: None })
            }
            _ => Ok(()),
        }
    }

    /// A socket of the host with the same options that nothing is done with: it knows their values, and which may be set.
    ///
    /// # Errors
    /// The host's refusal of a socket.
    pub(crate) fn like(&self) -> Result<Self, Errno> {
        Self::with_options(self.family, self.kind, self.protocol, &self.options)
    }

    /// Opens a socket of the host with these options.
    ///
    /// # Errors
    /// The host's refusal of a socket.
    pub(super) fn with_options(family: u16, kind: u32, protocol: u32, options: &Options) -> Result<Self, Errno> {
        let mut socket = Self::open(family, kind, protocol)?;
        options.apply(socket.handle());
        socket.options = options.clone();
        Ok(socket)
    }

    fn renew(&mut self, renewal: &Renewal) -> Result<(), Errno> {
        let own = self.like()?;
        if let Some(at) = renewal.at {
            rustix::net::bind(own.handle(), &at).map_err(errno)?;
        }
        if let Some(peer) = renewal.peer.as_ref().and_then(host_address) {
            rustix::net::connect(own.handle(), &peer).map_err(errno)?;
        }
        self.continue_with(own.handle().clone());
        self.inherited = None;
        Ok(())
    }
}

fn host_address(address: &Address) -> Option<SocketAddrAny> {
    match address {
        Address::Internet(address) => Some((*address).into()),
        Address::Path(path) => SocketAddrUnix::new(&path[..]).ok().map(Into::into),
        Address::Abstract(name) => SocketAddrUnix::new_abstract_name(name).ok().map(Into::into),
        Address::Unnamed | Address::Unspecified => None,
    }
}
