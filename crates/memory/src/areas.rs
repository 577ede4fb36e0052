//! One mapping of a guest: its addresses, its protection, the source of its bytes. Plain data; the
//! [`crate::AreaTree`] holds them, everything above this crate reads them.

use std::os::fd::AsFd;
use std::sync::Arc;

use warmfork_abi::page_up;

use crate::host::Source;
use crate::host_file::HostFile;
use crate::span::{Protection, Span};

/// Where an area's bytes come from.
#[derive(Clone, PartialEq, Debug)]
pub enum Backing {
    /// Zeroes.
    Anonymous,
    /// A host file from `offset` on, which is the offset of the area's first byte.
    File {
        /// The file.
        file: Arc<HostFile>,
        /// Byte offset of the area's first page in it.
        offset: u64,
    },
}

impl Backing {
    /// The source for a platform, for a mapping that is `shared` or not.
    #[must_use]
    pub fn source(&self, shared: bool) -> Source<'_> {
        match self {
            Self::Anonymous => Source::Anonymous,
            Self::File { file, offset } => Source::File { fd: file.as_fd(), offset: *offset, shared },
        }
    }
}

impl Backing {
    /// The backing `bytes` further on.
    #[must_use]
    pub fn advanced(&self, bytes: u64) -> Self {
        match self {
            Self::Anonymous => Self::Anonymous,
            Self::File { file, offset } => Self::File { file: Arc::clone(file), offset: offset.saturating_add(bytes) },
        }
    }
}

/// One mapping of a guest (a VMA).
#[derive(Clone, PartialEq, Debug)]
pub struct Area {
    /// The addresses.
    pub span: Span,
    /// The accesses that the guest has.
    pub protection: Protection,
    /// MAP_SHARED. With a file, writes reach it. Anonymous memory is private memory of the host either way,
    /// until the guest forks: then it gets a memory file.
    pub shared: bool,
    /// Where the bytes come from.
    pub backing: Backing,
    /// MADV_WIPEONFORK: a fork and a reset see zeroes.
    pub wipe_on_fork: bool,
    /// MAP_NORESERVE: the mapped bytes do not count against the limit, only the written ones.
    pub unreserved: bool,
    /// The name that /proc/self/maps shows in brackets (`heap`, `stack`, `vdso`, `vvar`), if anything.
    pub label: Option<&'static str>,
}

/// Bytes of mappings that allow any access.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Accessible {
    /// Of those that memory is held back for.
    pub reserved: u64,
    /// Of those mapped with MAP_NORESERVE.
    pub unreserved: u64,
}

impl Accessible {
    /// Both together.
    #[must_use]
    pub fn all(self) -> u64 {
        self.reserved + self.unreserved
    }
}

impl std::ops::Add for Accessible {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { reserved: self.reserved + other.reserved, unreserved: self.unreserved + other.unreserved }
    }
}

impl std::ops::Sub for Accessible {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { reserved: self.reserved - other.reserved, unreserved: self.unreserved - other.unreserved }
    }
}

impl std::iter::Sum for Accessible {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), std::ops::Add::add)
    }
}

impl Area {
    /// The part of this area within `span`, its backing moved along; `None` when they do not meet.
    #[must_use]
    pub fn clipped(&self, span: Span) -> Option<Self> {
        let span = self.span.intersection(span)?;
        Some(Self { span, backing: self.backing.advanced(span.start - self.span.start), ..self.clone() })
    }

    /// Whether `next` begins where this ends and goes on as the same mapping.
    #[must_use]
    pub fn continues_into(&self, next: &Self) -> bool {
        self.span.end == next.span.start
            && self.protection == next.protection
            && self.shared == next.shared
            && self.wipe_on_fork == next.wipe_on_fork
            && self.unreserved == next.unreserved
            && self.label == next.label
            && self.backing.advanced(self.span.len()) == next.backing
    }

    /// Its bytes, if it allows any access: those that count as reserved, and those that do not.
    #[must_use]
    pub fn accessible(&self) -> Accessible {
        let bytes = if self.protection.is_empty() { 0 } else { self.span.len() };
        if self.unreserved {
            Accessible { reserved: 0, unreserved: bytes }
        } else {
            Accessible { reserved: bytes, unreserved: 0 }
        }
    }

    /// Whether the bytes begin as zeroes and are the machine's own, to freeze and to reset.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self.backing, Backing::Anonymous)
    }

    /// The first address within (or at the end of) the area that has no page of its file any more; the area's end
    /// for anonymous memory. Depends on how long the file is now.
    ///
    /// # Errors
    /// The host's, when it does not tell the file's length.
    pub fn file_end(&self) -> std::io::Result<u64> {
        let Backing::File { file, offset } = &self.backing else { return Ok(self.span.end) };
        let size = u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0);
        let length = page_up(size).unwrap_or(size).saturating_sub(*offset).min(self.span.len());
        Ok(self.span.start + length)
    }

    /// Whether writes reach a file: then the bytes are neither frozen nor reset.
    #[must_use]
    pub fn is_shared_file(&self) -> bool {
        self.shared && !self.is_anonymous()
    }
}
