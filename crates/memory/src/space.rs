//! A guest's address space with Linux's semantics: the checks, roundings, refusals and effects of mmap and its relatives.
//!
//! ```text
//!   map, unmap, protect, remap, set_break, advise, ...
//!      |  1. check as Linux does, in its order, with its errno
//!      |  2. ask the platform (GuestMemory); a refusal is ENOMEM
//!      v  3. write it down: areas, changes
//!   AreaTree = the mappings that the guest knows = the mappings of the host
//! ```
//!
//! The loader maps a program with it, the system call handlers serve guests with it, snapshots keep it (plain data:
//! it clones and compares) and a reset reads its [`Changes`].

mod advise;
mod check;
mod fork;
mod heap;
mod map;
mod protect;
mod remap;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use warmfork_abi::mman::{MAX_MAP_COUNT, MapFlags};
use warmfork_abi::{Errno, USER_END};

use crate::areas::{Accessible, Area, Backing};
use crate::changes::Changes;
use crate::host::{GuestMemory, MapError};
use crate::host_file::HostFile;
use crate::span::{Protection, Span};
use crate::spans::SpanSet;
use crate::tree::AreaTree;

pub use check::{Mapped, Totals};
pub use heap::Heap;
pub use remap::RemapRequest;

/// Where a guest's mappings may lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    mmap_base: u64,
    top: u64,
    reserved: Vec<Span>,
}

impl Layout {
    /// Mappings without an address go below `mmap_base`, from the top down. The platform keeps the `reserved`
    /// spans for itself: to the guest they are as addresses beyond the end of user space.
    #[must_use]
    pub fn new(mmap_base: u64, reserved: &[Span]) -> Self {
        let reserved: Vec<Span> = reserved.iter().copied().collect::<SpanSet>().iter().collect();
        let top = reserved.last().filter(|last| last.end >= USER_END).map_or(USER_END, |last| last.start);
        Self { mmap_base: mmap_base.min(top), top, reserved }
    }

    /// Where the search for free addresses begins, going down.
    #[must_use]
    pub fn mmap_base(&self) -> u64 {
        self.mmap_base
    }

    /// One past the last address that a guest may use.
    #[must_use]
    pub fn top(&self) -> u64 {
        self.top
    }

    /// Spans that the platform keeps, in address order.
    #[must_use]
    pub fn reserved(&self) -> &[Span] {
        &self.reserved
    }

    fn meets_reserved(&self, span: Span) -> bool {
        self.reserved.iter().any(|reserved| reserved.intersection(span).is_some())
    }
}

/// How much a guest may map; beyond it mmap and its relatives answer ENOMEM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes in all mappings, inaccessible ones included (as RLIMIT_AS). Runtimes reserve hundreds of GiB.
    pub reserved_bytes: u64,
    /// Bytes in mappings with any access, but for those mapped with MAP_NORESERVE. Of those, only written pages and the page
    /// tables of read ones take memory; neither is counted here.
    pub accessible_bytes: u64,
    /// Number of areas (vm.max_map_count).
    pub areas: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { reserved_bytes: USER_END, accessible_bytes: USER_END, areas: MAX_MAP_COUNT }
    }
}

/// The program's own limits (setrlimit), in bytes; [`u64::MAX`] for no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceLimits {
    /// RLIMIT_AS: everything mapped.
    pub address_space: u64,
    /// RLIMIT_DATA: private writable mappings but for the stack.
    pub data: u64,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self { address_space: u64::MAX, data: u64::MAX }
    }
}

/// A mapping to make, as mmap takes it.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// A hint, or with MAP_FIXED the place; zero for no wish.
    pub address: u64,
    /// Bytes; rounded up to pages.
    pub length: u64,
    /// The accesses that the guest has there.
    pub protection: Protection,
    /// MAP_PRIVATE or MAP_SHARED, and the rest.
    pub flags: MapFlags,
    /// Where the bytes come from; must be [`Backing::Anonymous`] with MAP_ANONYMOUS and only then.
    pub backing: Backing,
    /// The name in brackets in /proc/self/maps.
    pub label: Option<&'static str>,
}

