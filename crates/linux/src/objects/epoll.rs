//! Epoll sets: the descriptions that a guest watches, and the events that it has been told.
//!
//! A member is named by descriptor and description, as on Linux: it lives until the description's last reference is
//! gone. The readiness of members is asked when it is needed (`readiness/epoll.rs`); the rules for members are
//! checked when it is added (`readiness/nesting.rs`).

use warmfork_abi::Errno;
use warmfork_abi::epoll::{EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP};

use crate::events::{DescriptionId, Events};
use crate::objects::{Context, Operations};

/// The events that are always reported.
pub(crate) const ALWAYS: Events = Events::ERR.union(Events::HUP);

/// An epoll set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Epoll {
    pub(crate) members: Vec<Member>,
    /// Where the next scan begins, so that all ready members get their turn.
    pub(crate) start: usize,
    /// Changes of the set itself, for sets that contain it.
    pub(crate) changes: u64,
    /// Sets that it has been added to, as far as they still exist.
    pub(crate) containers: Vec<DescriptionId>,
}

/// A description that a set watches.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Member {
    pub(crate) fd: i32,
    pub(crate) id: DescriptionId,
    pub(crate) events: Events,
    pub(crate) flags: u32,
    pub(crate) data: u64,
    /// The edge number when it was last reported; `None` when it is to be reported whenever it is ready.
    pub(crate) seen: Option<u64>,
    /// EPOLLONESHOT, and it has been reported.
    pub(crate) disabled: bool,
}

/// A ready member: `struct epoll_event`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Its ready events.
    pub events: u32,
    /// The guest's own value for it.
    pub data: u64,
}

/// A change of the set, by epoll_ctl(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// EPOLL_CTL_ADD with events and data.
    Add(u32, u64),
    /// EPOLL_CTL_MOD with events and data.
    Modify(u32, u64),
    /// EPOLL_CTL_DEL
    Remove,
    /// Anything else: EINVAL, after the checks that come first.
    Unknown,
}

const FLAGS: u32 = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET;

impl Member {
    pub(crate) fn new(fd: i32, id: DescriptionId, events: u32, data: u64) -> Self {
        let flags = events & FLAGS;
        let events = Events::from_bits_truncate(events) | ALWAYS;
        Self { fd, id, events, flags, data, seen: None, disabled: false }
    }

    pub(crate) fn edge_triggered(&self) -> bool {
        self.flags & EPOLLET != 0
    }
}

impl Epoll {
    fn position(&self, fd: i32, id: DescriptionId) -> Option<usize> {
        self.members.iter().position(|member| member.fd == fd && member.id == id)
    }

    /// Adds a member (EPOLL_CTL_ADD).
    pub(crate) fn add(&mut self, member: Member) -> Result<(), Errno> {
        if self.position(member.fd, member.id).is_some() {
            return Err(Errno::EEXIST);
        }
        self.changes += 1;
        self.members.push(member);
        Ok(())
    }

    /// Changes a member (EPOLL_CTL_MOD), which arms it again.
    pub(crate) fn modify(&mut self, member: Member) -> Result<(), Errno> {
        let position = self.position(member.fd, member.id).ok_or(Errno::ENOENT)?;
        if (self.members[position].flags | member.flags) & EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        self.changes += 1;
        self.members[position] = member;
        Ok(())
    }

    /// Removes a member (EPOLL_CTL_DEL).
    pub(crate) fn remove(&mut self, fd: i32, id: DescriptionId) -> Result<(), Errno> {
        let position = self.position(fd, id).ok_or(Errno::ENOENT)?;
        self.members.remove(position);
        if position < self.start {
            self.start -= 1;
        }
        Ok(())
    }
}

impl Operations for Epoll {
    fn seek(&mut self, _context: &mut Context<'_>, _by: i64, _whence: u32) -> Result<u64, Errno> {
        Ok(0)
    }

    fn link_text(&self) -> Vec<u8> {
        b"anon_inode:[eventpoll]".to_vec()
    }

    fn poll(&mut self, _context: &mut Context<'_>) -> Events {
        // Kernel::poll answers for epoll sets: an object alone cannot ask the members.
        Events::empty()
    }
}
