//! The state that two ends of a TCP connection share, kept as plain data: two streams of bytes, and how far each is closed.
//!
//! Both ends are the machine's own; or only one end is there, because its peer was outside and is gone. States follow the standard
//! (RFC 9293) as a program can observe them; the network between the ends takes no time.
//!
//! ```text
//!   established --shutdown(SHUT_WR), close--> the peer reads what is left, then the end of the stream
//!   both have ended their stream, or one has reset the connection --> dead: neither sends any more
//! ```

use std::collections::VecDeque;

use warmfork_abi::Errno;

use crate::events::Events;
use crate::news::News;
use crate::objects::registry::Registry;

/// The size of buffers that nobody has set: Linux's on loopback.
const SEND_BUFFER: usize = 2_626_560;
const RECEIVE_BUFFER: usize = 131_072;
/// Bytes that all connections of a machine may hold.
const MAX_BUFFERED: usize = 64 << 20;
/// Where ports of ends that nobody has bound begin: behind those that Linux gives out by default.
const FIRST_PORT: u16 = 61_000;

/// All TCP connections within a machine.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Connections {
    table: Registry<Connection>,
    buffered: usize,
    /// How many ports have been given out.
    ports: u16,
}

#[derive(Clone, PartialEq, Debug)]
struct Connection {
    sides: [Side; 2],
}

/// The state of an end, as TCP_INFO tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Both may send.
    Established = 1,
    /// It has ended its stream.
    FinWait2 = 5,
    /// Neither sends any more.
    Close = 7,
    /// Its peer has ended its stream.
    CloseWait = 8,
}

/// One end's state.
#[derive(Clone, PartialEq, Debug)]
struct Side {
    /// The bytes that it may receive.
    received: VecDeque<u8>,
    send_buffer: usize,
    receive_buffer: usize,
    error: Option<Errno>,
    /// The peer has ended its stream.
    ended: bool,
    /// It has ended its own.
    no_send: bool,
    /// It wants to receive no more.
    no_receive: bool,
    /// The connection is over.
    dead: bool,
    open: bool,
    read_edges: u64,
    write_edges: u64,
}

impl Side {
    fn new() -> Self {
        Self {
            received: VecDeque::new(),
            send_buffer: SEND_BUFFER,
            receive_buffer: RECEIVE_BUFFER,
            error: None,
            ended: false,
            no_send: false,
            no_receive: false,
            dead: false,
            open: true,
            read_edges: 0,
            write_edges: 0,
        }
    }

    fn wake(&mut self) {
        self.read_edges += 1;
        self.write_edges += 1;
    }

    /// The peer has reset the connection. An end that knows already that the peer sends no more learns of it as of a broken
    /// pipe.
    fn reset(&mut self) {
        if !self.dead {
            self.error = Some(if self.ended { Errno::EPIPE } else { Errno::ECONNRESET });
            self.dead = true;
            self.wake();
        }
    }

    /// The peer has ended its stream.
    fn end(&mut self) {
        self.ended = true;
        self.dead |= self.no_send;
        self.wake();
    }

    /// Bytes that may be on their way to it from `peer`.
    fn capacity(&self, peer: &Self) -> usize {
        self.receive_buffer.saturating_add(peer.send_buffer)
    }

    fn room(&self, peer: &Self) -> usize {
        self.capacity(peer).saturating_sub(self.received.len())
    }

    /// Whether `peer` is told that it may write: a third of the buffers is free.
    fn has_room(&self, peer: &Self) -> bool {
        self.room(peer).saturating_mul(3) >= self.capacity(peer)
    }
}

impl Connections {
    /// The connections that may have changed.
    pub fn news(&mut self) -> &mut News<u64> {
        self.table.news()
    }

    /// A new connection; its id. The ends are numbers 0 and 1.
    pub fn create(&mut self) -> u64 {
        self.table.insert(Connection { sides: [Side::new(), Side::new()] })
    }

    /// A connection that has ended with `error`, and whose peer is gone: only end 0 is there.
    pub fn create_ended(&mut self, error: Errno) -> u64 {
        let (mut own, mut gone) = (Side::new(), Side::new());
        own.reset();
        own.error = Some(error);
        gone.open = false;
        self.table.insert(Connection { sides: [own, gone] })
    }

