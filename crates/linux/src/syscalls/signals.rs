//! rt_sigaction and its relatives.
