//! mprotect.

use warmfork_abi::mman::prot::{PROT_GROWSDOWN, PROT_GROWSUP, PROT_SEM};
use warmfork_abi::{Errno, PAGE, page_up};

use super::{AddressSpace, refused};
use crate::areas::{Area, Backing};
use crate::host::GuestMemory;
use crate::span::{Protection, Span};

impl AddressSpace {
    /// Changes protection as mprotect does; `bits` are the guest's PROT_ bits. Pages before the address that
    /// it fails at is changed, as Linux has it.
    ///
    /// # Errors
    /// Those of mprotect(2).
    pub fn protect(&mut self, memory: &mut dyn GuestMemory, address: u64, length: u64, bits: u64) -> Result<(), Errno> {
        let grows = bits & (PROT_GROWSDOWN | PROT_GROWSUP);
        let bits = bits & !grows;
        if grows == PROT_GROWSDOWN | PROT_GROWSUP || !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if length == 0 {
            return Ok(());
        }
        let length = page_up(length).ok_or(Errno::ENOMEM)?;
        let mut span = Span::new(address, length).ok_or(Errno::ENOMEM)?;
        let known = u64::from(Protection::all().bits()) | PROT_SEM;
        if bits & !known != 0 {
            return Err(Errno::EINVAL);
        }
        #[expect(clippy::cast_possible_truncation, reason = "only the low four bits are left")]
        let protection = Protection::from_bits_truncate(bits as u32);
        let first = self.areas.next(span.start).filter(|area| area.span.start < span.end).ok_or(Errno::ENOMEM)?;
        if grows == PROT_GROWSDOWN {
            // Only a stack grows down.
            if first.label != Some("stack") {
                return Err(Errno::EINVAL);
            }
            span.start = first.span.start;
        } else if first.span.start > span.start {
            return Err(Errno::ENOMEM);
        } else if grows == PROT_GROWSUP {
            return Err(Errno::EINVAL);
        }
        self.protect_span(memory, span, protection)
    }

    fn protect_span(&mut self, memory: &mut dyn GuestMemory, span: Span, protection: Protection) -> Result<(), Errno> {
        let (end, outcome) = self.protectable(span, protection);
        let Some(span) = Span::new(span.start, end - span.start) else { return outcome };
        // Only the parts that differ, joined.
        let mut differing: Vec<Span> = Vec::new();
        for area in self.areas.overlapping(span).filter(|area| area.protection != protection) {
            match (area.span.intersection(span), differing.last_mut()) {
                (Some(piece), Some(last)) if last.end == piece.start => last.end = piece.end,
                (Some(piece), _) => differing.push(piece),
                (None, _) => {}
            }
        }
        for piece in differing {
            self.charge_protection(piece, protection)?;
            if self.areas.len() + self.areas.cuts(piece) > self.limits.areas {
                return Err(Errno::ENOMEM);
            }
            self.changes.protect(piece);
            memory.protect(piece, protection).map_err(|error| refused(&error))?;
            self.areas.protect(piece, protection);
        }
        outcome
    }

    /// Up to where `span` may have `protection`, and why not further.
    fn protectable(&self, span: Span, protection: Protection) -> (u64, Result<(), Errno>) {
        let mut end = span.start;
        for area in self.areas.overlapping(span) {
            if area.span.start > end {
                return (end, Err(Errno::ENOMEM));
            }
            if !may_have(area, protection) {
                return (end, Err(Errno::EACCES));
            }
            end = area.span.end.min(span.end);
        }
        (end, if end < span.end { Err(Errno::ENOMEM) } else { Ok(()) })
    }

    fn charge_protection(&self, span: Span, protection: Protection) -> Result<(), Errno> {
        let new = self.areas.pieces(span).map(|area| Area { protection, ..area }.accessible()).sum();
        self.charge_accessible(self.areas.accessible_bytes() - self.areas.accessible_bytes_in(span) + new)?;
        let is_data = protection.contains(Protection::WRITE);
        self.charge_data(if is_data { self.private_bytes(span, false) } else { 0 })
    }
}

/// A shared mapping of a file that was not opened for writing can't become writable.
fn may_have(area: &Area, protection: Protection) -> bool {
    match &area.backing {
        Backing::File { file, .. } => !area.shared || file.writable() || !protection.contains(Protection::WRITE),
        Backing::Anonymous => true,
    }
}
