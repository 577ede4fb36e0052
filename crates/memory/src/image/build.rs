//! Building an image: from the areas of a live machine, or segment by segment from a file.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::ftruncate;
use warmfork_abi::PAGE;

use super::{Image, ImageError, Segment, SegmentSource};
use crate::areas::{Area, Backing};
use crate::mapping::{FrozenBytes, memory_file, seal};
use crate::span::Span;

const PAGE_BYTES: usize = 4096;

/// How much is read at a time.
const CHUNK: u64 = 1 << 20;

/// Untouched stretches of anonymous memory from this length on become segments of their own, so that a few pages in
/// a huge reservation do not make a huge file.
const ANONYMOUS_GAP: u64 = 64 << 20;

/// Untouched stretches of a private file mapping from this length on stay the file's.
const FILE_GAP: u64 = 1 << 20;

/// Reads the machine's memory, also where the guest may not.
pub type Reader<'a> = dyn FnMut(Span, &mut [u8]) -> std::io::Result<()> + 'a;

/// An image in the making.
#[derive(Debug)]
pub struct ImageBuilder {
    file: OwnedFd,
    length: u64,
    segments: Vec<Segment>,
    present: Vec<Span>,
}

impl ImageBuilder {
    /// An empty image.
    ///
    /// # Errors
    /// [`ImageError::Host`] when the host has no memory file to give.
    pub fn new() -> Result<Self, ImageError> {
        let file = memory_file("warmfork-image").map_err(|source| host("creation", source))?;
        Ok(Self { file, length: 0, segments: Vec::new(), present: Vec::new() })
    }

    /// Adds the next area of a live machine. `touched` has, in address order, the pages whose content may differ
    /// from the area's own backing: those privately written, and in a fork also those that it has from its image.
    ///
    /// # Errors
    /// [`ImageError`] when the memory can't be read or stored, or the area does not come after the last.
    pub fn area(&mut self, area: &Area, touched: &[Span], read: &mut Reader<'_>) -> Result<(), ImageError> {
        let (rest, gap) = match &area.backing {
            Backing::File { file, offset } if area.shared => {
                return self.segment(area.span, SegmentSource::Shared { file: Arc::clone(file), offset: *offset });
            }
            Backing::Anonymous if area.wipe_on_fork => return self.segment(area.span, SegmentSource::Zero),
            Backing::Anonymous => (SegmentSource::Zero, ANONYMOUS_GAP),
            Backing::File { file, offset } => {
                (SegmentSource::File { file: Arc::clone(file), offset: *offset }, FILE_GAP)
            }
        };
        // Behind its end a file has no pages, and touching them stays a SIGBUS.
        let end = area.file_end().map_err(|source| host("sizing", source))?;
        let readable = Span { start: area.span.start, end };
        let mut at = area.span.start;
        for part in kept(readable, touched, gap) {
            self.rest(area.span, at, part.start, &rest)?;
            let offset = self.memory(part)?;
            let wanted = if area.is_anonymous() { within(part, touched) } else { vec![part] };
            for span in wanted {
                self.copy(span, offset + (span.start - part.start), read)?;
            }
            at = part.end;
        }
        self.rest(area.span, at, area.span.end, &rest)
    }

    /// Adds a segment that has its bytes elsewhere (not `Memory`).
    ///
    /// # Errors
    /// [`ImageError::Misplaced`].
    pub fn segment(&mut self, span: Span, source: SegmentSource) -> Result<(), ImageError> {
        let sound = span.start < span.end
            && span.start.is_multiple_of(PAGE)
            && span.end.is_multiple_of(PAGE)
            && self.segments.last().is_none_or(|last| last.span.end <= span.start)
            && !matches!(source, SegmentSource::Memory { .. });
        if !sound {
            return Err(ImageError::Misplaced { span });
        }
        self.segments.push(Segment { span, source });
        Ok(())
    }

    /// Adds a segment of zeroes to be written with [`Self::write`], and returns its offset in the image's file.
    ///
    /// # Errors
    /// [`ImageError::Misplaced`].
    pub fn memory(&mut self, span: Span) -> Result<u64, ImageError> {
        let offset = self.length;
        let length = offset.checked_add(span.end.saturating_sub(span.start)).ok_or(ImageError::Misplaced { span })?;
        self.segment(span, SegmentSource::Zero)?;
        if let Some(segment) = self.segments.last_mut() {
            segment.source = SegmentSource::Memory { offset };
        }
        self.length = length;
        Ok(offset)
    }

    /// Writes whole pages at `offset` of the image's file, behind everything written before. Pages of zeroes
    /// take no room.
    ///
    /// # Errors
    /// [`ImageError::Misplaced`], or [`ImageError::Host`] when there is no memory left.
    pub fn write(&mut self, offset: u64, pages: &[u8]) -> Result<(), ImageError> {
        let Some(span) = Span::new(offset, pages.len() as u64) else { return Ok(()) };
        let sound = offset.is_multiple_of(PAGE)
            && pages.len().is_multiple_of(PAGE_BYTES)
            && span.end <= self.length
            && self.present.last().is_none_or(|last| last.end <= offset);
        if !sound {
            return Err(ImageError::Misplaced { span });
        }
        let mut at = 0;
        for run in runs(pages) {
            let start = offset + at as u64;
            at += run.len();
            if run[..PAGE_BYTES] != [0; PAGE_BYTES] {
                self.store(start, run)?;
            }
        }
        Ok(())
    }

