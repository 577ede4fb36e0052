//! The state that two ends of a connection between Unix sockets share: two queues of messages, kept as plain data.

use std::collections::VecDeque;

use warmfork_abi::Errno;
use warmfork_abi::socket::{MSG_TRUNC, SOCK_DGRAM, SOCK_STREAM};

use crate::events::{DescriptionId, Events};
use crate::ids::Credentials;
use crate::news::News;
use crate::objects::received::Received;
use crate::objects::registry::Registry;

/// Send buffer of a new socket (net.core.wmem_default).
pub const DEFAULT_BUFFER: usize = 212_992;
/// Smallest send buffer (SOCK_MIN_SNDBUF).
pub const SMALLEST_BUFFER: usize = 4608;
/// About the bytes that Linux charges for a message beside its own.
const OVERHEAD: usize = 640;
/// Bytes of one segment that further bytes of a stream may join.
const JOINED: usize = 65536;
/// Bytes that all socket pairs of a machine may hold.
const MAX_BUFFERED: usize = 64 << 20;

/// All socket pairs of a machine.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Channels {
    table: Registry<Channel>,
    buffered: usize,
    /// Descriptions in messages that nobody has received yet.
    in_flight: usize,
}

/// One socket pair.
#[derive(Clone, PartialEq, Debug)]
pub struct Channel {
    kind: u32,
    sides: [Side; 2],
}

/// One end's state.
#[derive(Clone, PartialEq, Debug)]
struct Side {
    /// The messages that it may receive.
    queue: VecDeque<Segment>,
    /// The charge of the queue, in bytes.
    charged: usize,
    send_buffer: usize,
    error: Option<Errno>,
    no_receive: bool,
    no_send: bool,
    open: bool,
    /// A datagram socket that knows that its peer is gone.
    alone: bool,
    read_edges: u64,
    write_edges: u64,
}

#[derive(Clone, PartialEq, Debug)]
struct Segment {
    data: Vec<u8>,
    /// How much of `data` has been received.
    start: usize,
    /// The charge of the segment, in bytes.
    charge: usize,
    rights: Vec<DescriptionId>,
    sender: Credentials,
}

impl Side {
    fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            charged: 0,
            send_buffer: DEFAULT_BUFFER,
            error: None,
            no_receive: false,
            no_send: false,
            open: true,
            alone: false,
            read_edges: 0,
            write_edges: 0,
        }
    }
}

impl Channels {
    /// The socket pairs that may have changed.
    pub fn news(&mut self) -> &mut News<u64> {
        self.table.news()
    }

    /// A new pair of sockets of `kind`; its id.
    pub fn create(&mut self, kind: u32) -> u64 {
        self.table.insert(Channel { kind, sides: [Side::new(), Side::new()] })
    }

    /// Descriptions in messages that nobody has received yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Sends from `side`, where `sender` writes. On success the channel holds the references of `rights`.
    ///
    /// # Errors
    /// EAGAIN when there is no room, EPIPE, ECONNREFUSED and ENOTCONN without a receiver, EMSGSIZE, ENOBUFS.
    pub fn send(
        &mut self,
        id: u64,
        side: usize,
        from: &[u8],
        rights: &[DescriptionId],
        sender: Credentials,
    ) -> Result<usize, Errno> {
        let channel = self.table.get_mut(id).ok_or(Errno::ENOTCONN)?;
        channel.check_sending(side)?;
        let count = channel.room(side, from.len())?;
        if self.buffered + count > MAX_BUFFERED {
            return Err(Errno::ENOBUFS);
        }
        self.buffered += count;
        self.in_flight += rights.len();
        channel.push(side, &from[..count], rights, sender);
        Ok(count)
    }

