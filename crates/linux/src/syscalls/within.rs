//! Sockets from one of the machine's processes to another: found by their names, connected without the host.
//!
//! The policy has been asked about the name before, as for any other. An Internet address is the machine's own where one
//! of its sockets is bound to it, or to its port at every address of this host.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_INET6, AF_UNIX, IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTOS, IP_RECVTTL, IPV6_MTU_DISCOVER, IPV6_RECVERR,
    IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, SO_RCVBUF, SO_SNDBUF, SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_UDP, UDP_CORK,
    UDP_SEGMENT,
};

use crate::call::Call;
use crate::events::DescriptionId;
use crate::ids::Credentials;
use crate::kernel::Kernel;
use crate::metadata::host_metadata_at;
use crate::objects::address::{Address, LocalName, in_family, plain};
use crate::objects::local::Connected;
use crate::objects::mailbox::Datagram;
use crate::objects::options::Name;
use crate::objects::pair::PairEnd;
use crate::objects::socket::Socket;
use crate::objects::tcp::TcpEnd;
use crate::objects::{Object, Shared};
use crate::syscalls::names::HostAddress;

/// Most connections of a machine that wait to be accepted: no descriptor counts for them any more.
const MAX_WAITING: usize = 8192;

/// Notes the name by which a socket that was just bound is found.
pub(super) fn named(socket: &mut Socket, shared: &mut Shared) {
    if socket.family != AF_UNIX {
        if socket.is_datagram() && socket.address.is_some() {
            socket.local.mailbox.get_or_insert_with(|| shared.mailboxes.create());
        }
        return;
    }
    socket.local.name = match (&socket.bound, socket.name()) {
        // If a process has removed the file already, nobody finds the socket.
        (Some(bound), _) => host_metadata_at(&bound.host).ok().map(|file| LocalName::File(file.device, file.inode)),
        (None, Ok(Address::Abstract(name))) => Some(LocalName::Abstract(name)),
        _ => None,
    };
    if socket.is_datagram() && socket.local.name.is_some() {
        socket.local.mailbox = Some(shared.mailboxes.create());
    }
}

impl Kernel {
    /// The machine's own Unix socket with this name.
    fn find_local(&self, name: Option<&LocalName>) -> Option<(DescriptionId, &Socket)> {
        let name = name?;
        self.files.descriptions().find_map(|(id, description)| match &description.object {
            Object::Socket(socket) if socket.local.name.as_ref() == Some(name) => Some((id, socket)),
            _ => None,
        })
    }
}

/// Where datagrams to `target` go, when that is one of the machine's own sockets.
pub(super) fn mailbox(call: &Call<'_>, target: &HostAddress) -> Option<u64> {
    call.kernel.find_local(target.local.as_ref())?.1.local.mailbox
}

/// Connects socket `id` to `target` when that is one of the machine's own and takes such connections. Returns the outcome,
/// or `None` when the host is to be asked.
pub(super) fn connect(
    call: &mut Call<'_>,
    id: DescriptionId,
    target: &HostAddress,
    address: &Address,
) -> Option<Result<(), Errno>> {
    let (listening, listener) = call.kernel.find_local(target.local.as_ref())?;
    let Object::Socket(socket) = &call.kernel.files.description(id).object else { return None };
    if socket.kind != listener.kind {
        return Some(Err(Errno::EPROTOTYPE));
    }
    if let Some(mailbox) = listener.local.mailbox {
        let Object::Socket(socket) = &mut call.kernel.files.description_mut(id).object else { return None };
        socket.local.peer = Some((mailbox, address.clone()));
        return Some(Ok(()));
    }
    if !listener.listening() || socket.listening() || socket.peer().is_ok() {
        return None;
    }
    let owner = match listener.local.room() {
        Ok(_) if waiting_connections(call.kernel) >= MAX_WAITING => return Some(Err(Errno::EAGAIN)),
        Ok(owner) => owner,
        Err(error) => return Some(Err(error)),
    };
    let maker = call.kernel.process().credentials();
    let (name, peer_name) = (socket.name().unwrap_or(Address::Unnamed), listener.name().unwrap_or(Address::Unnamed));
    let (socket, server_passes) = (socket.clone(), listener.pass_credentials);
    let pairs = &mut call.kernel.shared.pairs;
    let (mut client, mut server) = PairEnd::create(pairs, socket.kind, maker);
    (client.name, client.peer_name) = (name.clone(), peer_name.clone());
    (server.name, server.peer_name) = (peer_name, name);
    client.peer = owner;
    server.pass_credentials = server_passes;
    client.set_send_buffer(pairs, buffer(&socket, SO_SNDBUF));
    take_over(&mut client, &socket);
    call.kernel.files.description_mut(id).object = Object::Pair(client);
    if let Object::Socket(listener) = &mut call.kernel.files.description_mut(listening).object {
        listener.local.arrive(Connected::Pair(server));
    }
    Some(Ok(()))
}

