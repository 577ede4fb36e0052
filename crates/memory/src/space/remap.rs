//! mremap.

use warmfork_abi::mman::{MapFlags, RemapFlags};
use warmfork_abi::{Errno, PAGE, page_down, page_up};

use super::{AddressSpace, refused};
use crate::areas::{Area, Backing};
use crate::host::GuestMemory;
use crate::span::Span;

/// The arguments of mremap, as the guest gave them.
#[derive(Clone, Copy, Debug)]
pub struct RemapRequest {
    /// Where the mapping is.
    pub address: u64,
    /// How much of it, in bytes.
    pub old_length: u64,
    /// How long it shall be.
    pub new_length: u64,
    /// Flags; unknown ones are refused.
    pub flags: RemapFlags,
    /// Where it shall be, with MREMAP_FIXED.
    pub new_address: u64,
}

impl AddressSpace {
    /// Grows, shrinks or moves a mapping as mremap does, and returns its address. A second view of shared memory
    /// without a file (an old length of zero, or MREMAP_DONTUNMAP) is refused: to the host that memory is private.
    ///
    /// # Errors
    /// Those of mremap(2).
    pub fn remap(&mut self, memory: &mut dyn GuestMemory, request: RemapRequest) -> Result<u64, Errno> {
        let RemapRequest { address, flags, .. } = request;
        if !RemapFlags::all().contains(flags) || !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        // Linux's rounding wraps around to zero.
        let old = page_up(request.old_length).unwrap_or(0);
        let new = page_up(request.new_length).unwrap_or(0);
        if new == 0 || new > self.layout.top() {
            return Err(Errno::EINVAL);
        }
        if flags.intersects(RemapFlags::FIXED | RemapFlags::DONTUNMAP) {
            return self.remap_to(memory, request, old, new);
        }
        let area = self.areas.find(address).ok_or(Errno::EFAULT)?.clone();
        if new <= old {
            self.shrink(memory, address, old, new)?;
            return Ok(address);
        }
        check_source(&area, address, old, old)?;
        let from = Span { start: address, end: address + old };
        if from.end == area.span.end && old > 0 && self.grow(memory, &area, new - old)? {
            return Ok(address);
        }
        if !flags.contains(RemapFlags::MAYMOVE) || self.is_crowded() {
            return Err(Errno::ENOMEM);
        }
        let to = self.place(0, new, MapFlags::empty())?;
        self.relocate(memory, &area, from, to, new)
    }

    /// Moves to the address that the request names.
    fn remap_to(
        &mut self,
        memory: &mut dyn GuestMemory,
        request: RemapRequest,
        old: u64,
        new: u64,
    ) -> Result<u64, Errno> {
        let RemapRequest { address, flags, new_address, .. } = request;
        self.check_target(request, old, new)?;
        let mut area = self.areas.find(address).ok_or(Errno::EFAULT)?.clone();
        check_source(&area, address, old.min(new), old)?;
        let keep = flags.contains(RemapFlags::DONTUNMAP);
        if keep && area.shared && area.is_anonymous() {
            return Err(Errno::EINVAL);
        }
        let mut place = MapFlags::empty();
        if flags.contains(RemapFlags::FIXED) {
            self.clear(memory, Span::new(new_address, new).ok_or(Errno::EINVAL)?)?;
            // With an old length of zero, or one that wraps around, the target may have been the source.
            area = self.areas.find(address).ok_or(Errno::EFAULT)?.clone();
            self.shrink(memory, address, old, new)?;
            place = MapFlags::FIXED;
        }
        let to = self.place(new_address, new, place)?;
        let from = Span { start: address, end: address + old.min(new) };
        let left = area.clipped(from).filter(|_| keep);
        if let (Some(left), Some(target)) = (&left, Span::new(to, new)) {
            self.charge(target, left)?;
        }
        self.relocate(memory, &area, from, to, new)?;
        if let Some(left) = left {
            self.install(memory, left)?;
        }
        Ok(to)
    }