    /// Receives at `side`, and with `peek` leaves the message there. Unless peeking the caller owns the references in the answer.
    ///
    /// # Errors
    /// EAGAIN when nothing is there, ECONNRESET.
    pub fn receive(&mut self, id: u64, side: usize, into: &mut [u8], peek: bool) -> Result<Received, Errno> {
        let channel = self.table.get_mut(id).ok_or(Errno::ENOTCONN)?;
        if channel.sides[side].queue.is_empty() {
            return channel.nothing(side);
        }
        let before = channel.held(side);
        let received = if channel.kind == SOCK_STREAM {
            channel.receive_stream(side, into, peek)
        } else {
            channel.receive_message(side, into, peek)
        };
        self.buffered -= before - channel.held(side);
        if !peek {
            self.in_flight -= received.rights.len();
        }
        Ok(received)
    }

    /// shutdown(2) of `side`.
    pub fn shutdown(&mut self, id: u64, side: usize, receive: bool, send: bool) {
        let Some(channel) = self.table.get_mut(id) else { return };
        let connected = channel.kind != SOCK_DGRAM;
        let (own, peer) = channel.both(side);
        own.no_receive |= receive;
        own.no_send |= send;
        if connected {
            peer.no_receive |= send;
            peer.no_send |= receive;
        }
        channel.wake_all();
    }

    /// `side` is closed, which its peer takes for an error when it was not even `accepted`; the references that were in
    /// its queue, which the caller gives up.
    pub fn close(&mut self, id: u64, side: usize, accepted: bool) -> Vec<DescriptionId> {
        let Some(channel) = self.table.get_mut(id) else { return Vec::new() };
        self.buffered -= channel.held(side);
        let connected = channel.kind != SOCK_DGRAM;
        let (own, peer) = channel.both(side);
        own.open = false;
        own.charged = 0;
        let unread = std::mem::take(&mut own.queue);
        if connected {
            peer.no_receive = true;
            peer.no_send = true;
            if !unread.is_empty() || !accepted {
                peer.error = Some(Errno::ECONNRESET);
            }
        }
        channel.wake_all();
        if channel.sides.iter().all(|side| !side.open) {
            self.table.remove(id);
        }
        let orphans: Vec<_> = unread.into_iter().flat_map(|segment| segment.rights).collect();
        self.in_flight -= orphans.len();
        orphans
    }

    /// The events that `side` is ready for, as unix_poll of Linux says.
    #[must_use]
    pub fn poll(&self, id: u64, side: usize) -> Events {
        let Some(channel) = self.table.get(id) else { return Events::HUP };
        let (own, peer) = (&channel.sides[side], &channel.sides[1 - side]);
        let mut events = Events::empty();
        events.set(Events::ERR, own.error.is_some());
        events.set(Events::HUP, own.no_receive && own.no_send);
        events.set(Events::RDHUP, own.no_receive);
        events.set(Events::IN | Events::RDNORM, own.no_receive || !own.queue.is_empty());
        events.set(Events::OUT | Events::WRNORM | Events::WRBAND, peer.charged.saturating_mul(4) <= own.send_buffer);
        events
    }

    /// A number that changes when `side` becomes ready for one of `events`.
    #[must_use]
    pub fn edges(&self, id: u64, side: usize, events: Events) -> u64 {
        let Some(channel) = self.table.get(id) else { return 0 };
        let own = &channel.sides[side];
        let read = if events.intersects(Events::IN | Events::RDHUP) { own.read_edges } else { 0 };
        let write = if events.contains(Events::OUT) { own.write_edges } else { 0 };
        read.wrapping_add(write)
    }

    /// Takes the pending error (SO_ERROR).
    pub fn take_error(&mut self, id: u64, side: usize) -> Option<Errno> {
        self.table.get_mut(id)?.sides[side].error.take()
    }

    /// Bytes that a receiving call would find (FIONREAD): of a stream all, else of the first message.
    #[must_use]
    pub fn available(&self, id: u64, side: usize) -> usize {
        let Some(channel) = self.table.get(id) else { return 0 };
        let mut lengths = channel.sides[side].queue.iter().map(|segment| segment.data.len() - segment.start);
        if channel.kind == SOCK_STREAM { lengths.sum() } else { lengths.next().unwrap_or(0) }
    }

    /// The send buffer's size.
    #[must_use]
    pub fn send_buffer(&self, id: u64, side: usize) -> usize {
        self.table.get(id).map_or(0, |channel| channel.sides[side].send_buffer)
    }