    /// A port for an end that nobody has bound. Such an end is known by its connection, so that two may have the same one
    /// after very many others.
    pub fn next_port(&mut self) -> u16 {
        let port = FIRST_PORT + self.ports % (u16::MAX - FIRST_PORT);
        self.ports = self.ports.wrapping_add(1);
        port
    }

    /// Sets the size of the send buffer of `side`.
    pub fn set_send_buffer(&mut self, id: u64, side: usize, size: usize) {
        if let Some(connection) = self.table.get_mut(id) {
            connection.sides[side].send_buffer = size;
            connection.sides[side].write_edges += 1;
        }
    }

    /// Sets the size of the receive buffer of `side`.
    pub fn set_receive_buffer(&mut self, id: u64, side: usize, size: usize) {
        if let Some(connection) = self.table.get_mut(id) {
            connection.sides[side].receive_buffer = size;
            connection.sides[1 - side].write_edges += 1;
        }
    }

    /// Sends from `side`; how many bytes there was room for.
    ///
    /// # Errors
    /// EAGAIN when there is no room, ENOBUFS when all connections hold too much, the pending error, EPIPE.
    pub fn send(&mut self, id: u64, side: usize, from: &[u8]) -> Result<usize, Errno> {
        let connection = self.table.get_mut(id).ok_or(Errno::EPIPE)?;
        let (own, peer) = connection.both(side);
        if let Some(error) = own.error.take() {
            return Err(error);
        }
        if own.no_send || own.dead {
            return Err(Errno::EPIPE);
        }
        if from.is_empty() {
            return Ok(0);
        }
        if !peer.open {
            // It goes out, and nobody is there any more to take it.
            own.reset();
            return Ok(from.len());
        }
        let count = from.len().min(peer.room(own));
        if count == 0 {
            return Err(Errno::EAGAIN);
        }
        if self.buffered + count > MAX_BUFFERED {
            return Err(Errno::ENOBUFS);
        }
        self.buffered += count;
        peer.received.extend(&from[..count]);
        peer.read_edges += 1;
        Ok(count)
    }

    /// Receives at `side`, and with `peek` leaves the bytes there. Zero is the end of the stream.
    ///
    /// # Errors
    /// EAGAIN when nothing is there, the pending error.
    pub fn receive(&mut self, id: u64, side: usize, into: &mut [u8], peek: bool) -> Result<usize, Errno> {
        let connection = self.table.get_mut(id).ok_or(Errno::ENOTCONN)?;
        let (own, peer) = connection.both(side);
        if own.received.is_empty() {
            return match own.error {
                _ if own.ended => Ok(0),
                Some(_) => Err(own.error.take().unwrap_or(Errno::ECONNRESET)),
                None if own.no_receive || own.dead => Ok(0),
                None => Err(Errno::EAGAIN),
            };
        }
        let count = into.len().min(own.received.len());
        let (first, second) = own.received.as_slices();
        let split = count.min(first.len());
        into[..split].copy_from_slice(&first[..split]);
        into[split..count].copy_from_slice(&second[..count - split]);
        if !peek {
            let waited = !own.has_room(peer);
            own.received.drain(..count);
            self.buffered -= count;
            if waited && own.has_room(peer) {
                peer.write_edges += 1;
            }
        }
        Ok(count)
    }

    /// shutdown(2) of `side`.
    ///
    /// # Errors
    /// ENOTCONN when the connection is over.
    pub fn shutdown(&mut self, id: u64, side: usize, receive: bool, send: bool) -> Result<(), Errno> {
        let connection = self.table.get_mut(id).ok_or(Errno::ENOTCONN)?;
        let (own, peer) = connection.both(side);
        if own.dead {
            return Err(Errno::ENOTCONN);
        }
        own.no_receive |= receive;
        if send && !own.no_send {
            own.no_send = true;
            own.dead = own.ended;
            peer.end();
        }
        own.wake();
        Ok(())
    }

    /// `side` is closed. With bytes that it has not received, or when it `resets`, its peer takes it for an error.
    pub fn close(&mut self, id: u64, side: usize, resets: bool) {
        let Some(connection) = self.table.get_mut(id) else { return };
        let (own, peer) = connection.both(side);
        let unread = std::mem::take(&mut own.received).len();
        self.buffered -= unread;
        own.open = false;
        if unread > 0 || resets {
            peer.reset();
        } else if !own.no_send && !own.dead {
            peer.end();
        }
        own.no_send = true;
        if !peer.open {
            self.table.remove(id);
        }
    }

