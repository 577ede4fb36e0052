//! The guest's memory in this process: one reservation of address space, handed out in windows of 2 MiB.
//!
//! ```text
//!   guest addresses       granule 3 | granule 4 |    ...    | granule 900
//!                             \          \                    /
//!   arena (host)          window 0  | window 1 | window 2            -> host mappings, made with MAP_FIXED
//!   guest-physical        BASE + 0  | BASE + 2 MiB | ...             -> few memory slots
//! ```
//!
//! A granule of guest addresses with anything in it has one window: its page table is one page, and guest mappings that
//! touch different granules share nothing. Addresses that no guest mapping covers stay an inaccessible reservation, so that no
//! other mapping of this process can get in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsRawFd;

use warmfork_memory::{Protection, Source, Span};

/// Bytes of a window, and of the granule of guest addresses that it holds.
pub const WINDOW: u64 = 2 << 20;
/// Address space of all that one guest has mapped but zeroes that it has not touched.
const SIZE: u64 = 64 << 30;

/// A part of a guest span that is contiguous in the arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The guest's addresses.
    pub span: Span,
    /// Offset of its first byte in the arena.
    pub offset: u64,
}

/// One guest's arena.
pub struct Arena {
    base: usize,
    size: u64,
    /// Granule number to window number.
    windows: BTreeMap<u64, u64>,
    /// Windows below `used` that are free.
    free: BTreeSet<u64>,
    /// All windows in use are below this one.
    used: u64,
    /// The host may back mappings from now on with huge pages.
    pub huge_pages: bool,
}

