//! Host sockets of a fork's own in the place of those that it has from its snapshot; `inherited.rs` says which.

use std::net::SocketAddr;

use rustix::net::{SocketAddrAny, SocketAddrUnix};
use warmfork_abi::Errno;

use crate::host::errno;
use crate::objects::address::Address;
use crate::objects::inherited::Renewal;
use crate::objects::options::Options;
use crate::objects::socket::Socket;

impl Socket {
    /// The socket that a fork makes in its place, if it is to have one of its own.
    pub(super) fn renewal(&self) -> Option<Renewal> {
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

    /// Whether it is a datagram socket that a fork has to make anew before it can be asked for its readiness.
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
