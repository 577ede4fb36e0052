//! Epoll sets: which descriptions a guest watches, and what it has been told about them.
//!
//! A member is named by descriptor and description, as on Linux: it lives until the description's last reference is
//! gone. Readiness is asked for when somebody wants to know. Edge-triggered members compare the edge number of their
//! description ([`Kernel::edges`]) with the one they last reported.

use warmfork_abi::Errno;
use warmfork_abi::epoll::{EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP};

use crate::events::{DescriptionId, Events};
use crate::files::Description;
use crate::host::Host;
use crate::kernel::Kernel;
use crate::objects::{Context, Object, Operations};

/// How deep epoll sets may contain each other (EP_MAX_NESTS is 4 edges between them).
const MAX_DEPTH: usize = 5;

/// Most members of one set, for each descriptor that the guest may have: bounds what one question costs.
const MEMBERS_FOR_EACH_DESCRIPTOR: usize = 4;

/// Most members of a set that contains sets, theirs included, for each descriptor that the guest may have.
const NESTED_FOR_EACH_DESCRIPTOR: usize = 2;

/// What is always reported.
const ALWAYS: Events = Events::ERR.union(Events::HUP);

/// An epoll set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Epoll {
    members: Vec<Member>,
    /// Where the next scan begins, so that all ready members get their turn.
    start: usize,
    /// Changes of the set itself, for sets that contain it.
    changes: u64,
    /// Sets that it has been added to, as far as they still exist.
    containers: Vec<DescriptionId>,
}

#[derive(Clone, PartialEq, Debug)]
struct Member {
    fd: i32,
    id: DescriptionId,
    events: Events,
    flags: u32,
    data: u64,
    /// The edge number when it was last reported; `None` when it is to be reported whenever it is ready.
    seen: Option<u64>,
    /// EPOLLONESHOT, and it has been reported.
    disabled: bool,
}

/// A ready member: `struct epoll_event`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// What it is ready for.
    pub events: u32,
    /// What the guest gave with it.
    pub data: u64,
}

const FLAGS: u32 = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET;

impl Member {
    fn new(fd: i32, id: DescriptionId, events: u32, data: u64) -> Self {
        let flags = events & FLAGS;
        let events = Events::from_bits_truncate(events) | ALWAYS;
        Self { fd, id, events, flags, data, seen: None, disabled: false }
    }

    fn edge_triggered(&self) -> bool {
        self.flags & EPOLLET != 0
    }
}

impl Epoll {
    fn position(&self, fd: i32, id: DescriptionId) -> Option<usize> {
        self.members.iter().position(|member| member.fd == fd && member.id == id)
    }

    /// Adds a member (EPOLL_CTL_ADD).
    fn add(&mut self, member: Member) -> Result<(), Errno> {
        if self.position(member.fd, member.id).is_some() {
            return Err(Errno::EEXIST);
        }
        self.changes += 1;
        self.members.push(member);
        Ok(())
    }

    /// Changes a member (EPOLL_CTL_MOD), which arms it again.
    fn modify(&mut self, member: Member) -> Result<(), Errno> {
        let position = self.position(member.fd, member.id).ok_or(Errno::ENOENT)?;
        if (self.members[position].flags | member.flags) & EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        self.changes += 1;
        self.members[position] = member;
        Ok(())
    }

    /// Removes a member (EPOLL_CTL_DEL).
    fn remove(&mut self, fd: i32, id: DescriptionId) -> Result<(), Errno> {
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
        // Kernel::poll answers for epoll sets, whose members an object alone cannot ask.
        Events::empty()
    }
}

fn set(description: &Description) -> Option<&Epoll> {
    match &description.object {
        Object::Epoll(set) => Some(set),
        _ => None,
    }
}

fn find(kernel: &Kernel, id: DescriptionId) -> Option<&Epoll> {
    kernel.files.find(id).and_then(set)
}

fn find_mut(kernel: &mut Kernel, id: DescriptionId) -> Result<&mut Epoll, Errno> {
    match &mut kernel.files.description_mut(id).object {
        Object::Epoll(set) => Ok(set),
        _ => Err(Errno::EINVAL),
    }
}

/// A change of the set: what epoll_ctl(2) does.
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

