//! The operations on an open description. Each object implements them.

use std::any::Any;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::stat::Metadata;
use warmfork_memory::HostFile;

use crate::events::{DescriptionId, Events};
use crate::host::Host;
use crate::ids::Credentials;
use crate::objects::shared::Shared;
use crate::wait_queues::Queue;

/// The context of an operation: what it may use beside its object.
pub struct Context<'a> {
    /// State that objects share.
    pub shared: &'a mut Shared,
    /// The host side of the machine.
    pub host: &'a mut Host,
    /// The description's own id.
    pub id: DescriptionId,
    /// The description's access mode and status flags.
    pub flags: u32,
    /// The description's file offset.
    pub offset: &'a mut u64,
    /// The process that asks.
    pub asking: Credentials,
    /// The events that [`Operations::poll`] is asked about. An object may answer more, and need not look at the rest.
    pub interest: Events,
}

/// The memory that mmap of an object maps.
#[derive(Clone, Debug)]
pub enum Mappable {
    /// Pages of a host file.
    File(Arc<HostFile>),
    /// Zeroes (/dev/zero).
    Anonymous,
}

/// The operations on an open description. The defaults are Linux's answers for an object without the ability.
pub trait Operations {
    /// Reads at `at`, or at the description's offset (and advances it).
    ///
    /// # Errors
    /// EAGAIN when nothing is there yet; the object's own otherwise.
    fn read(&mut self, _context: &mut Context<'_>, _into: &mut [u8], _at: Option<u64>) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes at `at`, or at the description's offset (and advances it).
    ///
    /// # Errors
    /// EAGAIN when there is no room yet; the object's own otherwise.
    fn write(&mut self, _context: &mut Context<'_>, _from: &[u8], _at: Option<u64>) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// The events that the object is ready for now. The caller wants to know about `interest` of the context.
    fn poll(&mut self, _context: &mut Context<'_>) -> Events {
        Events::IN | Events::OUT | Events::RDNORM | Events::WRNORM
    }

    /// The queues of the state that it shares with other objects, so that its readiness depends on that too. A host file's
    /// queue is [`Host::poll`]'s business.
    fn queues(&self) -> [Option<Queue>; 2] {
        [None, None]
    }

    /// A number that changes whenever Linux would wake waiters for one of `events` (or for an error or a
    /// hang-up): edge-triggered epoll compares it.
    fn edges(&mut self, _context: &mut Context<'_>, _events: Events) -> u64 {
        0
    }

    /// How many bytes a read would find (FIONREAD).
    ///
    /// # Errors
    /// ENOTTY when the object does not count them.
    fn available(&mut self, _context: &mut Context<'_>) -> Result<usize, Errno> {
        Err(Errno::ENOTTY)
    }

    /// Capacity of a pipe in bytes (F_GETPIPE_SZ).
    ///
    /// # Errors
    /// EBADF when the object is not a pipe.
    fn pipe_size(&mut self, _context: &mut Context<'_>) -> Result<u32, Errno> {
        Err(Errno::EBADF)
    }

    /// Changes the capacity of a pipe (F_SETPIPE_SZ); the new capacity, which may be larger.
    ///
    /// # Errors
    /// EBADF when the object is not a pipe, EBUSY when more is in it, EPERM and EINVAL beyond the limits.
    fn set_pipe_size(&mut self, _context: &mut Context<'_>, _size: u32) -> Result<u32, Errno> {
        Err(Errno::EBADF)
    }

    /// How long a blocking read may take, in nanoseconds (SO_RCVTIMEO).
    fn receive_timeout(&self) -> Option<u64> {
        None
    }

    /// How long a blocking write may take, in nanoseconds (SO_SNDTIMEO).
    fn send_timeout(&self) -> Option<u64> {
        None
    }

    /// The metadata that fstat shows. The default is an anonymous inode's.
    ///
    /// # Errors
    /// The host's.
    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        Ok(anonymous(0o600, 1))
    }

    /// Moves the description's offset (lseek); the new offset.
    ///
    /// # Errors
    /// ESPIPE when there is none, EINVAL for a place that cannot be.
    fn seek(&mut self, _context: &mut Context<'_>, _by: i64, _whence: u32) -> Result<u64, Errno> {
        Err(Errno::ESPIPE)
    }

    /// The host file behind it, if operations on its inode reach the host's (fsync, fchmod, fstatfs, ...).
    fn host_file(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The text of the link in /proc/self/fd.
    fn link_text(&self) -> Vec<u8> {
        b"anon_inode:[object]".to_vec()
    }

    /// Whether epoll takes the object (regular files and directories answer EPERM there).
    fn pollable(&self) -> bool {
        true
    }

    /// Whether pread, pwrite and lseek work (others answer ESPIPE).
    fn seekable(&self) -> bool {
        false
    }

    /// The memory that mmap of it maps.
    ///
    /// # Errors
    /// ENODEV when it cannot be mapped.
    fn mappable(&mut self, _context: &mut Context<'_>) -> Result<Mappable, Errno> {
        Err(Errno::ENODEV)
    }

    /// The last reference is gone.
    fn close(&mut self, _context: &mut Context<'_>) {}

    /// The regular file or memory file of the host that it is. A fork has its own in the place of one that it may not share.
    fn file(&self) -> Option<&Arc<HostFile>> {
        None
    }

    /// As [`Operations::file`], to put another in its place.
    fn file_mut(&mut self) -> Option<&mut Arc<HostFile>> {
        None
    }

    /// The guest path of a directory (or an O_PATH descriptor), from which the *at calls start.
    fn directory_path(&self) -> Option<&[u8]> {
        None
    }

    /// The machine is about to be frozen: takes from the host the state that the snapshot needs.
    fn prepare_freeze(&mut self, _context: &mut Context<'_>) {}

    /// From now on it is a snapshot's: gives up the host's parts of one machine, and notes those that forks share.
    fn share(&mut self) {}

    /// It begins as it does in a fork that runs for the first time since it was made or reset.
    fn begin(&mut self) {}

    /// The host's part of it in this machine, if a reset is to keep that; [`Operations::keep`] takes it back.
    fn take_kept(&mut self) -> Option<Kept> {
        None
    }

    /// A fork was reset: takes back the part that was kept.
    fn keep(&mut self, _kept: Kept) {}
}

/// The host's part of an object, which a reset keeps; only the object knows its type.
pub type Kept = Box<dyn Any>;

/// Metadata of an object that no file system holds.
#[must_use]
pub fn anonymous(mode: u32, inode: u64) -> Metadata {
    Metadata { mode, inode, links: 1, block_size: 4096, device: (0, 15), ..Metadata::default() }
}
