//! getsockopt and setsockopt: an explicit list of what reaches the host's socket; the rest is answered here.

use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_UNIX, IP_BIND_ADDRESS_NO_PORT, IP_FREEBIND, IP_LOCAL_PORT_RANGE, IP_MTU, IP_MTU_DISCOVER, IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL, IP_RECVERR, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TTL, IPV6_ADDR_PREFERENCES, IPV6_AUTOFLOWLABEL,
    IPV6_DONTFRAG, IPV6_MTU, IPV6_MTU_DISCOVER, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_RECVERR,
    IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_TCLASS, IPV6_UNICAST_HOPS, IPV6_V6ONLY, SO_ACCEPTCONN, SO_BROADCAST,
    SO_COOKIE, SO_DOMAIN, SO_DONTROUTE, SO_ERROR, SO_INCOMING_CPU, SO_INCOMING_NAPI_ID, SO_KEEPALIVE, SO_LINGER,
    SO_OOBINLINE, SO_PASSCRED, SO_PEERCRED, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVLOWAT, SO_RCVTIMEO,
    SO_REUSEADDR, SO_REUSEPORT, SO_SNDBUF, SO_SNDLOWAT, SO_SNDTIMEO, SO_TYPE, SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_TCP,
    SOL_UDP, SOL_UDPLITE, TCP_CONGESTION, TCP_CORK, TCP_DEFER_ACCEPT, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_INFO,
    TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_LINGER2, TCP_MAXSEG, TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_QUICKACK,
    TCP_SYNCNT, TCP_TIMESTAMP, TCP_USER_TIMEOUT, TCP_WINDOW_CLAMP, UDP_CORK, UDP_SEGMENT, UDPLITE_RECV_CSCOV,
    UDPLITE_SEND_CSCOV,
};
use warmfork_memory::HostFile;

use crate::ahead::SetOption;
use crate::call::{Call, SyscallResult};
use crate::files::DescriptionId;
use crate::objects::channel::{DEFAULT_BUFFER, SMALLEST_BUFFER};
use crate::objects::pair::PairEnd;
use crate::objects::socket::{Credentials, Socket};
use crate::objects::{Context, Object};
use crate::syscalls::time::{combine, timeval_bytes};

/// What a guest may do with an option of the host's socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Get,
    Both,
}
use Access::{Both, Get};

