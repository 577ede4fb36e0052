//! Opening FIFOs: each end waits for the other, unless it is opened with O_NONBLOCK.
//!
//! The host's FIFO is always opened without blocking. An end that reads is then open already while it waits, so that a
//! writer finds it; who came meanwhile, and may be gone again, [`Fifos`](crate::objects::fifos::Fifos) knows.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY};
use warmfork_abi::stat::{S_IFIFO, S_IFMT};
use warmfork_memory::HostFile;

use crate::call::{Call, Stop};
use crate::files::Events;
use crate::objects::Object;
use crate::objects::fifos::{self, Ends, FifoId, Waiting};
use crate::objects::stream::Stream;
use crate::poller::errno;
use crate::syscalls::metadata::{host_metadata, magic_path};
use crate::task::Wait;

/// How long an open that waits sleeps before it looks again, in nanoseconds.
const RETRY: u64 = 2_000_000;

/// A FIFO to open.
pub(super) struct Fifo {
    /// An O_PATH handle of it.
    pub handle: OwnedFd,
    /// The guest's plain path of it.
    pub path: Vec<u8>,
    /// The guest's O_ flags.
    pub flags: u32,
}

/// Opens a FIFO for the guest, with `flags` for the host.
fn open_host(fifo: &Fifo, flags: OFlags) -> Result<Arc<HostFile>, Errno> {
    let fd = rustix::fs::open(magic_path(fifo.handle.as_fd()), flags, Mode::empty()).map_err(errno)?;
    HostFile::opened(fd, &fifo.path, fifo.flags).map_err(errno)
}

/// The end that writes of a FIFO whose reader has come and is gone again.
fn open_without_reader(handle: &Fifo, flags: OFlags) -> Result<Arc<HostFile>, Errno> {
    let _reader = open_host(handle, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC)?;
    open_host(handle, flags)
}

impl Call<'_> {
    /// Opens the FIFO `handle`, with `host_flags` for the host.
    ///
    /// # Errors
    /// The host's own; blocks until the other end is open.
    pub(super) fn open_fifo(&mut self, handle: &Fifo, host_flags: OFlags) -> Result<Object, Stop> {
        let flags = handle.flags;
        let fifo = fifos::id(&host_metadata(handle.handle.as_fd())?);
        let mode = flags & O_ACCMODE;
        let ends = Ends { reads: mode != O_WRONLY, writes: mode != O_RDONLY };
        let waiting = self.task().opening.take().filter(|waiting| waiting.fifo == fifo);
        let blocks = flags & O_NONBLOCK == 0;
        let opened = match ends {
            Ends { reads: true, writes: false } if blocks => self.open_reader(handle, fifo, host_flags, waiting)?,
            Ends { reads: false, .. } if blocks => {
                let opened = self.open_writer(handle, fifo, host_flags, waiting)?;
                self.kernel.shared.fifos.opened(fifo, ends);
                opened
            }
            _ => {
                let opened = open_host(handle, host_flags)?;
                self.kernel.shared.fifos.opened(fifo, ends);
                opened
            }
        };
        Ok(Object::Stream(Stream::opened(opened)?))
    }

    fn open_reader(
        &mut self,
        handle: &Fifo,
        fifo: FifoId,
        host_flags: OFlags,
        waiting: Option<Waiting>,
    ) -> Result<Arc<HostFile>, Stop> {
        let (since, reader) = match waiting {
            Some(Waiting { since, reader: Some(reader), .. }) => (since, reader),
            _ => {
                let reader = open_host(handle, host_flags)?;
                self.kernel.shared.fifos.opened(fifo, Ends { reads: true, writes: false });
                (self.kernel.shared.fifos.now(), reader)
            }
        };
        // Of a writer outside of the machine the host tells when it has written something, or left.
        if self.kernel.shared.fifos.came(fifo, true, since)
            || self.has_writer(fifo)
            || !self.host.poll(&reader, Events::IN).is_empty()
        {
            return Ok(reader);
        }
        Err(self.wait_for_end(Waiting { fifo, since, reader: Some(reader) }))
    }

    fn open_writer(
        &mut self,
        handle: &Fifo,
        fifo: FifoId,
        host_flags: OFlags,
        waiting: Option<Waiting>,
    ) -> Result<Arc<HostFile>, Stop> {
        let opened = match open_host(handle, host_flags) {
            Err(Errno::ENXIO) => {
                let since = waiting.map_or(self.kernel.shared.fifos.now(), |waiting| waiting.since);
                if !self.kernel.shared.fifos.came(fifo, false, since) {
                    return Err(self.wait_for_end(Waiting { fifo, since, reader: None }));
                }
                open_without_reader(handle, host_flags)
            }
            opened => opened,
        };
        Ok(opened?)
    }

    /// Looks again a little later: the other side is another thread or process, which goes on meanwhile.
    fn wait_for_end(&mut self, waiting: Waiting) -> Stop {
        self.task().opening = Some(waiting);
        let deadline = Some(self.host.monotonic().saturating_add(RETRY));
        Stop::Block(Wait { deadline, restartable: true, ..Wait::default() })
    }

    /// Whether one of the machine's descriptions writes to `fifo`.
    fn has_writer(&self, fifo: FifoId) -> bool {
        self.kernel.files.descriptions().any(|(_, description)| match &description.object {
            Object::Stream(stream) if stream.own && stream.mode & S_IFMT == S_IFIFO => {
                description.flags & O_ACCMODE != O_RDONLY
                    && host_metadata(stream.handle.as_fd()).is_ok_and(|metadata| fifos::id(&metadata) == fifo)
            }
            _ => false,
        })
    }
}
