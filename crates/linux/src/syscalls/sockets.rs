//! Making sockets and their connections.
//!
//! The policy decides about each address that a guest binds, listens at or connects to. A denial is EACCES and one
//! line in the log.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_RDWR;
use warmfork_abi::socket::{
    AF_INET, AF_INET6, AF_UNIX, SHUT_RDWR, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_SEQPACKET,
    SOCK_STREAM, SOL_UDPLITE,
};

use crate::call::{Call, Stop, SyscallResult};
use crate::events::{DescriptionId, Events};
use crate::files::Description;
use crate::objects::address::Address;
use crate::objects::pair::PairEnd;
use crate::objects::socket::{Bound, Socket};
use crate::objects::{Context, Object};
use crate::syscalls::names::{as_guest_knows, check_listening, destination, local, read_address, write_address};
use crate::syscalls::pipes::open_two;
use crate::syscalls::within;
use crate::wait::Wait;

/// One more than the highest socket type that Linux knows.
const SOCK_MAX: u32 = 11;

/// The type and the flags in the second argument of socket(2) and socketpair(2).
fn kind_and_flags(call: &Call<'_>) -> Result<(u32, u32), Errno> {
    let (kind, flags) = (call.uint(1) & 0xf, call.uint(1) & !0xf);
    if flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    match kind {
        SOCK_STREAM | SOCK_DGRAM | SOCK_SEQPACKET => Ok((kind, flags)),
        SOCK_RAW => Err(Errno::EPERM),
        SOCK_MAX.. => Err(Errno::EINVAL),
        _ => Err(Errno::ESOCKTNOSUPPORT),
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

/// Allows only sockets that the policy understands: TCP, UDP, UDP-Lite and Unix.
fn check_protocol(family: u16, kind: u32, protocol: u32) -> Result<(), Errno> {
    const TCP: u32 = 6;
    const UDP: u32 = 17;
    let known = match (family, kind) {
        (AF_UNIX, _) => matches!(protocol, 0 | 1),
        (AF_INET | AF_INET6, SOCK_STREAM) => matches!(protocol, 0 | TCP),
        (AF_INET | AF_INET6, SOCK_DGRAM) => matches!(protocol, 0 | UDP | SOL_UDPLITE),
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
    let asking = call.kernel.process().credentials();
    let (one, other) = PairEnd::create(&mut call.kernel.shared.pairs, kind, asking);
    let status = O_RDWR | flags & SOCK_NONBLOCK;
    let address = call.args[3];
    open_two(call, [(Object::Pair(one), status), (Object::Pair(other), status)], flags & SOCK_CLOEXEC != 0, address)
}

/// The host socket behind `id`.
///
/// # Errors
/// ENOTSOCK for another kind of descriptor, `pair` for one end of a socketpair.
fn host_socket<'a>(
    call: &'a mut Call<'_>,
    id: DescriptionId,
    pair: Errno,
) -> Result<(&'a mut Socket, Context<'a>), Errno> {
    match call.object(id) {
        (Object::Socket(socket), context) => Ok((socket, context)),
        (Object::Pair(_) | Object::Tcp(_), _) => Err(pair),
        _ => Err(Errno::ENOTSOCK),
    }
}

/// bind(2)
pub fn bind(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, length) = (call.args[1], call.int(2));
    let socket = match host_socket(call, id, Errno::EINVAL) {
        Ok((socket, _)) => Some(socket.clone()),
        // A pair refuses too, but not before the address has been read.
        Err(Errno::EINVAL) => None,
        Err(error) => return Err(error.into()),
    };
    let name = read_address(call, address, length)?;
    let socket = socket.ok_or(Errno::EINVAL)?;
    let name = match name {
        // Linux takes AF_UNSPEC with an address of zeroes for INADDR_ANY.
        Address::Unspecified if socket.family == AF_INET && length >= 16 => unspecified(call, address)?,
        name => name,
    };
    let local = local(call, &socket, &name)?;
    let host_name = local.address.clone().ok_or(Errno::EINVAL)?;
    let file = if let Address::Path(path) = &name { local.socket_file(call, path) } else { None };
    let (socket, context) = host_socket(call, id, Errno::EINVAL)?;
    socket.bind(&host_name, &context.shared.frozen_names)?;
    if let (Address::Path(path), Address::Path(host)) = (name, Address::from_host(host_name)) {
        socket.bound = Some(Bound { path, host, file });
    }
    within::named(socket, context.shared);
    Ok(0)
}

fn unspecified(call: &mut Call<'_>, address: u64) -> Result<Address, Errno> {
    let mut bytes: [u8; 16] = call.memory().read_array(address)?;
    bytes[..2].copy_from_slice(&AF_INET.to_le_bytes());
    match Address::decode(&bytes)? {
        Address::Internet(local) if local.ip().is_unspecified() => Ok(Address::Internet(local)),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// listen(2)
pub fn listen(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let backlog = call.int(1);
    let (socket, _) = host_socket(call, id, Errno::EINVAL)?;
    let local = socket.name()?;
    check_listening(call, &local)?;
    let (socket, mut context) = host_socket(call, id, Errno::EINVAL)?;
    socket.listen(&mut context, backlog)?;
    Ok(0)
}

/// connect(2) of a connection without the host: it was made at once, which a call that did not wait has yet to be told, or
/// its peer was outside and has gone while it was made.
fn connect_again(call: &mut Call<'_>, id: DescriptionId) -> SyscallResult {
    let (address, length) = (call.args[1], call.int(2));
    let address = read_address(call, address, length)?;
    let (Object::Tcp(end), context) = call.object(id) else { return Err(Errno::ENOTSOCK.into()) };
    if address == Address::Unspecified {
        let socket = end.disconnect(&mut context.shared.connections)?;
        *call.object(id).0 = Object::Socket(socket);
        return Ok(0);
    }
    if let Some(error) = end.take_error(&mut context.shared.connections) {
        return Err(error.into());
    }
    if std::mem::take(&mut end.connecting) { Ok(0) } else { Err(Errno::EISCONN.into()) }
}

/// How long a connect(2) to a socket of the machine's own whose queue is full sleeps before it tries again, in nanoseconds.
const QUEUE_FULL: u64 = 2_000_000;

/// connect(2)
pub fn connect(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, length) = (call.args[1], call.int(2));
    if let Object::Tcp(_) = call.object(id).0 {
        return connect_again(call, id);
    }
    let family = host_socket(call, id, Errno::EISCONN)?.0.family;
    let address = read_address(call, address, length)?;
    let target = destination(call, family, &address)?;
    let within = match address {
        Address::Internet(address) => within::connect_tcp(call, id, address),
        _ => within::connect(call, id, &target, &address),
    };
    if let Object::Tcp(_) = call.object(id).0 {
        return Ok(within.unwrap_or(Ok(())).map(|()| 0)?);
    }
    let (socket, mut context) = match within {
        Some(Ok(())) => return Ok(0),
        _ => host_socket(call, id, Errno::EISCONN)?,
    };
    let timeout = socket.send_timeout;
    let error = match within.unwrap_or_else(|| socket.connect(&mut context, target.address.as_ref())) {
        Ok(()) => {
            socket.connected = if let Address::Path(path) = address { Some(path) } else { None };
            return Ok(0);
        }
        Err(error) => error,
    };
    let nonblocking = call.kernel.files.description(id).nonblocking();
    match error {
        Errno::EINPROGRESS | Errno::EALREADY if !nonblocking => {
            // Trying again when the socket is writable gives the outcome.
            let deadline = timeout.map(|timeout| call.deadline_after(timeout));
            match call.block_on(id, Events::OUT, false, deadline) {
                Stop::Error(_) => Err(Errno::EINPROGRESS.into()),
                stop => Err(stop),
            }
        }
        // The listener's queue is full, and nothing tells when it no longer is.
        Errno::EAGAIN if within.is_some() && !nonblocking => {
            Err(Stop::Block(Wait::until(Some(call.host.monotonic().saturating_add(QUEUE_FULL)))))
        }
        error => Err(error.into()),
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
    let named = call.args[1] != 0;
    let limit = call.kernel.process().file_limit();
    if !call.kernel.process().descriptors.has_room(limit) {
        return Err(Errno::EMFILE.into());
    }
    let (listener, mut context) = host_socket(call, id, Errno::EINVAL)?;
    if let Some(end) = listener.local.accept() {
        let peer = end.peer();
        return hand_out(call, end.into(), Some(peer), flags);
    }
    let timeout = listener.receive_timeout;
    let (socket, peer) = match listener.accept(&mut context, named) {
        Err(Errno::EAGAIN) => {
            let deadline = timeout.map(|timeout| call.deadline_after(timeout));
            return Err(call.block_on(id, Events::IN, false, deadline));
        }
        result => result?,
    };
    hand_out(call, Object::Socket(socket), peer, flags)
}

/// Opens an accepted connection, having told the guest where it came from when it wants to know.
fn hand_out(call: &mut Call<'_>, connection: Object, peer: Option<Address>, flags: u32) -> SyscallResult {
    let (listener, address, length) = (call.description_id(call.int(0))?, call.args[1], call.args[2]);
    let from_host = matches!(connection, Object::Socket(_));
    let accepted = call.kernel.files.insert(Description::new(connection, O_RDWR | flags & SOCK_NONBLOCK));
    if from_host {
        let came_to = host_socket(call, listener, Errno::EINVAL)?.0.handle().clone();
        call.host.gate.accepted(&came_to, accepted);
    }
    if address != 0
        && let Some(peer) = peer.map(|peer| as_guest_knows(call, peer))
        && let Err(error) = write_address(call, address, length, &peer)
    {
        call.kernel.release(call.host, accepted);
        return Err(error.into());
    }
    let limit = call.kernel.process().file_limit();
    let fd = call.kernel.process_mut().descriptors.install(accepted, 0, limit, flags & SOCK_CLOEXEC != 0)?;
    Ok(u64::from(fd.unsigned_abs()))
}

/// getsockname(2)
pub fn getsockname(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, length) = (call.args[1], call.args[2]);
    let name = match call.object(id).0 {
        Object::Socket(socket) => socket.name()?,
        Object::Pair(pair) => pair.name.clone(),
        Object::Tcp(end) => Address::Internet(end.name),
        _ => return Err(Errno::ENOTSOCK.into()),
    };
    write_address(call, address, length, &name)?;
    Ok(0)
}

/// getpeername(2)
pub fn getpeername(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, length) = (call.args[1], call.args[2]);
    let name = match call.object(id) {
        (Object::Socket(socket), _) => socket.peer()?,
        (Object::Pair(pair), _) => pair.peer_name.clone(),
        (Object::Tcp(end), context) => Address::Internet(end.peer(&context.shared.connections)?),
        _ => return Err(Errno::ENOTSOCK.into()),
    };
    let name = as_guest_knows(call, name);
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
        (Object::Tcp(end), context) => end.shutdown(&mut context.shared.connections, how)?,
        _ => return Err(Errno::ENOTSOCK.into()),
    }
    Ok(0)
}