    /// Changes the send buffer's size.
    pub fn set_send_buffer(&mut self, id: u64, side: usize, size: usize) {
        if let Some(channel) = self.table.get_mut(id) {
            channel.sides[side].send_buffer = size;
            channel.sides[side].write_edges += 1;
        }
    }
}

impl Channel {
    fn both(&mut self, side: usize) -> (&mut Side, &mut Side) {
        let [first, second] = &mut self.sides;
        if side == 0 { (first, second) } else { (second, first) }
    }

    /// Bytes in the queue of `side`, received ones of a started segment included.
    fn held(&self, side: usize) -> usize {
        self.sides[side].queue.iter().map(|segment| segment.data.len()).sum()
    }

    fn wake_all(&mut self) {
        for side in &mut self.sides {
            side.read_edges += 1;
            side.write_edges += 1;
        }
    }

    fn check_sending(&mut self, side: usize) -> Result<(), Errno> {
        let datagram = self.kind == SOCK_DGRAM;
        let (own, peer) = self.both(side);
        if own.no_send {
            return Err(Errno::EPIPE);
        }
        if datagram && !peer.open {
            // The first send finds the peer gone, further ones have none.
            let known = std::mem::replace(&mut own.alone, true);
            return Err(if known { Errno::ENOTCONN } else { Errno::ECONNREFUSED });
        }
        if datagram && peer.no_receive { Err(Errno::EPIPE) } else { Ok(()) }
    }

    /// How many of `length` bytes can be sent now from `side`.
    fn room(&self, side: usize, length: usize) -> Result<usize, Errno> {
        let (own, peer) = (&self.sides[side], &self.sides[1 - side]);
        let free = own.send_buffer.saturating_sub(peer.charged);
        if self.kind == SOCK_STREAM {
            return if free == 0 && length > 0 { Err(Errno::EAGAIN) } else { Ok(length.min(free)) };
        }
        if length > own.send_buffer.saturating_sub(32) {
            return Err(Errno::EMSGSIZE);
        }
        // As on Linux a message is let in as long as anything is free.
        if free == 0 { Err(Errno::EAGAIN) } else { Ok(length) }
    }

    fn push(&mut self, side: usize, from: &[u8], rights: &[DescriptionId], sender: Credentials) {
        let stream = self.kind == SOCK_STREAM;
        let (_, peer) = self.both(side);
        peer.read_edges += 1;
        if stream && from.is_empty() {
            return;
        }
        let joins =
            |last: &Segment| last.rights.is_empty() && last.sender == sender && last.data.len() + from.len() <= JOINED;
        if let Some(last) = peer.queue.back_mut().filter(|last| stream && rights.is_empty() && joins(last)) {
            last.data.extend_from_slice(from);
            last.charge += from.len();
            peer.charged += from.len();
            return;
        }
        let charge = from.len() + if stream { 0 } else { OVERHEAD };
        peer.charged += charge;
        peer.queue.push_back(Segment { data: from.to_vec(), start: 0, charge, rights: rights.to_vec(), sender });
    }

    fn nothing(&mut self, side: usize) -> Result<Received, Errno> {
        let own = &mut self.sides[side];
        if let Some(error) = own.error.take() {
            return Err(error);
        }
        if own.no_receive { Ok(Received::default()) } else { Err(Errno::EAGAIN) }
    }

    fn receive_stream(&mut self, side: usize, into: &mut [u8], peek: bool) -> Received {
        let (own, peer) = self.both(side);
        let mut received = Received::default();
        let mut ended = 0;
        for segment in &mut own.queue {
            // Bytes of two senders stay apart.
            if *received.credentials.get_or_insert(segment.sender) != segment.sender {
                break;
            }
            let rest = &segment.data[segment.start..];
            let count = rest.len().min(into.len() - received.length);
            into[received.length..received.length + count].copy_from_slice(&rest[..count]);
            received.length += count;
            let (ends, passes) = (count == rest.len(), !segment.rights.is_empty());
            ended += usize::from(ends);
            if peek {
                received.rights.extend(&segment.rights);
            } else {
                segment.start += count;
                segment.charge -= count;
                own.charged -= count;
                received.rights.append(&mut segment.rights);
            }
            if !ends || passes || received.length == into.len() {
                break;
            }
        }
        if !peek {
            own.queue.drain(..ended);
            peer.write_edges += 1;
        }
        received.whole = received.length;
        received
    }

