//! madvise.
