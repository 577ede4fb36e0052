//! Changes of epoll sets, and the bounds of sets of sets: their depth and their size.

use warmfork_abi::Errno;
use warmfork_abi::epoll::{EPOLLET, EPOLLEXCLUSIVE, EPOLLWAKEUP};

use super::epoll::{find, find_mut};
use crate::events::{DescriptionId, Events};
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::epoll::{ALWAYS, Change, Member};

/// How deep epoll sets may contain each other (EP_MAX_NESTS is 4 edges between them).
const MAX_DEPTH: usize = 5;

/// Most members of one set, for each descriptor that the guest may have: bounds the cost of one question.
const MEMBERS_FOR_EACH_DESCRIPTOR: usize = 4;

/// Most members of a set that contains sets, theirs included, for each descriptor that the guest may have.
const NESTED_FOR_EACH_DESCRIPTOR: usize = 2;

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
    let most = kernel.process().file_limit().saturating_mul(MEMBERS_FOR_EACH_DESCRIPTOR);
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
    let most = kernel.process().file_limit().saturating_mul(NESTED_FOR_EACH_DESCRIPTOR);
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
