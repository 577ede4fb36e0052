//! Ranges of guest addresses, and their protection.

bitflags::bitflags! {
    /// The accesses that a guest has to a mapping: PROT_READ, PROT_WRITE and PROT_EXEC with their Linux values.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
    pub struct Protection: u32 {
        /// PROT_READ
        const READ = 1;
        /// PROT_WRITE
        const WRITE = 2;
        /// PROT_EXEC
        const EXEC = 4;
    }
}

/// A range of guest addresses, `start` included, `end` not; page-aligned wherever it stands for mappings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
}

impl Span {
    /// The span from `start` of `length` bytes; `None` when it is empty or wraps around.
    #[must_use]
    pub fn new(start: u64, length: u64) -> Option<Self> {
        let end = start.checked_add(length)?;
        (length > 0).then_some(Self { start, end })
    }

    /// Bytes in the span.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a span is never empty")]
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// The part that both spans cover.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        (start < end).then_some(Self { start, end })
    }

    /// Whether `address` lies within.
    #[must_use]
    pub fn contains(self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}

impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}-{:#x}", self.start, self.end)
    }
}