impl MapRequest {
    /// Private zeroed memory of `length` bytes, anywhere.
    #[must_use]
    pub fn anonymous(length: u64, protection: Protection) -> Self {
        let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS;
        Self { address: 0, length, protection, flags, backing: Backing::Anonymous, label: None }
    }

    /// A private mapping of a file (a [`Backing::File`]), anywhere.
    #[must_use]
    pub fn private(backing: Backing, length: u64, protection: Protection) -> Self {
        Self { address: 0, length, protection, flags: MapFlags::PRIVATE, backing, label: None }
    }

    /// The same at `address`, replacing the mappings there (MAP_FIXED).
    #[must_use]
    pub fn fixed(mut self, address: u64) -> Self {
        self.address = address;
        self.flags |= MapFlags::FIXED;
        self
    }

    /// The same with a name for /proc/self/maps.
    #[must_use]
    pub fn labelled(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }
}

/// A guest's address space. Plain data; the record of changes does not take part in comparing.
#[derive(Clone, Debug)]
pub struct AddressSpace {
    areas: AreaTree,
    heap: Heap,
    layout: Layout,
    limits: Limits,
    resource_limits: ResourceLimits,
    /// The parts that the host has mapped from an image, and not from the area's own backing.
    imaged: SpanSet,
    changes: Changes,
    /// Nothing is free between here and the mmap base: a search for room begins here. Says nothing of its own.
    full_from: u64,
}

impl PartialEq for AddressSpace {
    fn eq(&self, other: &Self) -> bool {
        self.areas == other.areas
            && self.heap == other.heap
            && self.layout == other.layout
            && self.limits == other.limits
            && self.resource_limits == other.resource_limits
            && self.imaged == other.imaged
    }
}

impl AddressSpace {
    /// An empty address space.
    #[must_use]
    pub fn new(layout: Layout, limits: Limits) -> Self {
        Self {
            full_from: layout.mmap_base(),
            areas: AreaTree::default(),
            heap: Heap::default(),
            layout,
            limits,
            resource_limits: ResourceLimits::default(),
            imaged: SpanSet::default(),
            changes: Changes::default(),
        }
    }

    /// Puts other files behind the mappings of those that `replace` names: a fork's own copies of memory files. The
    /// host's mappings are the caller's to change.
    pub fn replace_files(&mut self, replace: impl Fn(&Arc<HostFile>) -> Option<Arc<HostFile>>) {
        let mut replaced = Vec::new();
        for area in self.areas.iter() {
            if let Backing::File { file, offset } = &area.backing
                && let Some(file) = replace(file)
            {
                replaced.push(Area { backing: Backing::File { file, offset: *offset }, ..area.clone() });
            }
        }
        for area in replaced {
            self.areas.insert(area);
        }
    }

    /// Every mapping.
    #[must_use]
    pub fn areas(&self) -> &AreaTree {
        &self.areas
    }

    /// Where mappings may lie.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How much may be mapped.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Sets how much may be mapped from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Sets the program's own limits; existing mappings stay.
    pub fn set_resource_limits(&mut self, limits: ResourceLimits) {
        self.resource_limits = limits;
    }

    /// The changes since the last [`Self::mark`].
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Begins a new record of changes.
    pub fn mark(&mut self) {
        self.changes = Changes::default();
    }

    /// Says that the host now maps `spans` from an image, copied on write, in place of each area's own backing: then
    /// dropping pages there (MADV_DONTNEED) must not bring the image's bytes back. Mapping anew ends it.
    pub fn set_imaged(&mut self, spans: impl IntoIterator<Item = Span>) {
        self.imaged = spans.into_iter().collect();
    }

    /// The parts that the host still maps from an image, also where they have been moved.
    #[must_use]
    pub fn imaged(&self) -> &SpanSet {
        &self.imaged
    }

