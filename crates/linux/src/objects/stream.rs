//! Host streams that a guest was given: its stdio.
//!
//! Several guests, and warmfork's own parent, may share one host stream, so its O_NONBLOCK is never touched: a read or
//! write is tried without waiting where the host can do that, and otherwise only after poll(2) said it would not wait.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use rustix::fs::SeekFrom;
use rustix::io::{Errno as HostErrno, ReadWriteFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{SEEK_CUR, SEEK_END, SEEK_SET};
use warmfork_abi::stat::{Metadata, S_IFCHR, S_IFDIR, S_IFREG};
use warmfork_memory::HostFile;

use crate::events::Events;
use crate::host::errno;
use crate::metadata::{host_metadata, host_path};
use crate::objects::{Context, Operations};

/// An offset that means the stream's own position to preadv2 and pwritev2.
const CURRENT: u64 = u64::MAX;

/// Bytes that a pipe or terminal that polls writable takes without waiting (PIPE_BUF).
const WRITABLE: usize = 4096;

/// A stream of the host.
#[derive(Clone, PartialEq, Debug)]
pub struct Stream {
    /// The host's file.
    pub handle: Arc<HostFile>,
    /// Mode, with its type bits, when it was adopted.
    pub mode: u32,
    /// It is a terminal.
    pub terminal: bool,
    /// Forks share it: none of them may change how it behaves for the others.
    pub shared: bool,
}

impl Stream {
    /// Takes a host stream as it is.
    ///
    /// # Errors
    /// The host's refusal to describe it.
    pub fn adopt(handle: Arc<HostFile>) -> Result<Self, Errno> {
        let mode = host_metadata(handle.as_fd())?.mode;
        let terminal = mode & S_IFCHR == S_IFCHR && rustix::termios::isatty(&handle);
        Ok(Self { handle, mode, terminal, shared: false })
    }

    /// Whether it is a file with a position, which never waits.
    fn is_file(&self) -> bool {
        let kind = self.mode & warmfork_abi::stat::S_IFMT;
        kind == S_IFREG || kind == S_IFDIR
    }

    /// Whether a read or write would not wait.
    fn ready(&self, context: &mut Context<'_>, wanted: Events) -> Result<(), Errno> {
        let ready = context.host.poll(&self.handle, wanted);
        if ready.is_empty() { Err(Errno::EAGAIN) } else { Ok(()) }
    }
}

impl Operations for Stream {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        if self.is_file() {
            let read = match at {
                Some(at) => rustix::io::pread(&self.handle, into, at),
                None => rustix::io::read(&self.handle, into),
            };
            return read.map_err(errno);
        }
        self.ready(context, Events::IN)?;
        match rustix::io::preadv2(&self.handle, &mut [IoSliceMut::new(into)], CURRENT, ReadWriteFlags::NOWAIT) {
            Err(HostErrno::OPNOTSUPP | HostErrno::INVAL | HostErrno::NOSYS | HostErrno::SPIPE) => {
                rustix::io::read(&self.handle, into).map_err(errno)
            }
            result => result.map_err(errno),
        }
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], at: Option<u64>) -> Result<usize, Errno> {
        if self.is_file() {
            let written = match at {
                // What other forks have written stays.
                _ if self.shared => {
                    let end = ReadWriteFlags::APPEND;
                    rustix::io::pwritev2(&self.handle, &[IoSlice::new(from)], CURRENT, end)
                }
                Some(at) => rustix::io::pwrite(&self.handle, from, at),
                None => rustix::io::write(&self.handle, from),
            };
            return written.map_err(errno);
        }
        self.ready(context, Events::OUT)?;
        match rustix::io::pwritev2(&self.handle, &[IoSlice::new(from)], CURRENT, ReadWriteFlags::NOWAIT) {
            Err(HostErrno::OPNOTSUPP | HostErrno::INVAL | HostErrno::NOSYS | HostErrno::SPIPE) => {
                rustix::io::write(&self.handle, &from[..from.len().min(WRITABLE)]).map_err(errno)
            }
            result => result.map_err(errno),
        }
    }

    fn seek(&mut self, _context: &mut Context<'_>, by: i64, whence: u32) -> Result<u64, Errno> {
        if self.shared {
            return Err(Errno::ESPIPE); // the host's only position
        }
        let to = match whence {
            SEEK_SET => SeekFrom::Start(u64::try_from(by).map_err(|_| Errno::EINVAL)?),
            SEEK_CUR => SeekFrom::Current(by),
            SEEK_END => SeekFrom::End(by),
            _ => return Err(Errno::EINVAL),
        };
        rustix::fs::seek(&self.handle, to).map_err(errno)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        let always = Events::IN | Events::OUT | Events::RDNORM | Events::WRNORM;
        if self.is_file() { always } else { context.host.poll(&self.handle, context.interest) }
    }

    fn edges(&mut self, context: &mut Context<'_>, _events: Events) -> u64 {
        context.host.edges(&self.handle)
    }

    fn available(&mut self, _context: &mut Context<'_>) -> Result<usize, Errno> {
        let count = rustix::io::ioctl_fionread(&self.handle).map_err(errno)?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn pollable(&self) -> bool {
        !self.is_file()
    }

    fn seekable(&self) -> bool {
        self.is_file()
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        host_metadata(self.handle.as_fd())
    }

    fn host_file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.handle.as_fd())
    }

    fn link_text(&self) -> Vec<u8> {
        host_path(&self.handle).unwrap_or_else(|| b"stream".to_vec())
    }

    fn share(&mut self) {
        self.shared = true;
    }
}
