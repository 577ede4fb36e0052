//! Sockets of the host: TCP, UDP, named Unix sockets (to the machine's own processes these lead as [`Local`] says).
//!
//! The host's socket is always non-blocking; the description says whether the guest's blocks. `inherited.rs` has sockets in forks,
//! and `outside.rs` connections.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::net::{AddressFamily, Protocol, Shutdown, SocketAddrAny, SocketFlags, SocketType};
use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_INET, AF_INET6, SHUT_RD, SHUT_RDWR, SHUT_WR, SO_ERROR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET,
};
use warmfork_abi::stat::Metadata;
use warmfork_memory::HostFile;

use crate::edges::HostEdges;
use crate::events::Events;
use crate::host::errno;
use crate::metadata::host_metadata;
use crate::objects::address::Address;
use crate::objects::frozen_names::SocketFile;
use crate::objects::inherited::Inherited;
use crate::objects::local::Local;
use crate::objects::option_values::read_int;
use crate::objects::options::{Name, Options};
use crate::objects::received::Conversation;
use crate::objects::{Context, Operations};
use crate::wait_queues::Queue;

/// The name of a Unix socket that is bound to a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// As the guest gave it.
    pub path: Vec<u8>,
    /// As the host knows it.
    pub host: Vec<u8>,
    /// Where that is, if it was still there.
    pub file: Option<Box<SocketFile>>,
}

/// The role of a socket in its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Client,
    Server,
}

/// A socket of the host.
#[derive(Clone, PartialEq, Debug)]
pub struct Socket {
    handle: Arc<HostFile>,
    /// AF_INET, AF_INET6 or AF_UNIX.
    pub family: u16,
    /// SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    pub kind: u32,
    /// The protocol's number, 0 for the default one.
    pub protocol: u32,
    listening: bool,
    /// The options that the guest has set, at any time.
    pub options: Options,
    /// SO_RCVTIMEO in nanoseconds.
    pub receive_timeout: Option<u64>,
    /// SO_SNDTIMEO in nanoseconds.
    pub send_timeout: Option<u64>,
    /// SO_LINGER as the guest set it: on, seconds. The host gets only values that cannot block it.
    pub linger: (bool, u32),
    /// TCP_CORK has been set on it: the guest decides itself which bytes leave together.
    pub corked: bool,
    /// Its role in the connection that it has, or has had.
    role: Option<Role>,
    /// The Internet address that it was connected to.
    pub to: Option<SocketAddr>,
    /// The program has chosen the port that it is bound to.
    pub asked_for_port: bool,
    /// An error that the next call tells, as it was at a freeze.
    pub error: Option<Errno>,
    /// The path that it is bound to.
    pub bound: Option<Bound>,
    /// The Internet address that it is bound to, as the guest knows it.
    pub address: Option<SocketAddr>,
    /// The guest path that it is connected to.
    pub connected: Option<Vec<u8>>,
    /// SO_PASSCRED, of a Unix socket.
    pub pass_credentials: bool,
    /// The part of it that the machine's own processes see.
    pub local: Box<Local>,
    edges: HostEdges,
    /// How far the conversation over it has come.
    pub conversation: Conversation,
    /// It is its snapshot's too: the guest's changes, which do not reach the host's socket.
    pub inherited: Option<Inherited>,
}

