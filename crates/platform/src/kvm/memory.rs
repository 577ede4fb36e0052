//! Guest memory of the kvm platform: the guest's mappings are mappings of this process, in the arena.
//!
//! A change is made in three places: the areas (the guest's rights), the page tables (which the guest's CPU reads) and
//! the host mapping. The last makes the second safe to change without KVM: each change that takes access away from the
//! guest also changes the host mapping, and KVM then drops its own and the CPU's entries of those pages.

use std::io;
use std::os::fd::BorrowedFd;

use warmfork_abi::PAGE;
use warmfork_memory::{MapError, Protection, Source, Span};

use super::areas::{Area, Areas, Kind};
use super::arena::{Arena, Piece, WINDOW};
use super::tables::Tables;
use super::vm::{ARENA, Slots};
use crate::PlatformError;

/// Page tables that may be left over from mappings that are gone, beside twice those in use.
const STALE_TABLES: usize = 512;
/// Bytes of accessible zeroes that are mapped at once. Larger mappings are mapped granule by granule, as they are
/// touched: a program may ask for far more than an arena holds, and use little of it.
const AT_ONCE: u64 = 128 << 20;

/// One guest's memory.
pub struct Memory {
    pub arena: Arena,
    pub areas: Areas,
    pub tables: Tables,
    pub slots: Slots,
    /// This process.
    pub pid: libc::pid_t,
    /// A page of a file was not there when the guest touched it: entries for files' pages are made one by one.
    careful: bool,
}

/// The outcome of a guest access that its page tables did not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TouchOutcome {
    /// It is allowed, and they do now.
    Filled,
    /// The area does not allow it.
    Forbidden,
    /// There is no area.
    Unmapped,
    /// The file has no such page.
    BehindEnd,
    /// The arena is full.
    NoRoom,
}

impl Memory {
    pub fn new(arena: Arena, tables: Tables, slots: Slots, pid: libc::pid_t) -> Self {
        Self { arena, areas: Areas::default(), tables, slots, pid, careful: false }
    }

    pub fn map(&mut self, span: Span, protection: Protection, source: Source<'_>) -> Result<(), MapError> {
        let mapped = self.try_map(span, protection, source);
        if mapped.is_err() {
            // Parts of it may be mapped. If this fails too, they only stay mapped.
            let _ = self.try_unmap(span);
        }
        mapped.map_err(|source| MapError { operation: "map", span, source })
    }

    fn try_map(&mut self, span: Span, protection: Protection, source: Source<'_>) -> io::Result<()> {
        if matches!(source, Source::Anonymous) && (protection.is_empty() || span.len() > AT_ONCE) {
            self.try_unmap(span)?;
            self.areas.insert(Area { span, protection, kind: Kind::Untouched });
            return Ok(());
        }
        self.map_in_host(span, protection, source)
    }

    fn map_in_host(&mut self, span: Span, protection: Protection, source: Source<'_>) -> io::Result<()> {
        self.arena.allot(span)?;
        self.tables.clear(span);
        self.areas.remove(span);
        for piece in self.arena.pieces(span) {
            self.arena.map(piece, protection, source, piece.span.start - span.start)?;
        }
        self.areas.insert(Area { span, protection, kind: kind(source, span.len()) });
        Ok(())
    }

    /// Has the host map the accessible, untouched parts of the granules of `span`.
    pub fn back(&mut self, span: Span) -> io::Result<()> {
        let granules = Span { start: span.start / WINDOW * WINDOW, end: span.end.next_multiple_of(WINDOW) };
        let unbacked = |area: &Area| area.kind == Kind::Untouched && !area.protection.is_empty();
        let parts: Vec<Area> = self.areas.within(granules).filter(unbacked).collect();
        for part in &parts {
            if let Err(error) = self.map_in_host(part.span, part.protection, Source::Anonymous) {
                self.areas.insert(*part);
                return Err(error);
            }
        }
        Ok(())
    }

    pub fn unmap(&mut self, span: Span) -> Result<(), MapError> {
        self.try_unmap(span).map_err(|source| MapError { operation: "unmap", span, source })
    }

    fn try_unmap(&mut self, span: Span) -> io::Result<()> {
        self.tables.clear(span);
        self.areas.remove(span);
        for piece in self.arena.pieces(span) {
            self.arena.reserve(piece)?;
        }
        let areas = &self.areas;
        self.arena.release(span, |granule| areas.within(granule).all(|area| area.kind == Kind::Untouched));
        self.slots.uncover(self.arena.used()).map_err(|error| io::Error::other(error.to_string()))
    }

    pub fn protect(&mut self, span: Span, protection: Protection) -> Result<(), MapError> {
        self.try_protect(span, protection).map_err(|source| MapError { operation: "protect", span, source })
    }

