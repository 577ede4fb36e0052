//! One end of a socketpair, or of a connection between Unix sockets of one machine, kept as plain data.

use warmfork_abi::Errno;
use warmfork_abi::socket::{MSG_PEEK, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_STREAM};
use warmfork_abi::stat::{Metadata, S_IFSOCK};

use crate::events::{DescriptionId, Events};
use crate::ids::Credentials;
use crate::objects::address::Address;
use crate::objects::channel::Channels;
use crate::objects::received::Received;
use crate::objects::{Context, Operations, Shared, anonymous};
use crate::wait_queues::Queue;

/// One end of a socketpair.
#[derive(Clone, PartialEq, Debug)]
pub struct PairEnd {
    channel: u64,
    side: usize,
    /// SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    pub kind: u32,
    /// SO_PASSCRED
    pub pass_credentials: bool,
    /// Options that are merely on or off: bit n for option n.
    pub switches: u32,
    /// SO_RCVTIMEO in nanoseconds.
    pub receive_timeout: Option<u64>,
    /// SO_SNDTIMEO in nanoseconds.
    pub send_timeout: Option<u64>,
    /// SO_RCVBUF, which bounds nothing: the sender's buffer does.
    pub receive_buffer: usize,
    /// Its own name.
    pub name: Address,
    /// Its peer's.
    pub peer_name: Address,
    /// The credentials of the other end's maker (SO_PEERCRED).
    pub peer: Credentials,
}

impl PairEnd {
    /// Both ends of a new pair that `maker` makes.
    pub fn create(channels: &mut Channels, kind: u32, maker: Credentials) -> (Self, Self) {
        let channel = channels.create(kind);
        let end = |side| Self {
            channel,
            side,
            kind,
            pass_credentials: false,
            switches: 0,
            receive_timeout: None,
            send_timeout: None,
            receive_buffer: super::channel::DEFAULT_BUFFER,
            name: Address::Unnamed,
            peer_name: Address::Unnamed,
            peer: maker,
        };
        (end(0), end(1))
    }

    /// The end that is left of a connection of sockets of `kind`, named `name` and `peer`, when that has reset it.
    pub fn reset(channels: &mut Channels, kind: u32, name: Address, peer: Address) -> Self {
        let (own, gone) = Self::create(channels, kind, Credentials::NOBODY);
        channels.close(gone.channel, gone.side, false);
        Self { name, peer_name: peer, ..own }
    }

    /// Whether it carries a stream.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.kind == SOCK_STREAM
    }

    /// Receives with `flags` of recv(2); descriptions that come along are given up unless `rights`.
    ///
    /// # Errors
    /// As [`Channels::receive`].
    pub fn receive(
        &mut self,
        context: &mut Context<'_>,
        into: &mut [u8],
        flags: u32,
        rights: bool,
    ) -> Result<Received, Errno> {
        let peek = flags & MSG_PEEK != 0;
        let mut received = context.shared.pairs.receive(self.channel, self.side, into, peek)?;
        if !rights {
            let unwanted = std::mem::take(&mut received.rights);
            if !peek {
                context.shared.orphans.extend(unwanted);
            }
        }
        Ok(received)
    }

    /// Sends; on success the references of `rights` are the pair's.
    ///
    /// # Errors
    /// As [`Channels::send`].
    pub fn send(&mut self, context: &mut Context<'_>, from: &[u8], rights: &[DescriptionId]) -> Result<usize, Errno> {
        context.shared.pairs.send(self.channel, self.side, from, rights, context.asking)
    }

    /// shutdown(2)
    pub fn shutdown(&mut self, context: &mut Context<'_>, how: u32) {
        let (receive, send) = (matches!(how, SHUT_RD | SHUT_RDWR), matches!(how, SHUT_WR | SHUT_RDWR));
        context.shared.pairs.shutdown(self.channel, self.side, receive, send);
    }

    /// Takes the pending error (SO_ERROR).
    pub fn take_error(&mut self, channels: &mut Channels) -> Option<Errno> {
        channels.take_error(self.channel, self.side)
    }

    /// SO_SNDBUF
    #[must_use]
    pub fn send_buffer(&self, channels: &Channels) -> usize {
        channels.send_buffer(self.channel, self.side)
    }

    /// Sets SO_SNDBUF.
    pub fn set_send_buffer(&mut self, channels: &mut Channels, size: usize) {
        channels.set_send_buffer(self.channel, self.side, size);
    }
}

impl PairEnd {
    /// Ends the server's side of a connection that was never accepted.
    pub fn reject(&self, shared: &mut Shared) {
        let orphans = shared.pairs.close(self.channel, self.side, false);
        shared.orphans.extend(orphans);
    }

    fn inode(&self) -> u64 {
        (1 << 32) + self.channel * 2 + self.side as u64
    }
}

impl Operations for PairEnd {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        if at.is_some() {
            return Err(Errno::ESPIPE);
        }
        Ok(self.receive(context, into, 0, false)?.length)
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], at: Option<u64>) -> Result<usize, Errno> {
        if at.is_some() {
            return Err(Errno::ESPIPE);
        }
        self.send(context, from, &[])
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        context.shared.pairs.poll(self.channel, self.side)
    }

    fn edges(&mut self, context: &mut Context<'_>, events: Events) -> u64 {
        context.shared.pairs.edges(self.channel, self.side, events)
    }

    fn available(&mut self, context: &mut Context<'_>) -> Result<usize, Errno> {
        Ok(context.shared.pairs.available(self.channel, self.side))
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        Ok(anonymous(S_IFSOCK | 0o777, self.inode()))
    }

    fn receive_timeout(&self) -> Option<u64> {
        self.receive_timeout
    }

    fn send_timeout(&self) -> Option<u64> {
        self.send_timeout
    }

    fn queues(&self) -> [Option<Queue>; 2] {
        [Some(Queue::Pair(self.channel)), None]
    }

    fn link_text(&self) -> Vec<u8> {
        format!("socket:[{}]", self.inode()).into_bytes()
    }

    fn close(&mut self, context: &mut Context<'_>) {
        let orphans = context.shared.pairs.close(self.channel, self.side, true);
        context.shared.orphans.extend(orphans);
    }
}
