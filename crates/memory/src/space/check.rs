//! What only looks: msync, mincore, mlock, and sums.

/// Sums over an address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Bytes mapped.
    pub mapped: u64,
}
