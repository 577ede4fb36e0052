//! The calls that change no mapping: msync, mincore, mlock; and sums for /proc.

use warmfork_abi::mman::SyncFlags;
use warmfork_abi::{Errno, PAGE, page_down, page_up};

use super::AddressSpace;
use crate::areas::Backing;
use crate::span::{Protection, Span};

/// Sums over an address space, in bytes, for /proc/self/statm and status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Everything mapped (VmSize).
    pub mapped: u64,
    /// Bytes that the guest may access in any way: warmfork's bound for the resident bytes.
    pub accessible: u64,
    /// Private writable mappings (VmData and VmStk).
    pub data: u64,
    /// The mapping labelled `stack` (VmStk).
    pub stack: u64,
    /// Executable mappings that can't be written (VmExe and VmLib).
    pub code: u64,
    /// Mappings of files.
    pub files: u64,
}

/// The pages for mincore to look at: the first part of the request, up to the first hole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapped {
    /// The mapped pages; `None` when there are none.
    pub span: Option<Span>,
    /// Whether that is all that was asked for (else mincore answers ENOMEM after it).
    pub whole: bool,
}

impl AddressSpace {
    /// Checks and does msync: with MS_SYNC, shared files are stored to disk.
    ///
    /// # Errors
    /// Those of msync(2).
    pub fn sync(&self, address: u64, length: u64, flags: SyncFlags) -> Result<(), Errno> {
        let both = SyncFlags::ASYNC | SyncFlags::SYNC;
        if !SyncFlags::all().contains(flags) || !address.is_multiple_of(PAGE) || flags.contains(both) {
            return Err(Errno::EINVAL);
        }
        // Linux's rounding wraps around to zero.
        let length = page_up(length).unwrap_or(0);
        let end = address.checked_add(length).ok_or(Errno::ENOMEM)?;
        let Some(span) = Span::new(address, end - address) else { return Ok(()) };
        if flags.contains(SyncFlags::SYNC) {
            for area in self.areas.overlapping(span).filter(|area| area.shared) {
                if let Backing::File { file, .. } = &area.backing {
                    rustix::fs::fdatasync(file).map_err(|error| Errno(error.raw_os_error()))?;
                }
            }
        }
        if self.areas.is_fully_mapped(span) { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Makes the checks of mincore but for its vector, and finds the pages that it is to report.
    ///
    /// # Errors
    /// Those of mincore(2).
    pub fn mapped_part(&self, address: u64, length: u64) -> Result<Mapped, Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let end = address.checked_add(length).filter(|&end| end <= self.layout.top()).ok_or(Errno::ENOMEM)?;
        let end = page_up(end).ok_or(Errno::ENOMEM)?;
        let Some(span) = Span::new(address, end - address) else { return Ok(Mapped { span: None, whole: true }) };
        let first = self.areas.mapped_runs(span).first().copied().filter(|run| run.start == span.start);
        Ok(Mapped { span: first, whole: first == Some(span) })
    }

    /// Makes the checks of mlock and munlock. Locking has no effect: guest memory is the host's to page.
    ///
    /// # Errors
    /// Those of mlock(2), the limits of locked memory apart.
    pub fn lock(&self, address: u64, length: u64) -> Result<(), Errno> {
        let start = page_down(address);
        // Linux's rounding wraps around to zero.
        let length = page_up(length.wrapping_add(address - start)).unwrap_or(0);
        let end = start.checked_add(length).ok_or(Errno::EINVAL)?;
        match Span::new(start, end - start) {
            Some(span) if !self.areas.is_fully_mapped(span) => Err(Errno::ENOMEM),
            _ => Ok(()),
        }
    }

    /// Sums over all mappings.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            mapped: self.areas.mapped_bytes(),
            accessible: self.areas.accessible_bytes().reserved,
            ..Totals::default()
        };
        for area in self.areas.iter() {
            let bytes = area.span.len();
            let writable = area.protection.contains(Protection::WRITE);
            if writable && !area.shared {
                totals.data += bytes;
            }
            if area.protection.contains(Protection::EXEC) && !writable {
                totals.code += bytes;
            }
            if area.label == Some("stack") {
                totals.stack += bytes;
            }
            if !area.is_anonymous() {
                totals.files += bytes;
            }
        }
        totals
    }
}
