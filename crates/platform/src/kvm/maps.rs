//! The host's own view of a guest's mappings, at the guest's addresses, for comparing machines.

use std::fmt::Write as _;

use warmfork_memory::{Protection, Span};

use super::areas::Kind;
use super::arena::{WINDOW, host_protection};
use super::memory::Memory;
use crate::PlatformError;

/// One mapping, as far as it matters.
struct Line {
    start: u64,
    end: u64,
    protection: String,
    offset: u64,
    file: String,
}

/// The guest's mappings, one line each; neighbours that continue each other are joined, for the host splits and joins
/// mappings as it likes.
pub fn read(memory: &Memory) -> Result<Vec<String>, PlatformError> {
    let text = std::fs::read_to_string("/proc/self/maps")
        .map_err(|source| PlatformError::Host { operation: "reading this process's mappings", source })?;
    let arena = &memory.arena;
    let (base, end) = (arena.host(0) as u64, arena.host(arena.size()) as u64);
    let windows = arena.by_offset();
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines().filter_map(parse).filter(|line| line.start < end && line.end > base) {
        let (first, last) = (line.start.max(base) - base, line.end.min(end) - base);
        for (&offset, &guest) in windows.range(first / WINDOW * WINDOW..last) {
            let (from, to) = (offset.max(first), (offset + WINDOW).min(last));
            // Parts of windows that nothing is mapped in look like mappings.
            let part = Span { start: guest + (from - offset), end: guest + (to - offset) };
            for area in memory.areas.within(part).filter(|area| area.kind != Kind::Untouched) {
                lines.push(Line {
                    start: area.span.start,
                    end: area.span.end,
                    protection: line.protection.clone(),
                    offset: line.offset + (from + base - line.start) + (area.span.start - part.start),
                    file: line.file.clone(),
                });
            }
        }
    }
    // Untouched memory has no mapping.
    lines.extend(memory.areas.iter().filter(|area| area.kind == Kind::Untouched).map(|area| Line {
        start: area.span.start,
        end: area.span.end,
        protection: shown(area.protection).into(),
        offset: 0,
        file: ANONYMOUS.into(),
    }));
    lines.sort_by_key(|line| line.start);
    let mut joined: Vec<Line> = Vec::new();
    for line in lines {
        match joined.last_mut() {
            Some(last) if continues(last, &line) => last.end = line.end,
            _ => joined.push(line),
        }
    }
    Ok(joined.iter().map(show).collect())
}

/// As the host shows a mapping that the arena has made for this.
fn shown(protection: Protection) -> &'static str {
    match host_protection(protection) {
        libc::PROT_NONE => "---p",
        libc::PROT_READ => "r--p",
        _ => "rw-p",
    }
}

const ANONYMOUS: &str = "00:00:0";

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
    let protection = fields.next()?.to_owned();
    let offset = hexadecimal(fields.next()?)?;
    let file = format!("{}:{}", fields.next()?, fields.next()?);
    Some(Line { start: hexadecimal(start)?, end: hexadecimal(end)?, protection, offset, file })
}

fn continues(last: &Line, line: &Line) -> bool {
    last.end == line.start
        && last.protection == line.protection
        && last.file == line.file
        && (last.file == ANONYMOUS || last.offset + (last.end - last.start) == line.offset)
}

fn show(line: &Line) -> String {
    let mut text = format!("{:#x}-{:#x} {}", line.start, line.end, line.protection);
    if line.file != ANONYMOUS {
        // Writing to a string does not fail.
        let _ = write!(text, " {} at {:#x}", line.file, line.offset);
    }
    text
}