    fn receive_message(&mut self, side: usize, into: &mut [u8], peek: bool) -> Received {
        let (own, peer) = self.both(side);
        let Some(segment) = own.queue.front_mut() else { return Received::default() };
        let (whole, length) = (segment.data.len(), segment.data.len().min(into.len()));
        into[..length].copy_from_slice(&segment.data[..length]);
        let credentials = Some(segment.sender);
        let rights = if peek { segment.rights.clone() } else { std::mem::take(&mut segment.rights) };
        if !peek {
            own.charged -= segment.charge;
            own.queue.pop_front();
            peer.write_edges += 1;
        }
        let flags = if whole > length { MSG_TRUNC } else { 0 };
        Received { length, whole, flags, rights, credentials, ..Received::default() }
    }
}

#[cfg(test)]
mod tests {
    use warmfork_abi::socket::SOCK_SEQPACKET;

    use super::*;

    const TAKE: bool = false;
    const PEEK: bool = true;
    const SENDER: Credentials = Credentials { pid: 2, uid: 0, gid: 0 };

    fn channels(kind: u32) -> (Channels, u64) {
        let mut channels = Channels::default();
        let id = channels.create(kind);
        (channels, id)
    }

    #[test]
    fn a_stream_joins_and_splits() {
        let (mut channels, id) = channels(SOCK_STREAM);
        channels.send(id, 0, b"hello ", &[], SENDER).unwrap();
        channels.send(id, 0, b"world", &[], SENDER).unwrap();
        let mut bytes = [0; 32];
        assert_eq!(channels.available(id, 1), 11);
        assert_eq!(channels.receive(id, 1, &mut bytes, PEEK).unwrap().length, 11);
        assert_eq!(channels.receive(id, 1, &mut bytes[..3], TAKE).unwrap().length, 3);
        assert_eq!(channels.receive(id, 1, &mut bytes[3..], TAKE).unwrap().length, 8);
        assert_eq!(&bytes[..11], b"hello world");
        assert_eq!(channels.receive(id, 1, &mut bytes, TAKE), Err(Errno::EAGAIN));
        assert_eq!(channels.buffered, 0);
    }

    #[test]
    fn messages_keep_their_bounds() {
        let (mut channels, id) = channels(SOCK_DGRAM);
        channels.send(id, 0, b"first", &[], SENDER).unwrap();
        channels.send(id, 0, b"", &[], SENDER).unwrap();
        channels.send(id, 0, b"third", &[], SENDER).unwrap();
        let mut bytes = [0; 3];
        let first = channels.receive(id, 1, &mut bytes, TAKE).unwrap();
        assert_eq!((first.length, first.whole, first.flags), (3, 5, MSG_TRUNC));
        assert_eq!(channels.receive(id, 1, &mut bytes, TAKE).unwrap().whole, 0);
        assert_eq!(channels.receive(id, 1, &mut bytes, TAKE).unwrap().whole, 5);
        assert_eq!(channels.buffered, 0);
    }

    #[test]
    fn a_full_buffer_says_so() {
        let (mut channels, id) = channels(SOCK_STREAM);
        assert_eq!(channels.send(id, 0, &[0; 300_000], &[], SENDER), Ok(DEFAULT_BUFFER));
        assert_eq!(channels.send(id, 0, b"x", &[], SENDER), Err(Errno::EAGAIN));
        assert!(!channels.poll(id, 0).contains(Events::OUT));
        channels.receive(id, 1, &mut [0; 1000], TAKE).unwrap();
        assert_eq!(channels.send(id, 0, &[0; 300_000], &[], SENDER), Ok(1000));
        channels.receive(id, 1, &mut vec![0; 300_000], TAKE).unwrap();
        assert!(channels.poll(id, 0).contains(Events::OUT));
    }

