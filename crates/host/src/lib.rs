//! The few host calls that no safe library wraps, each behind a safe function. Called by the emulated kernel and by
//! the binding, which have no unsafe code.

mod message;
pub mod vectors;

use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

pub use message::{Ancillary, Message, receive_message, send_message};
use warmfork_abi::Errno;

/// Reads a socket option as raw bytes; how many of `value` the host filled.
///
/// # Errors
/// The host's own; EINVAL for options whose value may hold an address.
pub fn socket_option(socket: impl AsFd, level: i32, name: i32, value: &mut [u8]) -> Result<usize, Errno> {
    if !is_plain(level, name) {
        return Err(Errno::EINVAL);
    }
    let mut length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `value` is writable for `length` bytes, the host writes no more than that, and the option's value holds
    // no address that the host would follow.
    let result = unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut length) };
    if result == 0 { usize::try_from(length).map_err(|_| Errno::EINVAL) } else { Err(last_error()) }
}

/// Sets a socket option from raw bytes.
///
/// # Errors
/// The host's own; EINVAL for options whose value may hold an address.
pub fn set_socket_option(socket: impl AsFd, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
    if !is_plain(level, name) {
        return Err(Errno::EINVAL);
    }
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `value` is readable for `length` bytes and holds no address that the host would follow.
    let result = unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), length) };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// Whether the option is one of a level known to have values without addresses. Packet filters (of sockets and of
/// xtables, which starts at 64 of the IP levels) and TCP's zero-copy receive have some.
fn is_plain(level: i32, name: i32) -> bool {
    match level {
        libc::SOL_SOCKET => ![libc::SO_ATTACH_FILTER, libc::SO_ATTACH_REUSEPORT_CBPF].contains(&name),
        libc::IPPROTO_IP => name < 64,
        libc::IPPROTO_IPV6 => {
            name < 64
                || [libc::IPV6_RECVTCLASS, libc::IPV6_TCLASS, IPV6_AUTOFLOWLABEL, IPV6_ADDR_PREFERENCES].contains(&name)
        }
        libc::IPPROTO_TCP => name != libc::TCP_ZEROCOPY_RECEIVE,
        libc::IPPROTO_UDP | libc::IPPROTO_UDPLITE => true,
        _ => false,
    }
}

const IPV6_AUTOFLOWLABEL: i32 = 70;
const IPV6_ADDR_PREFERENCES: i32 = 72;

/// A copy of the descriptor that is number `fd` in this process, closed on execve. If another thread closes the
/// number meanwhile, the copy may be of another file.
///
/// # Errors
/// EBADF when there is none, EMFILE when there is no room.
pub fn duplicate(fd: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes no pointers; a number that is no descriptor is EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(last_error());
    }
    // SAFETY: the host has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

fn last_error() -> Errno {
    Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(Errno::EIO.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_reads_back_as_it_was_set() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        set_socket_option(&socket, libc::IPPROTO_IP, libc::IP_TTL, &17_i32.to_ne_bytes()).unwrap();
        let mut value = [0; 8];
        assert_eq!(socket_option(&socket, libc::IPPROTO_IP, libc::IP_TTL, &mut value), Ok(4));
        assert_eq!(value[..4], 17_i32.to_ne_bytes());
    }

    #[test]
    fn a_copy_of_a_descriptor_is_another_one() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut copy = std::fs::File::from(duplicate(reader.as_raw_fd()).unwrap());
        drop(reader);
        std::io::Write::write_all(&mut writer, b"x").unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(&mut copy, &mut byte).unwrap();
        assert_eq!(byte, *b"x");
        assert_eq!(duplicate(-1).unwrap_err(), Errno::EBADF);
    }

    #[test]
    fn the_hosts_errors_come_through() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let set = set_socket_option(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, &1_i32.to_ne_bytes());
        assert_eq!(set, Err(Errno::ENOPROTOOPT));
        assert_eq!(socket_option(&socket, libc::SOL_SOCKET, 9999, &mut [0; 4]), Err(Errno::ENOPROTOOPT));
        assert_eq!(set_socket_option(&socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &[0; 16]), Err(Errno::EINVAL));
    }
}