    /// The events that `side` is ready for, as tcp_poll of Linux says.
    #[must_use]
    pub fn poll(&self, id: u64, side: usize) -> Events {
        let Some(connection) = self.table.get(id) else { return Events::HUP };
        let (own, peer) = (&connection.sides[side], &connection.sides[1 - side]);
        let no_receive = own.ended || own.no_receive || own.dead;
        let no_send = own.no_send || own.dead;
        let mut events = Events::empty();
        events.set(Events::ERR, own.error.is_some());
        events.set(Events::HUP, no_receive && no_send);
        events.set(Events::RDHUP, no_receive);
        events.set(Events::IN | Events::RDNORM, no_receive || !own.received.is_empty());
        events.set(Events::OUT | Events::WRNORM, no_send || peer.has_room(own));
        events
    }

    /// A number that changes when `side` becomes ready for one of `events`.
    #[must_use]
    pub fn edges(&self, id: u64, side: usize, events: Events) -> u64 {
        let Some(connection) = self.table.get(id) else { return 0 };
        let own = &connection.sides[side];
        let writes = events.contains(Events::OUT);
        // A waiter for neither waits for an error or a hang-up, which are among both.
        let reads = !writes || events.intersects(Events::IN | Events::RDHUP);
        let counted = |counts: bool, edges: u64| if counts { edges } else { 0 };
        counted(reads, own.read_edges).wrapping_add(counted(writes, own.write_edges))
    }

    /// Takes the pending error (SO_ERROR).
    pub fn take_error(&mut self, id: u64, side: usize) -> Option<Errno> {
        self.table.get_mut(id)?.sides[side].error.take()
    }

    /// Bytes that a receiving call would find (FIONREAD).
    #[must_use]
    pub fn available(&self, id: u64, side: usize) -> usize {
        self.table.get(id).map_or(0, |connection| connection.sides[side].received.len())
    }

    /// The state of `side`.
    #[must_use]
    pub fn state(&self, id: u64, side: usize) -> State {
        let Some(connection) = self.table.get(id) else { return State::Close };
        match &connection.sides[side] {
            Side { dead: true, .. } => State::Close,
            Side { no_send: true, .. } => State::FinWait2,
            Side { ended: true, .. } => State::CloseWait,
            _ => State::Established,
        }
    }
}