    #[test]
    fn a_message_that_never_fits_is_refused() {
        let (mut channels, id) = channels(SOCK_SEQPACKET);
        assert_eq!(channels.send(id, 0, &[0; 300_000], &[], SENDER), Err(Errno::EMSGSIZE));
    }

    #[test]
    fn all_pairs_together_are_bounded() {
        let (mut channels, first) = channels(SOCK_STREAM);
        let mut id = first;
        while channels.send(id, 0, &[0; DEFAULT_BUFFER], &[], SENDER).is_ok() {
            id = channels.create(SOCK_STREAM);
        }
        assert_eq!(channels.send(id, 0, &[0; DEFAULT_BUFFER], &[], SENDER), Err(Errno::ENOBUFS));
        assert!(channels.buffered <= MAX_BUFFERED);
    }

    #[test]
    fn rights_end_a_read_and_come_once() {
        let (mut channels, id) = channels(SOCK_STREAM);
        let passed = DescriptionId(7);
        channels.send(id, 0, b"ab", &[], SENDER).unwrap();
        channels.send(id, 0, b"cd", &[passed], SENDER).unwrap();
        channels.send(id, 0, b"ef", &[], SENDER).unwrap();
        assert_eq!(channels.in_flight(), 1);
        let mut bytes = [0; 16];
        let received = channels.receive(id, 1, &mut bytes, TAKE).unwrap();
        assert_eq!((received.length, received.rights), (4, vec![passed]));
        assert_eq!(channels.in_flight(), 0);
        assert_eq!(channels.receive(id, 1, &mut bytes, TAKE).unwrap().length, 2);
    }

    #[test]
    fn closing_gives_up_what_was_in_flight() {
        let (mut channels, id) = channels(SOCK_SEQPACKET);
        channels.send(id, 0, b"x", &[DescriptionId(7), DescriptionId(8)], SENDER).unwrap();
        assert_eq!(channels.close(id, 1, true), vec![DescriptionId(7), DescriptionId(8)]);
        assert_eq!(channels.send(id, 0, b"x", &[], SENDER), Err(Errno::EPIPE));
        assert_eq!(channels.receive(id, 0, &mut [0; 4], TAKE), Err(Errno::ECONNRESET));
        assert_eq!(channels.receive(id, 0, &mut [0; 4], TAKE), Ok(Received::default()));
        channels.close(id, 0, true);
        assert_eq!((channels.buffered, channels.in_flight), (0, 0));
        assert_eq!(channels.table.values().count(), 0);
    }

    #[test]
    fn shutdown_reaches_the_peer_of_a_stream() {
        let (mut channels, id) = channels(SOCK_STREAM);
        channels.send(id, 0, b"x", &[], SENDER).unwrap();
        channels.shutdown(id, 0, false, true);
        assert_eq!(channels.send(id, 0, b"y", &[], SENDER), Err(Errno::EPIPE));
        assert_eq!(channels.receive(id, 1, &mut [0; 4], TAKE).unwrap().length, 1);
        assert_eq!(channels.receive(id, 1, &mut [0; 4], TAKE).unwrap().length, 0);
        assert!(channels.poll(id, 1).contains(Events::IN | Events::RDHUP));
        assert!(!channels.poll(id, 1).contains(Events::HUP));
        assert_eq!(channels.send(id, 1, b"z", &[], SENDER), Ok(1));
    }

    #[test]
    fn a_datagram_socket_notices_that_its_peer_is_gone() {
        let (mut channels, id) = channels(SOCK_DGRAM);
        channels.close(id, 1, true);
        assert_eq!(channels.receive(id, 0, &mut [0; 4], TAKE), Err(Errno::EAGAIN));
        assert_eq!(channels.send(id, 0, b"x", &[], SENDER), Err(Errno::ECONNREFUSED));
        assert_eq!(channels.send(id, 0, b"x", &[], SENDER), Err(Errno::ENOTCONN));
    }
}
