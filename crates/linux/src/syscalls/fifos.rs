//! Opening FIFOs: each end waits for the other, unless it is opened with O_NONBLOCK.
//!
//! The host's FIFO is opened too, without blocking, for processes outside of the machine. A reading end is open already while
//! it waits, so that a writer finds it. [`Fifos`](crate::objects::fifos::Fifos) remembers the ends that came meanwhile, even
//! if they are gone again.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY};
use warmfork_memory::HostFile;

use crate::call::{Call, Stop};
use crate::events::DescriptionId;
use crate::files::Description;
use crate::host::errno;
use crate::metadata::{host_metadata, magic_path};
use crate::objects::Object;
use crate::objects::fifo::Fifo;
use crate::objects::fifos::{self, FifoId, Waiting};
use crate::objects::pipes::Ends;
use crate::wait::Wait;

const READER: Ends = Ends { reads: true, writes: false };
const WRITER: Ends = Ends { reads: false, writes: true };

/// How long an open that waits sleeps before it looks again, in nanoseconds.
const RETRY: u64 = 2_000_000;

/// Opens the file of an O_PATH handle once more.
fn open_host(place: &HostFile, flags: OFlags) -> Result<Arc<HostFile>, Errno> {
    let fd = rustix::fs::open(magic_path(place.as_fd()), flags, Mode::empty()).map_err(errno)?;
    HostFile::opened(fd, place.name(), flags.bits()).map_err(errno)
}

/// The writing end of a FIFO whose reader has come and is gone again.
fn open_without_reader(place: &HostFile, flags: OFlags) -> Result<Arc<HostFile>, Errno> {
    let _reader = open_host(place, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC)?;
    open_host(place, flags)
}

impl Call<'_> {
    /// Opens the FIFO `handle`, with `host_flags` for the host.
    ///
    /// # Errors
    /// The host's own; blocks until the other end is open.
    pub(super) fn open_fifo(&mut self, place: &Arc<HostFile>, flags: u32, host_flags: OFlags) -> Result<Object, Stop> {
        let fifo = fifos::id(&host_metadata(place.as_fd())?);
        let mode = flags & O_ACCMODE;
        let ends = Ends { reads: mode != O_WRONLY, writes: mode != O_RDONLY };
        let waiting = self.task().opening.take();
        if let Some(other) = waiting.filter(|waiting| waiting.fifo != fifo) {
            self.give_up(other);
        }
        let waiting = waiting.filter(|waiting| waiting.fifo == fifo);
        let blocks = flags & O_NONBLOCK == 0;
        let outside = match ends {
            READER if blocks => return self.open_reader(place, fifo, host_flags, waiting),
            WRITER => self.open_writer(place, fifo, host_flags, blocks, waiting)?,
            _ => Some(open_host(place, host_flags)?),
        };
        Ok(Object::Fifo(self.opened_fifo(place, fifo, ends, outside)))
    }

    /// A new opening, of which others learn.
    fn opened_fifo(&mut self, place: &Arc<HostFile>, fifo: FifoId, ends: Ends, outside: Option<Arc<HostFile>>) -> Fifo {
        if ends.writes && outside.is_none() {
            for object in self.kernel.files.objects_mut() {
                if let Object::Fifo(other) = object {
                    other.had_writer |= other.id == fifo;
                }
            }
        }
        let opened = Fifo::open(&mut self.kernel.shared, fifo, place.clone(), ends, outside);
        self.kernel.shared.fifos.opened(fifo, ends);
        opened
    }

    fn open_reader(
        &mut self,
        place: &Arc<HostFile>,
        fifo: FifoId,
        host_flags: OFlags,
        waiting: Option<Waiting>,
    ) -> Result<Object, Stop> {
        let (since, reader) = match waiting {
            Some(Waiting { since, reader: Some(reader), .. }) => (since, reader),
            _ => {
                let outside = open_host(place, host_flags)?;
                let opened = self.opened_fifo(place, fifo, READER, Some(outside));
                let reader = self.kernel.files.insert(Description::new(Object::Fifo(opened), O_RDONLY));
                (self.kernel.shared.fifos.now(), reader)
            }
        };
        let shared = &self.kernel.shared;
        let came = shared.fifos.came(fifo, true, since) || shared.fifos.ends(&shared.pipes, fifo).writes;
        if came || self.news_from_outside(place, reader, host_flags)? {
            // Its description goes, and it is not closed.
            let kept = self.kernel.files.release(reader).map(|description| description.object);
            return kept.ok_or(Stop::Error(Errno::EINTR));
        }
        Err(self.wait_for_end(Waiting { fifo, since, reader: Some(reader) }))
    }

    /// Whether a writer outside of the machine has written something to the end that `reader` is, or left.
    fn news_from_outside(
        &mut self,
        place: &Arc<HostFile>,
        reader: DescriptionId,
        host_flags: OFlags,
    ) -> Result<bool, Errno> {
        let Object::Fifo(fifo) = &mut self.kernel.files.description_mut(reader).object else { return Ok(false) };
        if !fifo.is_outside() {
            // It has waited since before a freeze.
            fifo.opened(open_host(place, host_flags)?);
        }
        Ok(fifo.has_news(self.host))
    }

    /// The host's end, if there is a reader for it.
    fn open_writer(
        &mut self,
        place: &Arc<HostFile>,
        fifo: FifoId,
        host_flags: OFlags,
        blocks: bool,
        waiting: Option<Waiting>,
    ) -> Result<Option<Arc<HostFile>>, Stop> {
        let opened = match open_host(place, host_flags) {
            Err(Errno::ENXIO) if self.kernel.shared.fifos.ends(&self.kernel.shared.pipes, fifo).reads => {
                return Ok(None);
            }
            Err(Errno::ENXIO) if blocks => {
                let since = waiting.map_or(self.kernel.shared.fifos.now(), |waiting| waiting.since);
                if !self.kernel.shared.fifos.came(fifo, false, since) {
                    return Err(self.wait_for_end(Waiting { fifo, since, reader: None }));
                }
                open_without_reader(place, host_flags)
            }
            opened => opened,
        };
        Ok(Some(opened?))
    }

    /// Looks again a little later: the other side is another thread or process, which goes on meanwhile.
    fn wait_for_end(&mut self, waiting: Waiting) -> Stop {
        self.task().opening = Some(waiting);
        let deadline = Some(self.host.monotonic().saturating_add(RETRY));
        Stop::Block(Wait { deadline, restartable: true, ..Wait::default() })
    }

    fn give_up(&mut self, waiting: Waiting) {
        self.kernel.shared.orphans.extend(waiting.reader);
        self.kernel.release_orphans(self.host);
    }
}
