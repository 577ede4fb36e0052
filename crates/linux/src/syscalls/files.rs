//! open, read, write, seek, sync, truncate, copy.
