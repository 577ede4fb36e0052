//! Ids, names, limits, usage, scheduling.
