//! Datagrams between the machine's own sockets, kept as plain data: one box for each socket with a name.
//!
//! Datagrams from elsewhere come through the host's socket; see [`crate::objects::socket`].

use std::collections::VecDeque;

use warmfork_abi::Errno;
use warmfork_abi::socket::{MSG_PEEK, MSG_TRUNC};

use crate::events::DescriptionId;
use crate::ids::Credentials;
use crate::news::News;
use crate::objects::address::Address;
use crate::objects::received::Received;
use crate::objects::registry::Registry;

/// Most datagrams that wait in one box (net.unix.max_dgram_qlen, as most systems set it).
const MAX_DATAGRAMS: usize = 512;
/// Bytes that all boxes of a machine may hold, each datagram counting for [`OVERHEAD`] more.
const MAX_BUFFERED: usize = 16 << 20;
/// The charge of a datagram beside its bytes.
const OVERHEAD: usize = 640;

/// All boxes of a machine.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Mailboxes {
    table: Registry<Mailbox>,
    buffered: usize,
    in_flight: usize,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Mailbox {
    datagrams: VecDeque<Datagram>,
    /// Datagrams that have come, and that have been taken out.
    arrivals: u64,
    departures: u64,
}

/// One datagram.
#[derive(Clone, PartialEq, Debug)]
pub struct Datagram {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Descriptions that go along; the box holds their references.
    pub rights: Vec<DescriptionId>,
    /// The credentials of the sender.
    pub sender: Credentials,
    /// The sending socket's name.
    pub from: Address,
}

impl Mailboxes {
    /// The boxes that may have changed.
    pub fn news(&mut self) -> &mut News<u64> {
        self.table.news()
    }

    /// A new box; its id.
    pub fn create(&mut self) -> u64 {
        self.table.insert(Mailbox::default())
    }

    /// Descriptions in datagrams that nobody has received yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Puts a datagram into box `id`, which then owns its rights.
    ///
    /// # Errors
    /// ECONNREFUSED when the box is gone, EAGAIN when it is full, ENOBUFS when all are.
    pub fn deliver(&mut self, id: u64, datagram: Datagram) -> Result<usize, Errno> {
        let mailbox = self.table.get_mut(id).ok_or(Errno::ECONNREFUSED)?;
        let charge = datagram.data.len() + OVERHEAD;
        if mailbox.datagrams.len() >= MAX_DATAGRAMS {
            return Err(Errno::EAGAIN);
        }
        if self.buffered + charge > MAX_BUFFERED {
            return Err(Errno::ENOBUFS);
        }
        let length = datagram.data.len();
        self.buffered += charge;
        self.in_flight += datagram.rights.len();
        mailbox.arrivals += 1;
        mailbox.datagrams.push_back(datagram);
        Ok(length)
    }

    /// Puts a datagram of the Internet protocols into box `id`: where there is no room it is lost, and its sender does not
    /// learn of it.
    ///
    /// # Errors
    /// EMSGSIZE when it is longer than any can be.
    pub fn deliver_or_lose(&mut self, id: u64, datagram: Datagram) -> Result<usize, Errno> {
        /// The payload of a packet of 65,535 bytes.
        const LONGEST: usize = 65_507;
        let length = datagram.data.len();
        if length > LONGEST {
            return Err(Errno::EMSGSIZE);
        }
        let _ = self.deliver(id, datagram);
        Ok(length)
    }

    /// The first datagram of box `id`, with MSG_PEEK left there; `None` when there is none. Unless peeking the caller
    /// owns the references in the answer.
    pub fn receive(&mut self, id: u64, into: &mut [u8], flags: u32) -> Option<Received> {
        let mailbox = self.table.get_mut(id)?;
        let datagram = if flags & MSG_PEEK != 0 {
            mailbox.datagrams.front()?.clone()
        } else {
            let datagram = mailbox.datagrams.pop_front()?;
            mailbox.departures += 1;
            self.buffered -= datagram.data.len() + OVERHEAD;
            self.in_flight -= datagram.rights.len();
            datagram
        };
        let (whole, length) = (datagram.data.len(), datagram.data.len().min(into.len()));
        into[..length].copy_from_slice(&datagram.data[..length]);
        Some(Received {
            length,
            whole,
            flags: if whole > length { MSG_TRUNC } else { 0 },
            address: Some(datagram.from).filter(|from| *from != Address::Unnamed),
            rights: datagram.rights,
            credentials: Some(datagram.sender),
            ancillary: Vec::new(),
        })
    }

