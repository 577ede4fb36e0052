//! Kernel objects: what a descriptor names. One file an object; behaviour lives here, handlers stay thin.
//!
//! Operations never block: `EAGAIN` says that a caller has to wait, and [`crate::call::Call::block_on`] decides.

pub mod address;
pub mod ancillary;
pub mod channel;
pub mod device;
pub mod directory;
pub mod epoll;
pub mod eventfd;
pub mod exchange;
pub mod fifo;
pub mod fifos;
pub mod file;
pub mod inherited;
pub mod inotify;
pub mod local;
pub mod mailbox;
pub mod memfd;
pub(crate) mod option_values;
pub mod options;
pub mod pair;
mod pair_options;
pub mod path;
pub mod pidfd;
pub mod pipe;
pub mod shared_memory;
pub mod signalfd;
pub mod socket;
mod socket_names;
mod socket_options;
pub mod stream;
pub mod synthetic;
pub mod tcp;
pub mod terminal;
pub mod timerfd;

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::stat::Metadata;
use warmfork_memory::HostFile;

use crate::files::{DescriptionId, Events};
use crate::host::Host;
use crate::locks::Locks;
use shared_memory::SharedMemory;

/// What is open behind a description.
#[derive(Clone, PartialEq, Debug)]
pub enum Object {
    /// An epoll set.
    Epoll(epoll::Epoll),
    /// One end of a pipe.
    Pipe(pipe::PipeEnd),
    /// An opening of a FIFO.
    Fifo(fifo::Fifo),
    /// An event counter.
    EventFd(eventfd::EventFd),
    /// A timer.
    TimerFd(timerfd::TimerFd),
    /// A signal queue.
    SignalFd(signalfd::SignalFd),
    /// A socket of the host.
    Socket(socket::Socket),
    /// One end of a socketpair.
    Pair(pair::PairEnd),
    /// One end of a TCP connection without the host.
    Tcp(tcp::TcpEnd),
    /// A regular file of the host.
    File(file::File),
    /// A directory of the host.
    Directory(directory::Directory),
    /// A file that warmfork makes up.
    Synthetic(synthetic::Synthetic),
    /// A character device.
    Device(device::Device),
    /// An inherited host stream.
    Stream(stream::Stream),
    /// An anonymous memory file.
    Memfd(memfd::Memfd),
    /// An O_PATH descriptor.
    Path(path::Path),
    /// A process.
    PidFd(pidfd::PidFd),
    /// Watched files.
    Inotify(inotify::Inotify),
    /// One end of a pseudo-terminal.
    Terminal(terminal::TerminalEnd),
}

/// State that several objects share, by id.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Shared {
    /// Pipes, which two or more ends share.
    pub pipes: pipe::Pipes,
    /// FIFOs that are open or were opened lately.
    pub fifos: fifos::Fifos,
    /// Socket pairs.
    pub pairs: channel::Channels,
    /// TCP connections without the host.
    pub connections: tcp::connection::Connections,
    /// Datagrams for named Unix sockets.
    pub mailboxes: mailbox::Mailboxes,
    /// Names of Unix sockets that a fork has from its snapshot and has closed: the host's are open still.
    pub closed_names: Vec<local::LocalName>,
    /// How many timerfds are open.
    pub timers: usize,
    /// Pseudo-terminals.
    pub terminals: terminal::Terminals,
    /// How many process descriptors are open.
    pub pidfds: usize,
    /// References to descriptions that an object gave up (in-flight SCM_RIGHTS that nobody will receive).
    /// [`crate::Kernel`] releases them after each operation, so that it is empty between calls.
    pub orphans: Vec<DescriptionId>,
    /// File locks.
    pub locks: Locks,
    /// What is in /dev/shm.
    pub memory: SharedMemory,
}

/// What an operation may use beside its object.
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
    pub asking: socket::Credentials,
    /// What [`Operations::poll`] is asked about. An object may answer more, and need not look at the rest.
    pub interest: Events,
}

/// What mmap makes of an object.
#[derive(Clone, Debug)]
pub enum Mappable {
    /// Pages of a host file.
    File(Arc<HostFile>),
    /// Zeroes (/dev/zero).
    Anonymous,
}

