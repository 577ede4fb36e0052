//! getsockopt and setsockopt: what reaches the host's socket (`objects/options.rs` has the list), and what is answered here.

use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_UNIX, SO_ACCEPTCONN, SO_BROADCAST, SO_DOMAIN, SO_DONTROUTE, SO_ERROR, SO_KEEPALIVE, SO_LINGER, SO_OOBINLINE,
    SO_PASSCRED, SO_PEERCRED, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVLOWAT, SO_RCVTIMEO, SO_REUSEADDR,
    SO_REUSEPORT, SO_SNDBUF, SO_SNDLOWAT, SO_SNDTIMEO, SO_TYPE, SOL_SOCKET, SOL_TCP, TCP_CORK, TCP_DEFER_ACCEPT,
};
use warmfork_memory::HostFile;

use crate::ahead::SetOption;
use crate::call::{Call, SyscallResult};
use crate::files::DescriptionId;
use crate::objects::channel::{DEFAULT_BUFFER, SMALLEST_BUFFER};
use crate::objects::options::{LARGEST, Name, read_int};
use crate::objects::pair::PairEnd;
use crate::objects::socket::{Credentials, Socket};
use crate::objects::tcp::TcpEnd;
use crate::objects::{Context, Object, Shared};
use crate::syscalls::time::{combine, timeval_bytes};

/// An `int` as the value of an option.
fn int(value: impl TryInto<i32>) -> Vec<u8> {
    value.try_into().unwrap_or(i32::MAX).to_le_bytes().to_vec()
}

/// A `struct timeval` of SO_RCVTIMEO and SO_SNDTIMEO as nanoseconds: zero is no timeout.
fn read_timeout(value: &[u8]) -> Result<Option<u64>, Errno> {
    let bytes: &[u8; 16] = value.first_chunk().ok_or(Errno::EINVAL)?;
    let word = |from: usize| bytes[from..from + 8].try_into().map_or(0, i64::from_le_bytes);
    let (seconds, microseconds) = (word(0), word(8));
    if seconds < 0 && (0..1_000_000).contains(&microseconds) {
        return Ok(Some(1));
    }
    let timeout = combine(seconds, microseconds, 1000).map_err(|_| Errno::EDOM)?;
    Ok((timeout > 0).then_some(timeout))
}

fn timeout_bytes(timeout: Option<u64>) -> Vec<u8> {
    timeval_bytes(timeout.unwrap_or(0)).to_vec()
}

/// The option that a call names.
fn named(call: &Call<'_>) -> Name {
    Name { level: call.uint(1), name: call.uint(2) }
}

/// getsockopt(2)
pub fn getsockopt(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (name, address, length) = (named(call), call.args[3], call.args[4]);
    let room = call.memory().read_u32(length)?.cast_signed();
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let value = value_of(call, id, name, room)?;
    let value = &value[..room.min(value.len())];
    call.memory().write(address, value)?;
    call.memory().write_u32(length, u32::try_from(value.len()).map_err(|_| Errno::EINVAL)?)?;
    Ok(0)
}

fn value_of(call: &mut Call<'_>, id: DescriptionId, name: Name, room: usize) -> Result<Vec<u8>, Errno> {
    if (name.level, name.name) == (SOL_SOCKET, SO_PEERCRED) {
        return match call.object(id).0 {
            Object::Pair(pair) => Ok(pair.peer.to_bytes().to_vec()),
            Object::Socket(socket) if socket.family == AF_UNIX => {
                let who = socket.local.owner;
                Ok(who.unwrap_or_else(|| call.kernel.process.credentials()).to_bytes().to_vec())
            }
            Object::Socket(_) | Object::Tcp(_) => Ok(Credentials::NOBODY.to_bytes().to_vec()),
            _ => Err(Errno::ENOTSOCK),
        };
    }
    match call.object(id) {
        (Object::Socket(socket), mut context) => socket_value(socket, &mut context, name, room),
        (Object::Pair(pair), mut context) => pair_value(pair, &mut context, name),
        (Object::Tcp(end), context) => tcp_value(end, context.shared, name, room),
        _ => Err(Errno::ENOTSOCK),
    }
}

