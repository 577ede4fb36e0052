//! madvise.

use rustix::fs::{FallocateFlags, fallocate};
use warmfork_abi::mman::madvise::*;
use warmfork_abi::{Errno, PAGE, page_up};

use super::{AddressSpace, refused};
use crate::areas::{Area, Backing};
use crate::host::GuestMemory;
use crate::span::{Protection, Span};

/// Up to so many bytes, dropping pages that come from an image is done by writing zeroes, which a reset undoes
/// without a mapping call; above it by mapping fresh memory.
const MAX_ZEROED: u64 = 256 << 10;

static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

impl AddressSpace {
    /// Takes advice as madvise does. Only MADV_DONTNEED, MADV_REMOVE, MADV_WIPEONFORK and MADV_KEEPONFORK have an
    /// effect (MADV_FREE keeps the contents, which it may); MADV_COLLAPSE, the guard regions and the injection of memory
    /// failures are unknown, as to an older kernel without that option.
    ///
    /// # Errors
    /// Those of madvise(2).
    pub fn advise(
        &mut self,
        memory: &mut dyn GuestMemory,
        address: u64,
        length: u64,
        advice: u64,
    ) -> Result<(), Errno> {
        if !is_known(advice) || !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let length = page_up(length).ok_or(Errno::EINVAL)?;
        let end = address.checked_add(length).ok_or(Errno::EINVAL)?;
        if length == 0 {
            return Ok(());
        }
        let span = Span { start: address, end };
        match advice {
            MADV_POPULATE_READ => return self.populate(span, Protection::READ),
            MADV_POPULATE_WRITE => return self.populate(span, Protection::WRITE),
            _ => {}
        }
        let pieces: Vec<Area> = self.areas.pieces(span).collect();
        let advised: u64 = pieces.iter().map(|piece| piece.span.len()).sum();
        for piece in pieces {
            self.advise_piece(memory, piece, advice)?;
        }
        // Holes are passed over, and then told of.
        if advised < span.len() { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    fn advise_piece(&mut self, memory: &mut dyn GuestMemory, piece: Area, advice: u64) -> Result<(), Errno> {
        match advice {
            // Shared memory keeps its bytes, with a file or without.
            MADV_DONTNEED | MADV_DONTNEED_LOCKED if piece.shared => Ok(()),
            MADV_DONTNEED | MADV_DONTNEED_LOCKED => self.discard(memory, &piece),
            MADV_REMOVE => self.punch(memory, &piece),
            MADV_FREE | MADV_WIPEONFORK if piece.shared || !piece.is_anonymous() => Err(Errno::EINVAL),
            MADV_WIPEONFORK => self.wipe_on_fork(piece.span, true),
            MADV_KEEPONFORK => self.wipe_on_fork(piece.span, false),
            _ => Ok(()),
        }
    }

    /// Drops the pages of a mapping: then there are zeroes, or the file again.
    fn discard(&mut self, memory: &mut dyn GuestMemory, piece: &Area) -> Result<(), Errno> {
        for part in self.host_pieces(piece.span) {
            let Some(area) = piece.clipped(part) else { continue };
            if !self.imaged.contains(part.start) {
                memory.discard(part).map_err(|error| refused(&error))?;
            } else if !zero(memory, &area) {
                self.install(memory, area)?;
            }
        }
        Ok(())
    }

    /// Punches a hole into the file behind a shared mapping.
    fn punch(&mut self, memory: &mut dyn GuestMemory, piece: &Area) -> Result<(), Errno> {
        match &piece.backing {
            Backing::Anonymous if piece.shared => self.discard(memory, piece),
            Backing::Anonymous => Err(Errno::EINVAL),
            Backing::File { file, offset } if piece.shared && file.writable() => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fallocate(file, flags, *offset, piece.span.len()).map_err(|error| Errno(error.raw_os_error()))
            }
            Backing::File { .. } => Err(Errno::EACCES),
        }
    }

    fn wipe_on_fork(&mut self, span: Span, wipe: bool) -> Result<(), Errno> {
        // Linux's EAGAIN: out of some resource.
        if self.areas.len() + self.areas.cuts(span) > self.limits.areas {
            return Err(Errno::EAGAIN);
        }
        self.changes.protect(span);
        self.areas.set_wipe_on_fork(span, wipe);
        Ok(())
    }

    /// Faults pages in. The host does that when they are needed; this only refuses requests that cannot be.
    fn populate(&self, span: Span, access: Protection) -> Result<(), Errno> {
        let mut end = span.start;
        for area in self.areas.pieces(span) {
            if area.span.start > end {
                return Err(Errno::ENOMEM);
            }
            if !area.protection.contains(access) {
                return Err(Errno::EINVAL);
            }
            if area.file_end().map_err(|_| Errno::EFAULT)? < area.span.end {
                return Err(Errno::EFAULT);
            }
            end = area.span.end;
        }
        if end < span.end { Err(Errno::ENOMEM) } else { Ok(()) }
    }
}

/// Writes zeroes over `area` if that is the better way, and says whether it did.
fn zero(memory: &mut dyn GuestMemory, area: &Area) -> bool {
    let writable = area.protection.contains(Protection::WRITE);
    if !area.is_anonymous() || !writable || area.span.len() > MAX_ZEROED {
        return false;
    }
    let mut address = area.span.start;
    while address < area.span.end {
        let left = usize::try_from(area.span.end - address).unwrap_or(ZEROES.len());
        let written = memory.write_some(address, &ZEROES[..left.min(ZEROES.len())]);
        if written == 0 {
            return false;
        }
        address += written as u64;
    }
    true
}

fn is_known(advice: u64) -> bool {
    advice <= MADV_DONTNEED || (MADV_FREE..=MADV_DONTNEED_LOCKED).contains(&advice)
}
