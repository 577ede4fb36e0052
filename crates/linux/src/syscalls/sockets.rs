//! Making sockets and their connections.
//!
//! The policy decides about each address that a guest binds, listens at or connects to. A denial is EACCES and one
//! line in the log.

use std::net::SocketAddr;

use rustix::net::SocketAddrAny;
use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_INET, AF_INET6, AF_UNIX, SHUT_RDWR, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_SEQPACKET,
    SOCK_STREAM, SOCKADDR_STORAGE_SIZE,
};

use crate::call::{Call, Stop, SyscallResult};
use crate::files::{Description, DescriptionId, Events, O_RDWR};
use crate::objects::address::Address;
use crate::objects::pair::PairEnd;
use crate::objects::socket::Socket;
use crate::objects::{Context, Object};
use crate::policy::Rule;
use crate::syscalls::pipes::open_two;

/// The type and the flags in the second argument of socket(2) and socketpair(2).
fn kind_and_flags(call: &Call<'_>) -> Result<(u32, u32), Errno> {
    let (kind, flags) = (call.uint(1) & 0xf, call.uint(1) & !0xf);
    if flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    match kind {
        SOCK_STREAM | SOCK_DGRAM | SOCK_SEQPACKET => Ok((kind, flags)),
        SOCK_RAW => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// socket(2)
pub fn socket(call: &mut Call<'_>) -> SyscallResult {
    let (family, protocol) = (call.uint(0), call.uint(2));
    let (kind, flags) = kind_and_flags(call)?;
    let family = u16::try_from(family).map_err(|_| Errno::EAFNOSUPPORT)?;
    check_protocol(family, kind, protocol)?;
    let socket = Socket::open(family, kind, protocol)?;
    call.open(Object::Socket(socket), O_RDWR | flags & SOCK_NONBLOCK, flags & SOCK_CLOEXEC != 0)
}

/// Only what the policy understands: TCP, UDP and Unix sockets.
fn check_protocol(family: u16, kind: u32, protocol: u32) -> Result<(), Errno> {
    const TCP: u32 = 6;
    const UDP: u32 = 17;
    let known = match (family, kind) {
        (AF_UNIX, _) => matches!(protocol, 0 | 1),
        (AF_INET | AF_INET6, SOCK_STREAM) => matches!(protocol, 0 | TCP),
        (AF_INET | AF_INET6, SOCK_DGRAM) => matches!(protocol, 0 | UDP),
        (AF_INET | AF_INET6, _) => return Err(Errno::ESOCKTNOSUPPORT),
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    if known { Ok(()) } else { Err(Errno::EPROTONOSUPPORT) }
}

/// socketpair(2)
pub fn socketpair(call: &mut Call<'_>) -> SyscallResult {
    let (kind, flags) = kind_and_flags(call)?;
    match (call.uint(0), call.uint(2)) {
        (family, 0 | 1) if family == u32::from(AF_UNIX) => {}
        (family, _) if family == u32::from(AF_UNIX) => return Err(Errno::EPROTONOSUPPORT.into()),
        (family, _) if family == u32::from(AF_INET) || family == u32::from(AF_INET6) => {
            return Err(Errno::EOPNOTSUPP.into());
        }
        _ => return Err(Errno::EAFNOSUPPORT.into()),
    }
    let (one, other) = PairEnd::create(&mut call.kernel.shared.pairs, kind);
    let status = O_RDWR | flags & SOCK_NONBLOCK;
    let address = call.args[3];
    open_two(call, [(Object::Pair(one), status), (Object::Pair(other), status)], flags & SOCK_CLOEXEC != 0, address)
}

/// The host socket behind `id`.
///
/// # Errors
/// ENOTSOCK for what is no socket, `pair` for one end of a socketpair.
pub(crate) fn host_socket<'a>(
    call: &'a mut Call<'_>,
    id: DescriptionId,
    pair: Errno,
) -> Result<(&'a mut Socket, Context<'a>), Errno> {
    match call.object(id) {
        (Object::Socket(socket), context) => Ok((socket, context)),
        (Object::Pair(_), _) => Err(pair),
        _ => Err(Errno::ENOTSOCK),
    }
}

/// The address of `length` bytes at `address`.
pub(crate) fn read_address(call: &mut Call<'_>, address: u64, length: i32) -> Result<Address, Errno> {
    let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
    if length > SOCKADDR_STORAGE_SIZE {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; SOCKADDR_STORAGE_SIZE];
    call.memory().read(address, &mut bytes[..length])?;
    Address::decode(&bytes[..length])
}

/// Writes as much of `value` as the buffer of `*length` bytes at `address` takes, and its whole length to `length`.
pub(crate) fn write_address(call: &mut Call<'_>, address: u64, length: u64, value: &Address) -> Result<(), Errno> {
    let memory = call.memory();
    let room = usize::try_from(memory.read_u32(length)?.cast_signed()).map_err(|_| Errno::EINVAL)?;
    let bytes = value.encode();
    memory.write(address, &bytes[..room.min(bytes.len())])?;
    Ok(memory.write_u32(length, u32::try_from(bytes.len()).map_err(|_| Errno::EINVAL)?)?)
}

/// Refuses what the policy does not allow, with a line in the log.
fn denied(call: &mut Call<'_>, doing: &str, address: SocketAddr, flag: &str) -> Errno {
    call.host.deny(format!("{doing} {address} is denied: {flag}={address} would allow it"));
    Errno::EACCES
}

/// The address to connect or send to from an IPv4 or IPv6 (`internet`) or Unix socket, as the host takes it, when the policy allows it; `None` for AF_UNSPEC.
pub(crate) fn destination(
    call: &mut Call<'_>,
    internet: bool,
    address: &Address,
) -> Result<Option<SocketAddrAny>, Errno> {
    match address {
        Address::Unspecified => Ok(None),
        Address::Internet(_) if !internet => Err(Errno::EINVAL),
        Address::Internet(address) => {
            if !call.kernel.policy.may_connect(address) {
                return Err(denied(call, "connecting to", *address, "--allow-connect"));
            }
            Ok(Some(SocketAddrAny::from(*address)))
        }
        _ if internet => Err(Errno::EAFNOSUPPORT),
        _ => {
            call.host.deny("connecting to Unix sockets by name is not supported".to_owned());
            Err(Errno::EACCES)
        }
    }
}

/// bind(2)
pub fn bind(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, length) = (call.args[1], call.int(2));
    let socket = host_socket(call, id, Errno::EINVAL)?.0.clone();
    let local = match read_address(call, address, length)? {
        Address::Internet(local) if socket.is_internet() => local,
        // Linux takes AF_UNSPEC with an address of zeroes for INADDR_ANY.
        Address::Unspecified if socket.family == AF_INET && length >= 16 => unspecified(call, address)?,
        Address::Internet(_) | Address::Unspecified => return Err(Errno::EINVAL.into()),
        _ if socket.is_internet() => return Err(Errno::EAFNOSUPPORT.into()),
        _ => {
            call.host.deny("binding Unix sockets to a name is not supported".to_owned());
            return Err(Errno::EACCES.into());
        }
    };
    if !may_bind(call, &socket, &local) {
        return Err(denied(call, "binding to", local, "--allow-listen").into());
    }
    host_socket(call, id, Errno::EINVAL)?.0.bind(&SocketAddrAny::from(local))?;
    Ok(0)
}

fn unspecified(call: &mut Call<'_>, address: u64) -> Result<SocketAddr, Errno> {
    let mut bytes: [u8; 16] = call.memory().read_array(address)?;
    bytes[..2].copy_from_slice(&AF_INET.to_le_bytes());
    match Address::decode(&bytes)? {
        Address::Internet(local) if local.ip().is_unspecified() => Ok(local),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// Whether the policy lets `socket` have the local address. Any free port is nothing more than what connecting or
/// sending takes anyway; whether a stream socket may listen there is asked at listen(2).
fn may_bind(call: &Call<'_>, socket: &Socket, local: &SocketAddr) -> bool {
    let policy = &call.kernel.policy;
    let any_port = local.port() == 0 && (socket.is_stream() || policy.rules().connect != Rule::Nothing);
    any_port || policy.may_listen(local)
}

/// listen(2)
pub fn listen(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let backlog = call.int(1);
    let (socket, _) = host_socket(call, id, Errno::EINVAL)?;
    if let Address::Internet(local) = socket.name()?
        && !call.kernel.policy.may_listen(&local)
    {
        return Err(denied(call, "listening at", local, "--allow-listen").into());
    }
    let (socket, mut context) = host_socket(call, id, Errno::EINVAL)?;
    socket.listen(&mut context, backlog)?;
    Ok(0)
}

/// connect(2)
pub fn connect(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, length) = (call.args[1], call.int(2));
    let internet = host_socket(call, id, Errno::EISCONN)?.0.is_internet();
    let address = read_address(call, address, length)?;
    let target = destination(call, internet, &address)?;
    let (socket, mut context) = host_socket(call, id, Errno::EISCONN)?;
    match socket.connect(&mut context, target.as_ref()) {
        Ok(()) => Ok(0),
        Err(error @ (Errno::EINPROGRESS | Errno::EALREADY)) => {
            // Trying again when the socket is writable gives the outcome.
            let timeout = socket.send_timeout;
            let deadline = timeout.map(|timeout| call.deadline_after(timeout));
            match call.block_on(id, Events::OUT, false, deadline) {
                Stop::Error(_) if !call.kernel.files.description(id).nonblocking() => Err(Errno::EINPROGRESS.into()),
                Stop::Error(_) => Err(error.into()),
                stop => Err(stop),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// accept(2)
pub fn accept(call: &mut Call<'_>) -> SyscallResult {
    accept_with(call, 0)
}

/// accept4(2)
pub fn accept4(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(3);
    accept_with(call, flags)
}

fn accept_with(call: &mut Call<'_>, flags: u32) -> SyscallResult {
    if flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let id = call.description_id(call.int(0))?;
    let (address, length) = (call.args[1], call.args[2]);
    let limit = call.kernel.process.file_limit();
    if !call.kernel.files.has_room(limit) {
        return Err(Errno::EMFILE.into());
    }
    let (listener, mut context) = host_socket(call, id, Errno::EINVAL)?;
    let timeout = listener.receive_timeout;
    let (socket, peer) = match listener.accept(&mut context, address != 0) {
        Err(Errno::EAGAIN) => {
            let deadline = timeout.map(|timeout| call.deadline_after(timeout));
            return Err(call.block_on(id, Events::IN, false, deadline));
        }
        result => result?,
    };
    let description = Description::new(Object::Socket(socket), O_RDWR | flags & SOCK_NONBLOCK);
    let accepted = call.kernel.files.insert(description);
    call.kernel.shared.gate.accepted(accepted);
    if let Some(peer) = peer
        && let Err(error) = write_address(call, address, length, &peer)
    {
        call.kernel.release(call.host, accepted);
        return Err(error.into());
    }
    let fd = call.kernel.files.install(accepted, 0, limit, flags & SOCK_CLOEXEC != 0)?;
    Ok(u64::from(fd.unsigned_abs()))
}

/// getsockname(2)
pub fn getsockname(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, length) = (call.args[1], call.args[2]);
    let name = match call.object(id).0 {
        Object::Socket(socket) => socket.name()?,
        Object::Pair(_) => Address::Unnamed,
        _ => return Err(Errno::ENOTSOCK.into()),
    };
    write_address(call, address, length, &name)?;
    Ok(0)
}

/// getpeername(2)
pub fn getpeername(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, length) = (call.args[1], call.args[2]);
    let name = match call.object(id).0 {
        Object::Socket(socket) => socket.peer()?,
        Object::Pair(_) => Address::Unnamed,
        _ => return Err(Errno::ENOTSOCK.into()),
    };
    write_address(call, address, length, &name)?;
    Ok(0)
}

/// shutdown(2)
pub fn shutdown(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let how = call.uint(1);
    if how > SHUT_RDWR {
        return Err(Errno::EINVAL.into());
    }
    match call.object(id) {
        (Object::Socket(socket), mut context) => socket.shutdown(&mut context, how)?,
        (Object::Pair(pair), mut context) => pair.shutdown(&mut context, how),
        _ => return Err(Errno::ENOTSOCK.into()),
    }
    Ok(0)
}
