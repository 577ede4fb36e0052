//! Puts pages back: the steady state of a reset. Where each page lies in this process is remembered as long as no mapping changes,
//! for the next reset mostly puts back the same pages.

use std::io;

use warmfork_memory::{Protection, Span};

use super::areas::Kind;
use super::memory::Memory;
use crate::Pristine;

/// A part of the pages to put back.
#[derive(Clone, Copy)]
enum Part {
    /// Written plainly: its address in this process, how many bytes, and where they are in the image (else zeroes).
    Plain(usize, usize, Option<usize>),
    /// Written regardless of the protection.
    Checked(Span, Pristine),
}

/// The pages that were put back last.
#[derive(Default)]
pub struct LastPutBack {
    pages: Vec<(Span, Pristine)>,
    parts: Vec<Part>,
    /// [`super::areas::Areas::changes`] when the parts were found.
    changes: u64,
}

impl LastPutBack {
    /// Puts `pages` of `memory` back.
    pub fn put_back(&mut self, memory: &mut Memory, image: &[u8], pages: &[(Span, Pristine)]) -> io::Result<()> {
        if self.changes != memory.areas.changes() || self.pages != pages {
            self.parts.clear();
            for &(span, pristine) in pages {
                find_parts(memory, span, pristine, &mut self.parts);
            }
            self.pages = pages.to_vec();
            self.changes = memory.areas.changes();
        }
        for &part in &self.parts {
            match part {
                Part::Plain(target, length, from) => {
                    let target: *mut u8 = std::ptr::with_exposed_provenance_mut(target);
                    match from.map(|at| bytes(image, at, length)).transpose()? {
                        // SAFETY: the part is mapped and writable (its area says so, and the host mapping always is as the
                        // area says), private, and backed by memory that does not go away; its mapping has not changed since
                        // it was found; the guest does not run now, and the image is none of its memory.
                        Some(bytes) => unsafe { copy_words(target, bytes.as_ptr(), length / 8) },
                        // SAFETY: as above.
                        None => unsafe { clear_words(target, length / 8) },
                    }
                }
                Part::Checked(span, pristine) => {
                    let length = usize::try_from(span.len()).unwrap_or(0);
                    let bytes = pristine.bytes(image, length).ok_or(io::ErrorKind::UnexpectedEof)?;
                    memory.write_any(span.start, &bytes)?;
                }
            }
        }
        Ok(())
    }
}

/// Appends the parts of `span` to `parts`.
fn find_parts(memory: &Memory, span: Span, pristine: Pristine, parts: &mut Vec<Part>) {
    let area = memory.areas.find(span.start).filter(|area| area.span.end >= span.end);
    let plain = area.is_some_and(|area| {
        area.kind != Kind::Untouched && !area.kind.may_end() && area.protection.contains(Protection::WRITE)
    });
    if !plain {
        parts.push(Part::Checked(span, pristine));
        return;
    }
    for piece in memory.arena.pieces(span) {
        let first = usize::try_from(piece.span.start - span.start).unwrap_or(0);
        let length = usize::try_from(piece.span.len()).unwrap_or(0);
        let from = offset(pristine).map(|at| at.saturating_add(first));
        parts.push(Part::Plain(memory.arena.host(piece.offset), length, from));
    }
}

/// Where the bytes are in the image; `None` for zeroes.
fn offset(pristine: Pristine) -> Option<usize> {
    match pristine {
        Pristine::Zero => None,
        Pristine::Image(offset) => Some(usize::try_from(offset).unwrap_or(usize::MAX)),
    }
}

fn bytes(image: &[u8], at: usize, length: usize) -> io::Result<&[u8]> {
    at.checked_add(length).and_then(|end| image.get(at..end)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

// As fast as the C library's memcpy and memset on CPUs, and up to ten times as fast where one is emulated: there each step of a
// string instruction takes the same time, and theirs are bytes.

/// Copies `words` words from `from` to `target`.
///
/// # Safety
/// `from` is readable and `target` writable for so many words; they do not overlap, and nothing refers to those of `target`.
unsafe fn copy_words(target: *mut u8, from: *const u8, words: usize) {
    // SAFETY: the caller's; the direction flag is clear, as the calling convention has it.
    unsafe {
        core::arch::asm!(
            "rep movsq",
            inout("rdi") target => _,
            inout("rsi") from => _,
            inout("rcx") words => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Zeroes `words` words from `target` on.
///
/// # Safety
/// `target` is writable for so many words, and nothing refers to them.
unsafe fn clear_words(target: *mut u8, words: usize) {
    // SAFETY: as in `copy_words`.
    unsafe {
        core::arch::asm!(
            "rep stosq",
            inout("rdi") target => _,
            inout("rcx") words => _,
            in("rax") 0_u64,
            options(nostack, preserves_flags)
        );
    }
}
