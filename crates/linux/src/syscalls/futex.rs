//! futex and its relatives.
