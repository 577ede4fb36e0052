//! mmap and its relatives.
