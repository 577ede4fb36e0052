//! Maps the segments of ELF files, from the files themselves: nothing is copied but the bytes around a bss. Called by
//! [`crate::load`].
//!
//! ```text
//!   file      ....[ p_filesz        ]
//!   memory    |   [ p_filesz        ][ p_memsz - p_filesz ]   |
//!             |<- private mapping of the file ->|<- anonymous ->|     (pages)
//!                                    |<-zeroed->|
//! ```

use std::sync::Arc;

use warmfork_abi::mman::MapFlags;
use warmfork_abi::{Errno, page_down, page_up};
use warmfork_memory::space::{AddressSpace, MapRequest};
use warmfork_memory::{Backing, GuestMemory, Protection, Span};

use crate::elf::{Kind, Segment};
use crate::error::LoadError;
use crate::interpreter::{Program, text};

/// An address space that is being filled, on behalf of one file.
pub(crate) struct Target<'a> {
    /// The guest's address space.
    pub space: &'a mut AddressSpace,
    /// The platform's memory.
    pub memory: &'a mut dyn GuestMemory,
}

impl Target<'_> {
    /// Maps as `request` says, fixed at `span`, for `path`.
    pub(crate) fn map(
        &mut self,
        path: &[u8],
        what: &'static str,
        span: Span,
        request: MapRequest,
    ) -> Result<(), LoadError> {
        match self.space.map(self.memory, request.fixed(span.start)) {
            Ok(_) => Ok(()),
            Err(errno) => Err(LoadError::Map { path: text(path), what, span, errno }),
        }
    }

    /// Writes `bytes` at `address`, for `path`.
    pub(crate) fn fill(
        &mut self,
        path: &[u8],
        what: &'static str,
        address: u64,
        bytes: &[u8],
    ) -> Result<(), LoadError> {
        self.memory.write(address, bytes).map_err(|fault| LoadError::Fill { path: text(path), what, address: fault.0 })
    }

    /// A free place for `length` bytes (whole pages) in the area of mmap, aligned to `alignment`. Nothing is mapped
    /// there afterwards.
    pub(crate) fn find_room(&mut self, path: &[u8], length: u64, alignment: u64) -> Result<u64, LoadError> {
        let no_room = || LoadError::NoRoom { path: text(path), size: length, alignment };
        let slack = alignment - warmfork_abi::PAGE;
        let whole = length.checked_add(slack).ok_or_else(no_room)?;
        let request = MapRequest::anonymous(whole, Protection::empty());
        let start = self.space.map(self.memory, request).map_err(|_| no_room())?;
        self.space.unmap(self.memory, start, whole).map_err(|_| no_room())?;
        // The highest place, as the search goes downwards.
        Ok((start + slack) & !(alignment - 1))
    }

    /// The offset to add to the addresses of a program interpreter: it goes where mmap would put it.
    pub(crate) fn interpreter_bias(&mut self, program: &Program) -> Result<u64, LoadError> {
        let (span, alignment) = (program.image.span, program.image.alignment);
        if program.image.kind == Kind::Fixed {
            let errno = Errno::EEXIST;
            return match self.space.areas().overlapping(span).next() {
                None => Ok(0),
                Some(_) => Err(LoadError::Map { path: text(&program.path), what: "the segments", span, errno }),
            };
        }
        let first = span.start & !(alignment - 1);
        let at = self.find_room(&program.path, span.end - first, alignment)?;
        // The lowest possible result is 0 - first modulo 2^64; adding it to an address of the image never wraps.
        Ok(at.wrapping_sub(first))
    }

    /// Maps every segment of `program`, `bias` beyond the addresses in the file.
    pub(crate) fn map_segments(&mut self, program: &Program, bias: u64) -> Result<(), LoadError> {
        program.image.segments.iter().try_for_each(|segment| self.map_segment(program, segment, bias))
    }

    fn map_segment(&mut self, program: &Program, segment: &Segment, bias: u64) -> Result<(), LoadError> {
        let path = &program.path;
        let start = segment.address.wrapping_add(bias);
        let (file_end, end) = (start + segment.file_size, start + segment.memory_size);
        let first_page = page_down(start);
        let in_pages = |address| page_up(address).ok_or_else(|| too_high(path, start));
        // A segment without bytes in the file is anonymous from its first page on.
        let file_pages = if segment.file_size == 0 { first_page } else { in_pages(file_end)? };
        if let Some(span) = Span::new(first_page, file_pages - first_page) {
            let backing = Backing::File { file: Arc::clone(&program.file), offset: page_down(segment.offset) };
            let request = MapRequest::private(backing, span.len(), segment.protection);
            self.map(path, "a segment", span, request)?;
        }
        if let Some(span) = Span::new(file_pages, in_pages(end)?.saturating_sub(file_pages)) {
            let request = MapRequest::anonymous(span.len(), segment.protection);
            self.map(path, "a bss", span, request)?;
        }
        // A part that cannot be written keeps the file's bytes, as on Linux.
        if segment.memory_size > segment.file_size && segment.protection.contains(Protection::WRITE) {
            // Empty for a segment without bytes in the file: there the pages end before its first byte.
            let stale = usize::try_from(file_pages.saturating_sub(file_end)).unwrap_or_default();
            self.fill(path, "a bss", file_end, &vec![0; stale])?;
        }
        Ok(())
    }

    /// Maps a new stack. A program at fixed addresses may lie there: then there is none.
    pub(crate) fn map_stack(&mut self, path: &[u8], span: Span, protection: Protection) -> Result<(), LoadError> {
        let mut request = MapRequest::anonymous(span.len(), protection).labelled("stack");
        request.flags |= MapFlags::FIXED_NOREPLACE;
        self.map(path, "the stack", span, request)
    }
}

fn too_high(path: &[u8], address: u64) -> LoadError {
    let span = Span { start: address, end: u64::MAX };
    LoadError::Map { path: text(path), what: "a segment", span, errno: Errno::ENOMEM }
}
