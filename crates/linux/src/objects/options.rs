//! Socket options: those that guests may read and set on a host's socket, and those that a guest has set.
//!
//! Every option that is set is recorded, so that a socket that takes another's place (a fork's own, a connection without the host)
//! has the same options.

use warmfork_abi::Errno;
use warmfork_abi::socket::{
    IP_BIND_ADDRESS_NO_PORT, IP_FREEBIND, IP_LOCAL_PORT_RANGE, IP_MTU, IP_MTU_DISCOVER, IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL, IP_RECVERR, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TTL, IPV6_ADDR_PREFERENCES, IPV6_AUTOFLOWLABEL,
    IPV6_DONTFRAG, IPV6_MTU, IPV6_MTU_DISCOVER, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_RECVERR,
    IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_TCLASS, IPV6_UNICAST_HOPS, IPV6_V6ONLY, SO_ACCEPTCONN, SO_BROADCAST,
    SO_COOKIE, SO_DOMAIN, SO_DONTROUTE, SO_ERROR, SO_INCOMING_CPU, SO_INCOMING_NAPI_ID, SO_KEEPALIVE, SO_OOBINLINE,
    SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVLOWAT, SO_REUSEADDR, SO_REUSEPORT, SO_SNDBUF, SO_SNDLOWAT, SO_TYPE,
    SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_TCP, SOL_UDP, SOL_UDPLITE, TCP_CONGESTION, TCP_CORK, TCP_DEFER_ACCEPT,
    TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_LINGER2, TCP_MAXSEG,
    TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_SYNCNT, TCP_TIMESTAMP, TCP_USER_TIMEOUT, TCP_WINDOW_CLAMP,
    UDP_CORK, UDP_SEGMENT, UDPLITE_RECV_CSCOV, UDPLITE_SEND_CSCOV,
};
use warmfork_memory::HostFile;

use crate::objects::option_values::read_int;

/// A guest's access to an option of the host's socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OptionAccess {
    Get,
    Both,
}
use OptionAccess::{Both, Get};

/// Options of the host's socket: level, name, access, size of the value.
///
/// Other options are ENOPROTOOPT: those that need privileges that the host's user may have (SO_MARK, SO_BINDTODEVICE, ...),
/// filters, joining multicast groups, and those that ask for ancillary data that warmfork does not pass on.
static OPTIONS: &[(u32, u32, OptionAccess, usize)] = &[
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
pub const LARGEST: usize = 512;

/// One option, as a call names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name {
    /// SOL_*
    pub level: u32,
    /// SO_*, TCP_*, ...
    pub name: u32,
}

impl Name {
    /// Size of the value of an option that guests may read, and set if it is to `change`.
    fn size(self, change: bool) -> Result<usize, Errno> {
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

    /// Its value of the host's `socket`, of at most `room` bytes.
    ///
    /// # Errors
    /// The host's; ENOPROTOOPT for an option that guests cannot read.
    pub fn on_host(self, socket: &HostFile, room: usize) -> Result<Vec<u8>, Errno> {
        let size = self.size(false)?.min(room);
        let mut value = vec![0; size];
        let (level, name) = self.numbers()?;
        let length = warmfork_host::socket_option(socket, level, name, &mut value)?;
        value.truncate(length);
        Ok(value)
    }

    /// Sets it on the host's `socket`; as much of `value` as was looked at.
    ///
    /// # Errors
    /// The host's; ENOPROTOOPT for an option that guests cannot set, EPERM for a value that needs privileges.
    pub fn set_on_host(self, socket: &HostFile, value: &[u8]) -> Result<Vec<u8>, Errno> {
        let value = self.checked(value)?;
        let (level, name) = self.numbers()?;
        warmfork_host::set_socket_option(socket, level, name, value)?;
        Ok(value.to_vec())
    }

    /// As much of `value` as the option has.
    ///
    /// # Errors
    /// ENOPROTOOPT for an option that guests cannot set, EPERM for a value that needs privileges.
    pub fn checked(self, value: &[u8]) -> Result<&[u8], Errno> {
        let privileged = match (self.level, self.name) {
            (SOL_SOCKET, SO_PRIORITY) => !(0..=HIGHEST_PRIORITY).contains(&read_int(value)?),
            (SOL_TCP, TCP_CONGESTION) => !CONGESTION.contains(&value.split(|&byte| byte == 0).next().unwrap_or(value)),
            _ => false,
        };
        if privileged {
            return Err(Errno::EPERM);
        }
        let size = self.size(true)?.min(value.len());
        Ok(&value[..size])
    }
}

/// An option that was set, and its value.
pub type SetOption = (Name, Vec<u8>);

/// The options that a guest has set, each once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options(Vec<SetOption>);

impl Options {
    /// Notes that the option was set.
    pub fn record(&mut self, name: Name, value: Vec<u8>) {
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, value));
    }

    /// The option's value.
    #[must_use]
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| &value[..])
    }

    /// Sets them all on the host's `socket`. One that was taken once and is refused now stays as a new socket has it.
    pub fn apply(&self, socket: &HostFile) {
        for (name, value) in &self.0 {
            let _ = name.set_on_host(socket, value);
        }
    }
}

/// Whether the host keeps connections to a listening socket back until their first bytes have come: TCP_DEFER_ACCEPT.
pub(crate) fn defers_accepting(listener: &HostFile) -> bool {
    let value = Name { level: SOL_TCP, name: TCP_DEFER_ACCEPT }.on_host(listener, 4);
    value.is_ok_and(|value| value != [0; 4])
}