/// Options of the host's socket: level, name, access, size of the value.
///
/// Not in it, so ENOPROTOOPT: what needs privileges that the host's user may have (SO_MARK, SO_BINDTODEVICE, ...),
/// filters, joining multicast groups, and what asks for ancillary data that warmfork does not pass on.
static OPTIONS: &[(u32, u32, Access, usize)] = &[
    (SOL_SOCKET, SO_REUSEADDR, Both, 4),
    (SOL_SOCKET, SO_TYPE, Get, 4),
    (SOL_SOCKET, SO_ERROR, Get, 4),
    (SOL_SOCKET, SO_DONTROUTE, Both, 4),
    (SOL_SOCKET, SO_BROADCAST, Both, 4),
    (SOL_SOCKET, SO_SNDBUF, Both, 4),
    (SOL_SOCKET, SO_RCVBUF, Both, 4),
    (SOL_SOCKET, SO_KEEPALIVE, Both, 4),
    (SOL_SOCKET, SO_OOBINLINE, Both, 4),
    (SOL_SOCKET, SO_PRIORITY, Both, 4),
    (SOL_SOCKET, SO_REUSEPORT, Both, 4),
    (SOL_SOCKET, SO_RCVLOWAT, Both, 4),
    (SOL_SOCKET, SO_SNDLOWAT, Get, 4),
    (SOL_SOCKET, SO_ACCEPTCONN, Get, 4),
    (SOL_SOCKET, SO_PROTOCOL, Get, 4),
    (SOL_SOCKET, SO_DOMAIN, Get, 4),
    (SOL_SOCKET, SO_INCOMING_CPU, Get, 4),
    (SOL_SOCKET, SO_INCOMING_NAPI_ID, Get, 4),
    (SOL_SOCKET, SO_COOKIE, Get, 8),
    (SOL_IP, IP_TOS, Both, 4),
    (SOL_IP, IP_TTL, Both, 4),
    (SOL_IP, IP_MTU_DISCOVER, Both, 4),
    (SOL_IP, IP_RECVERR, Both, 4),
    (SOL_IP, IP_RECVTTL, Both, 4),
    (SOL_IP, IP_RECVTOS, Both, 4),
    (SOL_IP, IP_MTU, Get, 4),
    (SOL_IP, IP_FREEBIND, Both, 4),
    (SOL_IP, IP_BIND_ADDRESS_NO_PORT, Both, 4),
    (SOL_IP, IP_MULTICAST_TTL, Both, 4),
    (SOL_IP, IP_MULTICAST_LOOP, Both, 4),
    (SOL_IP, IP_LOCAL_PORT_RANGE, Both, 4),
    (SOL_IPV6, IPV6_UNICAST_HOPS, Both, 4),
    (SOL_IPV6, IPV6_MULTICAST_HOPS, Both, 4),
    (SOL_IPV6, IPV6_MULTICAST_LOOP, Both, 4),
    (SOL_IPV6, IPV6_MTU_DISCOVER, Both, 4),
    (SOL_IPV6, IPV6_MTU, Both, 4),
    (SOL_IPV6, IPV6_RECVERR, Both, 4),
    (SOL_IPV6, IPV6_V6ONLY, Both, 4),
    (SOL_IPV6, IPV6_RECVHOPLIMIT, Both, 4),
    (SOL_IPV6, IPV6_DONTFRAG, Both, 4),
    (SOL_IPV6, IPV6_RECVTCLASS, Both, 4),
    (SOL_IPV6, IPV6_TCLASS, Both, 4),
    (SOL_IPV6, IPV6_AUTOFLOWLABEL, Both, 4),
    (SOL_IPV6, IPV6_ADDR_PREFERENCES, Both, 4),
    (SOL_TCP, TCP_NODELAY, Both, 4),
    (SOL_TCP, TCP_MAXSEG, Both, 4),
    (SOL_TCP, TCP_CORK, Both, 4),
    (SOL_TCP, TCP_KEEPIDLE, Both, 4),
    (SOL_TCP, TCP_KEEPINTVL, Both, 4),
    (SOL_TCP, TCP_KEEPCNT, Both, 4),
    (SOL_TCP, TCP_SYNCNT, Both, 4),
    (SOL_TCP, TCP_LINGER2, Both, 4),
    (SOL_TCP, TCP_DEFER_ACCEPT, Both, 4),
    (SOL_TCP, TCP_WINDOW_CLAMP, Both, 4),
    (SOL_TCP, TCP_INFO, Get, 512),
    (SOL_TCP, TCP_QUICKACK, Both, 4),
    (SOL_TCP, TCP_CONGESTION, Both, 16),
    (SOL_TCP, TCP_USER_TIMEOUT, Both, 4),
    (SOL_TCP, TCP_FASTOPEN, Both, 4),
    (SOL_TCP, TCP_TIMESTAMP, Get, 4),
    (SOL_TCP, TCP_NOTSENT_LOWAT, Both, 4),
    (SOL_TCP, TCP_FASTOPEN_CONNECT, Both, 4),
    (SOL_UDP, UDP_CORK, Both, 4),
    (SOL_UDP, UDP_SEGMENT, Both, 4),
    (SOL_UDPLITE, UDPLITE_SEND_CSCOV, Both, 4),
    (SOL_UDPLITE, UDPLITE_RECV_CSCOV, Both, 4),
];

/// Congestion control that every user may choose; others may be modules, which a privileged host process would load.
const CONGESTION: [&[u8]; 2] = [b"reno", b"cubic"];
/// Highest SO_PRIORITY that needs no privilege.
const HIGHEST_PRIORITY: i32 = 6;
/// Largest value that fits any option.
const LARGEST: usize = 512;

/// One option that a call names.
#[derive(Clone, Copy)]
struct Name {
    level: u32,
    name: u32,
}

impl Name {
    fn of(call: &Call<'_>) -> Self {
        Self { level: call.uint(1), name: call.uint(2) }
    }

