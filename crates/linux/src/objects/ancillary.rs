//! Ancillary data of the Internet protocols' datagrams that guests may send and see.
//!
//! Other data is refused or left out: data that chooses addresses and interfaces (IP_PKTINFO and its like), about which the
//! policy would have to be asked, and data that needs privileges.

use std::os::fd::AsFd as _;

use rustix::net::SocketAddrAny;
use warmfork_abi::Errno;
use warmfork_abi::socket::{
    IP_RECVERR, IP_TOS, IP_TTL, IPV6_HOPLIMIT, IPV6_RECVERR, IPV6_TCLASS, MSG_CTRUNC, MSG_EOR, MSG_ERRQUEUE,
    MSG_NOSIGNAL, MSG_OOB, MSG_TRUNC, SOL_IP, SOL_IPV6, SOL_UDP, UDP_SEGMENT,
};
use warmfork_host::Ancillary;

use crate::host::Host;
use crate::objects::address::Address;
use crate::objects::received::Received;
use crate::objects::socket::Socket;

/// Longest value of a control message that a guest may send.
const LONGEST: usize = 4;

/// The control message that a guest wants to send, if it may.
///
/// # Errors
/// EINVAL for all others.
pub fn outgoing(level: u32, kind: u32, data: &[u8]) -> Result<Ancillary, Errno> {
    let known = matches!(
        (level, kind),
        (SOL_IP, IP_TTL | IP_TOS) | (SOL_IPV6, IPV6_HOPLIMIT | IPV6_TCLASS) | (SOL_UDP, UDP_SEGMENT)
    );
    if known && data.len() <= LONGEST { Ok(Ancillary { level, kind, data: data.to_vec() }) } else { Err(Errno::EINVAL) }
}

/// Whether a guest may see a control message that the host has received.
fn may_see(message: &Ancillary) -> bool {
    matches!(
        (message.level, message.kind),
        (SOL_IP, IP_TTL | IP_TOS | IP_RECVERR) | (SOL_IPV6, IPV6_HOPLIMIT | IPV6_TCLASS | IPV6_RECVERR)
    )
}

impl Socket {
    /// Whether ancillary data of the Internet protocols comes with what it receives.
    #[must_use]
    pub fn has_ancillary(&self) -> bool {
        self.is_internet() && !self.is_stream()
    }

    /// recvmsg(2) of a datagram, with its address, flags and ancillary data.
    ///
    /// # Errors
    /// EAGAIN when nothing is there; the host's own.
    pub fn receive_with_ancillary(&mut self, into: &mut [u8], flags: u32) -> Result<Received, Errno> {
        self.own()?;
        if self.inherited.as_ref().is_some_and(|inherited| inherited.no_receive) {
            return Ok(Received::default());
        }
        let size = into.len();
        // MSG_TRUNC asks for the whole length; the caller decides how much of that to tell the guest.
        let message = warmfork_host::receive_message(self.handle().as_fd(), into, flags | MSG_TRUNC)?;
        Ok(Received {
            length: message.bytes.min(size),
            whole: message.bytes,
            flags: message.flags & (MSG_TRUNC | MSG_CTRUNC | MSG_EOR | MSG_OOB | MSG_ERRQUEUE),
            address: Address::decode(&message.address).ok(),
            ancillary: message.ancillary.into_iter().filter(may_see).collect(),
            ..Received::default()
        })
    }

    /// sendmsg(2) of a datagram with ancillary data, to an address that the policy allows.
    ///
    /// # Errors
    /// EAGAIN when there is no room; the host's own.
    pub fn send_with_ancillary(
        &mut self,
        host: &mut Host,
        from: &[u8],
        ancillary: &[Ancillary],
        flags: u32,
        address: Option<&SocketAddrAny>,
    ) -> Result<usize, Errno> {
        self.own()?;
        self.check_sending()?;
        host.coalescer.hand_over(self.handle())?;
        let address = address.map_or_else(Vec::new, |address| Address::from_host(address.clone()).encode());
        warmfork_host::send_message(self.handle().as_fd(), from, ancillary, flags | MSG_NOSIGNAL, &address)
    }
}

#[cfg(test)]
mod tests {
    use warmfork_abi::socket::{SCM_RIGHTS, SOL_SOCKET};

    use super::*;

    #[test]
    fn only_what_chooses_no_address_is_sent() {
        assert!(outgoing(SOL_IP, IP_TTL, &[1, 0, 0, 0]).is_ok());
        assert_eq!(outgoing(SOL_IP, IP_TTL, &[0; 8]), Err(Errno::EINVAL));
        assert_eq!(outgoing(SOL_IP, 8, &[0; 4]), Err(Errno::EINVAL));
        assert_eq!(outgoing(SOL_SOCKET, SCM_RIGHTS, &[0; 4]), Err(Errno::EINVAL));
    }
}
