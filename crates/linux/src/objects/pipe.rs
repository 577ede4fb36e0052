//! Operations on one end of a pipe.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_DIRECT;
use warmfork_abi::stat::{Metadata, S_IFIFO};

use crate::events::Events;
use crate::objects::pipes::PipeEnd;
use crate::objects::{Context, Operations, anonymous};
use crate::wait_queues::Queue;

impl Operations for PipeEnd {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        if at.is_some() {
            return Err(Errno::ESPIPE);
        }
        if self.is_writer() {
            return Err(Errno::EBADF);
        }
        context.shared.pipes.of(self)?.read(into, true)
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], at: Option<u64>) -> Result<usize, Errno> {
        if at.is_some() {
            return Err(Errno::ESPIPE);
        }
        if !self.is_writer() {
            return Err(Errno::EBADF);
        }
        let packets = context.flags & O_DIRECT != 0;
        context.shared.pipes.of(self)?.write(from, packets)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        context.shared.pipes.look(self).map_or(Events::NVAL, |pipe| pipe.events(self.is_writer()))
    }

    fn edges(&mut self, context: &mut Context<'_>, _events: Events) -> u64 {
        context.shared.pipes.look(self).map_or(0, |pipe| pipe.edges(self.is_writer()))
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        Ok(anonymous(S_IFIFO | 0o600, self.inode()))
    }

    fn available(&mut self, context: &mut Context<'_>) -> Result<usize, Errno> {
        Ok(context.shared.pipes.of(self)?.length())
    }

    fn pipe_size(&mut self, context: &mut Context<'_>) -> Result<u32, Errno> {
        u32::try_from(context.shared.pipes.of(self)?.capacity()).map_err(|_| Errno::EINVAL)
    }

    fn set_pipe_size(&mut self, context: &mut Context<'_>, size: u32) -> Result<u32, Errno> {
        context.shared.pipes.resize(self, size)
    }

    fn queues(&self) -> [Option<Queue>; 2] {
        [Some(self.queue()), None]
    }

    fn link_text(&self) -> Vec<u8> {
        format!("pipe:[{}]", self.inode()).into_bytes()
    }

    fn close(&mut self, context: &mut Context<'_>) {
        context.shared.pipes.close(self);
    }
}