impl Connection {
    fn both(&mut self, side: usize) -> (&mut Side, &mut Side) {
        let [first, second] = &mut self.sides;
        if side == 0 { (first, second) } else { (second, first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKE: bool = false;
    const PEEK: bool = true;

    fn connected() -> (Connections, u64) {
        let mut connections = Connections::default();
        let id = connections.create();
        (connections, id)
    }

    #[test]
    fn bytes_come_in_order_and_stay_when_peeked_at() {
        let (mut connections, id) = connected();
        connections.send(id, 0, b"hello ").unwrap();
        connections.send(id, 0, b"world").unwrap();
        let mut bytes = [0; 16];
        assert_eq!(connections.receive(id, 1, &mut bytes, PEEK), Ok(11));
        assert_eq!(connections.receive(id, 1, &mut bytes[..3], TAKE), Ok(3));
        assert_eq!(connections.available(id, 1), 8);
        assert_eq!(connections.receive(id, 1, &mut bytes[3..], TAKE), Ok(8));
        assert_eq!(&bytes[..11], b"hello world");
        assert_eq!(connections.receive(id, 1, &mut bytes, TAKE), Err(Errno::EAGAIN));
        assert_eq!(connections.receive(id, 0, &mut bytes, TAKE), Err(Errno::EAGAIN));
        assert_eq!(connections.buffered, 0);
    }

    #[test]
    fn a_closed_peer_has_ended_its_stream_and_resets_what_comes() {
        let (mut connections, id) = connected();
        connections.send(id, 0, b"last").unwrap();
        connections.close(id, 0, false);
        let mut bytes = [0; 16];
        assert_eq!(connections.state(id, 1), State::CloseWait);
        assert_eq!(connections.receive(id, 1, &mut bytes, TAKE), Ok(4));
        assert_eq!(connections.receive(id, 1, &mut bytes, TAKE), Ok(0));
        assert_eq!(connections.send(id, 1, b"into nothing"), Ok(12));
        assert!(connections.poll(id, 1).contains(Events::ERR | Events::HUP));
        assert_eq!(connections.send(id, 1, b"x"), Err(Errno::EPIPE));
        assert_eq!(connections.receive(id, 1, &mut bytes, TAKE), Ok(0));
        connections.close(id, 1, false);
        assert_eq!(connections.table.values().count(), 0);
    }

    #[test]
    fn closing_with_unread_bytes_resets() {
        let (mut connections, id) = connected();
        connections.send(id, 1, b"unread").unwrap();
        connections.close(id, 0, false);
        assert_eq!(connections.receive(id, 1, &mut [0; 4], TAKE), Err(Errno::ECONNRESET));
        assert_eq!(connections.receive(id, 1, &mut [0; 4], TAKE), Ok(0));
        assert_eq!(connections.send(id, 1, b"x"), Err(Errno::EPIPE));
        assert_eq!(connections.shutdown(id, 1, true, true), Err(Errno::ENOTCONN));
        assert_eq!(connections.buffered, 0);
    }

    #[test]
    fn a_connection_whose_peer_is_gone_says_so_once() {
        let mut connections = Connections::default();
        let id = connections.create_ended(Errno::ECONNRESET);
        let everything = Events::IN | Events::OUT | Events::RDHUP | Events::HUP | Events::ERR;
        assert!(connections.poll(id, 0).contains(everything));
        assert_eq!(connections.send(id, 0, b"x"), Err(Errno::ECONNRESET));
        assert!(connections.poll(id, 0).contains(everything - Events::ERR));
        assert!(!connections.poll(id, 0).contains(Events::ERR));
        assert_eq!(connections.receive(id, 0, &mut [0; 4], TAKE), Ok(0));
        connections.close(id, 0, false);
        assert_eq!(connections.table.values().count(), 0);
    }

    #[test]
    fn half_closed_connections_still_carry_the_other_stream() {
        let (mut connections, id) = connected();
        connections.shutdown(id, 0, false, true).unwrap();
        assert_eq!(connections.send(id, 0, b"x"), Err(Errno::EPIPE));
        assert_eq!(connections.receive(id, 1, &mut [0; 4], TAKE), Ok(0));
        assert_eq!(connections.send(id, 1, b"reply"), Ok(5));
        assert_eq!(connections.receive(id, 0, &mut [0; 8], TAKE), Ok(5));
        assert_eq!((connections.state(id, 0), connections.state(id, 1)), (State::FinWait2, State::CloseWait));
        connections.shutdown(id, 1, false, true).unwrap();
        assert_eq!((connections.state(id, 0), connections.state(id, 1)), (State::Close, State::Close));
        assert!(connections.poll(id, 0).contains(Events::HUP));
    }

    #[test]
    fn who_writes_is_told_of_room_when_a_third_is_free() {
        let (mut connections, id) = connected();
        connections.set_send_buffer(id, 0, 2000);
        connections.set_receive_buffer(id, 1, 1000);
        assert_eq!(connections.send(id, 0, &[0; 5000]), Ok(3000));
        assert_eq!(connections.send(id, 0, b"x"), Err(Errno::EAGAIN));
        let before = connections.edges(id, 0, Events::OUT);
        connections.receive(id, 1, &mut [0; 900], TAKE).unwrap();
        assert!(!connections.poll(id, 0).contains(Events::OUT));
        assert_eq!(connections.edges(id, 0, Events::OUT), before);
        connections.receive(id, 1, &mut [0; 200], TAKE).unwrap();
        assert!(connections.poll(id, 0).contains(Events::OUT));
        assert_ne!(connections.edges(id, 0, Events::OUT), before);
    }

    #[test]
    fn all_connections_together_are_bounded() {
        let (mut connections, first) = connected();
        let mut id = first;
        let mut last = Ok(0);
        for _ in 0..1000 {
            last = connections.send(id, 0, &[0; 200_000]);
            if last == Err(Errno::EAGAIN) {
                id = connections.create();
            } else if last.is_err() {
                break;
            }
        }
        assert_eq!(last, Err(Errno::ENOBUFS));
        assert!(connections.buffered <= MAX_BUFFERED);
    }
}