    fn try_protect(&mut self, span: Span, protection: Protection) -> io::Result<()> {
        for area in self.areas.within(span).collect::<Vec<_>>() {
            if area.kind == Kind::Untouched {
                self.try_map(area.span, protection, Source::Anonymous)?;
                continue;
            }
            let known = self.tables.clear(area.span);
            // The host's permissions may stay the same when the guest may not run the pages any more.
            let forced = known && area.protection.difference(protection).contains(Protection::EXEC);
            let mut pieces = self.arena.pieces(area.span).into_iter();
            let protected = pieces.try_for_each(|piece| self.arena.protect(piece, protection, forced));
            let allowed = match &protected {
                Ok(()) => protection,
                // The host may have done some of it.
                Err(_) if forced => Protection::empty(),
                Err(_) => protection.intersection(area.protection),
            };
            self.areas.insert(Area { protection: allowed, ..area });
            protected?;
        }
        Ok(())
    }

    pub fn discard(&self, span: Span) -> Result<(), MapError> {
        let mut parts = self.areas.within(span).filter(|area| area.kind != Kind::Untouched);
        let discard = |span: Span| self.arena.pieces(span).into_iter().try_for_each(|piece| self.arena.discard(piece));
        parts.try_for_each(|area| discard(area.span)).map_err(|source| MapError { operation: "discard", span, source })
    }

    pub fn relocate(&mut self, from: Span, to: Span) -> Result<(), MapError> {
        self.try_relocate(from, to).map_err(|source| MapError { operation: "relocate", span: from, source })
    }

    fn try_relocate(&mut self, from: Span, to: Span) -> io::Result<()> {
        let parts: Vec<Area> = self.areas.within(from).collect();
        let Some(&last) = parts.last() else { return Err(io::Error::from_raw_os_error(libc::EFAULT)) };
        self.try_unmap(to)?;
        let longer = Span::new(to.start + from.len(), to.len() - from.len());
        for part in parts {
            let start = to.start + (part.span.start - from.start);
            let stretched = part.span == last.span && part.kind != Kind::Anonymous;
            let target = Span { start, end: if stretched { to.end } else { start + part.span.len() } };
            if part.kind != Kind::Untouched {
                self.arena.allot(target)?;
                self.move_pages(part.span, target)?;
            }
            // Its file may end before the part that the mapping has grown by.
            let kind = if stretched && part.kind == Kind::Sealed { Kind::PrivateFile } else { part.kind };
            self.areas.insert(Area { span: target, kind, ..part });
        }
        if let Some(longer) = longer.filter(|_| last.kind == Kind::Anonymous) {
            self.try_map(longer, last.protection, Source::Anonymous)?;
        }
        self.try_unmap(from)
    }

    /// Moves the pages of `from` to `to`, which may be longer; both have windows.
    fn move_pages(&self, from: Span, to: Span) -> io::Result<()> {
        let longer = to.len() - from.len();
        let last_page = from.end - PAGE;
        let body = if longer > 0 { Span { end: last_page, ..from } } else { from };
        for source in self.arena.pieces(body) {
            let start = to.start + (source.span.start - from.start);
            for target in self.arena.pieces(Span { start, end: start + source.span.len() }) {
                let skipped = target.span.start - start;
                let part =
                    Span { start: source.span.start + skipped, end: source.span.start + skipped + target.span.len() };
                self.move_piece(Piece { span: part, offset: source.offset + skipped }, target)?;
            }
        }
        if longer > 0 {
            // Only a mapping's own end can be made longer, and only in one piece.
            let offset = self.arena.offset(last_page).ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
            let stretched = self.arena.stretch(Piece { span: Span { start: last_page, ..from }, offset }, longer)?;
            let start = to.start + (last_page - from.start);
            for target in self.arena.pieces(Span { start, end: to.end }) {
                self.arena.place(&stretched, target.span.start - start, target)?;
            }
        }
        Ok(())
    }

