//! getdents64, mkdir, rename, unlink, links.