/// Lingering, as getsockopt(2) tells it.
fn linger_bytes((on, seconds): (bool, u32)) -> Vec<u8> {
    [u32::from(on), seconds].iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn tcp_value(end: &mut TcpEnd, shared: &mut Shared, name: Name, room: usize) -> Result<Vec<u8>, Errno> {
    match (name.level, name.name) {
        (SOL_SOCKET, SO_RCVTIMEO) => Ok(timeout_bytes(end.receive_timeout)),
        (SOL_SOCKET, SO_SNDTIMEO) => Ok(timeout_bytes(end.send_timeout)),
        (SOL_SOCKET, SO_LINGER) => Ok(linger_bytes(end.linger)),
        _ => end.option(&mut shared.connections, name, room),
    }
}

fn socket_value(socket: &mut Socket, context: &mut Context<'_>, name: Name, room: usize) -> Result<Vec<u8>, Errno> {
    match (name.level, name.name) {
        (SOL_SOCKET, SO_RCVTIMEO) => Ok(timeout_bytes(socket.receive_timeout)),
        (SOL_SOCKET, SO_SNDTIMEO) => Ok(timeout_bytes(socket.send_timeout)),
        (SOL_SOCKET, SO_PASSCRED) if socket.family == AF_UNIX => Ok(int(u32::from(socket.pass_credentials))),
        (SOL_SOCKET, SO_LINGER) => Ok(linger_bytes(socket.linger)),
        (SOL_SOCKET, SO_ACCEPTCONN) => Ok(int(u32::from(socket.listening()))),
        (SOL_SOCKET, SO_ERROR) if socket.error.is_some() => Ok(int(socket.error.take().map_or(0, |error| error.0))),
        _ => {
            if socket.inherited.as_ref().is_some_and(|own| own.options.get(name).is_some()) {
                return name.on_host(socket.like()?.handle(), room);
            }
            let value = name.on_host(socket.handle(), room)?;
            if (name.level, name.name) == (SOL_SOCKET, SO_ERROR) {
                context.host.changed(socket.handle());
            }
            Ok(value)
        }
    }
}

/// Whether the option is a mere switch of a socketpair: kept, and without effect as on Linux.
fn is_switch(name: u32) -> bool {
    matches!(name, SO_REUSEADDR | SO_DONTROUTE | SO_BROADCAST | SO_KEEPALIVE | SO_OOBINLINE | SO_REUSEPORT)
}

fn pair_value(pair: &mut PairEnd, context: &mut Context<'_>, name: Name) -> Result<Vec<u8>, Errno> {
    if name.level != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let channels = &mut context.shared.pairs;
    Ok(match name.name {
        SO_TYPE => int(pair.kind),
        SO_DOMAIN => int(AF_UNIX),
        SO_PROTOCOL | SO_ACCEPTCONN | SO_PRIORITY => int(0),
        SO_ERROR => int(pair.take_error(channels).map_or(0, |error| error.0)),
        SO_SNDBUF => int(pair.send_buffer(channels)),
        SO_RCVBUF => int(pair.receive_buffer),
        SO_RCVLOWAT | SO_SNDLOWAT => int(1),
        SO_PASSCRED => int(u32::from(pair.pass_credentials)),
        SO_RCVTIMEO => timeout_bytes(pair.receive_timeout),
        SO_SNDTIMEO => timeout_bytes(pair.send_timeout),
        SO_LINGER => vec![0; 8],
        switch if is_switch(switch) => int(u32::from(pair.switches & 1 << switch != 0)),
        _ => return Err(Errno::ENOPROTOOPT),
    })
}

/// setsockopt(2)
pub fn setsockopt(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (name, address) = (named(call), call.args[3]);
    let length = usize::try_from(call.int(4)).map_err(|_| Errno::EINVAL)?;
    let value = call.memory().read_vec(address, length.min(LARGEST))?;
    match call.object(id) {
        (Object::Socket(socket), mut context) => {
            change_socket(socket, &mut context, name, &value)?;
            context.shared.gate.option_set(id, || (name, value));
        }
        (Object::Pair(pair), mut context) => change_pair(pair, &mut context, name, &value)?,
        (Object::Tcp(end), context) => change_tcp(end, context.shared, name, &value)?,
        _ => return Err(Errno::ENOTSOCK.into()),
    }
    Ok(0)
}

/// Whether the host keeps connections to a listening socket back until their first bytes have come: TCP_DEFER_ACCEPT.
pub(crate) fn defers_accepting(listener: &HostFile) -> bool {
    let value = Name { level: SOL_TCP, name: TCP_DEFER_ACCEPT }.on_host(listener, 4);
    value.is_ok_and(|value| value != [0; 4])
}

/// Sets `option` of a socket again that was set on another one before.
///
/// # Errors
/// As setsockopt(2).
pub(crate) fn repeat_option(
    socket: &mut Socket,
    context: &mut Context<'_>,
    (name, value): &SetOption,
) -> Result<(), Errno> {
    change_socket(socket, context, *name, value)
}

fn change_socket(socket: &mut Socket, context: &mut Context<'_>, name: Name, value: &[u8]) -> Result<(), Errno> {
    match (name.level, name.name) {
        (SOL_SOCKET, SO_RCVTIMEO) => socket.receive_timeout = read_timeout(value)?,
        (SOL_SOCKET, SO_SNDTIMEO) => socket.send_timeout = read_timeout(value)?,
        (SOL_SOCKET, SO_LINGER) => return change_linger(socket, value),
        (SOL_SOCKET, SO_PASSCRED) if socket.family == AF_UNIX => socket.pass_credentials = read_int(value)? != 0,
        _ => {
            let value = name.checked(value)?;
            socket.own()?;
            socket.corked |= (name.level, name.name) == (SOL_TCP, TCP_CORK);
            let like = if socket.inherited.is_some() { Some(socket.like()?) } else { None };
            name.set_on_host(like.as_ref().unwrap_or(socket).handle(), value)?;
            match &mut socket.inherited {
                Some(inherited) => inherited.options.record(name, value.to_vec()),
                None => context.host.changed(socket.handle()),
            }
            socket.options.record(name, value.to_vec());
        }
    }
    Ok(())
}

fn change_tcp(end: &mut TcpEnd, shared: &mut Shared, name: Name, value: &[u8]) -> Result<(), Errno> {
    match (name.level, name.name) {
        (SOL_SOCKET, SO_RCVTIMEO) => end.receive_timeout = read_timeout(value)?,
        (SOL_SOCKET, SO_SNDTIMEO) => end.send_timeout = read_timeout(value)?,
        (SOL_SOCKET, SO_LINGER) => end.linger = read_linger(value)?,
        _ => end.set_option(&mut shared.connections, name, value)?,
    }
    Ok(())
}

fn read_linger(value: &[u8]) -> Result<(bool, u32), Errno> {
    let value: &[u8; 8] = value.first_chunk().ok_or(Errno::EINVAL)?;
    Ok((read_int(&value[..4])? != 0, read_int(&value[4..])?.unsigned_abs()))
}

/// Closing a host socket that lingers would block the machine: the host gets to know only of lingering for no time,
/// which resets the connection. Otherwise it closes in the background, as without the option.
fn change_linger(socket: &mut Socket, value: &[u8]) -> Result<(), Errno> {
    let (on, seconds) = read_linger(value)?;
    let resets = [u32::from(on && seconds == 0), 0];
    let bytes: Vec<u8> = resets.iter().flat_map(|word| word.to_le_bytes()).collect();
    socket.own()?;
    if socket.inherited.is_none() {
        warmfork_host::set_socket_option(socket.handle(), SOL_SOCKET.cast_signed(), SO_LINGER.cast_signed(), &bytes)?;
    }
    socket.linger = (on, seconds);
    Ok(())
}

fn change_pair(pair: &mut PairEnd, context: &mut Context<'_>, name: Name, value: &[u8]) -> Result<(), Errno> {
    if name.level != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    match name.name {
        SO_RCVTIMEO => pair.receive_timeout = read_timeout(value)?,
        SO_SNDTIMEO => pair.send_timeout = read_timeout(value)?,
        SO_PASSCRED => pair.pass_credentials = read_int(value)? != 0,
        SO_SNDBUF => pair.set_send_buffer(&mut context.shared.pairs, buffer_size(read_int(value)?)),
        SO_RCVBUF => pair.receive_buffer = buffer_size(read_int(value)?),
        switch if is_switch(switch) => {
            let on = u32::from(read_int(value)? != 0);
            pair.switches = pair.switches & !(1 << switch) | on << switch;
        }
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

/// As Linux: twice what was asked for, within its limits.
fn buffer_size(asked: i32) -> usize {
    let asked = usize::try_from(asked).unwrap_or(usize::MAX).min(DEFAULT_BUFFER);
    (asked * 2).max(SMALLEST_BUFFER)
}
