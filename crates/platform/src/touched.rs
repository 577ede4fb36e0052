//! Which pages a guest has privately written, remembered: a fork in its steady state is not scanned at each reset.
//!
//! A page becomes private in a write fault, which the host counts for the process or the thread that runs the guest, or
//! when warmfork writes to it, which the platform tells here; it ceases to be private only by mapping calls, which the
//! platform tells here too. While none of that has happened, the last answer holds. The count is cheap to have; a scan
//! takes about a microsecond for every few dozen pages that are in memory.

use std::cell::Cell;

use warmfork_abi::PAGE;
use warmfork_memory::Span;

use crate::PlatformError;
use crate::pagemap::Pagemap;

/// The privately written pages of one guest.
pub struct Touched {
    pagemap: Pagemap,
    last_scan: Option<LastScan>,
    /// The last scan does not hold any more.
    stale: Cell<bool>,
    /// Bytes that warmfork has since written to, outside of the pages found.
    written: Cell<u64>,
}

/// The last answer.
struct LastScan {
    asked: Vec<Span>,
    found: Vec<Span>,
    faults: u64,
}

impl Touched {
    pub fn open(pid: libc::pid_t) -> Result<Self, PlatformError> {
        Ok(Self { pagemap: Pagemap::open(pid)?, last_scan: None, stale: Cell::new(false), written: Cell::new(0) })
    }

    /// The page tables themselves.
    pub fn pagemap(&self) -> &Pagemap {
        &self.pagemap
    }

    /// The privately written pages of `spans`, in address order; the guest has taken `faults` page faults by now. `scan`
    /// finds those of one span.
    pub fn find(
        &mut self,
        spans: &[Span],
        faults: u64,
        mut scan: impl FnMut(&mut Pagemap, Span, &mut Vec<Span>) -> Result<(), PlatformError>,
    ) -> Result<Vec<Span>, PlatformError> {
        if let Some(last_scan) = &self.last_scan
            && !self.stale.get()
            && last_scan.faults == faults
            && last_scan.asked == spans
        {
            return Ok(last_scan.found.clone());
        }
        let mut found = Vec::new();
        for &span in spans {
            scan(&mut self.pagemap, span, &mut found)?;
        }
        self.stale.set(false);
        self.written.set(0);
        self.last_scan = Some(LastScan { asked: spans.to_vec(), found: found.clone(), faults });
        Ok(found)
    }

    /// Bytes that are privately written at most, in the spans that were last asked for: each fault has added one page, and
    /// mapping calls none. Unbounded before the first answer.
    pub fn at_most(&self, faults: u64) -> u64 {
        let Some(last_scan) = &self.last_scan else { return u64::MAX };
        let found: u64 = last_scan.found.iter().map(|span| span.len()).sum();
        let faulted = faults.saturating_sub(last_scan.faults).saturating_mul(PAGE);
        found.saturating_add(faulted).saturating_add(self.written.get())
    }

    /// warmfork writes to `spans`: the last scan still holds if it found them all, in this order.
    pub fn written(&self, spans: impl IntoIterator<Item = Span>) {
        let Some(last_scan) = &self.last_scan else { return };
        let mut rest = &last_scan.found[..];
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
        let new: u64 = spans.into_iter().filter(|&span| !covered(span)).map(|span| span.len() + 2 * PAGE).sum();
        if new > 0 {
            self.written.set(self.written.get().saturating_add(new));
            self.forget();
        }
    }

    /// Mappings have changed.
    pub fn forget(&self) {
        self.stale.set(true);
    }
}
