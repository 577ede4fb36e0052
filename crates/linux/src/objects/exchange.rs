//! Receiving and sending, over a host socket or to the machine's own sockets.

use rustix::net::{RecvFlags, ReturnFlags, SendFlags, SocketAddrAny};
use warmfork_abi::Errno;
use warmfork_abi::socket::{MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_PEEK, MSG_TRUNC};

use crate::coalesce;
use crate::events::DescriptionId;
use crate::host::{Host, errno};
use crate::objects::Context;
use crate::objects::address::Address;
use crate::objects::channel::DEFAULT_BUFFER;
use crate::objects::mailbox::Datagram;
use crate::objects::received::Received;
use crate::objects::socket::Socket;

impl Socket {
    /// recv(2) and recvfrom(2).
    ///
    /// # Errors
    /// EAGAIN when nothing is there; the host's own.
    pub fn receive(&mut self, into: &mut [u8], flags: u32, named: bool) -> Result<Received, Errno> {
        let consumes = self.is_stream() && !into.is_empty() && flags & MSG_PEEK == 0;
        let received = self.receive_some(into, flags, named);
        if consumes {
            self.conversation.received(&received);
        }
        received
    }

    fn receive_some(&mut self, into: &mut [u8], flags: u32, named: bool) -> Result<Received, Errno> {
        self.own()?;
        if flags & MSG_ERRQUEUE == 0
            && let Some(error) = self.error.take()
        {
            return Err(error);
        }
        if self.inherited.as_ref().is_some_and(|inherited| inherited.no_receive) {
            return Ok(Received::default());
        }
        if !self.is_stream() {
            return self.receive_message(into, flags);
        }
        // Of a TCP stream MSG_TRUNC discards bytes instead of copying them; a Unix stream knows no such thing.
        let discards = self.is_internet() && flags & MSG_TRUNC != 0;
        let flags = if discards { flags } else { flags & !MSG_TRUNC };
        if named {
            return self.receive_message(into, flags).map(|received| received.discarded(discards));
        }
        let (_, whole) = rustix::net::recv(self.handle(), into, RecvFlags::from_bits_retain(flags)).map_err(errno)?;
        Ok(Received { length: whole, whole, ..Received::default() }.discarded(discards))
    }

    /// A datagram with its address and flags. Descriptors that came with it are closed by the host.
    fn receive_message(&mut self, into: &mut [u8], flags: u32) -> Result<Received, Errno> {
        let size = into.len();
        let mut control = rustix::net::RecvAncillaryBuffer::default();
        let mut vector = [std::io::IoSliceMut::new(into)];
        // MSG_TRUNC asks for the whole length; the caller decides how much of that to tell the guest.
        let host_flags = RecvFlags::from_bits_retain(flags | if self.is_stream() { 0 } else { MSG_TRUNC });
        let message = rustix::net::recvmsg(self.handle(), &mut vector, &mut control, host_flags).map_err(errno)?;
        let returned = message.flags & (ReturnFlags::TRUNC | ReturnFlags::EOR | ReturnFlags::OOB | ReturnFlags::CTRUNC);
        Ok(Received {
            length: message.bytes.min(size),
            whole: message.bytes,
            flags: returned.bits(),
            address: message.address.map(Address::from_host),
            ..Received::default()
        })
    }

    /// EPIPE once a fork has shut down the sending side of a socket that it shares.
    pub(super) fn check_sending(&self) -> Result<(), Errno> {
        if self.inherited.as_ref().is_some_and(|inherited| inherited.no_send) { Err(Errno::EPIPE) } else { Ok(()) }
    }

    /// send(2) and sendto(2), to an address that the policy allows. The host process never gets SIGPIPE.
    ///
    /// # Errors
    /// EAGAIN when there is no room; the host's own.
    pub fn send(
        &mut self,
        host: &mut Host,
        from: &[u8],
        flags: u32,
        address: Option<&SocketAddrAny>,
    ) -> Result<usize, Errno> {
        self.own()?;
        self.check_sending()?;
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut flags = SendFlags::from_bits_retain(flags | MSG_NOSIGNAL);
        let coalesces = flags == SendFlags::NOSIGNAL && self.may_hold();
        let small = coalesces && from.len() < coalesce::LARGE;
        if small && address.is_none() && host.coalescer.gather(self.handle(), from) {
            return Ok(from.len());
        }
        host.coalescer.hand_over(self.handle())?;
        if small {
            flags |= SendFlags::MORE;
        }
        let sent = match address {
            Some(address) => rustix::net::sendto(self.handle(), from, flags, address).map_err(errno),
            None => rustix::net::send(self.handle(), from, flags).map_err(errno),
        };
        self.conversation.sent(&sent);
        let sent = sent?;
        if small {
            host.coalescer.hold(self.handle());
        } else if coalesces {
            host.coalescer.let_go(self.handle());
        }
        if self.is_internet() && self.address.is_none() {
            self.note_datagram_address(); // the host has bound it now
        }
        Ok(sent)
    }

    /// Sends a datagram to one of the machine's own sockets: to `mailbox`, or to the one that it is connected to.
    /// `None` when it goes elsewhere. On success the references of `rights` are the datagram's.
    pub fn send_local(
        &mut self,
        context: &mut Context<'_>,
        mailbox: Option<u64>,
        from: &[u8],
        rights: &[DescriptionId],
    ) -> Option<Result<usize, Errno>> {
        let mailbox = mailbox.or(self.local.peer.as_ref().map(|(mailbox, _)| *mailbox))?;
        if let Err(error) = self.check_sending() {
            return Some(Err(error));
        }
        if from.len() > DEFAULT_BUFFER - 32 {
            return Some(Err(Errno::EMSGSIZE));
        }
        let name = self.name().unwrap_or(Address::Unnamed);
        let datagram = Datagram { data: from.to_vec(), rights: rights.to_vec(), sender: context.asking, from: name };
        Some(context.shared.mailboxes.deliver(mailbox, datagram))
    }
}
