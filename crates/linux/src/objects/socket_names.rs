//! The names of host sockets: binding, getsockname(2), getpeername(2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::SocketAddrAny;
use warmfork_abi::Errno;
use warmfork_abi::socket::{AF_INET6, AF_UNIX, IPV6_V6ONLY, SOL_IPV6};

use crate::host::errno;
use crate::objects::address::{Address, plain};
use crate::objects::frozen_names::{FrozenNames, HeldAddress};
use crate::objects::options::Name;
use crate::objects::socket::Socket;

impl Socket {
    /// bind(2), to an address that the policy allows.
    ///
    /// # Errors
    /// The host's own; EADDRINUSE for an address of the snapshot's sockets, which the host would share.
    pub fn bind(&mut self, address: &SocketAddrAny, frozen: &FrozenNames) -> Result<(), Errno> {
        self.own()?;
        let internet = SocketAddr::try_from(address.clone()).ok();
        // One that has a name already is refused by the host.
        let unbound = matches!(self.host_name(), Ok(Address::Internet(own)) if own.port() == 0);
        if unbound && internet.is_some_and(|internet| frozen.has_address(&self.held(internet))) {
            return Err(Errno::EADDRINUSE);
        }
        rustix::net::bind(self.handle(), address).map_err(errno)?;
        self.asked_for_port = internet.is_some_and(|address| address.port() != 0);
        self.note_address();
        Ok(())
    }

    /// Notes the address that the host has bound it to.
    pub(super) fn note_address(&mut self) {
        self.address = match self.host_name() {
            Ok(Address::Internet(address)) if address.port() != 0 => Some(address),
            _ => None,
        };
    }

    /// Its own Internet address, given by the host if it has none yet.
    ///
    /// # Errors
    /// The host's own.
    pub(crate) fn autobind(&mut self) -> Result<SocketAddr, Errno> {
        self.own()?;
        if self.address.is_none() {
            self.note_address(); // a send that failed binds, too
        }
        if self.address.is_none() {
            let any: SocketAddr = match self.family {
                AF_INET6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
                _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
            };
            rustix::net::bind(self.handle(), &any).map_err(errno)?;
            self.note_address();
        }
        self.address.ok_or(Errno::EADDRNOTAVAIL)
    }

    /// Adds its name to `names`, if it has one of its own.
    pub(crate) fn add_name(&self, names: &mut FrozenNames) {
        // An accepted connection has the name of its listening socket.
        if !self.accepted() {
            let file = self.bound.as_ref().and_then(|bound| bound.file.as_deref().cloned());
            names.add(self.address.map(|address| self.held(address)), file);
        }
    }

    /// `address` as it holds it, or would.
    fn held(&self, address: SocketAddr) -> HeldAddress {
        HeldAddress { stream: self.is_stream(), address: plain(address), only_v6: self.only_v6() }
    }

    /// Whether it is an IPv6 socket that IPv4 does not reach.
    #[must_use]
    pub(crate) fn only_v6(&self) -> bool {
        let value = Name { level: SOL_IPV6, name: IPV6_V6ONLY }.on_host(self.handle(), 4);
        self.family == AF_INET6 && value.is_ok_and(|value| value != [0; 4])
    }

    /// As [`Self::note_address`], for a datagram socket: its name changes with its peer, but for a port that it has, which
    /// another one of the host's may stand for in a fork.
    pub(super) fn note_datagram_address(&mut self) {
        let before = self.address;
        if self.is_datagram() {
            self.note_address();
            if let (Some(now), Some(before)) = (&mut self.address, before) {
                now.set_port(before.port());
            }
        }
    }

    fn host_name(&self) -> Result<Address, Errno> {
        Ok(Address::from_host(rustix::net::getsockname(self.handle()).map_err(errno)?))
    }

    /// getsockname(2)
    ///
    /// # Errors
    /// The host's own.
    pub fn name(&self) -> Result<Address, Errno> {
        match (&self.bound, self.address) {
            (Some(bound), _) => Ok(Address::Path(bound.path.clone())),
            // A fork's own socket has another port.
            (None, Some(address)) if self.is_datagram() => Ok(Address::Internet(address)),
            (None, _) => self.host_name(),
        }
    }

    /// The guest's name of the socket that the host knows as `host`, if that is this one.
    #[must_use]
    pub fn guest_name(&self, host: &[u8]) -> Option<&[u8]> {
        self.bound.as_ref().filter(|bound| bound.host == host).map(|bound| &bound.path[..])
    }

    /// getpeername(2)
    ///
    /// # Errors
    /// ENOTCONN; the host's own.
    pub fn peer(&self) -> Result<Address, Errno> {
        if let Some((_, name)) = &self.local.peer {
            return Ok(name.clone());
        }
        let address = rustix::net::getpeername(self.handle()).map_err(errno)?;
        match &self.connected {
            Some(path) => Ok(Address::Path(path.clone())),
            None => Ok(address.map_or_else(|| self.unnamed(), Address::from_host)),
        }
    }

    /// Its peer, by the name that the host has for it.
    pub(super) fn host_peer(&self) -> Option<Address> {
        rustix::net::getpeername(self.handle()).ok().flatten().map(Address::from_host)
    }

    pub(super) fn unnamed(&self) -> Address {
        if self.family == AF_UNIX { Address::Unnamed } else { Address::Unspecified }
    }
}