impl Socket {
    /// Opens a socket of the host.
    ///
    /// # Errors
    /// The host's own.
    pub fn open(family: u16, kind: u32, protocol: u32) -> Result<Self, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let number = std::num::NonZero::new(protocol).map(Protocol::from_raw);
        let fd = rustix::net::socket_with(AddressFamily::from_raw(family), SocketType::from_raw(kind), flags, number)
            .map_err(errno)?;
        Ok(Self::new(HostFile::socket(fd), family, kind, protocol))
    }

    fn new(handle: Arc<HostFile>, family: u16, kind: u32, protocol: u32) -> Self {
        Self {
            handle,
            family,
            kind,
            protocol,
            listening: false,
            options: Options::default(),
            receive_timeout: None,
            send_timeout: None,
            linger: (false, 0),
            corked: false,
            role: None,
            to: None,
            asked_for_port: false,
            error: None,
            bound: None,
            address: None,
            connected: None,
            pass_credentials: false,
            local: Box::default(),
            edges: HostEdges::default(),
            conversation: Conversation::default(),
            inherited: None,
        }
    }

    /// Goes on with another socket of the host.
    pub(crate) fn continue_with(&mut self, handle: Arc<HostFile>) {
        self.handle = handle;
    }

    /// The host's socket.
    #[must_use]
    pub fn handle(&self) -> &Arc<HostFile> {
        &self.handle
    }

    /// Its inode number, 0 if the host does not tell.
    #[must_use]
    pub fn inode(&self) -> u64 {
        host_metadata(self.handle.as_fd()).map_or(0, |metadata| metadata.inode)
    }

    /// Whether it listens.
    #[must_use]
    pub fn listening(&self) -> bool {
        self.listening
    }

    /// Whether it has, or has had, a peer that is reached through the host.
    #[must_use]
    pub fn has_peer(&self) -> bool {
        self.role.is_some()
    }

    /// Whether it is a connection that the program accepted.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.role == Some(Role::Server)
    }

    /// Whether it carries a stream.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.kind == SOCK_STREAM
    }

    /// Whether it sends datagrams without a connection.
    #[must_use]
    pub fn is_datagram(&self) -> bool {
        self.kind == SOCK_DGRAM
    }

    /// Whether it is an IPv4 or IPv6 socket.
    #[must_use]
    pub fn is_internet(&self) -> bool {
        matches!(self.family, AF_INET | AF_INET6)
    }

    /// Whether sent bytes may be held back until the guest's next call.
    pub(super) fn may_hold(&self) -> bool {
        self.is_internet() && self.is_stream() && !self.corked && self.inherited.is_none()
    }

    /// The connection has broken with `error` after the guest's last call: its next one says so.
    pub(crate) fn broke(&mut self, error: Errno) {
        self.error = Some(error);
    }

    /// listen(2)
    ///
    /// # Errors
    /// The host's own.
    pub fn listen(&mut self, context: &mut Context<'_>, backlog: i32) -> Result<(), Errno> {
        self.own()?;
        self.local.listen(context.asking, backlog);
        // The host's socket with that address is its snapshot's, for all forks.
        if !self.listening
            && (self.local.name.is_some() || self.address.is_some())
            && let Some(inherited) = &mut self.inherited
        {
            inherited.listens = true;
            self.listening = true;
            return Ok(());
        }
        if let Some(inherited) = &self.inherited {
            return if self.listening && !inherited.no_receive { Ok(()) } else { Err(Errno::EADDRINUSE) };
        }
        rustix::net::listen(&self.handle, backlog).map_err(errno)?;
        context.host.changed(&self.handle);
        self.listening = true;
        self.note_address();
        Ok(())
    }

    /// connect(2), to an address that the policy allows; `None` dissolves the association.
    ///
    /// # Errors
    /// The host's own: EINPROGRESS and EALREADY while a connection is being made.
    pub fn connect(&mut self, context: &mut Context<'_>, address: Option<&SocketAddrAny>) -> Result<(), Errno> {
        self.own_to_connect()?;
        context.host.changed(&self.handle);
        if self.local.peer.take().is_some() && address.is_none() {
            return Ok(());
        }
        match address {
            None if self.inherited.is_some() && self.listening && self.is_internet() => {
                self.shutdown(context, SHUT_RDWR)
            }
            Some(_) if self.listens_within() => Err(Errno::EISCONN),
            // Another peer for a socket that others use, or none.
            _ if self.inherited.is_some() && (address.is_none() || self.is_datagram()) => Err(Errno::EOPNOTSUPP),
            Some(address) => {
                let connected = rustix::net::connect(&self.handle, address).map_err(errno);
                if matches!(connected, Ok(()) | Err(Errno::EINPROGRESS)) {
                    self.role = Some(Role::Client);
                    self.to = SocketAddr::try_from(address.clone()).ok();
                    self.note_datagram_address();
                } else if connected != Err(Errno::EALREADY) && connected != Err(Errno::EISCONN) {
                    self.role = None;
                }
                connected
            }
            None => {
                rustix::net::connect_unspec(&self.handle).map_err(errno)?;
                (self.role, self.to) = (None, None);
                self.note_datagram_address();
                Ok(())
            }
        }
    }

    /// accept(2): the connection, and the peer's address when `named`.
    ///
    /// # Errors
    /// EAGAIN when there is none (with a serving gate: no offer); the host's own.
    pub fn accept(&mut self, context: &mut Context<'_>, named: bool) -> Result<(Self, Option<Address>), Errno> {
        if self.inherited.as_ref().is_some_and(|inherited| inherited.no_receive) {
            return Err(Errno::EINVAL);
        }
        let gate = &mut context.host.gate;
        let offered = if self.listening { gate.take_offer(&self.handle) } else { None };
        let (handle, address) = match offered {
            Some(offer) => (offer.connection, offer.peer.map(Address::from_host)),
            None if self.listening && gate.guards(&self.handle) => return Err(Errno::EAGAIN),
            None if self.listens_within() => return Err(Errno::EAGAIN),
            None => loop {
                let came = self.accept_from_host(named)?;
                if gate.admits(&self.handle, &came.0) {
                    break came;
                }
            },
        };
        let mut accepted = Self::new(handle, self.family, self.kind, self.protocol);
        accepted.role = Some(Role::Server);
        accepted.bound.clone_from(&self.bound);
        accepted.corked = self.corked;
        accepted.options = self.options.clone();
        (accepted.receive_timeout, accepted.send_timeout) = (self.receive_timeout, self.send_timeout);
        if let Some(inherited) = &self.inherited {
            inherited.options.apply(&accepted.handle);
        }
        match address {
            // The peer may be gone again already; its connection is handed out all the same.
            None if named => {
                let address = accepted.peer().unwrap_or_else(|_| self.unnamed());
                Ok((accepted, Some(address)))
            }
            address => Ok((accepted, address)),
        }
    }

    fn accept_from_host(&mut self, named: bool) -> Result<(Arc<HostFile>, Option<Address>), Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        if !named {
            let fd = rustix::net::accept_with(&self.handle, flags).map_err(errno)?;
            return Ok((HostFile::socket(fd), None));
        }
        let (fd, address) = rustix::net::acceptfrom_with(&self.handle, flags).map_err(errno)?;
        let address = address.map_or_else(|| self.unnamed(), Address::from_host);
        Ok((HostFile::socket(fd), Some(address)))
    }

    /// Whether it listens for the machine's own processes alone: the host's socket is its snapshot's, and does not listen.
    fn listens_within(&self) -> bool {
        self.inherited.as_ref().is_some_and(|inherited| inherited.listens)
    }

    /// The events of a listening socket with a connection that waits for this guest.
    fn offered(&self, context: &Context<'_>) -> Events {
        let offered = self.listening && context.host.gate.has_offer(&self.handle);
        if offered { Events::IN | Events::RDNORM } else { Events::empty() }
    }

    /// shutdown(2)
    ///
    /// # Errors
    /// The host's own; EINVAL for another `how`.
    pub fn shutdown(&mut self, context: &mut Context<'_>, how: u32) -> Result<(), Errno> {
        let direction = match how {
            SHUT_RD => Shutdown::Read,
            SHUT_WR => Shutdown::Write,
            _ => Shutdown::Both,
        };
        self.own()?;
        if let Err(error) = context.host.coalescer.hand_over(&self.handle) {
            self.broke(error);
        }
        if self.listening && how != SHUT_WR {
            self.local.shut(context.shared);
        }
        let result = match &mut self.inherited {
            Some(inherited) => {
                inherited.shut(how);
                Ok(())
            }
            None => rustix::net::shutdown(&self.handle, direction),
        };
        context.host.changed(&self.handle);
        if how != SHUT_RD {
            if result.is_ok() {
                // The end of the stream takes what was held back along.
                context.host.coalescer.let_go(&self.handle);
            }
            context.host.gate.closed(context.id);
        }
        result.map_err(errno)
    }
}

