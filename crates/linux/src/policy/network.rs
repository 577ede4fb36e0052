//! Network rules: HOST, HOST:PORT, :PORT, with IPv4 addresses, IPv6 addresses in brackets, and names.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use super::error::PolicyError;

/// One entry of `--allow-connect`, `--allow-listen` or `--allow-net`. Made with [`str::parse`], which looks names up
/// once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPattern {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Hosts {
    Any,
    Loopback,
    Only(Vec<IpAddr>),
}

impl HostPattern {
    /// Whether a connection to `address` is one of those meant.
    #[must_use]
    pub fn matches(&self, address: &SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let host = match &self.hosts {
            Hosts::Any => true,
            Hosts::Loopback => ip.is_loopback(),
            Hosts::Only(addresses) => addresses.contains(&ip),
        };
        host && self.port.is_none_or(|port| port == address.port())
    }

    /// Whether a local `address` is one of those meant: an unspecified address in the pattern stands for all.
    #[must_use]
    pub fn matches_local(&self, address: &SocketAddr) -> bool {
        let any = matches!(&self.hosts, Hosts::Only(addresses) if addresses.iter().any(IpAddr::is_unspecified));
        self.matches(address) || any && self.port.is_none_or(|port| port == address.port())
    }
}

impl FromStr for HostPattern {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let malformed = |reason| PolicyError::Address { text: text.to_owned(), reason };
        let (host, port) = split(text).map_err(malformed)?;
        let port = match port {
            None => None,
            Some(digits) => Some(digits.parse().map_err(|_| malformed("the port is not a number up to 65535"))?),
        };
        let hosts = match host {
            "" if port.is_some() => Hosts::Any,
            "" => return Err(malformed("it names no host and no port")),
            "localhost" => Hosts::Loopback,
            host => match IpAddr::from_str(host) {
                Ok(address) => Hosts::Only(vec![address.to_canonical()]),
                Err(_) => Hosts::Only(look_up(host)?),
            },
        };
        Ok(Self { hosts, port })
    }
}

/// HOST and PORT, without the brackets of an IPv6 address.
fn split(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or("a bracket is not closed")?;
        if std::net::Ipv6Addr::from_str(host).is_err() {
            return Err("there is no IPv6 address between the brackets");
        }
        return match rest {
            "" => Ok((host, None)),
            _ => Ok((host, Some(rest.strip_prefix(':').ok_or("something other than :PORT follows the bracket")?))),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err("an IPv6 address goes in brackets"),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn look_up(name: &str) -> Result<Vec<IpAddr>, PolicyError> {
    let found = (name, 0).to_socket_addrs();
    let found = found.map_err(|source| PolicyError::Lookup { name: name.to_owned(), source })?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip().to_canonical()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn host_and_port_must_both_match() {
        let rule = pattern("10.1.2.3:80");
        assert!(rule.matches(&address("10.1.2.3:80")));
        assert!(rule.matches(&address("[::ffff:10.1.2.3]:80")));
        assert!(!rule.matches(&address("10.1.2.3:81")));
        assert!(!rule.matches(&address("10.1.2.4:80")));
    }

    #[test]
    fn a_missing_part_matches_all() {
        assert!(pattern(":53").matches(&address("[2001:db8::1]:53")));
        assert!(!pattern(":53").matches(&address("9.9.9.9:54")));
        assert!(pattern("[2001:db8::1]").matches(&address("[2001:db8::1]:9")));
        assert!(pattern("[2001:db8::1]:9").matches(&address("[2001:db8::1]:9")));
    }

    #[test]
    fn localhost_is_the_loopback_network() {
        assert!(pattern("localhost:1").matches(&address("127.0.0.9:1")));
        assert!(pattern("localhost").matches(&address("[::1]:1")));
        assert!(!pattern("localhost").matches(&address("0.0.0.0:1")));
    }

    #[test]
    fn an_unspecified_pattern_means_every_local_address() {
        assert!(pattern("0.0.0.0:80").matches_local(&address("127.0.0.1:80")));
        assert!(!pattern("0.0.0.0:80").matches_local(&address("127.0.0.1:81")));
        assert!(!pattern("0.0.0.0:80").matches(&address("127.0.0.1:80")));
        assert!(!pattern("127.0.0.1:80").matches_local(&address("0.0.0.0:80")));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for text in ["", ":", "host:", "1.2.3.4:65536", "[::1", "[::1]x", "::1", "[example.org]", "1.2.3.4:-1"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }
}