/// What can be done with an open description. The defaults are Linux's answers for an object without the ability.
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

    /// What the object is ready for now; `interest` of the context says what the caller wants to know.
    fn poll(&mut self, _context: &mut Context<'_>) -> Events {
        Events::IN | Events::OUT | Events::RDNORM | Events::WRNORM
    }

    /// A number that changes whenever Linux would wake those who wait for one of `events` (or for an error or a
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

    /// What fstat shows. The default is an anonymous inode's.
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

    /// The host file behind it, when what is done to its inode is done to the host's (fsync, fchmod, fstatfs, ...).
    fn host_file(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// What the link in /proc/self/fd says.
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

    /// What mmap of it maps.
    ///
    /// # Errors
    /// ENODEV when it cannot be mapped.
    fn mappable(&mut self, _context: &mut Context<'_>) -> Result<Mappable, Errno> {
        Err(Errno::ENODEV)
    }

    /// The last reference is gone.
    fn close(&mut self, _context: &mut Context<'_>) {}
}

/// Metadata of an object that no file system holds.
#[must_use]
pub fn anonymous(mode: u32, inode: u64) -> Metadata {
    Metadata { mode, inode, links: 1, block_size: 4096, device: (0, 15), ..Metadata::default() }
}

impl Object {
    /// The object's operations.
    pub fn operations(&mut self) -> &mut dyn Operations {
        match self {
            Self::Epoll(object) => object,
            Self::Pipe(object) => object,
            Self::Fifo(object) => object,
            Self::EventFd(object) => object,
            Self::TimerFd(object) => object,
            Self::SignalFd(object) => object,
            Self::Socket(object) => object,
            Self::Pair(object) => object,
            Self::Tcp(object) => object,
            Self::File(object) => object,
            Self::Directory(object) => object,
            Self::Synthetic(object) => object,
            Self::Device(object) => object,
            Self::Stream(object) => object,
            Self::Memfd(object) => object,
            Self::Path(object) => object,
            Self::PidFd(object) => object,
            Self::Inotify(object) => object,
            Self::Terminal(object) => object,
        }
    }

    /// As [`Object::operations`], to look only.
    #[must_use]
    pub fn view(&self) -> &dyn Operations {
        match self {
            Self::Epoll(object) => object,
            Self::Pipe(object) => object,
            Self::Fifo(object) => object,
            Self::EventFd(object) => object,
            Self::TimerFd(object) => object,
            Self::SignalFd(object) => object,
            Self::Socket(object) => object,
            Self::Pair(object) => object,
            Self::Tcp(object) => object,
            Self::File(object) => object,
            Self::Directory(object) => object,
            Self::Synthetic(object) => object,
            Self::Device(object) => object,
            Self::Stream(object) => object,
            Self::Memfd(object) => object,
            Self::Path(object) => object,
            Self::PidFd(object) => object,
            Self::Inotify(object) => object,
            Self::Terminal(object) => object,
        }
    }

    /// The regular file or memory file of the host that it is.
    #[must_use]
    pub fn file(&self) -> Option<&Arc<HostFile>> {
        match self {
            Self::File(file) => Some(&file.file),
            Self::Memfd(memfd) => Some(&memfd.file),
            _ => None,
        }
    }

    /// As [`Object::file`], to put another in its place.
    pub fn file_mut(&mut self) -> Option<&mut Arc<HostFile>> {
        match self {
            Self::File(file) => Some(&mut file.file),
            Self::Memfd(memfd) => Some(&mut memfd.file),
            _ => None,
        }
    }

    /// The guest path of a directory (or an O_PATH descriptor), from which the *at calls start.
    #[must_use]
    pub fn directory_path(&self) -> Option<&[u8]> {
        match self {
            Self::Directory(directory) => Some(&directory.path),
            Self::Path(path) => Some(&path.path),
            _ => None,
        }
    }

    /// Whether it is a listening socket.
    #[must_use]
    pub fn listening(&self) -> bool {
        matches!(self, Self::Socket(socket) if socket.listening())
    }

    /// When the object next becomes ready by itself (an armed timerfd), in monotonic nanoseconds.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        match self {
            Self::TimerFd(timer) => timer.deadline(),
            _ => None,
        }
    }
}

/// Objects by id: ids are never reused.
#[derive(Clone, PartialEq, Debug)]
pub struct Table<T> {
    entries: BTreeMap<u64, T>,
    next: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), next: 0 }
    }
}

impl<T> Table<T> {
    /// Adds an entry; its id.
    pub fn insert(&mut self, entry: T) -> u64 {
        let id = self.next;
        self.next += 1;
        self.entries.insert(id, entry);
        id
    }

    /// The entry `id`, if it is there.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&T> {
        self.entries.get(&id)
    }

    /// As [`Table::get`], to change it.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        self.entries.get_mut(&id)
    }

    /// All entries.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values()
    }

    /// Removes the entry `id`.
    pub fn remove(&mut self, id: u64) -> Option<T> {
        self.entries.remove(&id)
    }
}
