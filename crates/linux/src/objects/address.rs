//! Socket addresses between a guest's `struct sockaddr` bytes and Rust values. Called by the socket calls.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use rustix::net::{SocketAddrAny, SocketAddrUnix};
use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, SOCKADDR_IN_SIZE, SOCKADDR_IN6_SIZE, SOCKADDR_UN_SIZE,
};

/// A socket address that a guest gives or gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// AF_UNSPEC: dissolves a datagram socket's association.
    Unspecified,
    /// IPv4 or IPv6.
    Internet(SocketAddr),
    /// A Unix socket's guest path.
    Path(Vec<u8>),
    /// A Unix socket's abstract name, without its leading NUL.
    Abstract(Vec<u8>),
    /// A Unix socket without a name.
    Unnamed,
}

/// The key of a name: names that lead to one socket have the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LocalName {
    /// A socket's file: its device and inode.
    File((u32, u32), u64),
    /// A name without a file.
    Abstract(Vec<u8>),
}

impl Address {
    /// Decodes a guest's `struct sockaddr`.
    ///
    /// # Errors
    /// EINVAL for a length that does not fit the family, EAFNOSUPPORT for other families.
    pub fn decode(bytes: &[u8]) -> Result<Self, Errno> {
        let family = bytes.first_chunk().map(|family| u16::from_le_bytes(*family)).ok_or(Errno::EINVAL)?;
        match family {
            AF_UNSPEC => Ok(Self::Unspecified),
            AF_INET => decode_v4(bytes).ok_or(Errno::EINVAL),
            AF_INET6 => decode_v6(bytes).ok_or(Errno::EINVAL),
            AF_UNIX if bytes.len() > SOCKADDR_UN_SIZE => Err(Errno::EINVAL),
            AF_UNIX => Ok(decode_unix(&bytes[2..])),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// The guest's `struct sockaddr` of it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SOCKADDR_UN_SIZE);
        match self {
            Self::Unspecified => bytes.extend(AF_UNSPEC.to_le_bytes()),
            Self::Internet(SocketAddr::V4(address)) => {
                bytes.extend(AF_INET.to_le_bytes());
                bytes.extend(address.port().to_be_bytes());
                bytes.extend(address.ip().octets());
                bytes.resize(SOCKADDR_IN_SIZE, 0);
            }
            Self::Internet(SocketAddr::V6(address)) => {
                bytes.extend(AF_INET6.to_le_bytes());
                bytes.extend(address.port().to_be_bytes());
                bytes.extend(address.flowinfo().to_be_bytes());
                bytes.extend(address.ip().octets());
                bytes.extend(address.scope_id().to_le_bytes());
            }
            Self::Path(path) => {
                bytes.extend(AF_UNIX.to_le_bytes());
                bytes.extend(path);
                bytes.push(0);
            }
            Self::Abstract(name) => {
                bytes.extend(AF_UNIX.to_le_bytes());
                bytes.push(0);
                bytes.extend(name);
            }
            Self::Unnamed => bytes.extend(AF_UNIX.to_le_bytes()),
        }
        bytes
    }

    /// The host's address, in a guest's terms. The names of Unix sockets are the host's own.
    #[must_use]
    pub fn from_host(address: SocketAddrAny) -> Self {
        if let Ok(address) = SocketAddr::try_from(address.clone()) {
            return Self::Internet(address);
        }
        match SocketAddrUnix::try_from(address) {
            Ok(unix) => match (unix.path_bytes(), unix.abstract_name()) {
                (Some(path), _) if !path.is_empty() => Self::Path(path.to_vec()),
                // Of an address without a name rustix makes an empty abstract one.
                (_, Some(name)) if !name.is_empty() => Self::Abstract(name.to_vec()),
                _ => Self::Unnamed,
            },
            Err(_) => Self::Unspecified,
        }
    }
}

/// `address` as a socket of `family` shows it: an IPv4 address is mapped for an IPv6 socket.
#[must_use]
pub fn in_family(address: SocketAddr, family: u16) -> SocketAddr {
    match (plain(address), family) {
        (SocketAddr::V4(v4), AF_INET6) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        _ if family == AF_INET6 => address,
        (plain, _) => plain,
    }
}

/// `address` without mapping: a mapped address leads to an IPv4 address.
#[must_use]
pub fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

fn decode_v4(bytes: &[u8]) -> Option<Address> {
    let bytes: &[u8; SOCKADDR_IN_SIZE] = bytes.first_chunk()?;
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
    Some(Address::Internet(SocketAddr::V4(SocketAddrV4::new(ip, port))))
}

/// The scope may be missing, as in the first edition of the structure (SIN6_LEN_RFC2133).
fn decode_v6(bytes: &[u8]) -> Option<Address> {
    let (head, scope) = (bytes.first_chunk::<24>()?, bytes.get(24..SOCKADDR_IN6_SIZE));
    let port = u16::from_be_bytes([head[2], head[3]]);
    let flow = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let ip = Ipv6Addr::from(<[u8; 16]>::try_from(&head[8..24]).ok()?);
    let scope = scope.and_then(|scope| scope.try_into().ok()).map_or(0, u32::from_le_bytes);
    Some(Address::Internet(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope))))
}

fn decode_unix(name: &[u8]) -> Address {
    match name {
        [] => Address::Unnamed,
        [0, name @ ..] => Address::Abstract(name.to_vec()),
        path => Address::Path(path.split(|&byte| byte == 0).next().unwrap_or(path).to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(address: &Address) {
        assert_eq!(Address::decode(&address.encode()).as_ref(), Ok(address));
    }

    #[test]
    fn addresses_survive_encoding() {
        round_trip(&Address::Internet("127.0.0.1:8080".parse().unwrap()));
        round_trip(&Address::Internet("[fe80::1%3]:8080".parse().unwrap()));
        round_trip(&Address::Path(b"/run/x.sock".to_vec()));
        round_trip(&Address::Abstract(b"x\0y".to_vec()));
        round_trip(&Address::Unnamed);
        round_trip(&Address::Unspecified);
    }

    #[test]
    fn the_layout_is_linuxs() {
        let bytes = Address::Internet("1.2.3.4:258".parse().unwrap()).encode();
        assert_eq!(bytes, [2, 0, 1, 2, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Address::Path(b"/a".to_vec()).encode(), [1, 0, b'/', b'a', 0]);
        assert_eq!(Address::Internet("[::1]:1".parse().unwrap()).encode().len(), SOCKADDR_IN6_SIZE);
    }

    #[test]
    fn short_and_foreign_addresses_are_refused() {
        assert_eq!(Address::decode(&[2]), Err(Errno::EINVAL));
        assert_eq!(Address::decode(&[2, 0, 0, 80, 1, 2, 3]), Err(Errno::EINVAL));
        assert_eq!(Address::decode(&[10, 0, 0, 80, 0, 0, 0, 0]), Err(Errno::EINVAL));
        assert_eq!(Address::decode(&[16, 0, 0, 0]), Err(Errno::EAFNOSUPPORT));
        assert_eq!(Address::decode(&[1; 111]), Err(Errno::EAFNOSUPPORT));
        let mut long = vec![b'a'; 111];
        long[..2].copy_from_slice(&[1, 0]);
        assert_eq!(Address::decode(&long), Err(Errno::EINVAL));
    }
}
