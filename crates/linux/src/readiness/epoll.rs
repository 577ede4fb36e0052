//! The events that epoll sets report: the readiness of their members. Edge-triggered members compare the edge number of their
//! description ([`Kernel::edges`]) with the one they last reported.

use warmfork_abi::Errno;
use warmfork_abi::epoll::EPOLLONESHOT;

use crate::events::{DescriptionId, Events};
use crate::files::Description;
use crate::host::Host;
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::epoll::{Epoll, Ready};

fn set(description: &Description) -> Option<&Epoll> {
    match &description.object {
        Object::Epoll(set) => Some(set),
        _ => None,
    }
}

pub(super) fn find(kernel: &Kernel, id: DescriptionId) -> Option<&Epoll> {
    kernel.files.find(id).and_then(set)
}

pub(super) fn find_mut(kernel: &mut Kernel, id: DescriptionId) -> Result<&mut Epoll, Errno> {
    match &mut kernel.files.description_mut(id).object {
        Object::Epoll(set) => Ok(set),
        _ => Err(Errno::EINVAL),
    }
}

/// Whether the set `id` has something to report: POLLIN.
pub fn poll(kernel: &mut Kernel, host: &mut Host, id: DescriptionId) -> Events {
    let count = find(kernel, id).map_or(0, |set| set.members.len());
    let asked = host.queues.ask_for_set(id);
    let ready = (0..count).any(|index| examine(kernel, host, id, index).is_some());
    host.queues.ask_for(asked);
    if ready { Events::IN | Events::RDNORM } else { Events::empty() }
}

/// A number that changes when the set `id` gets something to report.
pub fn edges(kernel: &mut Kernel, host: &mut Host, id: DescriptionId) -> u64 {
    let Some(set) = find(kernel, id) else { return 0 };
    let mut mixed = set.changes;
    let members: Vec<_> = set.members.iter().map(|member| (member.id, member.events)).collect();
    let asked = host.queues.ask_for_set(id);
    for (member, events) in members {
        mixed = mix(mixed, kernel.edges(host, member, events));
    }
    host.queues.ask_for(asked);
    mixed
}

/// One number of two, in all likelihood another one for each pair. (In a sum, one member could make up for another's loss.)
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

/// The events that member `index` of the set `id` would report now, and the edge number that goes with it.
fn examine(kernel: &mut Kernel, host: &mut Host, id: DescriptionId, index: usize) -> Option<(Events, u64)> {
    let member = find(kernel, id)?.members.get(index)?;
    let (target, events, seen, edge_triggered) = (member.id, member.events, member.seen, member.edge_triggered());
    if member.disabled || kernel.files.find(target).is_none() {
        return None;
    }
    // The edge number first: a change between the two questions is then reported once more, never lost.
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