    /// Moves a part that may turn out to be several mappings of the host; then half by half.
    fn move_piece(&self, from: Piece, to: Piece) -> io::Result<()> {
        match self.arena.relocate(from, to) {
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) && from.span.len() > PAGE => {
                let half = from.span.len() / 2 / PAGE * PAGE;
                let first = |piece: Piece| Piece { span: Span { end: piece.span.start + half, ..piece.span }, ..piece };
                let rest = |piece: Piece| Piece {
                    span: Span { start: piece.span.start + half, ..piece.span },
                    offset: piece.offset + half,
                };
                self.move_piece(first(from), first(to))?;
                self.move_piece(rest(from), rest(to))
            }
            done => done,
        }
    }

    /// The guest touched `address`, and its page tables did not allow that.
    pub fn touch(&mut self, address: u64, write: bool, execute: bool) -> Result<TouchOutcome, PlatformError> {
        let Some(area) = self.areas.find(address) else { return Ok(TouchOutcome::Unmapped) };
        let allowed = match (write, execute) {
            (true, _) => area.protection.contains(Protection::WRITE),
            (_, true) => area.protection.contains(Protection::EXEC),
            _ => !area.protection.is_empty(),
        };
        if !allowed {
            return Ok(TouchOutcome::Forbidden);
        }
        let page = Span { start: address / PAGE * PAGE, end: address / PAGE * PAGE + PAGE };
        if area.kind == Kind::Untouched && self.back(page).is_err() {
            return Ok(TouchOutcome::NoRoom);
        }
        if area.kind.may_end() {
            let Some(&piece) = self.arena.pieces(page).first() else { return Ok(TouchOutcome::BehindEnd) };
            // Other errors are not the guest's: its CPU will meet them itself.
            let missing = |error: &io::Error| matches!(error.raw_os_error(), Some(libc::EFAULT | libc::EHWPOISON));
            if self.arena.populate(piece, write).is_err_and(|error| missing(&error)) {
                return Ok(TouchOutcome::BehindEnd);
            }
        }
        self.fill(page).map_err(|source| PlatformError::Host { operation: "filling page tables", source })?;
        self.slots.cover_kernel(&self.tables)?;
        Ok(TouchOutcome::Filled)
    }

    /// Makes the pages of `spans` private, and entries for their granules, ahead of the guest's touch.
    pub fn prepare(&mut self, spans: &[Span]) -> Result<(), PlatformError> {
        let failed = |source| PlatformError::Host { operation: "filling page tables", source };
        for &span in spans {
            self.back(span).map_err(failed)?;
            for piece in self.arena.pieces(span) {
                // Where the host refuses (a read-only page, a file's end), the guest takes the fault itself.
                let _ = self.arena.populate(piece, true);
            }
            for start in (span.start / WINDOW * WINDOW..span.end).step_by(usize::try_from(WINDOW).unwrap_or(1)) {
                if self.arena.offset(start).is_some() && !self.tables.has(start) {
                    self.fill(Span { start, end: start + PAGE }).map_err(failed)?;
                }
            }
        }
        self.slots.cover_kernel(&self.tables)
    }

    /// Makes entries for the page and for all that is mapped in its granule.
    fn fill(&mut self, page: Span) -> io::Result<()> {
        if self.tables.count() > 2 * self.arena.granules() + STALE_TABLES {
            self.tables.rebuild();
            self.slots.forget_tables().map_err(|error| io::Error::other(error.to_string()))?;
        }
        let start = page.start / WINDOW * WINDOW;
        let Some(offset) = self.arena.offset(start) else { return Err(io::Error::from_raw_os_error(libc::EFAULT)) };
        self.slots.cover(&self.arena, offset).map_err(|error| io::Error::other(error.to_string()))?;
        for area in self.areas.within(Span { start, end: start + WINDOW }) {
            if area.protection.is_empty() || area.kind == Kind::Untouched {
                continue;
            }
            let span = if self.careful && area.kind.may_end() { area.span.intersection(page) } else { Some(area.span) };
            if let Some(span) = span {
                self.tables.fill(span, ARENA + offset + (span.start - start), area.protection)?;
            }
        }
        Ok(())
    }

    /// The host refused the guest's CPU a page that its page tables allow: most likely a file has ended. Whether there is
    /// something to try: the guest's next access then says which page it was.
    pub fn distrust_files(&mut self) -> bool {
        self.careful = true;
        let spans: Vec<Span> = self.areas.iter().filter(|area| area.kind.may_end()).map(|area| area.span).collect();
        let cleared = spans.into_iter().filter(|&span| self.tables.clear(span));
        cleared.count() > 0
    }
}

/// The backing of an area of `length` bytes with `source`.
fn kind(source: Source<'_>, length: u64) -> Kind {
    match source {
        Source::Anonymous => Kind::Anonymous,
        Source::File { shared: true, .. } => Kind::SharedFile,
        Source::File { fd, offset, .. } if lasts(fd, offset.saturating_add(length)) => Kind::Sealed,
        Source::File { .. } => Kind::PrivateFile,
    }
}

/// Whether a file has all pages up to `end`, and will.
fn lasts(fd: BorrowedFd<'_>, end: u64) -> bool {
    let cannot_shrink = |seals: rustix::fs::SealFlags| seals.contains(rustix::fs::SealFlags::SHRINK);
    let is_long =
        |found: rustix::fs::Stat| u64::try_from(found.st_size).is_ok_and(|size| size.next_multiple_of(PAGE) >= end);
    rustix::fs::fcntl_get_seals(fd).is_ok_and(cannot_shrink) && rustix::fs::fstat(fd).is_ok_and(is_long)
}
