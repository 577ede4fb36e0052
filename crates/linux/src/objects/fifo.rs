//! One opening of a FIFO. The machine's own processes reach each other through a pipe of plain data, and all other processes
//! through the host's FIFO.
//!
//! ```text
//!   write:  one of the machine reads?  -> the pipe;   else -> the host
//!   read:   the pipe; when that is empty, the host
//! ```
//!
//! An opening that a fork has from its snapshot is not one of the host's any more. Processes outside of the machine see it
//! closed, and the fork sees nobody there.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::stat::Metadata;
use warmfork_memory::HostFile;

use crate::edges::HostEdges;
use crate::events::Events;
use crate::host::{Host, errno};
use crate::metadata::{host_metadata, host_path};
use crate::objects::fifos::FifoId;
use crate::objects::pipes::{Ends, PipeEnd};
use crate::objects::{Context, Operations, Shared};
use crate::wait_queues::Queue;

/// An opening of a FIFO.
#[derive(Clone, PartialEq, Debug)]
pub struct Fifo {
    /// Which FIFO it is.
    pub id: FifoId,
    /// The file (O_PATH).
    pub place: Arc<HostFile>,
    reader: Option<PipeEnd>,
    writer: Option<PipeEnd>,
    /// The host's opening, without blocking, of this machine's.
    outside: Option<Arc<HostFile>>,
    edges: HostEdges,
    /// Since it was opened it has had a writer that the host does not know.
    pub had_writer: bool,
}

impl Fifo {
    /// Opens the FIFO `id`, which is at `place`, and which the host has opened too if it is `outside`.
    pub fn open(
        shared: &mut Shared,
        id: FifoId,
        place: Arc<HostFile>,
        ends: Ends,
        outside: Option<Arc<HostFile>>,
    ) -> Self {
        let (reader, writer) = shared.fifos.open(&mut shared.pipes, id, ends);
        Self { id, place, reader, writer, outside, edges: HostEdges::default(), had_writer: false }
    }

    /// Which ends it is.
    #[must_use]
    pub fn ends(&self) -> Ends {
        Ends { reads: self.reader.is_some(), writes: self.writer.is_some() }
    }

    /// Whether the host has it open.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        self.outside.is_some()
    }

    /// The host has opened it.
    pub fn opened(&mut self, outside: Arc<HostFile>) {
        self.outside = Some(outside);
    }

    /// Whether somebody outside has written, or has come and left.
    pub fn has_news(&self, host: &mut Host) -> bool {
        self.outside.as_ref().is_some_and(|outside| !host.poll(outside, Events::IN).is_empty())
    }
}

impl Operations for Fifo {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        let inside = self.reader.as_mut().ok_or(Errno::EBADF)?.read(context, into, at);
        match (inside, &self.outside) {
            (Ok(0) | Err(Errno::EAGAIN), Some(outside)) if !into.is_empty() => {
                match rustix::io::read(outside, into).map_err(errno) {
                    Ok(0) => inside,
                    read => read,
                }
            }
            _ => inside,
        }
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], at: Option<u64>) -> Result<usize, Errno> {
        let writer = self.writer.as_mut().ok_or(Errno::EBADF)?;
        match &self.outside {
            Some(outside) if !context.shared.pipes.has_reader(writer) && at.is_none() => {
                rustix::io::write(outside, from).map_err(errno)
            }
            _ => writer.write(context, from, at),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        let mut events = Events::empty();
        let interest = context.interest;
        let outside = self.outside.as_ref().map(|outside| context.host.poll(outside, interest));
        if let Some(reader) = &mut self.reader {
            let inside = reader.poll(context);
            let host = outside.unwrap_or(Events::empty());
            events |= (inside | host) & (Events::IN | Events::RDNORM);
            events.set(Events::HUP, inside.contains(Events::HUP) && (self.had_writer || host.contains(Events::HUP)));
        }
        if let Some(writer) = &mut self.writer {
            let known = Events::OUT | Events::WRNORM | Events::ERR;
            events |= match outside {
                Some(host) if !context.shared.pipes.has_reader(writer) => host & known,
                _ => writer.poll(context),
            };
        }
        events
    }

    fn edges(&mut self, context: &mut Context<'_>, events: Events) -> u64 {
        let outside = match &self.outside {
            Some(outside) => self.edges.number(context.host, outside),
            None => self.edges.last(),
        };
        // Each only grows.
        let ends = [&mut self.reader, &mut self.writer].into_iter().flatten();
        ends.fold(outside, |sum, end| sum.wrapping_add(end.edges(context, events)))
    }

    fn available(&mut self, context: &mut Context<'_>) -> Result<usize, Errno> {
        let end = self.reader.as_mut().or(self.writer.as_mut()).ok_or(Errno::EBADF)?;
        let outside = self.outside.as_ref().map_or(Ok(0), rustix::io::ioctl_fionread).map_err(errno)?;
        Ok(end.available(context)?.saturating_add(usize::try_from(outside).unwrap_or(usize::MAX)))
    }

    fn pipe_size(&mut self, context: &mut Context<'_>) -> Result<u32, Errno> {
        self.reader.as_mut().or(self.writer.as_mut()).ok_or(Errno::EBADF)?.pipe_size(context)
    }

    fn set_pipe_size(&mut self, context: &mut Context<'_>, size: u32) -> Result<u32, Errno> {
        self.reader.as_mut().or(self.writer.as_mut()).ok_or(Errno::EBADF)?.set_pipe_size(context, size)
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        host_metadata(self.place.as_fd())
    }

    fn host_file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.outside.as_ref().unwrap_or(&self.place).as_fd())
    }

    fn queues(&self) -> [Option<Queue>; 2] {
        [&self.reader, &self.writer].map(|end| end.as_ref().map(PipeEnd::queue))
    }

    fn link_text(&self) -> Vec<u8> {
        host_path(&self.place).unwrap_or_else(|| b"fifo".to_vec())
    }

    fn close(&mut self, context: &mut Context<'_>) {
        for end in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            context.shared.fifos.close(&mut context.shared.pipes, self.id, &end);
        }
    }

    /// The host forgets the opening when the machine is frozen.
    fn prepare_freeze(&mut self, context: &mut Context<'_>) {
        if let Some(outside) = &self.outside {
            self.edges.freeze(context.host, outside);
        }
        let Some(reader) = &self.reader else { return };
        let hung_up = |outside: &Arc<HostFile>| context.host.poll(outside, Events::IN).contains(Events::HUP);
        self.had_writer |= self.outside.as_ref().is_some_and(hung_up) || context.shared.pipes.has_writer(reader);
    }

    /// It is not open outside of the machine any more.
    fn share(&mut self) {
        self.outside = None;
    }
}