/// The source of a connection to Internet address `to` that has no address of its own yet, as Linux's routes have it for
/// addresses of this host.
fn source(to: IpAddr) -> IpAddr {
    if to.is_ipv4() && to.is_loopback() { Ipv4Addr::LOCALHOST.into() } else { to }
}

/// Whether `ip` is an address of this host: only to such it sends from the very same one.
fn is_of_host(ip: IpAddr) -> bool {
    /// Any; nothing is sent there.
    const PORT: u16 = 9;
    if ip.is_loopback() {
        return true;
    }
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let Ok(probe) = rustix::net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None) else {
        return false;
    };
    let connected = rustix::net::connect(&probe, &SocketAddr::new(ip, PORT));
    let name = connected.and_then(|()| rustix::net::getsockname(&probe)).ok();
    name.and_then(|name| SocketAddr::try_from(name).ok()).is_some_and(|own| own.ip() == ip)
}

/// The address that a socket of `family` reaches at `address`; `None` for another family.
fn reached(family: u16, address: SocketAddr) -> Option<SocketAddr> {
    if address.is_ipv6() != (family == AF_INET6) {
        return None;
    }
    let address = plain(address);
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => {
            Some(SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), address.port()))
        }
        _ => Some(address),
    }
}

impl Kernel {
    /// The machine's own sockets, out of those that are `wanted`, that are bound to `to`; if there are none, those that are
    /// bound to its port at every address.
    fn find_internet(&self, to: SocketAddr, wanted: impl Fn(&Socket) -> bool) -> Vec<DescriptionId> {
        let (mut exact, mut everywhere) = (Vec::new(), Vec::new());
        for (id, description) in self.files.descriptions() {
            let Object::Socket(socket) = &description.object else { continue };
            let Some(own) = socket.address.map(plain).filter(|own| own.port() == to.port()) else { continue };
            if !wanted(socket) {
                continue;
            }
            if own.ip() == to.ip() {
                exact.push(id);
            } else if own.ip().is_unspecified() && (own.is_ipv4() == to.is_ipv4() || own.is_ipv6() && !socket.only_v6())
            {
                everywhere.push(id);
            }
        }
        match exact.is_empty() {
            true if !everywhere.is_empty() && is_of_host(to.ip()) => everywhere,
            _ => exact,
        }
    }
}

/// Connects TCP socket `id` to Internet address `address`, if one of the machine's own sockets listens there. Returns the
/// outcome, or `None` when the host is to be asked.
pub(super) fn connect_tcp(call: &mut Call<'_>, id: DescriptionId, address: SocketAddr) -> Option<Result<(), Errno>> {
    let Object::Socket(socket) = &call.kernel.files.description(id).object else { return None };
    if !socket.is_internet() || !socket.is_stream() || socket.listening() {
        return None;
    }
    let to = reached(socket.family, address)?;
    let listeners = call.kernel.find_internet(to, Socket::listening);
    if listeners.is_empty()
        || to.ip().is_ipv4() && socket.family == AF_INET6 && socket.only_v6()
        || socket.peer().is_ok()
    {
        return None;
    }
    let nonblocking = call.kernel.files.description(id).nonblocking();
    let (bound, client) = (socket.address, socket.clone());
    let port = bound.map_or_else(|| call.kernel.shared.connections.next_port(), |own| own.port());
    let ip = bound.map(|own| plain(own).ip()).filter(|ip| !ip.is_unspecified()).unwrap_or_else(|| source(to.ip()));
    // As Linux spreads connections over sockets that share a port.
    let listening = listeners[usize::from(port) % listeners.len()];
    let Object::Socket(listener) = &call.kernel.files.description(listening).object else { return None };
    let room = match listener.local.room() {
        // A non-blocking connect is in the queue at once. Linux would have it try again, later and later.
        Err(Errno::EAGAIN) if nonblocking => Ok(()),
        room => room.map(drop),
    };
    if let Err(error) = room {
        return Some(Err(error));
    }
    if waiting_connections(call.kernel) >= MAX_WAITING {
        return Some(Err(Errno::EAGAIN));
    }
    let listener = listener.clone();
    let names = (SocketAddr::new(ip, port), to);
    let (mut near, far) =
        TcpEnd::connect(&mut call.kernel.shared.connections, (&client, names.0), (&listener, names.1));
    near.connecting = nonblocking;
    call.kernel.files.description_mut(id).object = Object::Tcp(near);
    if let Object::Socket(listener) = &mut call.kernel.files.description_mut(listening).object {
        listener.local.arrive(Connected::Tcp(far));
    }
    Some(if nonblocking { Err(Errno::EINPROGRESS) } else { Ok(()) })
}