    /// Size of the value of an option that the host keeps.
    fn on_host(self, change: bool) -> Result<usize, Errno> {
        let found = OPTIONS.iter().find(|(level, name, ..)| (*level, *name) == (self.level, self.name));
        match found {
            Some((_, _, access, size)) if *access == Both || !change => Ok(*size),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// For the host's calls.
    fn numbers(self) -> Result<(i32, i32), Errno> {
        let number = |number| i32::try_from(number).map_err(|_| Errno::ENOPROTOOPT);
        Ok((number(self.level)?, number(self.name)?))
    }
}

/// An `int` as the value of an option.
fn int(value: impl TryInto<i32>) -> Vec<u8> {
    value.try_into().unwrap_or(i32::MAX).to_le_bytes().to_vec()
}

fn read_int(value: &[u8]) -> Result<i32, Errno> {
    value.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)).ok_or(Errno::EINVAL)
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

/// What Linux shows of the peer of a socket that is no Unix socket.
const NOBODY: Credentials = Credentials { pid: 0, uid: u32::MAX, gid: u32::MAX };

/// getsockopt(2)
pub fn getsockopt(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (name, address, length) = (Name::of(call), call.args[3], call.args[4]);
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
            Object::Socket(_) => Ok(NOBODY.to_bytes().to_vec()),
            _ => Err(Errno::ENOTSOCK),
        };
    }
    match call.object(id) {
        (Object::Socket(socket), mut context) => socket_value(socket, &mut context, name, room),
        (Object::Pair(pair), mut context) => pair_value(pair, &mut context, name),
        _ => Err(Errno::ENOTSOCK),
    }
}