    /// Seals the image.
    ///
    /// # Errors
    /// [`ImageError::Host`].
    pub fn finish(self) -> Result<Image, ImageError> {
        let Self { file, length, segments, present } = self;
        ftruncate(&file, length).map_err(|error| host("sizing", error.into()))?;
        seal(&file).map_err(|source| host("sealing", source))?;
        let bytes = match usize::try_from(length) {
            Ok(0) => None,
            Ok(length) => Some(FrozenBytes::map(file.as_fd(), length).map_err(|source| host("mapping", source))?),
            Err(_) => return Err(host("mapping", std::io::ErrorKind::OutOfMemory.into())),
        };
        Ok(Image { file, bytes, segments, present })
    }

    /// Adds the part of the area `whole` that is not kept in memory: from `start` to `end`, if anything.
    fn rest(&mut self, whole: Span, start: u64, end: u64, source: &SegmentSource) -> Result<(), ImageError> {
        if start == end {
            return Ok(());
        }
        let source = match source {
            SegmentSource::File { file, offset } => {
                SegmentSource::File { file: Arc::clone(file), offset: offset + (start - whole.start) }
            }
            other => other.clone(),
        };
        self.segment(Span { start, end }, source)
    }

    fn copy(&mut self, span: Span, offset: u64, read: &mut Reader<'_>) -> Result<(), ImageError> {
        let mut buffer = Vec::new();
        let mut start = span.start;
        while start < span.end {
            let chunk = Span { start, end: span.end.min(start + CHUNK) };
            buffer.resize(usize::try_from(chunk.len()).unwrap_or(0), 0);
            read(chunk, &mut buffer).map_err(|source| ImageError::Read { span: chunk, source })?;
            self.write(offset + (start - span.start), &buffer)?;
            start = chunk.end;
        }
        Ok(())
    }

    fn store(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        let mut done = 0;
        while done < bytes.len() {
            match rustix::io::pwrite(&self.file, &bytes[done..], offset + done as u64) {
                Ok(0) => return Err(host("writing", std::io::ErrorKind::WriteZero.into())),
                Ok(written) => done += written,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(host("writing", error.into())),
            }
        }
        let end = offset + bytes.len() as u64;
        match self.present.last_mut() {
            Some(last) if last.end == offset => last.end = end,
            _ => self.present.push(Span { start: offset, end }),
        }
        Ok(())
    }
}

/// `pages` cut where pages of zeroes begin and end.
fn runs(pages: &[u8]) -> Vec<&[u8]> {
    let is_zero = |page: &[u8]| page == [0; PAGE_BYTES];
    let mut runs = Vec::new();
    let (mut begin, mut at) = (0, 0);
    for page in pages.chunks(PAGE_BYTES) {
        if at > begin && is_zero(page) != is_zero(&pages[begin..begin + PAGE_BYTES]) {
            runs.push(&pages[begin..at]);
            begin = at;
        }
        at += page.len();
    }
    if begin < at {
        runs.push(&pages[begin..]);
    }
    runs
}

/// The parts of `area` to keep in memory: from touched page to touched page, over gaps shorter than `gap`.
fn kept(area: Span, touched: &[Span], gap: u64) -> Vec<Span> {
    let mut parts: Vec<Span> = Vec::new();
    for span in within(area, touched) {
        match parts.last_mut() {
            Some(last) if span.start - last.end < gap => last.end = span.end,
            _ => parts.push(span),
        }
    }
    // A short rest at either end is not worth a segment, and a host mapping, of its own.
    if let Some(first) = parts.first_mut().filter(|first| first.start - area.start < gap) {
        first.start = area.start;
    }
    if let Some(last) = parts.last_mut().filter(|last| area.end - last.end < gap) {
        last.end = area.end;
    }
    parts
}

fn within(area: Span, touched: &[Span]) -> Vec<Span> {
    let first = touched.partition_point(|span| span.end <= area.start);
    touched[first..].iter().map_while(|span| span.intersection(area)).collect()
}

fn host(operation: &'static str, source: std::io::Error) -> ImageError {
    ImageError::Host { operation, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_sealed_while_the_host_holds_a_page_of_it() {
        let mut builder = ImageBuilder::new().expect("builder");
        let start = builder.memory(Span { start: PAGE, end: 2 * PAGE }).expect("segment");
        builder.write(start, &[1; PAGE_BYTES]).expect("page");
        let file = builder.file.try_clone().expect("descriptor");
        let (_reader, writer) = rustix::pipe::pipe().expect("pipe");
        // The pipe has the page itself, not a copy of it.
        rustix::pipe::splice(&file, Some(&mut 0), &writer, None, PAGE_BYTES, rustix::pipe::SpliceFlags::empty())
            .expect("splice");
        builder.finish().expect("image");
        assert_eq!(rustix::io::pwrite(&file, b"x", 0), Err(rustix::io::Errno::PERM));
    }
}