    /// Length of the first datagram of box `id`, if there is one.
    #[must_use]
    pub fn first(&self, id: u64) -> Option<usize> {
        self.table.get(id)?.datagrams.front().map(|datagram| datagram.data.len())
    }

    /// Whether box `id` takes no more for now.
    #[must_use]
    pub fn is_full(&self, id: u64) -> bool {
        self.table.get(id).is_some_and(|mailbox| mailbox.datagrams.len() >= MAX_DATAGRAMS)
    }

    /// Numbers that change when a datagram comes to box `id`, and when one is taken out.
    #[must_use]
    pub fn counts(&self, id: u64) -> (u64, u64) {
        self.table.get(id).map_or((0, 0), |mailbox| (mailbox.arrivals, mailbox.departures))
    }

    /// Ends box `id`; the references that were in it, which the caller gives up.
    pub fn close(&mut self, id: u64) -> Vec<DescriptionId> {
        let Some(mailbox) = self.table.remove(id) else { return Vec::new() };
        let mut orphans = Vec::new();
        for datagram in mailbox.datagrams {
            self.buffered -= datagram.data.len() + OVERHEAD;
            self.in_flight -= datagram.rights.len();
            orphans.extend(datagram.rights);
        }
        orphans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(data: &[u8], rights: &[DescriptionId]) -> Datagram {
        let sender = Credentials { pid: 2, uid: 0, gid: 0 };
        Datagram { data: data.to_vec(), rights: rights.to_vec(), sender, from: Address::Unnamed }
    }

    #[test]
    fn datagrams_come_in_order_and_are_cut_off() {
        let mut boxes = Mailboxes::default();
        let id = boxes.create();
        assert_eq!(boxes.deliver(id, datagram(b"first", &[])), Ok(5));
        assert_eq!(boxes.deliver(id, datagram(b"", &[DescriptionId(7)])), Ok(0));
        let mut bytes = [0; 3];
        assert_eq!(boxes.receive(id, &mut bytes, MSG_PEEK).map(|got| got.whole), Some(5));
        let first = boxes.receive(id, &mut bytes, 0).unwrap();
        assert_eq!((first.length, first.whole, first.flags), (3, 5, MSG_TRUNC));
        assert_eq!((boxes.first(id), boxes.in_flight()), (Some(0), 1));
        assert_eq!(boxes.receive(id, &mut bytes, 0).map(|got| got.rights), Some(vec![DescriptionId(7)]));
        assert_eq!(boxes.receive(id, &mut bytes, 0), None);
        assert_eq!((boxes.buffered, boxes.in_flight), (0, 0));
    }

    #[test]
    fn boxes_are_bounded_and_give_up_what_they_hold() {
        let mut boxes = Mailboxes::default();
        let id = boxes.create();
        for _ in 0..MAX_DATAGRAMS {
            boxes.deliver(id, datagram(b"x", &[DescriptionId(1)])).unwrap();
        }
        assert!(boxes.is_full(id));
        assert_eq!(boxes.deliver(id, datagram(b"x", &[])), Err(Errno::EAGAIN));
        let large = vec![0; 200_000];
        let mut last = Ok(0);
        for _ in 0..100 {
            let other = boxes.create();
            last = boxes.deliver(other, datagram(&large, &[]));
        }
        assert_eq!(last, Err(Errno::ENOBUFS));
        assert_eq!(boxes.close(id).len(), MAX_DATAGRAMS);
        assert_eq!(boxes.deliver(id, datagram(b"x", &[])), Err(Errno::ECONNREFUSED));
        assert_eq!(boxes.in_flight(), 0);
    }
}