fn socket_value(socket: &mut Socket, context: &mut Context<'_>, name: Name, room: usize) -> Result<Vec<u8>, Errno> {
    match (name.level, name.name) {
        (SOL_SOCKET, SO_RCVTIMEO) => Ok(timeout_bytes(socket.receive_timeout)),
        (SOL_SOCKET, SO_SNDTIMEO) => Ok(timeout_bytes(socket.send_timeout)),
        (SOL_SOCKET, SO_PASSCRED) if socket.family == AF_UNIX => Ok(int(u32::from(socket.pass_credentials))),
        (SOL_SOCKET, SO_LINGER) => {
            let (on, seconds) = socket.linger;
            Ok([u32::from(on), seconds].iter().flat_map(|word| word.to_le_bytes()).collect())
        }
        _ => {
            let mut value = [0; LARGEST];
            let size = name.on_host(false)?.min(room);
            if let Some(set) = socket.inherited.as_ref().and_then(|own| own.option(name.level, name.name)) {
                return Ok(set.to_vec());
            }
            let (level, option) = name.numbers()?;
            let length = warmfork_host::socket_option(socket.handle(), level, option, &mut value[..size])?;
            if (name.level, name.name) == (SOL_SOCKET, SO_ERROR) {
                context.host.changed(socket.handle());
            }
            Ok(value[..length.min(size)].to_vec())
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
    let (name, address) = (Name::of(call), call.args[3]);
    let length = usize::try_from(call.int(4)).map_err(|_| Errno::EINVAL)?;
    let value = call.memory().read_vec(address, length.min(LARGEST))?;
    match call.object(id) {
        (Object::Socket(socket), mut context) => {
            change_socket(socket, &mut context, name, &value)?;
            context.shared.gate.option_set(id, || (name.level, name.name, value));
        }
        (Object::Pair(pair), mut context) => change_pair(pair, &mut context, name, &value)?,
        _ => return Err(Errno::ENOTSOCK.into()),
    }
    Ok(0)
}

/// Whether the host keeps connections to a listening socket back until their first bytes have come: TCP_DEFER_ACCEPT.
pub(crate) fn defers_accepting(listener: &Arc<HostFile>) -> bool {
    let mut value = [0; 4];
    let numbers = Name { level: SOL_TCP, name: TCP_DEFER_ACCEPT }.numbers();
    let got = numbers.and_then(|(level, name)| warmfork_host::socket_option(listener, level, name, &mut value));
    got.is_ok() && value != [0; 4]
}

/// Sets `option` of a socket again that was set on another one before.
///
/// # Errors
/// As setsockopt(2).
pub(crate) fn repeat_option(
    socket: &mut Socket,
    context: &mut Context<'_>,
    (level, name, value): &SetOption,
) -> Result<(), Errno> {
    change_socket(socket, context, Name { level: *level, name: *name }, value)
}

fn change_socket(socket: &mut Socket, context: &mut Context<'_>, name: Name, value: &[u8]) -> Result<(), Errno> {
    match (name.level, name.name) {
        (SOL_SOCKET, SO_RCVTIMEO) => socket.receive_timeout = read_timeout(value)?,
        (SOL_SOCKET, SO_SNDTIMEO) => socket.send_timeout = read_timeout(value)?,
        (SOL_SOCKET, SO_LINGER) => return change_linger(socket, value),
        (SOL_SOCKET, SO_PASSCRED) if socket.family == AF_UNIX => socket.pass_credentials = read_int(value)? != 0,
        (SOL_SOCKET, SO_PRIORITY) if !(0..=HIGHEST_PRIORITY).contains(&read_int(value)?) => return Err(Errno::EPERM),
        (SOL_TCP, TCP_CONGESTION) if !CONGESTION.contains(&value.split(|&byte| byte == 0).next().unwrap_or(value)) => {
            return Err(Errno::EPERM);
        }
        _ => {
            let size = name.on_host(true)?.min(value.len());
            socket.own()?;
            socket.corked |= (name.level, name.name) == (SOL_TCP, TCP_CORK);
            if let Some(inherited) = &mut socket.inherited {
                inherited.set_option(name.level, name.name, &value[..size]);
                return Ok(());
            }
            set_option(socket.handle(), name.level, name.name, &value[..size])?;
            context.host.changed(socket.handle());
        }
    }
    Ok(())
}

/// Sets an option of the host's socket.
///
/// # Errors
/// The host's; ENOPROTOOPT for an option that guests cannot set.
pub fn set_option(socket: &Arc<HostFile>, level: u32, name: u32, value: &[u8]) -> Result<(), Errno> {
    let name = Name { level, name };
    name.on_host(true)?;
    let (level, option) = name.numbers()?;
    warmfork_host::set_socket_option(socket, level, option, value)
}

/// Gives the host socket of `to` the options of `from`'s.
pub fn copy_options(from: &Socket, to: &Socket) {
    for (level, name, access, size) in OPTIONS {
        let numbers = Name { level: *level, name: *name }.numbers();
        let Ok((host_level, option)) = numbers else { continue };
        let (mut old, mut new) = ([0; LARGEST], [0; LARGEST]);
        let get = |socket: &Socket, value: &mut [u8]| {
            warmfork_host::socket_option(socket.handle(), host_level, option, &mut value[..*size])
        };
        if *access == Both
            && let (Ok(length), Ok(_)) = (get(from, &mut old), get(to, &mut new))
            && old != new
        {
            // The host doubles the sizes that it is given.
            if let (SOL_SOCKET, SO_SNDBUF | SO_RCVBUF, Ok(double)) = (*level, *name, read_int(&old)) {
                old[..4].copy_from_slice(&(double / 2).to_le_bytes());
            }
            // An option that cannot be set again stays as a new socket has it.
            let _ = set_option(to.handle(), *level, *name, &old[..length.min(*size)]);
        }
    }
}

/// Closing a host socket that lingers would block the machine: the host gets to know only of lingering for no time,
/// which resets the connection. Otherwise it closes in the background, as without the option.
fn change_linger(socket: &mut Socket, value: &[u8]) -> Result<(), Errno> {
    let value: &[u8; 8] = value.first_chunk().ok_or(Errno::EINVAL)?;
    let (on, seconds) = (read_int(&value[..4])? != 0, read_int(&value[4..])?.unsigned_abs());
    let resets = [u32::from(on && seconds == 0), 0];
    let bytes: Vec<u8> = resets.iter().flat_map(|word| word.to_le_bytes()).collect();
    let (level, option) = Name { level: SOL_SOCKET, name: SO_LINGER }.numbers()?;
    socket.own()?;
    if socket.inherited.is_none() {
        warmfork_host::set_socket_option(socket.handle(), level, option, &bytes)?;
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