/// Applies `change` about descriptor `fd`, which refers to `target`, to the set `id`.
///
/// # Errors
/// As epoll_ctl(2).
pub fn control(
    kernel: &mut Kernel,
    id: DescriptionId,
    fd: i32,
    target: DescriptionId,
    change: Change,
) -> Result<(), Errno> {
    let object = &mut kernel.files.description_mut(target).object;
    if !object.operations().pollable() {
        return Err(Errno::EPERM);
    }
    let nested = matches!(object, Object::Epoll(_));
    if id == target || find(kernel, id).is_none() {
        return Err(Errno::EINVAL);
    }
    if let Change::Add(events, _) | Change::Modify(events, _) = change {
        check_exclusive(change, events, nested)?;
    }
    if nested && matches!(change, Change::Add(..)) {
        check_nesting(kernel, id, target)?;
    }
    let most = kernel.process.file_limit().saturating_mul(MEMBERS_FOR_EACH_DESCRIPTOR);
    let set = find_mut(kernel, id)?;
    match change {
        Change::Add(..) if set.members.len() >= most => Err(Errno::ENOSPC),
        Change::Add(events, data) => {
            set.add(Member::new(fd, target, events, data))?;
            accept_size(kernel, id, fd, target, nested)
        }
        Change::Modify(events, data) => set.modify(Member::new(fd, target, events, data)),
        Change::Remove => set.remove(fd, target),
        Change::Unknown => Err(Errno::EINVAL),
    }
}

