//! One end of a TCP connection that does not go through the host: between two of the machine's own sockets, or to a peer
//! that a fork does not have any more. Plain data.
//!
//! A socket becomes one when it is connected to a listening socket of the machine's own (`syscalls/within.rs`), and in a fork
//! when its peer is outside (`objects/inherited.rs`). Urgent data is refused.

pub mod connection;
mod options;
mod sockets;

use std::net::SocketAddr;

use warmfork_abi::Errno;
use warmfork_abi::socket::{MSG_OOB, MSG_PEEK, MSG_TRUNC, SHUT_RD, SHUT_WR};
use warmfork_abi::stat::{Metadata, S_IFSOCK};

use crate::events::Events;
use crate::objects::options::Options;
use crate::objects::received::Received;
use crate::objects::{Context, Operations, Shared, anonymous};
use crate::wait_queues::Queue;
use connection::{Connections, State};

/// One end of a connection.
#[derive(Clone, PartialEq, Debug)]
pub struct TcpEnd {
    connection: u64,
    side: usize,
    /// AF_INET or AF_INET6.
    pub family: u16,
    /// Its own name.
    pub name: SocketAddr,
    peer: SocketAddr,
    /// The options that the guest has set.
    pub options: Options,
    /// SO_RCVTIMEO in nanoseconds.
    pub receive_timeout: Option<u64>,
    /// SO_SNDTIMEO in nanoseconds.
    pub send_timeout: Option<u64>,
    /// SO_LINGER: on, seconds.
    pub linger: (bool, u32),
    /// A connect(2) that did not wait has not been told yet that it was successful.
    pub connecting: bool,
    inode: u64,
}

impl TcpEnd {
    /// Whom it was connected to.
    #[must_use]
    pub fn peer_name(&self) -> SocketAddr {
        self.peer
    }

    /// getpeername(2)
    ///
    /// # Errors
    /// ENOTCONN when the connection is over.
    pub fn peer(&self, connections: &Connections) -> Result<SocketAddr, Errno> {
        match connections.state(self.connection, self.side) {
            State::Close => Err(Errno::ENOTCONN),
            _ => Ok(self.peer),
        }
    }

    /// recv(2) with its flags.
    ///
    /// # Errors
    /// As [`Connections::receive`]; EINVAL for urgent data, of which there is none.
    pub fn receive(&mut self, connections: &mut Connections, into: &mut [u8], flags: u32) -> Result<Received, Errno> {
        if flags & MSG_OOB != 0 {
            return Err(Errno::EINVAL);
        }
        let length = connections.receive(self.connection, self.side, into, flags & MSG_PEEK != 0)?;
        // MSG_TRUNC discards bytes instead of copying them.
        let copied = if flags & MSG_TRUNC == 0 { length } else { 0 };
        Ok(Received { length: copied, whole: length, ..Received::default() })
    }

    /// send(2) with its flags.
    ///
    /// # Errors
    /// As [`Connections::send`]; EOPNOTSUPP for urgent data.
    pub fn send(&mut self, connections: &mut Connections, from: &[u8], flags: u32) -> Result<usize, Errno> {
        if flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        connections.send(self.connection, self.side, from)
    }

    /// shutdown(2)
    ///
    /// # Errors
    /// As [`Connections::shutdown`].
    pub fn shutdown(&mut self, connections: &mut Connections, how: u32) -> Result<(), Errno> {
        connections.shutdown(self.connection, self.side, how != SHUT_WR, how != SHUT_RD)
    }

    /// Takes the pending error.
    pub fn take_error(&self, connections: &mut Connections) -> Option<Errno> {
        connections.take_error(self.connection, self.side)
    }

    /// It was never accepted, and will not be.
    pub fn reject(&self, shared: &mut Shared) {
        shared.connections.close(self.connection, self.side, true);
    }
}

impl Operations for TcpEnd {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        if at.is_some() {
            return Err(Errno::ESPIPE);
        }
        Ok(self.receive(&mut context.shared.connections, into, 0)?.length)
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], at: Option<u64>) -> Result<usize, Errno> {
        if at.is_some() {
            return Err(Errno::ESPIPE);
        }
        self.send(&mut context.shared.connections, from, 0)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        context.shared.connections.poll(self.connection, self.side)
    }

    fn edges(&mut self, context: &mut Context<'_>, events: Events) -> u64 {
        context.shared.connections.edges(self.connection, self.side, events)
    }

    fn available(&mut self, context: &mut Context<'_>) -> Result<usize, Errno> {
        Ok(context.shared.connections.available(self.connection, self.side))
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        Ok(anonymous(S_IFSOCK | 0o777, self.inode))
    }

    fn receive_timeout(&self) -> Option<u64> {
        self.receive_timeout
    }

    fn send_timeout(&self) -> Option<u64> {
        self.send_timeout
    }

    fn queues(&self) -> [Option<Queue>; 2] {
        [Some(Queue::Connection(self.connection)), None]
    }

    fn link_text(&self) -> Vec<u8> {
        format!("socket:[{}]", self.inode).into_bytes()
    }

    fn close(&mut self, context: &mut Context<'_>) {
        let resets = self.linger == (true, 0);
        context.shared.connections.close(self.connection, self.side, resets);
    }
}
