//! Operations of a platform on guest memory. Every address and length has been checked before it comes here.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use crate::span::{Protection, Span};

/// Where the bytes of a new mapping come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Zeroed private memory, not counted against the host's commit limit.
    Anonymous,
    /// A file of the host: `shared` writes go to the file, others are copied on write.
    File {
        /// The host file.
        fd: BorrowedFd<'a>,
        /// Byte offset of the first page; a multiple of the page size.
        offset: u64,
        /// Writes reach the file.
        shared: bool,
    },
}

/// The host refused a mapping call.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of {span:?} failed: {source}")]
pub struct MapError {
    /// Which call: `map`, `unmap`, ...
    pub operation: &'static str,
    /// The guest range.
    pub span: Span,
    /// The host's error.
    pub source: std::io::Error,
}

/// One guest's memory on a platform. Spans are page-aligned, not empty and below [`warmfork_abi::USER_END`].
pub trait GuestMemory {
    /// Copies guest bytes from `address` on; returns how many could be read before the first inaccessible one.
    fn read_some(&self, address: u64, into: &mut [u8]) -> usize;

    /// Copies bytes to the guest at `address`; returns how many could be written before the first page that the
    /// guest itself may not write.
    fn write_some(&self, address: u64, from: &[u8]) -> usize;

    /// As [`GuestMemory::read_some`] of several buffers (address, bytes), one after the other, whose lengths add up to that of
    /// `into`. At most [`warmfork_abi::socket::IOV_MAX`] of them.
    fn read_parts(&self, parts: &[(u64, usize)], into: &mut [u8]) -> usize {
        each(parts, |address, range| self.read_some(address, &mut into[range]))
    }

    /// As [`GuestMemory::write_some`] to several buffers, as [`GuestMemory::read_parts`] reads them.
    fn write_parts(&self, parts: &[(u64, usize)], from: &[u8]) -> usize {
        each(parts, |address, range| self.write_some(address, &from[range]))
    }

    /// Maps `span`, replacing the mappings there.
    ///
    /// # Errors
    /// The host's refusal (out of memory, too many mappings).
    fn map(&mut self, span: Span, protection: Protection, source: Source<'_>) -> Result<(), MapError>;

    /// Removes every mapping in `span`.
    ///
    /// # Errors
    /// As [`GuestMemory::map`].
    fn unmap(&mut self, span: Span) -> Result<(), MapError>;

    /// Changes the protection of `span`, all of which is mapped.
    ///
    /// # Errors
    /// As [`GuestMemory::map`].
    fn protect(&mut self, span: Span, protection: Protection) -> Result<(), MapError>;

    /// Moves the pages of `from` to `to` (same protection, contents and backing); `to` may be longer, its rest
    /// then being the continuation of the same backing. A mapping at `to` is replaced, `from` is unmapped.
    ///
    /// # Errors
    /// As [`GuestMemory::map`].
    fn relocate(&mut self, from: Span, to: Span) -> Result<(), MapError>;

    /// Drops the private pages of `span`: the next access sees zeroes, or the file again (MADV_DONTNEED).
    ///
    /// # Errors
    /// As [`GuestMemory::map`].
    fn discard(&mut self, span: Span) -> Result<(), MapError>;

    /// Which pages of `span`, all of which is mapped, are in memory: one byte a page, 1 or 0, as mincore has it. A
    /// platform that can't tell says that all are.
    fn resident(&self, _span: Span, pages: &mut [u8]) {
        pages.fill(1);
    }
}

/// Copies to or from each of `parts`, as `copy` (address, and the buffer's range) does, until one is short.
fn each(parts: &[(u64, usize)], mut copy: impl FnMut(u64, Range<usize>) -> usize) -> usize {
    let mut done = 0;
    for &(address, length) in parts {
        let copied = copy(address, done..done + length);
        done += copied;
        if copied < length {
            break;
        }
    }
    done
}
