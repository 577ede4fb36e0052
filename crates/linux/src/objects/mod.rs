//! Kernel objects, which descriptors name. One file an object; behaviour lives here, handlers stay thin.
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
pub mod frozen_names;
pub mod inherited;
pub mod inotify;
pub mod local;
pub mod mailbox;
pub mod memfd;
pub mod operations;
pub(crate) mod option_values;
pub mod options;
pub mod pair;
mod pair_options;
pub mod path;
pub mod pidfd;
mod pipe;
pub mod pipes;
pub mod received;
pub mod registry;
pub mod shared;
pub mod shared_memory;
pub mod signalfd;
pub mod socket;
mod socket_names;
mod socket_options;
mod socket_renewal;
pub mod stream;
pub mod synthetic;
pub mod tcp;
pub mod terminal;
pub mod timerfd;
pub mod timerfds;

use std::sync::Arc;

use warmfork_memory::HostFile;

pub use operations::{Context, Kept, Mappable, Operations, anonymous};
pub use shared::Shared;

/// The open object of a description.
#[derive(Clone, PartialEq, Debug)]
pub enum Object {
    /// An epoll set.
    Epoll(epoll::Epoll),
    /// One end of a pipe.
    Pipe(pipes::PipeEnd),
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
    Terminal(terminal::terminals::TerminalEnd),
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

    /// As [`Operations::file`].
    #[must_use]
    pub fn file(&self) -> Option<&Arc<HostFile>> {
        self.view().file()
    }

    /// As [`Operations::file_mut`].
    pub fn file_mut(&mut self) -> Option<&mut Arc<HostFile>> {
        self.operations().file_mut()
    }

    /// The host's handle of the file that it has open or names, if it has one: that file, whatever its name leads to by now. It
    /// may be for less than the description, such as the O_PATH handle of a FIFO.
    #[must_use]
    pub fn handle(&self) -> Option<&Arc<HostFile>> {
        match self {
            Self::File(file) => Some(&file.file),
            Self::Memfd(file) => Some(&file.file),
            Self::Fifo(fifo) => Some(&fifo.place),
            Self::Directory(directory::Directory { source: directory::Source::Host(handle), .. })
            | Self::Path(path::Path { target: path::Target::Host(handle), .. }) => Some(handle),
            _ => None,
        }
    }

    /// As [`Operations::directory_path`].
    #[must_use]
    pub fn directory_path(&self) -> Option<&[u8]> {
        self.view().directory_path()
    }

    /// Whether it is a listening socket.
    #[must_use]
    pub fn listening(&self) -> bool {
        matches!(self, Self::Socket(socket) if socket.listening())
    }
}

impl From<local::Connected> for Object {
    fn from(end: local::Connected) -> Self {
        match end {
            local::Connected::Pair(end) => Self::Pair(end),
            local::Connected::Tcp(end) => Self::Tcp(end),
        }
    }
}
