//! Options of connections without the host: a socket of the host's with the same options tells their values.

use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_INET6, IP_MTU, SO_COOKIE, SO_ERROR, SO_LINGER, SO_RCVBUF, SO_RCVTIMEO, SO_SNDBUF, SO_SNDTIMEO, SOL_IP,
    SOL_SOCKET, SOL_TCP, TCP_INFO, TCP_MAXSEG,
};

use crate::objects::option_values::{linger_bytes, read_linger, read_timeout, timeout_bytes};
use crate::objects::options::Name;
use crate::objects::tcp::TcpEnd;
use crate::objects::tcp::connection::Connections;

/// The payload of a segment over loopback: packets have 65,535 bytes, less the headers of IPv4 or IPv6, and of TCP
/// with time stamps.
const SEGMENT: [u32; 2] = [65_483, 65_463];
/// The largest packet of loopback.
const PACKET: u32 = 65_535;

impl TcpEnd {
    /// The value of an option, of at most `room` bytes.
    ///
    /// # Errors
    /// ENOPROTOOPT for an option that guests do not have; the host's own.
    pub fn option(&self, connections: &mut Connections, name: Name, room: usize) -> Result<Vec<u8>, Errno> {
        let number = |value: u32| value.to_le_bytes().to_vec();
        let segment = SEGMENT[usize::from(self.family == AF_INET6)];
        match (name.level, name.name) {
            (SOL_SOCKET, SO_RCVTIMEO) => Ok(timeout_bytes(self.receive_timeout)),
            (SOL_SOCKET, SO_SNDTIMEO) => Ok(timeout_bytes(self.send_timeout)),
            (SOL_SOCKET, SO_LINGER) => Ok(linger_bytes(self.linger)),
            (SOL_SOCKET, SO_ERROR) => {
                let error = self.take_error(connections);
                Ok(number(error.map_or(0, |error| error.0.cast_unsigned())))
            }
            (SOL_SOCKET, SO_COOKIE) => Ok((self.connection * 2 + self.side as u64 + 1).to_le_bytes().to_vec()),
            (SOL_TCP, TCP_MAXSEG) => Ok(number(segment)),
            (SOL_IP, IP_MTU) => Ok(number(PACKET)),
            (SOL_TCP, TCP_INFO) => {
                let mut value = name.on_host(self.like()?.handle(), room)?;
                self.describe(connections, segment, &mut value);
                Ok(value)
            }
            _ => name.on_host(self.like()?.handle(), room),
        }
    }

    /// Fills in a `struct tcp_info` of the host's: the state, and the values of a connection over loopback.
    fn describe(&self, connections: &Connections, segment: u32, information: &mut [u8]) {
        let state = connections.state(self.connection, self.side) as u8;
        // Time stamps, selective acknowledgement and window scaling, by 7 bits either way.
        let head = [(0, state), (5, 7), (6, 0x77)];
        // Retransmission timeout (us), segments, packets, round trip (us) and its variance, window and announced segment.
        let words =
            [(8, 201_000), (16, segment), (20, segment), (60, PACKET), (68, 20), (72, 10), (80, 10), (84, segment)];
        for (at, byte) in head {
            information.get_mut(at).into_iter().for_each(|place| *place = byte);
        }
        for (at, word) in words {
            if let Some(place) = information.get_mut(at..at + 4) {
                place.copy_from_slice(&u32::to_le_bytes(word));
            }
        }
    }

    /// Sets an option.
    ///
    /// # Errors
    /// As for a socket of the host.
    pub fn set_option(&mut self, connections: &mut Connections, name: Name, value: &[u8]) -> Result<(), Errno> {
        match (name.level, name.name) {
            (SOL_SOCKET, SO_RCVTIMEO) => self.receive_timeout = read_timeout(value)?,
            (SOL_SOCKET, SO_SNDTIMEO) => self.send_timeout = read_timeout(value)?,
            (SOL_SOCKET, SO_LINGER) => self.linger = read_linger(value)?,
            _ => {
                let value = name.set_on_host(self.like()?.handle(), value)?;
                self.options.record(name, value);
                self.size(connections);
            }
        }
        Ok(())
    }

    /// Tells the connection how much may wait for this end, if the guest has said so at either.
    pub(super) fn size(&self, connections: &mut Connections) {
        let set = |name| self.options.get(Name { level: SOL_SOCKET, name }).is_some();
        if !set(SO_RCVBUF) && !set(SO_SNDBUF) {
            return;
        }
        let Ok(socket) = self.like() else { return };
        let size = |name| {
            let value = Name { level: SOL_SOCKET, name }.on_host(socket.handle(), 4).ok();
            value.and_then(|value| Some(u32::from_le_bytes(*value.first_chunk()?))).unwrap_or(0) as usize
        };
        if set(SO_RCVBUF) {
            connections.set_receive_buffer(self.connection, self.side, size(SO_RCVBUF));
        }
        if set(SO_SNDBUF) {
            connections.set_send_buffer(self.connection, self.side, size(SO_SNDBUF));
        }
    }
}