    /// Refuses a mapping that would bring the mapped bytes above a limit once `span` is replaced by a mapping like `area`.
    fn charge(&self, span: Span, area: &Area) -> Result<(), Errno> {
        let mapped = self.areas.mapped_bytes() - self.areas.mapped_bytes_in(span) + span.len();
        let most = self.limits.reserved_bytes.min(self.resource_limits.address_space);
        if too_much(mapped, self.areas.mapped_bytes(), most) {
            return Err(Errno::ENOMEM);
        }
        let new = Area { span, backing: Backing::Anonymous, ..area.clone() }.accessible();
        self.charge_accessible(self.areas.accessible_bytes() - self.areas.accessible_bytes_in(span) + new)?;
        let is_data = !area.shared && area.protection.contains(Protection::WRITE);
        self.charge_data(if is_data { span.len() - self.private_bytes(span, true) } else { 0 })
    }

    /// Refuses more accessible bytes than there may be.
    fn charge_accessible(&self, after: Accessible) -> Result<(), Errno> {
        let (before, limits) = (self.areas.accessible_bytes(), self.limits);
        if too_much(after.reserved, before.reserved, limits.accessible_bytes) {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// Refuses `more` bytes of private writable memory where the program has limited itself to less.
    fn charge_data(&self, more: u64) -> Result<(), Errno> {
        if self.resource_limits.data == u64::MAX || more == 0 {
            return Ok(());
        }
        let totals = self.totals();
        let after = totals.data.saturating_sub(totals.stack) + more;
        if after > self.resource_limits.data { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Bytes in `span` that are private and writable already, if `writable`, or private and not.
    fn private_bytes(&self, span: Span, writable: bool) -> u64 {
        let wanted = |area: &Area| !area.shared && area.protection.contains(Protection::WRITE) == writable;
        self.areas.pieces(span).filter(wanted).map(|area| area.span.len()).sum()
    }

    /// Refuses to cut one area in two when there are too many already, as Linux does.
    fn check_split(&self, span: Span) -> Result<(), Errno> {
        let inside = |area: &Area| area.span.start < span.start && area.span.end > span.end;
        let splits = self.areas.find(span.start).is_some_and(inside);
        if splits && self.areas.len() >= self.limits.areas { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Has the host map `area` in the place of the mappings there, and writes it down.
    fn install(&mut self, memory: &mut dyn GuestMemory, area: Area) -> Result<(), Errno> {
        let span = area.span;
        self.changes.remap(span);
        memory.map(span, area.protection, area.backing.source(area.shared)).map_err(|error| refused(&error))?;
        self.imaged.remove(span);
        self.areas.insert(area);
        Ok(())
    }

    /// Has the host unmap the mappings in `span`, and nothing else, and writes it down.
    fn clear(&mut self, memory: &mut dyn GuestMemory, span: Span) -> Result<(), Errno> {
        self.check_split(span)?;
        for run in self.areas.mapped_runs(span) {
            self.changes.remap(run);
            memory.unmap(run).map_err(|error| refused(&error))?;
            self.imaged.remove(run);
            self.forget(run);
        }
        Ok(())
    }

    /// Takes areas that are no longer mapped out of the tree.
    fn forget(&mut self, span: Span) {
        self.areas.remove(span);
        self.full_from = self.full_from.max(span.end).min(self.layout.mmap_base());
    }
}

/// Mappings from before a limit was lowered may stay above it, and may shrink.
fn too_much(after: u64, before: u64, limit: u64) -> bool {
    after > limit && after > before
}

/// The guest's error when the host refuses: ENOMEM, or why a file can't be mapped.
fn refused(error: &MapError) -> Errno {
    log::debug!("{error}");
    let told = [Errno::EACCES, Errno::EPERM, Errno::ENODEV, Errno::EOVERFLOW, Errno::ETXTBSY];
    let host = error.source.raw_os_error().map(Errno);
    host.filter(|errno| told.contains(errno)).unwrap_or(Errno::ENOMEM)
}
