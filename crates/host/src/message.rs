//! Datagrams with ancillary data that no safe library knows: sendmsg(2) and recvmsg(2) with raw control messages.

use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

use warmfork_abi::Errno;
use warmfork_abi::socket::{
    CMSGHDR_SIZE, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOCKADDR_STORAGE_SIZE, SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_UDP,
};

use crate::last_error;

/// Room for the control messages of one datagram.
const ROOM: usize = 512;

/// A control message of the Internet protocols.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ancillary {
    /// SOL_IP, SOL_IPV6 or SOL_UDP.
    pub level: u32,
    /// Which one of the level's.
    pub kind: u32,
    /// Its value.
    pub data: Vec<u8>,
}

/// The results of recvmsg(2) beside the bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Message {
    /// How many bytes there were: with MSG_TRUNC in `flags` more than were asked for.
    pub bytes: usize,
    /// MSG_* of the message.
    pub flags: u32,
    /// The sender's `struct sockaddr`; empty when there is none.
    pub address: Vec<u8>,
    /// Control messages of the Internet protocols.
    pub ancillary: Vec<Ancillary>,
}

fn encode(ancillary: &[Ancillary]) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    for message in ancillary {
        if !matches!(message.level, SOL_IP | SOL_IPV6 | SOL_UDP) {
            return Err(Errno::EINVAL);
        }
        bytes.extend(((CMSGHDR_SIZE + message.data.len()) as u64).to_ne_bytes());
        bytes.extend(message.level.to_ne_bytes());
        bytes.extend(message.kind.to_ne_bytes());
        bytes.extend(&message.data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    Ok(bytes)
}

/// The Internet protocols' messages in the host's answer; descriptors that came along are closed.
fn decode(mut rest: &[u8]) -> Vec<Ancillary> {
    let mut found = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(CMSGHDR_SIZE) {
        let word = |from: usize| header[from..from + 4].try_into().map_or(0, u32::from_ne_bytes);
        let length = usize::try_from(header[..8].try_into().map_or(0, u64::from_ne_bytes)).unwrap_or(0);
        let Some(data) = length.checked_sub(CMSGHDR_SIZE).and_then(|size| after.get(..size)) else { break };
        match (word(8), word(12)) {
            (SOL_SOCKET, SCM_RIGHTS) => {
                for fd in data.chunks_exact(4) {
                    // SAFETY: the host has just made this descriptor for this message, and nobody else knows of it.
                    drop(unsafe { OwnedFd::from_raw_fd(fd.try_into().map_or(-1, i32::from_ne_bytes)) });
                }
            }
            (level @ (SOL_IP | SOL_IPV6 | SOL_UDP), kind) => {
                found.push(Ancillary { level, kind, data: data.to_vec() });
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or(&[]);
    }
    found
}

/// sendmsg(2) of `from` with `ancillary`, to the `struct sockaddr` in `address` if that is not empty.
///
/// # Errors
/// The host's own; EINVAL for ancillary data that is not the Internet protocols'.
pub fn send_message(
    socket: impl AsFd,
    from: &[u8],
    ancillary: &[Ancillary],
    flags: u32,
    address: &[u8],
) -> Result<usize, Errno> {
    let control = encode(ancillary)?;
    let vector = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let header = libc::msghdr {
        msg_name: if address.is_empty() { std::ptr::null_mut() } else { address.as_ptr().cast_mut().cast() },
        msg_namelen: libc::socklen_t::try_from(address.len()).map_err(|_| Errno::EINVAL)?,
        msg_iov: (&raw const vector).cast_mut(),
        msg_iovlen: 1,
        msg_control: control.as_ptr().cast_mut().cast(),
        msg_controllen: control.len(),
        msg_flags: 0,
    };
    // SAFETY: each pointer of `header` is readable for the length beside it until the call returns, sendmsg writes to
    // none of them, and control messages of these levels hold no addresses that the host would follow.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const header, flags.cast_signed()) };
    usize::try_from(sent).map_err(|_| last_error())
}

/// recvmsg(2) into `into`.
///
/// # Errors
/// The host's own.
pub fn receive_message(socket: impl AsFd, into: &mut [u8], flags: u32) -> Result<Message, Errno> {
    let (mut control, mut address) = ([0_u8; ROOM], [0_u8; SOCKADDR_STORAGE_SIZE]);
    let mut vector = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let mut header = libc::msghdr {
        msg_name: address.as_mut_ptr().cast(),
        msg_namelen: libc::socklen_t::try_from(address.len()).map_err(|_| Errno::EINVAL)?,
        msg_iov: &raw mut vector,
        msg_iovlen: 1,
        msg_control: control.as_mut_ptr().cast(),
        msg_controllen: control.len(),
        msg_flags: 0,
    };
    let flags = (flags | MSG_CMSG_CLOEXEC).cast_signed();
    // SAFETY: each pointer of `header` is writable for the length beside it, and the host writes no more than that.
    let received = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) };
    let bytes = usize::try_from(received).map_err(|_| last_error())?;
    let named = usize::try_from(header.msg_namelen).unwrap_or(0).min(address.len());
    Ok(Message {
        bytes,
        flags: header.msg_flags.cast_unsigned() & !MSG_CMSG_CLOEXEC,
        address: address[..named].to_vec(),
        ancillary: decode(&control[..header.msg_controllen.min(control.len())]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop_limit(value: i32) -> Ancillary {
        Ancillary { level: SOL_IP, kind: libc::IP_TTL.cast_unsigned(), data: value.to_ne_bytes().to_vec() }
    }

    #[test]
    fn a_datagram_carries_what_was_sent_with_it() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        crate::set_socket_option(&receiver, libc::IPPROTO_IP, libc::IP_RECVTTL, &1_i32.to_ne_bytes()).unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        assert_eq!(send_message(&sender, b"hello", &[hop_limit(9)], 0, &[]), Ok(5));
        let mut bytes = [0; 3];
        let message = receive_message(&receiver, &mut bytes, 0).unwrap();
        assert_eq!((message.bytes, &bytes), (3, b"hel"));
        assert_eq!(message.flags, warmfork_abi::socket::MSG_TRUNC);
        assert_eq!(message.ancillary, [hop_limit(9)]);
        assert_eq!(message.address[2..4], sender.local_addr().unwrap().port().to_be_bytes());
    }

    #[test]
    fn descriptors_are_neither_sent_nor_kept() {
        let rights = Ancillary { level: SOL_SOCKET, kind: SCM_RIGHTS, data: vec![0; 4] };
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(send_message(&socket, b"x", &[rights], 0, &[]), Err(Errno::EINVAL));
    }

    #[test]
    fn a_message_that_does_not_fit_ends_the_list() {
        let mut bytes = encode(&[hop_limit(1), hop_limit(2)]).unwrap();
        assert_eq!(decode(&bytes).len(), 2);
        bytes[24] = 255;
        assert_eq!(decode(&bytes), [hop_limit(1)]);
        assert_eq!(decode(&bytes[..7]), []);
    }
}
