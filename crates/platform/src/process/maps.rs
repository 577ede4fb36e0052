//! The host's own view of a stub's mappings, for comparing machines.

use std::fmt::Write as _;

use super::layout::RESERVED;
use crate::PlatformError;

/// One line of /proc/PID/maps, as far as it matters.
struct Line {
    start: u64,
    end: u64,
    protection: String,
    offset: u64,
    file: String,
}

/// The stub's mappings below the reserved span, one line each; neighbours that continue each other are joined, for the
/// host splits and joins mappings as it likes.
pub fn read(pid: libc::pid_t) -> Result<Vec<String>, PlatformError> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps"))
        .map_err(|source| PlatformError::Host { operation: "reading the stub's mappings", source })?;
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines().filter_map(parse).filter(|line| line.start < RESERVED.start) {
        match lines.last_mut() {
            Some(last) if continues(last, &line) => last.end = line.end,
            _ => lines.push(line),
        }
    }
    Ok(lines.iter().map(show).collect())
}

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
    let protection = fields.next()?.to_owned();
    let offset = hexadecimal(fields.next()?)?;
    let file = format!("{}:{}", fields.next()?, fields.next()?);
    Some(Line { start: hexadecimal(start)?, end: hexadecimal(end)?, protection, offset, file })
}

fn anonymous(line: &Line) -> bool {
    line.file == "00:00:0"
}

fn continues(last: &Line, line: &Line) -> bool {
    last.end == line.start
        && last.protection == line.protection
        && last.file == line.file
        && (anonymous(last) || last.offset + (last.end - last.start) == line.offset)
}

fn show(line: &Line) -> String {
    let mut text = format!("{:#x}-{:#x} {}", line.start, line.end, line.protection);
    if !anonymous(line) {
        // Writing to a string does not fail.
        let _ = write!(text, " {} at {:#x}", line.file, line.offset);
    }
    text
}