/// EPOLLEXCLUSIVE may be set only when a member is added, with few other events, and not for a set.
fn check_exclusive(change: Change, events: u32, nested: bool) -> Result<(), Errno> {
    let allowed = Events::IN | Events::OUT | ALWAYS;
    let allowed = allowed.bits() | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
    let modifies = matches!(change, Change::Modify(..));
    if events & EPOLLEXCLUSIVE != 0 && (modifies || nested || events & !allowed != 0) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// Refuses circles, and chains of more than [`MAX_DEPTH`] sets.
fn check_nesting(kernel: &Kernel, id: DescriptionId, target: DescriptionId) -> Result<(), Errno> {
    let below = depth_below(kernel, target, id, MAX_DEPTH).ok_or(Errno::ELOOP)?;
    let above = depth_above(kernel, id, MAX_DEPTH).ok_or(Errno::ELOOP)?;
    if above + below > MAX_DEPTH { Err(Errno::ELOOP) } else { Ok(()) }
}

/// The longest chain of sets from `id` downwards; `None` when it is longer than `limit` or leads to `circle`.
fn depth_below(kernel: &Kernel, id: DescriptionId, circle: DescriptionId, limit: usize) -> Option<usize> {
    if id == circle || limit == 0 {
        return None;
    }
    let Some(set) = find(kernel, id) else { return Some(0) };
    let mut deepest = 0;
    for member in &set.members {
        if find(kernel, member.id).is_some() {
            deepest = deepest.max(depth_below(kernel, member.id, circle, limit - 1)?);
        }
    }
    Some(deepest + 1)
}

/// The longest chain of sets that leads down to `id`, itself included; `None` when it is longer than `limit`.
fn depth_above(kernel: &Kernel, id: DescriptionId, limit: usize) -> Option<usize> {
    if limit == 0 {
        return None;
    }
    let mut longest = 0;
    for container in containers(kernel, id) {
        longest = longest.max(depth_above(kernel, container, limit - 1)?);
    }
    Some(longest + 1)
}

/// The sets that the set `id` is a member of.
fn containers(kernel: &Kernel, id: DescriptionId) -> Vec<DescriptionId> {
    let Some(set) = find(kernel, id) else { return Vec::new() };
    let contains = |container: &DescriptionId| {
        find(kernel, *container).is_some_and(|container| container.members.iter().any(|member| member.id == id))
    };
    set.containers.iter().copied().filter(contains).collect()
}

/// Notes that the set `id` has a new member, or takes it out again when a set of sets would become too large.
fn accept_size(
    kernel: &mut Kernel,
    id: DescriptionId,
    fd: i32,
    target: DescriptionId,
    nested: bool,
) -> Result<(), Errno> {
    if nested {
        let known = containers(kernel, target);
        let member = find_mut(kernel, target)?;
        member.containers = known;
        if !member.containers.contains(&id) {
            member.containers.push(id);
        }
    }
    if within_size(kernel, id) {
        return Ok(());
    }
    find_mut(kernel, id)?.remove(fd, target)?;
    Err(Errno::EINVAL)
}

/// Whether neither the set `id` nor one that contains it asks too many members, over all ways that lead to them.
fn within_size(kernel: &Kernel, id: DescriptionId) -> bool {
    let mut level = containers(kernel, id);
    if level.is_empty() && find(kernel, id).is_some_and(|set| !set.members.iter().any(|member| is_set(kernel, member)))
    {
        return true;
    }
    let most = kernel.process.file_limit().saturating_mul(NESTED_FOR_EACH_DESCRIPTOR);
    level.push(id);
    // At most MAX_DEPTH levels, each set of a level once.
    while !level.is_empty() {
        level.sort_unstable();
        level.dedup();
        if level.iter().any(|set| size(kernel, *set, most).is_none()) {
            return false;
        }
        level = level.into_iter().flat_map(|set| containers(kernel, set)).collect();
    }
    true
}

fn is_set(kernel: &Kernel, member: &Member) -> bool {
    find(kernel, member.id).is_some()
}

/// Members of the set `id` and of the sets in it, one that several ways lead to counting for each; `None` beyond
/// `most`.
fn size(kernel: &Kernel, id: DescriptionId, most: usize) -> Option<usize> {
    let set = find(kernel, id)?;
    let mut total = set.members.len();
    for inner in set.members.iter().filter(|member| is_set(kernel, member)) {
        total += size(kernel, inner.id, most.checked_sub(total)?)?;
    }
    (total <= most).then_some(total)
}

/// Whether the set `id` has something to report: POLLIN.
pub fn poll(kernel: &mut Kernel, host: &mut Host, id: DescriptionId) -> Events {
    let count = find(kernel, id).map_or(0, |set| set.members.len());
    let mut ready = false;
    for index in 0..count {
        ready = ready || examine(kernel, host, id, index).is_some();
    }
    if ready { Events::IN | Events::RDNORM } else { Events::empty() }
}

/// A number that changes when the set `id` gets something to report.
pub fn edges(kernel: &mut Kernel, host: &mut Host, id: DescriptionId) -> u64 {
    let Some(set) = find(kernel, id) else { return 0 };
    let mut mixed = set.changes;
    let members: Vec<_> = set.members.iter().map(|member| (member.id, member.events)).collect();
    for (member, events) in members {
        mixed = mix(mixed, kernel.edges(host, member, events));
    }
    mixed
}

/// One number of two, another one for each pair in all likelihood: in a sum, what one member loses another could make up.
fn mix(one: u64, other: u64) -> u64 {
    /// The golden ratio's fraction, odd.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (one ^ other.wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
    mixed ^ (mixed >> 29)
}

/// The descriptions that the set `id` watches for input, nested sets included.
#[must_use]
pub fn members(kernel: &Kernel, id: DescriptionId) -> Vec<DescriptionId> {
    let Some(set) = find(kernel, id) else { return Vec::new() };
    let waiting = set.members.iter().filter(|member| !member.disabled && member.events.contains(Events::IN));
    waiting.map(|member| member.id).collect()
}

/// What member `index` of the set `id` would report now, and the edge number that goes with it.
fn examine(kernel: &mut Kernel, host: &mut Host, id: DescriptionId, index: usize) -> Option<(Events, u64)> {
    let member = find(kernel, id)?.members.get(index)?;
    let (target, events, seen, edge_triggered) = (member.id, member.events, member.seen, member.edge_triggered());
    if member.disabled || kernel.files.find(target).is_none() {
        return None;
    }
    // The edge number first: what changes between the two questions is then reported once more, never lost.
    let edge = if edge_triggered { kernel.edges(host, target, events) } else { 0 };
    if edge_triggered && seen == Some(edge) {
        return None;
    }
    let ready = kernel.poll_for(host, target, events) & events;
    (!ready.is_empty()).then_some((ready, edge))
}

/// Up to `maximum` ready members of the set `id`, each marked as reported.
pub fn collect(kernel: &mut Kernel, host: &mut Host, id: DescriptionId, maximum: usize) -> Vec<Ready> {
    forget_closed(kernel, id);
    let Some((count, start)) = find(kernel, id).map(|set| (set.members.len(), set.start)) else { return Vec::new() };
    let mut found = Vec::new();
    let mut next = 0;
    for step in 0..count {
        let index = (start + step) % count;
        if found.len() == maximum {
            next = index;
            break;
        }
        if let Some((events, edge)) = examine(kernel, host, id, index) {
            found.extend(report(kernel, id, index, events, edge));
        }
    }
    if let Ok(set) = find_mut(kernel, id) {
        set.start = next;
    }
    found
}

fn report(kernel: &mut Kernel, id: DescriptionId, index: usize, events: Events, edge: u64) -> Option<Ready> {
    let member = find_mut(kernel, id).ok()?.members.get_mut(index)?;
    member.seen = Some(edge);
    member.disabled = member.flags & EPOLLONESHOT != 0;
    Some(Ready { events: events.bits(), data: member.data })
}

/// Drops members whose description is gone.
fn forget_closed(kernel: &mut Kernel, id: DescriptionId) {
    let Some(set) = find(kernel, id) else { return };
    if set.members.iter().all(|member| kernel.files.find(member.id).is_some()) {
        return;
    }
    let live: Vec<bool> = set.members.iter().map(|member| kernel.files.find(member.id).is_some()).collect();
    if let Ok(set) = find_mut(kernel, id) {
        let mut live = live.into_iter();
        set.members.retain(|_| live.next().unwrap_or(false));
        set.start = 0;
    }
}