impl Operations for Socket {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        if at.is_some() {
            return Err(Errno::ESPIPE);
        }
        if let Some(received) = self.local.receive(context.shared, into, 0, false) {
            return Ok(received.length);
        }
        Ok(self.receive(into, 0, false)?.length)
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], at: Option<u64>) -> Result<usize, Errno> {
        if at.is_some() {
            return Err(Errno::ESPIPE);
        }
        if let Some(sent) = self.send_local(context, None, from, &[]) {
            return sent;
        }
        self.send(context.host, from, 0, None)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        let (own, not) = self.local.events(context.shared);
        if self.is_stale() && self.own().is_err() {
            return Events::ERR;
        }
        let error = if self.error.is_some() { Events::ERR } else { Events::empty() };
        let own = own | error | self.inherited.as_ref().map_or(Events::empty(), Inherited::events);
        if self.listening && context.host.gate.guards(&self.handle) {
            return own | self.offered(context);
        }
        if self.listens_within() {
            return own;
        }
        let events = context.host.poll(&self.handle, context.interest);
        own | self.offered(context) | (events - not)
    }

    fn queues(&self) -> [Option<Queue>; 2] {
        self.local.queues()
    }

    fn edges(&mut self, context: &mut Context<'_>, _events: Events) -> u64 {
        if self.is_stale() && self.own().is_err() {
            return 0;
        }
        let own = self.local.edges(context.shared);
        let shut = self.inherited.as_ref().map_or(0, |own| u64::from(own.no_receive) + u64::from(own.no_send));
        if self.listening && context.host.gate.guards(&self.handle) {
            // Numbers that no host gives out, so that an offer always counts as new in a fork.
            return u64::MAX - u64::from(!context.host.gate.has_offer(&self.handle)) - 2 * shut - 4 * own;
        }
        // Each only grows, so that the sum has no value twice.
        let offered = if self.listening { context.host.gate.offered() } else { 0 };
        let host = if self.listens_within() { 0 } else { self.edges.number(context.host, &self.handle) };
        host.wrapping_add(shut).wrapping_add(own).wrapping_add(offered)
    }

    fn available(&mut self, context: &mut Context<'_>) -> Result<usize, Errno> {
        let first = self.local.mailbox.and_then(|mailbox| context.shared.mailboxes.first(mailbox));
        if let Some(length) = first {
            return Ok(length);
        }
        let count = rustix::io::ioctl_fionread(&self.handle).map_err(errno)?;
        usize::try_from(count).map_err(|_| Errno::EINVAL)
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        host_metadata(self.handle.as_fd())
    }

    fn link_text(&self) -> Vec<u8> {
        format!("socket:[{}]", self.inode()).into_bytes()
    }

    fn receive_timeout(&self) -> Option<u64> {
        self.receive_timeout
    }

    fn send_timeout(&self) -> Option<u64> {
        self.send_timeout
    }

    fn close(&mut self, context: &mut Context<'_>) {
        if let Some(speaker) = self.conversation.first().filter(|_| self.accepted()) {
            context.host.gate.spoke_first(speaker);
        }
        if self.inherited.is_some() {
            context.shared.closed_names.extend(self.local.name.take());
        }
        self.local.close(context);
    }

    /// Notes its edges and its error.
    fn prepare_freeze(&mut self, context: &mut Context<'_>) {
        self.edges.freeze(context.host, &self.handle);
        if self.is_internet() && self.error.is_none() {
            let name = Name { level: SOL_SOCKET, name: SO_ERROR };
            let value = name.on_host(&self.handle, 4).ok().and_then(|value| read_int(&value).ok());
            self.error = value.filter(|&error| error != 0).map(Errno);
        }
    }

    fn share(&mut self) {
        if self.inherited.is_none() {
            self.inherited = Some(Inherited { renewal: self.renewal(), ..Inherited::default() });
        }
    }

    fn begin(&mut self) {
        self.edges.forget();
    }
}
