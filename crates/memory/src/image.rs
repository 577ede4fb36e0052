//! A frozen memory image: the content of a machine's memory at one moment, shared by all its forks.
//!
//! ```text
//!   areas  |  heap  | libc.so text | libc.so data | reservation | shared file |      in address order
//!             v            v              v              v             v
//!   segments Memory       File          Memory          Zero         Shared
//!             v                           v
//!   memfd  [0123..0..45][6789]          pages that are zero are holes; sealed once written
//! ```
//!
//! A fork maps the segments (`Memory` copied on write from the memfd) and a reset copies pages back from
//! [`Image::pieces`]. Snapshots build images through [`ImageBuilder`]: from a live machine or from a file.

mod build;

#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::host_file::HostFile;
use crate::mapping::FrozenBytes;
use crate::span::Span;

pub use build::ImageBuilder;

/// An image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The host refused a call on the image's file.
    #[error("{operation} of a memory image failed: {source}")]
    Host {
        /// The operation that failed.
        operation: &'static str,
        /// The host's error.
        source: std::io::Error,
    },
    /// The machine's memory could not be read.
    #[error("reading {span:?} for a memory image failed: {source}")]
    Read {
        /// Which part.
        span: Span,
        /// The reader's error.
        source: std::io::Error,
    },
    /// A segment that is not made of pages, or does not come after the last one.
    #[error("adding {span:?} to a memory image failed: not made of pages, or out of order")]
    Misplaced {
        /// The segment, or the bytes written.
        span: Span,
    },
}

/// Where the bytes of a segment are.
#[derive(Clone, Debug)]
pub enum SegmentSource {
    /// In the image's own file, from this offset on.
    Memory {
        /// Byte offset of the segment's first page.
        offset: u64,
    },
    /// In a file that the machine had mapped privately and not written to.
    File {
        /// The file.
        file: Arc<HostFile>,
        /// Byte offset of the segment's first page.
        offset: u64,
    },
    /// In a file that the machine had mapped shared: not frozen at all.
    Shared {
        /// The file.
        file: Arc<HostFile>,
        /// Byte offset of the segment's first page.
        offset: u64,
    },
    /// Nowhere: zeroes.
    Zero,
}

/// A part of an image with one source.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The guest's addresses.
    pub span: Span,
    /// Where the bytes are.
    pub source: SegmentSource,
}

/// The content of some pages of an image.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// These bytes, which are at this offset of the image's file.
    Bytes(&'a [u8], u64),
    /// The file's bytes from this offset on; zeroes behind its end.
    File(&'a Arc<HostFile>, u64),
    /// Zeroes.
    Zero,
}

/// A frozen memory image. Immutable; any number of forks on any threads read it.
#[derive(Debug)]
pub struct Image {
    file: OwnedFd,
    bytes: Option<FrozenBytes>,
    segments: Vec<Segment>,
    /// The parts of the file that hold anything but zeroes, as spans of offsets in order.
    present: Vec<Span>,
}

impl Image {
    /// The image's memory file, sealed; for mapping `Memory` segments.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The bytes of that file, holes included.
    #[must_use]
    pub fn all_bytes(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], FrozenBytes::as_slice)
    }

    /// Every segment in address order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Bytes of host memory that the image holds.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.present.iter().map(|part| part.len()).sum()
    }

    /// The content of the pages of `span`, in runs of one kind, in address order; pages in no segment are left out.
    /// Shared files are not frozen, so their pages are left out too.
    #[must_use]
    pub fn pieces(&self, span: Span) -> Pieces<'_> {
        let segment = self.segments.partition_point(|segment| segment.span.end <= span.start);
        Pieces { image: self, segment, at: span.start, end: span.end }
    }

    /// The content of the image's file from `offset` on, and for how many of `length` bytes.
    fn run(&self, offset: u64, length: u64) -> (u64, Content<'_>) {
        let index = self.present.partition_point(|part| part.end <= offset);
        let Some(part) = self.present.get(index).filter(|part| part.start < offset.saturating_add(length)) else {
            return (length, Content::Zero);
        };
        if part.start > offset {
            return (part.start - offset, Content::Zero);
        }
        let length = length.min(part.end - offset);
        let range = usize::try_from(offset).ok().zip(usize::try_from(offset + length).ok());
        let bytes = range.and_then(|(start, end)| self.bytes.as_ref()?.as_slice().get(start..end));
        (length, bytes.map_or(Content::Zero, |bytes| Content::Bytes(bytes, offset)))
    }
}

/// Runs of an image's pages: see [`Image::pieces`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    image: &'a Image,
    segment: usize,
    at: u64,
    end: u64,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (Span, Content<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let segment = self.image.segments.get(self.segment)?;
            let start = self.at.max(segment.span.start);
            let stop = self.end.min(segment.span.end);
            if start >= stop {
                if self.end <= segment.span.end {
                    return None;
                }
                self.segment += 1;
                continue;
            }
            let skipped = start - segment.span.start;
            let (length, content) = match &segment.source {
                SegmentSource::Shared { .. } => {
                    self.at = stop;
                    continue;
                }
                SegmentSource::Zero => (stop - start, Content::Zero),
                SegmentSource::File { file, offset } => (stop - start, Content::File(file, offset + skipped)),
                SegmentSource::Memory { offset } => self.image.run(offset + skipped, stop - start),
            };
            self.at = start + length;
            return Some((Span { start, end: self.at }, content));
        }
    }
}