/// Sends a datagram of the Internet protocols from socket `id`, if it goes to one of the machine's own.
///
/// # Errors
/// EMSGSIZE for a long one; the host's refusal of an address to send from.
pub(super) fn send_internet(
    call: &mut Call<'_>,
    id: DescriptionId,
    to: Option<SocketAddr>,
    data: &[u8],
) -> Result<Option<usize>, Errno> {
    let Some((mailbox, from)) = internet_mailbox(call, id, to)? else { return Ok(None) };
    let datagram = Datagram { data: data.to_vec(), rights: Vec::new(), sender: Credentials::NOBODY, from };
    call.kernel.shared.mailboxes.deliver_or_lose(mailbox, datagram).map(Some)
}

/// The mailbox that a datagram from socket `id` goes to, and the name that it comes from, when one of the machine's own
/// sockets is bound to `to` (or to where `id` is connected to). Not where headers are looked at or set that only the host
/// has: those datagrams go through it, as all do that come from outside or go there.
fn internet_mailbox(
    call: &mut Call<'_>,
    id: DescriptionId,
    to: Option<SocketAddr>,
) -> Result<Option<(u64, Address)>, Errno> {
    let Object::Socket(socket) = &call.kernel.files.description(id).object else { return Ok(None) };
    if !socket.is_internet() || !socket.is_datagram() || has_headers(socket) {
        return Ok(None);
    }
    let (family, protocol) = (socket.family, socket.protocol);
    let Some(to) = to.or(socket.to).and_then(|to| reached(family, to)) else { return Ok(None) };
    let similar = |other: &Socket| other.is_datagram() && (other.protocol == protocol || is_udp(other, protocol));
    if call.kernel.find_internet(to, similar).is_empty() {
        return Ok(None);
    }
    let (Object::Socket(socket), context) = call.object(id) else { return Err(Errno::ENOTSOCK) };
    let own = socket.autobind()?;
    named(socket, context.shared);
    let ip = if own.ip().is_unspecified() { source(to.ip()) } else { plain(own).ip() };
    let from = SocketAddr::new(ip, own.port());
    // A connected one takes datagrams of its peer only.
    let takes = |other: &Socket| similar(other) && other.to.is_none_or(|peer| plain(peer) == from);
    let receivers = call.kernel.find_internet(to, takes);
    let Some(&receiver) = receivers.get(usize::from(from.port()) % receivers.len().max(1)) else { return Ok(None) };
    let Object::Socket(receiver) = &call.kernel.files.description(receiver).object else { return Ok(None) };
    if has_headers(receiver) {
        return Ok(None);
    }
    let name = Address::Internet(in_family(from, receiver.family));
    Ok(receiver.local.mailbox.map(|mailbox| (mailbox, name)))
}

/// Whether `socket` is a UDP socket, as is one of `protocol`: the default may be named or not.
fn is_udp(socket: &Socket, protocol: u32) -> bool {
    const UDP: u32 = 17;
    matches!(socket.protocol, 0 | UDP) && matches!(protocol, 0 | UDP)
}

/// Whether the guest has asked for something that only headers have: segmentation, time to live, class, errors.
fn has_headers(socket: &Socket) -> bool {
    const OPTIONS: [(u32, u32); 10] = [
        (SOL_UDP, UDP_SEGMENT),
        (SOL_UDP, UDP_CORK),
        (SOL_IP, IP_RECVERR),
        (SOL_IP, IP_RECVTTL),
        (SOL_IP, IP_RECVTOS),
        (SOL_IP, IP_MTU_DISCOVER),
        (SOL_IPV6, IPV6_RECVERR),
        (SOL_IPV6, IPV6_RECVHOPLIMIT),
        (SOL_IPV6, IPV6_RECVTCLASS),
        (SOL_IPV6, IPV6_MTU_DISCOVER),
    ];
    OPTIONS.iter().any(|&(level, name)| socket.options.get(Name { level, name }).is_some())
}

/// Connections that wait to be accepted by any of the machine's processes.
fn waiting_connections(kernel: &Kernel) -> usize {
    kernel.files.objects().map(waiting).sum()
}

/// Connections that wait to be accepted from this object.
fn waiting(object: &Object) -> usize {
    match object {
        Object::Socket(socket) => socket.local.waiting(),
        _ => 0,
    }
}

/// The options that a socket had before it was connected.
fn take_over(end: &mut PairEnd, socket: &Socket) {
    end.receive_timeout = socket.receive_timeout;
    end.send_timeout = socket.send_timeout;
    end.pass_credentials = socket.pass_credentials;
    end.receive_buffer = buffer(socket, SO_RCVBUF);
}

fn buffer(socket: &Socket, name: u32) -> usize {
    let mut value = [0; 4];
    let (level, name) = (SOL_SOCKET.cast_signed(), name.cast_signed());
    match warmfork_host::socket_option(socket.handle(), level, name, &mut value) {
        Ok(_) => usize::try_from(u32::from_le_bytes(value)).unwrap_or(usize::MAX),
        Err(_) => crate::objects::channel::DEFAULT_BUFFER,
    }
}
