//! stat, access, chmod, utimens, statfs, extended attributes.
