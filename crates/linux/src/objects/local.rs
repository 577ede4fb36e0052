//! The side of a socket that the machine's own processes see. They reach each other here, as plain data, and never
//! through the host: so each fork of a snapshot talks to its own processes, and descriptors can go along.
//!
//! ```text
//!   stream, seqpacket   connect(2) makes a pair, or two ends of a TCP connection (tcp/); one end takes the connecting
//!                       socket's place, the other waits here until accept(2) hands it out
//!   datagram            bind(2) makes a mailbox (mailbox.rs); sending to the name puts the datagram there
//! ```
//!
//! The host's socket stays behind it for everybody else. A name is the file that bind(2) made, an abstract
//! name, or an Internet address.

use std::collections::VecDeque;

use warmfork_abi::Errno;

use crate::events::Events;
use crate::ids::Credentials;
use crate::objects::address::{Address, LocalName};
use crate::objects::pair::PairEnd;
use crate::objects::received::Received;
use crate::objects::tcp::TcpEnd;
use crate::objects::{Context, Shared};
use crate::wait_queues::Queue;

/// The server's end of a connection within the machine.
#[derive(Clone, PartialEq, Debug)]
pub enum Connected {
    /// Of Unix sockets.
    Pair(PairEnd),
    /// Of TCP.
    Tcp(TcpEnd),
}

impl Connected {
    /// The credentials of the process that connected.
    #[must_use]
    pub fn peer(&self) -> Address {
        match self {
            Self::Pair(end) => end.peer_name.clone(),
            Self::Tcp(end) => Address::Internet(end.peer_name()),
        }
    }

    /// It will not be accepted.
    fn reject(&self, shared: &mut Shared) {
        match self {
            Self::Pair(end) => end.reject(shared),
            Self::Tcp(end) => end.reject(shared),
        }
    }
}

/// The part of a socket that the machine's own processes can reach.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Local {
    /// The name that it is bound to.
    pub name: Option<LocalName>,
    /// The credentials of the listening process, since it listens.
    pub owner: Option<Credentials>,
    /// Connections that nobody has accepted yet.
    waiting: VecDeque<Connected>,
    /// How many may wait.
    backlog: usize,
    /// It was shut down: nobody can connect any more.
    shut: bool,
    /// Connections that have come.
    arrivals: u64,
    /// Where datagrams for it come in.
    pub mailbox: Option<u64>,
    /// The box and the name of the socket that it sends datagrams to.
    pub peer: Option<(u64, Address)>,
}

impl Local {
    /// Connections may come, and `backlog` and one more may wait.
    pub fn listen(&mut self, owner: Credentials, backlog: i32) {
        /// net.core.somaxconn
        const MAX_BACKLOG: u32 = 4096;
        self.owner = Some(owner);
        self.backlog = usize::try_from(backlog.cast_unsigned().min(MAX_BACKLOG)).unwrap_or(0);
    }

    /// No more connections may come.
    pub fn shut(&mut self, shared: &mut Shared) {
        self.shut = true;
        // Of a TCP socket those that wait end with it.
        if matches!(self.waiting.front(), Some(Connected::Tcp(_))) {
            self.waiting.drain(..).for_each(|end| end.reject(shared));
        }
    }

    /// Whether a connection may come now.
    ///
    /// # Errors
    /// ECONNREFUSED when nobody listens, EAGAIN when too many wait.
    pub fn room(&self) -> Result<Credentials, Errno> {
        let owner = self.owner.filter(|_| !self.shut).ok_or(Errno::ECONNREFUSED)?;
        if self.waiting.len() > self.backlog { Err(Errno::EAGAIN) } else { Ok(owner) }
    }

    /// How many connections wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A connection comes.
    pub fn arrive(&mut self, end: Connected) {
        self.arrivals += 1;
        self.waiting.push_back(end);
    }

    /// The next connection to accept.
    pub fn accept(&mut self) -> Option<Connected> {
        self.waiting.pop_front()
    }

    /// The events that it is ready for in addition to the host's socket; and those that it is not, although the host's is.
    #[must_use]
    pub fn events(&self, shared: &Shared) -> (Events, Events) {
        let mut events = Events::empty();
        let datagrams = self.mailbox.is_some_and(|mailbox| shared.mailboxes.first(mailbox).is_some());
        events.set(Events::IN | Events::RDNORM, datagrams || !self.waiting.is_empty());
        let full = self.peer.as_ref().is_some_and(|(peer, _)| shared.mailboxes.is_full(*peer));
        let not = if full { Events::OUT | Events::WRNORM } else { Events::empty() };
        (events, not)
    }

    /// The queues of those that wait for a datagram, and for room for one.
    #[must_use]
    pub fn queues(&self) -> [Option<Queue>; 2] {
        let peer = self.peer.as_ref().map(|(peer, _)| *peer);
        [self.mailbox, peer].map(|mailbox| mailbox.map(Queue::Mailbox))
    }

    /// A number that changes when something comes, or when there is room for a datagram again.
    #[must_use]
    pub fn edges(&self, shared: &Shared) -> u64 {
        let came = self.mailbox.map_or(0, |mailbox| shared.mailboxes.counts(mailbox).0);
        let room = self.peer.as_ref().map_or(0, |(peer, _)| shared.mailboxes.counts(*peer).1);
        self.arrivals.wrapping_add(came).wrapping_add(room)
    }

    /// A datagram from one of the machine's own sockets, if there is one. Descriptions that come along are given up
    /// unless `rights`.
    pub fn receive(&self, shared: &mut Shared, into: &mut [u8], flags: u32, rights: bool) -> Option<Received> {
        let mut received = shared.mailboxes.receive(self.mailbox?, into, flags)?;
        if !rights {
            let unwanted = std::mem::take(&mut received.rights);
            if flags & warmfork_abi::socket::MSG_PEEK == 0 {
                shared.orphans.extend(unwanted);
            }
        }
        Some(received)
    }

    /// The socket is closed: connections that wait to be accepted learn of it, and datagrams that nobody received are given up.
    pub fn close(&mut self, context: &mut Context<'_>) {
        self.waiting.drain(..).for_each(|end| end.reject(context.shared));
        if let Some(mailbox) = self.mailbox.take() {
            let orphans = context.shared.mailboxes.close(mailbox);
            context.shared.orphans.extend(orphans);
        }
    }
}