    fn check_target(&self, request: RemapRequest, old: u64, new: u64) -> Result<(), Errno> {
        let to = request.new_address;
        if to > self.layout.top() - new || !to.is_multiple_of(PAGE) || !request.flags.contains(RemapFlags::MAYMOVE) {
            return Err(Errno::EINVAL);
        }
        if request.flags.contains(RemapFlags::DONTUNMAP) && old != new {
            return Err(Errno::EINVAL);
        }
        // This wraps around in Linux too; such a length fails later.
        let from_end = request.address.wrapping_add(old);
        if from_end > to && to + new > request.address {
            return Err(Errno::EINVAL);
        }
        if self.is_crowded() { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Moving takes a few areas more for a moment; Linux keeps these few back.
    fn is_crowded(&self) -> bool {
        self.areas.len() + 5 >= self.limits.areas
    }

    fn shrink(&mut self, memory: &mut dyn GuestMemory, address: u64, old: u64, new: u64) -> Result<(), Errno> {
        if old <= new {
            return Ok(());
        }
        let end = address.checked_add(old).filter(|&end| end <= self.layout.top()).ok_or(Errno::EINVAL)?;
        self.clear(memory, Span { start: address + new, end })
    }

    /// Makes the area longer where it is; false when there is no room.
    fn grow(&mut self, memory: &mut dyn GuestMemory, area: &Area, bytes: u64) -> Result<bool, Errno> {
        let Some(more) = Span::new(area.span.end, bytes) else { return Ok(false) };
        let is_free = more.end <= self.layout.top()
            && self.areas.overlapping(more).next().is_none()
            && !self.layout.meets_reserved(more);
        self.charge(more, area)?;
        if is_free {
            self.install(memory, continuation(area, more, area.span.end)?)?;
        }
        Ok(is_free)
    }

    /// Moves `from`, a part of `area`, to the free address `to`, where it is `length` bytes long.
    fn relocate(
        &mut self,
        memory: &mut dyn GuestMemory,
        area: &Area,
        from: Span,
        to: u64,
        length: u64,
    ) -> Result<u64, Errno> {
        let moved = from.end - from.start;
        let rest = Span::new(to + moved, length - moved);
        let pieces = self.host_pieces(from);
        // The host makes the last piece longer, and keeps it one mapping. What is an image's would go on in that.
        let stretched = pieces.last().copied().filter(|last| !self.imaged.contains(last.start));
        if let Some(rest) = rest {
            self.charge(rest, area)?;
            let rest = continuation(area, rest, from.end)?;
            if stretched.is_none() {
                self.install(memory, rest)?;
            }
        }
        let outcome = pieces.iter().try_for_each(|&piece| {
            let start = to + (piece.start - from.start);
            let end = if Some(piece) == stretched { to + length } else { start + piece.len() };
            self.relocate_piece(memory, area, piece, Span { start, end })
        });
        if let (Err(_), None, Some(rest)) = (outcome, stretched, rest) {
            self.clear(memory, rest)?;
        }
        outcome.map(|()| to)
    }

    /// Moves one mapping of the host's. If it turns out to be several (a host keeps neighbours apart that have
    /// once been moved), moves it half by half.
    fn relocate_piece(&mut self, memory: &mut dyn GuestMemory, area: &Area, from: Span, to: Span) -> Result<(), Errno> {
        self.changes.remap(from);
        self.changes.remap(to);
        match memory.relocate(from, to) {
            Ok(()) => self.relocated(area, from, to),
            Err(error) if error.source.raw_os_error() == Some(Errno::EFAULT.0) && from.len() > PAGE => {
                let half = page_down(from.len() / 2);
                let (from_middle, to_middle) = (from.start + half, to.start + half);
                self.relocate_piece(memory, area, Span { end: from_middle, ..from }, Span { end: to_middle, ..to })?;
                self.relocate_piece(
                    memory,
                    area,
                    Span { start: from_middle, ..from },
                    Span { start: to_middle, ..to },
                )?;
            }
            Err(error) => return Err(refused(&error)),
        }
        Ok(())
    }

    /// Writes down that `from` of `area` now is at `to`.
    fn relocated(&mut self, area: &Area, from: Span, to: Span) {
        let imaged = self.imaged.contains(from.start);
        self.imaged.remove(from);
        self.imaged.remove(to);
        if imaged {
            self.imaged.insert(to);
        }
        self.forget(from);
        let backing = area.backing.advanced(from.start - area.span.start);
        let label = area.label.filter(|&label| label != "heap");
        self.areas.insert(Area { span: to, backing, label, ..area.clone() });
    }

    /// `span` cut where the host's mapping changes from an image's to the area's own.
    pub(super) fn host_pieces(&self, span: Span) -> Vec<Span> {
        let mut pieces = Vec::new();
        let mut start = span.start;
        for imaged in self.imaged.within(span) {
            pieces.extend(Span::new(start, imaged.start - start));
            pieces.push(imaged);
            start = imaged.end;
        }
        pieces.extend(Span::new(start, span.end - start));
        pieces
    }
}

/// Refuses to move or grow a range that is not one mapping.
fn check_source(area: &Area, address: u64, kept: u64, old: u64) -> Result<(), Errno> {
    if old == 0 && !area.is_shared_file() {
        return Err(Errno::EINVAL);
    }
    if kept > area.span.end - address { Err(Errno::EFAULT) } else { Ok(()) }
}

/// The mapping at `span` that goes on where `area`, at its address `end`, stops.
fn continuation(area: &Area, span: Span, end: u64) -> Result<Area, Errno> {
    let backing = area.backing.advanced(end - area.span.start);
    if let Backing::File { offset, .. } = &backing
        && offset.checked_add(span.len()).is_none_or(|end| i64::try_from(end).is_err())
    {
        return Err(Errno::EINVAL);
    }
    let label = area.label.filter(|&label| label != "heap" || span.start == area.span.end);
    Ok(Area { span, backing, label, ..area.clone() })
}
