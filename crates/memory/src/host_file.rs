//! A file of the host: open, with the way to open it again.
//!
//! A machine's state names host files and keeps them open. A fork inherits the names; where it must not share the file
//! itself with its snapshot, it has one of its own under the same [`HostFileId`]. So states compare by id, and
//! everything that tells files apart (futex words, locks, metadata) goes by the [`Origin`], which no fork changes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use warmfork_abi::fcntl::{O_ACCMODE, O_PATH, O_RDONLY};
use warmfork_abi::stat::Timestamp;

/// Which host file: a number that no other one of this process has, but for forks' own copies of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostFileId(u64);

impl HostFileId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Device and inode number, as stat has them.
pub type Inode = (u64, u64);

/// How a host file came to be, and so how to have it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Opened by path.
    Opened {
        /// The guest's plain path of it, but for the directories of a policy, which have the host's.
        path: Vec<u8>,
        /// O_ flags that it was opened with.
        flags: u32,
        /// Which inode it was.
        inode: Inode,
        /// Its size then.
        size: u64,
        /// When its inode had last changed then (ctime).
        changed: Timestamp,
    },
    /// A memory file, whose bytes are the machine's state.
    Memory {
        /// The name that links to it and its mappings show.
        name: Vec<u8>,
        /// The inode that the first machine had it as; guests see it in each fork.
        inode: Inode,
    },
    /// The stream that a machine was given as this descriptor.
    Stdio(usize),
    /// A socket.
    Socket,
    /// An instance of inotify.
    Inotify,
    /// A machine's clock page.
    Clock,
    /// The library that tells guests the time.
    Vdso,
}

/// An open file of the host. Equal to another with the same id, be it a fork's own copy.
#[derive(Debug)]
pub struct HostFile {
    id: HostFileId,
    fd: OwnedFd,
    origin: Origin,
    /// The descriptor has been used, for anything.
    used: AtomicBool,
}

impl PartialEq for HostFile {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for HostFile {}

impl AsFd for HostFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.used.store(true, Ordering::Relaxed);
        self.fd.as_fd()
    }
}

impl HostFile {
    /// Takes over `fd`, a new file.
    #[must_use]
    pub fn new(fd: OwnedFd, origin: Origin) -> Arc<Self> {
        Arc::new(Self { id: HostFileId::next(), fd, origin, used: AtomicBool::new(true) })
    }

    /// Takes over `fd`, opened at `path` with O_ flags `flags`.
    ///
    /// # Errors
    /// The host's refusal to describe it.
    pub fn opened(fd: OwnedFd, path: &[u8], flags: u32) -> rustix::io::Result<Arc<Self>> {
        let status = rustix::fs::fstat(&fd)?;
        let nanoseconds = u32::try_from(status.st_ctime_nsec).unwrap_or(0);
        let origin = Origin::Opened {
            path: path.to_vec(),
            flags,
            inode: (status.st_dev, status.st_ino),
            size: u64::try_from(status.st_size).unwrap_or(0),
            changed: Timestamp { seconds: status.st_ctime, nanoseconds },
        };
        Ok(Self::new(fd, origin))
    }

    /// Takes over `fd`, a memory file that guests see as `name`.
    ///
    /// # Errors
    /// The host's refusal to describe it.
    pub fn memory(fd: OwnedFd, name: Vec<u8>) -> rustix::io::Result<Arc<Self>> {
        let status = rustix::fs::fstat(&fd)?;
        Ok(Self::new(fd, Origin::Memory { name, inode: (status.st_dev, status.st_ino) }))
    }

    /// Takes over `fd`, a socket.
    #[must_use]
    pub fn socket(fd: OwnedFd) -> Arc<Self> {
        Self::new(fd, Origin::Socket)
    }

    /// A fork's own file in the place of this one, with its id and origin.
    #[must_use]
    pub fn with_fd(&self, fd: OwnedFd) -> Arc<Self> {
        Arc::new(Self { id: self.id, fd, origin: self.origin.clone(), used: AtomicBool::new(true) })
    }

    /// Its descriptor for a call that only looks: reading, or asking about it.
    #[must_use]
    pub fn to_look(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether its descriptor was used for more than looking since the last call of this: otherwise the file has been written
    /// to, if at all, where it is mapped.
    #[must_use]
    pub fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Which one it is.
    #[must_use]
    pub fn id(&self) -> HostFileId {
        self.id
    }

    /// How it came to be.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The name that guests see, in links and lists of mappings; empty when it has none.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match &self.origin {
            Origin::Opened { path, .. } => path,
            Origin::Memory { name, .. } => name,
            _ => b"",
        }
    }

    /// The inode that guests see it as; zeroes when they see none.
    #[must_use]
    pub fn inode(&self) -> Inode {
        match self.origin {
            Origin::Opened { inode, .. } | Origin::Memory { inode, .. } => inode,
            _ => (0, 0),
        }
    }

    /// Whether it was opened for writing: a shared mapping of a file that was not stays read-only for ever.
    #[must_use]
    pub fn writable(&self) -> bool {
        match self.origin {
            Origin::Opened { flags, .. } => flags & O_PATH == 0 && flags & O_ACCMODE != O_RDONLY,
            Origin::Memory { .. } => true,
            _ => false,
        }
    }
}
