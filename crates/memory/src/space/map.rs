//! mmap and munmap.

use warmfork_abi::mman::{MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, MAP_TYPE, MMAP_MIN_ADDR, MapFlags};
use warmfork_abi::{Errno, PAGE, page_down, page_up};

use super::{AddressSpace, MapRequest};
use crate::areas::{Area, Backing};
use crate::host::GuestMemory;
use crate::span::{Protection, Span};
use crate::tree::Direction;

/// Flags that MAP_SHARED_VALIDATE knows for ordinary files (LEGACY_MAP_MASK).
const VALIDATED: MapFlags = MapFlags::SHARED
    .union(MapFlags::PRIVATE)
    .union(MapFlags::FIXED)
    .union(MapFlags::ANONYMOUS)
    .union(MapFlags::BIT32)
    .union(MapFlags::ABOVE4G)
    .union(MapFlags::GROWSDOWN)
    .union(MapFlags::DENYWRITE)
    .union(MapFlags::EXECUTABLE)
    .union(MapFlags::LOCKED)
    .union(MapFlags::NORESERVE)
    .union(MapFlags::POPULATE)
    .union(MapFlags::NONBLOCK)
    .union(MapFlags::STACK)
    .union(MapFlags::HUGETLB)
    .union(MapFlags::UNINITIALIZED)
    .union(MapFlags::HUGE_MASK);

/// Where MAP_32BIT looks for room.
const LOW: Span = Span { start: 0x4000_0000, end: 0x8000_0000 };

impl AddressSpace {
    /// Maps as mmap does, and returns the address.
    ///
    /// MAP_SHARED without a file is private memory to the host until the guest forks, see `fork.rs`. MAP_GROWSDOWN does not
    /// grow; MAP_POPULATE and MAP_LOCKED change nothing.
    ///
    /// # Errors
    /// Those of mmap(2).
    pub fn map(&mut self, memory: &mut dyn GuestMemory, request: MapRequest) -> Result<u64, Errno> {
        let flags = request.flags;
        if flags.contains(MapFlags::HUGETLB) {
            return Err(if flags.contains(MapFlags::ANONYMOUS) { Errno::ENOMEM } else { Errno::EINVAL });
        }
        if request.length == 0 {
            return Err(Errno::EINVAL);
        }
        let length = page_up(request.length).ok_or(Errno::ENOMEM)?;
        if self.areas.len() > self.limits.areas {
            return Err(Errno::ENOMEM);
        }
        let address = self.place(request.address, length, flags)?;
        let span = Span::new(address, length).ok_or(Errno::ENOMEM)?;
        if flags.contains(MapFlags::FIXED_NOREPLACE) && self.areas.overlapping(span).next().is_some() {
            return Err(Errno::EEXIST);
        }
        let shared = check_kind(&request, length)?;
        let unreserved = flags.contains(MapFlags::NORESERVE);
        let MapRequest { protection, backing, label, .. } = request;
        let area = Area { span, protection, shared, backing, wipe_on_fork: false, unreserved, label };
        self.charge(span, &area)?;
        self.check_split(span)?;
        self.install(memory, area)?;
        Ok(address)
    }

    /// Unmaps as munmap does.
    ///
    /// # Errors
    /// Those of munmap(2).
    pub fn unmap(&mut self, memory: &mut dyn GuestMemory, address: u64, length: u64) -> Result<(), Errno> {
        let top = self.layout.top();
        if !address.is_multiple_of(PAGE) || address > top || length > top - address {
            return Err(Errno::EINVAL);
        }
        let length = page_up(length).ok_or(Errno::EINVAL)?;
        let span = Span::new(address, length).ok_or(Errno::EINVAL)?;
        self.clear(memory, span)
    }

    /// Chooses the address of a new mapping (Linux's get_unmapped_area).
    pub(super) fn place(&mut self, wish: u64, length: u64, flags: MapFlags) -> Result<u64, Errno> {
        let top = self.layout.top();
        if length > top {
            return Err(Errno::ENOMEM);
        }
        if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) {
            return self.check_fixed(wish, length);
        }
        let hint = match page_down(wish) {
            0 => 0,
            page => page.max(MMAP_MIN_ADDR),
        };
        let low = flags.contains(MapFlags::BIT32);
        let end = if low { LOW.end } else { top };
        if hint != 0 && self.is_free(hint, length, end) {
            return Ok(hint);
        }
        if low {
            return self.gap(length, LOW, Direction::BottomUp);
        }
        while let Some(area) = self.full_from.checked_sub(1).and_then(|last| self.areas.find(last)) {
            self.full_from = area.span.start;
        }
        let start = if flags.contains(MapFlags::ABOVE4G) { 1 << 32 } else { MMAP_MIN_ADDR };
        let below = Span { start, end: self.full_from.max(start + PAGE) };
        self.gap(length, below, Direction::TopDown).or_else(|_| {
            // As Linux's last resort: above the base.
            let above = Span { start: self.layout.mmap_base(), end: top };
            if above.start < top { self.gap(length, above, Direction::BottomUp) } else { Err(Errno::ENOMEM) }
        })
    }

    fn check_fixed(&self, address: u64, length: u64) -> Result<u64, Errno> {
        if address > self.layout.top() - length {
            return Err(Errno::ENOMEM);
        }
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if address < MMAP_MIN_ADDR {
            return Err(Errno::EPERM);
        }
        let span = Span::new(address, length).ok_or(Errno::ENOMEM)?;
        if self.layout.meets_reserved(span) { Err(Errno::ENOMEM) } else { Ok(address) }
    }

    fn is_free(&self, address: u64, length: u64, end: u64) -> bool {
        let Some(span) = Span::new(address, length).filter(|span| span.end <= end) else { return false };
        self.areas.overlapping(span).next().is_none() && !self.layout.meets_reserved(span)
    }

    fn gap(&self, length: u64, within: Span, direction: Direction) -> Result<u64, Errno> {
        self.areas.find_gap(length, within, PAGE, direction, self.layout.reserved()).ok_or(Errno::ENOMEM)
    }
}

/// Whether the mapping is shared; refuses, as Linux does, flags that do not fit the kind of mapping and its file.
fn check_kind(request: &MapRequest, length: u64) -> Result<bool, Errno> {
    let (flags, kind) = (request.flags, request.flags.kind());
    let Backing::File { file, offset } = &request.backing else {
        return match kind {
            MAP_PRIVATE => Ok(false),
            MAP_SHARED if !flags.contains(MapFlags::GROWSDOWN) => Ok(true),
            _ => Err(Errno::EINVAL),
        };
    };
    if offset % PAGE != 0 || flags.contains(MapFlags::ANONYMOUS) {
        return Err(Errno::EINVAL);
    }
    if offset.checked_add(length).is_none_or(|end| i64::try_from(end).is_err()) {
        return Err(Errno::EOVERFLOW);
    }
    let shared = match kind {
        MAP_SHARED | MAP_SHARED_VALIDATE => true,
        MAP_PRIVATE => false,
        _ => return Err(Errno::EINVAL),
    };
    let extra = flags.bits() & !(VALIDATED.bits() | MAP_TYPE);
    if kind == MAP_SHARED_VALIDATE && extra != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if shared && request.protection.contains(Protection::WRITE) && !file.writable() {
        return Err(Errno::EACCES);
    }
    if flags.contains(MapFlags::GROWSDOWN) {
        return Err(Errno::EINVAL);
    }
    Ok(shared)
}
