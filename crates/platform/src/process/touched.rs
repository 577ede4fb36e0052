//! Which pages a guest has privately written, remembered: a fork in its steady state is not scanned at each reset.
//!
//! A page becomes private in a write fault, which the host counts for the stub, or when the parent writes to it, which
//! the platform tells here; it ceases to be private only by mapping calls, which the platform tells here too. While
//! none of that has happened, the last answer holds. Asking the host for the count takes about a microsecond; a scan
//! takes that for every few dozen pages that are in memory.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use warmfork_memory::Span;

use super::pagemap::Pagemap;
use crate::PlatformError;

/// The privately written pages of one stub.
pub struct Touched {
    pagemap: Pagemap,
    statistics: File,
    known: Option<Known>,
    /// What is known does not hold any more.
    stale: Cell<bool>,
}

/// The last answer.
struct Known {
    asked: Vec<Span>,
    found: Vec<Span>,
    faults: u64,
}

impl Touched {
    pub fn open(pid: libc::pid_t) -> Result<Self, PlatformError> {
        let statistics = File::open(format!("/proc/{pid}/stat"))
            .map_err(|source| PlatformError::Host { operation: "opening the stub's statistics", source })?;
        Ok(Self { pagemap: Pagemap::open(pid)?, statistics, known: None, stale: Cell::new(false) })
    }

    /// The page tables themselves.
    pub fn pagemap(&self) -> &Pagemap {
        &self.pagemap
    }

    /// The privately written pages of `spans`, in address order.
    pub fn find(&mut self, spans: &[Span]) -> Result<Vec<Span>, PlatformError> {
        let faults = faults(&self.statistics)
            .map_err(|source| PlatformError::Host { operation: "reading the stub's statistics", source })?;
        if let Some(known) = &self.known
            && !self.stale.get()
            && known.faults == faults
            && known.asked == spans
        {
            return Ok(known.found.clone());
        }
        let mut found = Vec::new();
        for &span in spans {
            self.pagemap.touched(span, &mut found)?;
        }
        self.stale.set(false);
        self.known = Some(Known { asked: spans.to_vec(), found: found.clone(), faults });
        Ok(found)
    }

    /// The parent writes to `spans`: what was found still holds if they all were found, in this order.
    pub fn written(&self, spans: impl IntoIterator<Item = Span>) {
        let Some(known) = &self.known else { return };
        let mut rest = &known.found[..];
        let mut covered = |span: Span| {
            let behind = |found: &Span| found.end <= span.start;
            // Mostly it is the next one; a single write may be anywhere.
            if rest.first().is_some_and(behind) {
                rest = &rest[1..];
            }
            if rest.first().is_some_and(behind) {
                rest = &rest[rest.partition_point(behind)..];
            }
            rest.first().is_some_and(|found| found.start <= span.start && span.end <= found.end)
        };
        if !spans.into_iter().all(&mut covered) {
            self.forget();
        }
    }

    /// Mappings have changed.
    pub fn forget(&self) {
        self.stale.set(true);
    }
}

/// Page faults of the process so far, from its /proc/PID/stat.
fn faults(statistics: &File) -> io::Result<u64> {
    let mut buffer = [0; 1024];
    let length = statistics.read_at(&mut buffer, 0)?;
    parse(&buffer[..length]).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Minor and major faults: the tenth and the twelfth field. The second, a name in parentheses, may hold anything.
fn parse(line: &[u8]) -> Option<u64> {
    let name_end = line.iter().rposition(|&byte| byte == b')')?;
    let text = std::str::from_utf8(line.get(name_end + 2..)?).ok()?;
    let mut fields = text.split(' ').skip(7);
    let minor: u64 = fields.next()?.parse().ok()?;
    let major: u64 = fields.nth(1)?.parse().ok()?;
    Some(minor.wrapping_add(major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_the_tenth_and_twelfth_field_whatever_the_name_holds() {
        assert_eq!(parse(b"7 (a) S 1) S 1 7 7 0 -1 4194560 30 5 12 6 0 0 0\n"), Some(42));
        assert_eq!(parse(b"7 (stub) S 1 7 7 0 -1 4194560 30 5\n"), None);
    }
}