fn check(result: *mut libc::c_void) -> io::Result<*mut libc::c_void> {
    if result == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The host's protection for this process, and so for the guest: x86 cannot write or run a page that it cannot read, and KVM does not
/// ask the host whether the guest may run a page.
pub fn host_protection(protection: Protection) -> i32 {
    let read = if protection.is_empty() { libc::PROT_NONE } else { libc::PROT_READ };
    read | if protection.contains(Protection::WRITE) { libc::PROT_WRITE } else { 0 }
}

impl Arena {
    /// An empty arena, of at most `limit` bytes.
    pub fn new(limit: u64) -> io::Result<Self> {
        let size = SIZE.min(limit) / WINDOW * WINDOW;
        let bytes = length(size + WINDOW);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping wherever the host likes.
        let start = check(unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) })?
            .expose_provenance();
        let base = start.next_multiple_of(length(WINDOW));
        let after = base + length(size);
        // SAFETY: what alignment leaves over at both ends of the mapping just made.
        unsafe {
            libc::munmap(std::ptr::without_provenance_mut(start), base - start);
            libc::munmap(std::ptr::without_provenance_mut(after), start + bytes - after);
        }
        Ok(Self { base, size, windows: BTreeMap::new(), free: BTreeSet::new(), used: 0, huge_pages: false })
    }

    /// Address in this process of the byte at `offset`.
    pub fn host(&self, offset: u64) -> usize {
        self.base + length(offset)
    }

    /// Bytes up to the end of the last window in use.
    pub fn used(&self) -> u64 {
        self.used * WINDOW
    }

    /// Bytes in all windows that there can be.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Granules that have windows.
    pub fn granules(&self) -> usize {
        self.windows.len()
    }

    /// Offset in the arena of guest address `address`.
    pub fn offset(&self, address: u64) -> Option<u64> {
        self.windows.get(&(address / WINDOW)).map(|window| window * WINDOW + address % WINDOW)
    }

    /// Where guest address `address` is in this process, and how many bytes of its window begin there.
    pub fn from(&self, address: u64) -> Option<(usize, u64)> {
        self.offset(address).map(|offset| (self.host(offset), WINDOW - address % WINDOW))
    }

    /// The parts of `span` that have windows, neighbours in both worlds joined.
    pub fn pieces(&self, span: Span) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (&granule, &window) in self.windows.range(span.start / WINDOW..span.end.div_ceil(WINDOW)) {
            let whole = Span { start: granule * WINDOW, end: (granule + 1) * WINDOW };
            let Some(part) = whole.intersection(span) else { continue };
            let offset = window * WINDOW + (part.start - whole.start);
            match pieces.last_mut() {
                Some(last) if last.span.end == part.start && last.offset + last.span.len() == offset => {
                    last.span.end = part.end;
                }
                _ => pieces.push(Piece { span: part, offset }),
            }
        }
        pieces
    }

    /// Every granule that has a window, by the window's offset: for finding a guest address by an address here.
    pub fn by_offset(&self) -> BTreeMap<u64, u64> {
        self.windows.iter().map(|(granule, window)| (window * WINDOW, granule * WINDOW)).collect()
    }

    /// Gives every granule of `span` a window, next to the one before it where that is free.
    pub fn allot(&mut self, span: Span) -> io::Result<()> {
        for granule in span.start / WINDOW..span.end.div_ceil(WINDOW) {
            if self.windows.contains_key(&granule) {
                continue;
            }
            let beside = granule.checked_sub(1).and_then(|before| self.windows.get(&before)).map(|window| window + 1);
            let window = match beside.filter(|window| self.free.contains(window)).or(self.free.first().copied()) {
                Some(window) if beside != Some(self.used) => window,
                _ if (self.used + 1) * WINDOW <= self.size => {
                    self.used += 1;
                    self.used - 1
                }
                _ => return Err(io::Error::from_raw_os_error(libc::ENOMEM)),
            };
            self.free.remove(&window);
            self.windows.insert(granule, window);
        }
        Ok(())
    }

    /// Takes away the windows of the granules that `span` touches and `is_empty` finds empty. Nothing may be mapped in
    /// them any more.
    pub fn release(&mut self, span: Span, is_empty: impl Fn(Span) -> bool) {
        let granules = span.start / WINDOW..span.end.div_ceil(WINDOW);
        let empty = |granule: u64| is_empty(Span { start: granule * WINDOW, end: (granule + 1) * WINDOW });
        let gone: Vec<u64> = self.windows.range(granules).map(|(&granule, _)| granule).filter(|&g| empty(g)).collect();
        for granule in gone {
            self.free.extend(self.windows.remove(&granule));
        }
        while self.used > 0 && self.free.remove(&(self.used - 1)) {
            self.used -= 1;
        }
    }

    /// Maps `piece` anew. `skipped` is how far into the source it begins.
    pub fn map(&self, piece: Piece, protection: Protection, source: Source<'_>, skipped: u64) -> io::Result<()> {
        let (flags, file, offset) = match source {
            Source::Anonymous => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0),
            Source::File { fd, offset, shared: false } => (libc::MAP_PRIVATE, fd.as_raw_fd(), offset + skipped),
            Source::File { fd, offset, shared: true } => (libc::MAP_SHARED, fd.as_raw_fd(), offset + skipped),
        };
        self.map_raw(piece, host_protection(protection), flags, file, offset)?;
        // Else it would be as the host has it for all, and a byte written could cost each reset two megabytes.
        let advice = if self.huge_pages { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
        // A host without huge pages refuses both.
        let _ = self.advise(piece, advice);
        Ok(())
    }

    /// Makes `piece` inaccessible address space again.
    pub fn reserve(&self, piece: Piece) -> io::Result<()> {
        self.map_raw(piece, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    fn map_raw(&self, piece: Piece, protection: i32, flags: i32, file: i32, offset: u64) -> io::Result<()> {
        let (address, bytes) = self.range(piece);
        let flags = flags | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let offset = i64::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
        // SAFETY: replaces a part of our own reservation, which only the guest's memory is in.
        check(unsafe { libc::mmap(address, bytes, protection, flags, file, offset) }).map(drop)
    }

    /// Changes the protection of `piece`; if `forced`, KVM drops its entries of it even if this changes nothing.
    pub fn protect(&self, piece: Piece, protection: Protection, forced: bool) -> io::Result<()> {
        let (address, bytes) = self.range(piece);
        let mprotect = |bits: i32| {
            // SAFETY: a part of our own reservation, which nothing but the guest's memory is in.
            if unsafe { libc::mprotect(address, bytes, bits) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        if forced {
            mprotect(libc::PROT_NONE)?;
        }
        mprotect(host_protection(protection))
    }

    /// Drops the private pages of `piece`.
    pub fn discard(&self, piece: Piece) -> io::Result<()> {
        self.advise(piece, libc::MADV_DONTNEED)
    }

    /// Whether the first page of `piece` can be had, as the guest would have it.
    pub fn populate(&self, piece: Piece, write: bool) -> io::Result<()> {
        self.advise(piece, if write { libc::MADV_POPULATE_WRITE } else { libc::MADV_POPULATE_READ })
    }

    fn advise(&self, piece: Piece, advice: i32) -> io::Result<()> {
        let (address, bytes) = self.range(piece);
        // SAFETY: a part of our own reservation; no reference of this program's points there.
        if unsafe { libc::madvise(address, bytes, advice) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn range(&self, piece: Piece) -> (*mut libc::c_void, usize) {
        (std::ptr::without_provenance_mut(self.host(piece.offset)), length(piece.span.len()))
    }

    /// Moves the pages at `from` to `to`, which is as long; `from` is left empty, with its protection.
    pub fn relocate(&self, from: Piece, to: Piece) -> io::Result<()> {
        let target = self.host(to.offset);
        remap(self.host(from.offset), length(from.span.len()), target, length(to.span.len()))
    }

    /// Moves the pages at `from` and makes them `bytes` longer, somewhere in this process.
    pub fn stretch(&self, from: Piece, bytes: u64) -> io::Result<Stretched> {
        let old = length(from.span.len());
        let mut scratch = Stretched::new(old)?;
        remap(self.host(from.offset), old, scratch.address, old)?;
        let start = std::ptr::without_provenance_mut(scratch.address);
        // SAFETY: the scratch mapping, which nothing refers to; it may move.
        let grown = unsafe { libc::mremap(start, old, length(from.span.len() + bytes), libc::MREMAP_MAYMOVE) };
        scratch.address = check(grown)?.addr();
        scratch.bytes = length(from.span.len() + bytes);
        Ok(scratch)
    }

    /// Moves a part of a mapping of [`Self::stretch`] to `to`.
    pub fn place(&self, from: &Stretched, skipped: u64, to: Piece) -> io::Result<()> {
        let bytes = length(to.span.len());
        remap(from.address + length(skipped), bytes, self.host(to.offset), bytes)
    }
}

/// `mremap` to a fixed place that leaves the old place mapped, so that no other thread can map anything in the hole.
fn remap(from: usize, bytes: usize, to: usize, new: usize) -> io::Result<()> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    let (from, to) = (std::ptr::without_provenance_mut(from), std::ptr::without_provenance_mut::<libc::c_void>(to));
    // SAFETY: both are parts of our own reservations, and nothing but the guest's memory is in them.
    check(unsafe { libc::mremap(from, bytes, new, flags, to) }).map(drop)
}

/// Pages on their way from one place of an arena to another.
pub struct Stretched {
    address: usize,
    bytes: usize,
}

impl Stretched {
    fn new(bytes: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping wherever the host likes.
        let start = check(unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) })?;
        Ok(Self { address: start.addr(), bytes })
    }
}

impl Drop for Stretched {
    fn drop(&mut self) {
        // SAFETY: a mapping of our own, which nothing refers to any more.
        unsafe { libc::munmap(std::ptr::without_provenance_mut(self.address), self.bytes) };
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: our own reservation; the guest that used it is gone.
        unsafe { libc::munmap(std::ptr::without_provenance_mut(self.base), length(self.size)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, length: u64) -> Span {
        Span { start, end: start + length }
    }

    #[test]
    fn neighbours_stay_neighbours_and_windows_come_back() {
        let mut arena = Arena::new(8 * WINDOW).unwrap();
        arena.allot(span(10 * WINDOW + 4096, 2 * WINDOW)).unwrap();
        assert_eq!(arena.pieces(span(0, 100 * WINDOW)), [Piece { span: span(10 * WINDOW, 3 * WINDOW), offset: 0 }]);
        arena.allot(span(50 * WINDOW, 1)).unwrap();
        arena.allot(span(13 * WINDOW, 1)).unwrap();
        assert_eq!(arena.offset(13 * WINDOW + 5), Some(4 * WINDOW + 5));
        arena.release(span(0, 100 * WINDOW), |granule| granule.start == 11 * WINDOW);
        assert_eq!(arena.offset(11 * WINDOW), None);
        arena.allot(span(20 * WINDOW, 1)).unwrap();
        assert_eq!(arena.offset(20 * WINDOW), Some(WINDOW), "the free one");
        assert!(arena.allot(span(60 * WINDOW, 4 * WINDOW)).is_err(), "there are eight");
    }
}
