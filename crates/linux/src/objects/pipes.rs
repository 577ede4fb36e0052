//! The pipes of a machine: each a queue of page-sized buffers, as Linux keeps them, between a read end and a write end.
//!
//! Buffers rather than bytes, because a guest can tell: a full pipe takes more only when a whole buffer has been
//! read, and a packet (O_DIRECT) is a buffer that is read alone.

use std::collections::VecDeque;

use warmfork_abi::Errno;

use crate::events::Events;
use crate::news::News;
use crate::objects::registry::Registry;
use crate::wait_queues::Queue;

/// Bytes in one buffer; a write of no more than this is atomic (PIPE_BUF).
pub const BUFFER: usize = 4096;
/// Buffers of a new pipe.
const DEFAULT_SLOTS: usize = 16;
/// Buffers of a new pipe when the guest's pipes together are above [`SOFT_LIMIT`].
const SCARCE_SLOTS: usize = 2;
/// Buffers of all pipes together, beyond which pipes get few (pipe-user-pages-soft).
const SOFT_LIMIT: usize = 16384;
/// Largest capacity that F_SETPIPE_SZ gives (pipe-max-size).
const LARGEST: u32 = 1 << 20;

/// All pipes of a machine.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Pipes {
    table: Registry<Pipe>,
    slots: usize,
}

/// One end, or both, of a pipe or a FIFO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// It is read from.
    pub reads: bool,
    /// It is written to.
    pub writes: bool,
}

/// The state that two ends share.
#[derive(Clone, PartialEq, Debug)]
pub struct Pipe {
    buffers: VecDeque<Buffer>,
    slots: usize,
    readers: u32,
    writers: u32,
    read_edges: u64,
    write_edges: u64,
}

#[derive(Clone, PartialEq, Debug)]
struct Buffer {
    data: Vec<u8>,
    /// How much of `data` has been read.
    start: usize,
    packet: bool,
}

impl Pipes {
    /// The pipes that may have changed.
    pub fn news(&mut self) -> &mut News<u64> {
        self.table.news()
    }

    /// A new pipe: its read end and its write end.
    pub fn create(&mut self) -> (PipeEnd, PipeEnd) {
        let pipe = self.insert(1, 1);
        (PipeEnd { pipe, writer: false }, PipeEnd { pipe, writer: true })
    }

    /// One more end of the pipe of `end`, as opening /proc/self/fd/N makes it.
    ///
    /// # Errors
    /// ENXIO when the pipe is gone.
    pub fn open(&mut self, end: &PipeEnd, writer: bool) -> Result<PipeEnd, Errno> {
        let pipe = self.table.get_mut(end.pipe).ok_or(Errno::ENXIO)?;
        if writer {
            pipe.writers += 1
        } else {
            pipe.readers += 1
        }
        Ok(PipeEnd { pipe: end.pipe, writer })
    }

    /// One more end of pipe `id`, or the first of a new one; its id too.
    pub fn open_named(&mut self, id: Option<u64>, writer: bool) -> (u64, PipeEnd) {
        let known = id.filter(|id| self.table.get(*id).is_some());
        let pipe = known.unwrap_or_else(|| self.insert(0, 0));
        let end = PipeEnd { pipe, writer };
        // It is there.
        let _ = self.open(&end, writer);
        (pipe, end)
    }

    fn insert(&mut self, readers: u32, writers: u32) -> u64 {
        let slots = if self.slots >= SOFT_LIMIT { SCARCE_SLOTS } else { DEFAULT_SLOTS };
        self.slots += slots;
        self.table.insert(Pipe { buffers: VecDeque::new(), slots, readers, writers, read_edges: 0, write_edges: 0 })
    }

    /// Which ends of pipe `id` are open.
    #[must_use]
    pub fn ends(&self, id: u64) -> Ends {
        let pipe = self.table.get(id);
        Ends { reads: pipe.is_some_and(|pipe| pipe.readers > 0), writes: pipe.is_some_and(|pipe| pipe.writers > 0) }
    }

    /// Whether somebody reads from the pipe that `end` is of.
    #[must_use]
    pub fn has_reader(&self, end: &PipeEnd) -> bool {
        self.ends(end.pipe).reads
    }

    /// Whether somebody writes to the pipe that `end` is of.
    #[must_use]
    pub fn has_writer(&self, end: &PipeEnd) -> bool {
        self.ends(end.pipe).writes
    }

    /// The pipe that `end` is of, unless it is gone.
    #[must_use]
    pub fn look(&self, end: &PipeEnd) -> Option<&Pipe> {
        self.table.get(end.pipe)
    }

    /// As [`Pipes::look`], to change it.
    ///
    /// # Errors
    /// EBADF when it is gone.
    pub fn of(&mut self, end: &PipeEnd) -> Result<&mut Pipe, Errno> {
        self.table.get_mut(end.pipe).ok_or(Errno::EBADF)
    }

    /// Changes the capacity of the pipe of `end` to at least `size` bytes, and returns it.
    ///
    /// # Errors
    /// EBADF when it is gone, EINVAL and EPERM for too much, EBUSY when more is in it.
    pub fn resize(&mut self, end: &PipeEnd, size: u32) -> Result<u32, Errno> {
        if size > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let size = size.max(4096).next_power_of_two();
        let slots = size as usize / BUFFER;
        let others = self.slots;
        let pipe = self.table.get_mut(end.pipe).ok_or(Errno::EBADF)?;
        if slots > pipe.slots && (size > LARGEST || others - pipe.slots + slots > SOFT_LIMIT) {
            return Err(Errno::EPERM);
        }
        if slots < pipe.buffers.len() {
            return Err(Errno::EBUSY);
        }
        self.slots = others - pipe.slots + slots;
        if slots > pipe.slots {
            pipe.write_edges += 1;
        }
        pipe.slots = slots;
        Ok(size)
    }

    /// Closes an end; whether the pipe is gone with it.
    pub fn close(&mut self, end: &PipeEnd) -> bool {
        let Some(pipe) = self.table.get_mut(end.pipe) else { return true };
        if end.writer {
            pipe.writers -= 1;
        } else {
            pipe.readers -= 1;
        }
        pipe.read_edges += 1;
        pipe.write_edges += 1;
        if pipe.readers == 0 && pipe.writers == 0 {
            self.slots -= pipe.slots;
            self.table.remove(end.pipe);
            return true;
        }
        false
    }
}

impl Pipe {
    fn full(&self) -> bool {
        self.buffers.len() >= self.slots
    }

    /// The events that one of its ends is ready for.
    #[must_use]
    pub fn events(&self, writer: bool) -> Events {
        let mut events = Events::empty();
        if writer {
            events.set(Events::OUT | Events::WRNORM, !self.full());
            events.set(Events::ERR, self.readers == 0);
        } else {
            events.set(Events::IN | Events::RDNORM, !self.buffers.is_empty());
            events.set(Events::HUP, self.writers == 0);
        }
        events
    }

    /// A number that changes when a wait at one of its ends would end.
    #[must_use]
    pub fn edges(&self, writer: bool) -> u64 {
        if writer { self.write_edges } else { self.read_edges }
    }

    /// Its capacity in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots * BUFFER
    }

    /// Bytes in it.
    #[must_use]
    pub fn length(&self) -> usize {
        self.buffers.iter().map(|buffer| buffer.data.len() - buffer.start).sum()
    }

    /// Reads; removes the bytes if it is to `consume` them.
    ///
    /// # Errors
    /// EAGAIN when it is empty and somebody writes.
    pub fn read(&mut self, into: &mut [u8], consume: bool) -> Result<usize, Errno> {
        if into.is_empty() {
            return Ok(0);
        }
        if self.buffers.is_empty() {
            return if self.writers == 0 { Ok(0) } else { Err(Errno::EAGAIN) };
        }
        let (mut done, mut drained) = (0, 0);
        for buffer in &mut self.buffers {
            let rest = &buffer.data[buffer.start..];
            let count = rest.len().min(into.len() - done);
            into[done..done + count].copy_from_slice(&rest[..count]);
            done += count;
            let ends = count == rest.len() || buffer.packet;
            drained += usize::from(ends);
            if consume {
                buffer.start += count;
            }
            if !ends || buffer.packet || done == into.len() {
                break;
            }
        }
        if consume && drained > 0 {
            self.write_edges += u64::from(self.full());
            self.buffers.drain(..drained);
        }
        Ok(done)
    }

    /// Writes; with `packets` the content of each buffer is read alone.
    ///
    /// # Errors
    /// EPIPE when nobody reads, EAGAIN when it is full.
    pub fn write(&mut self, from: &[u8], packets: bool) -> Result<usize, Errno> {
        if from.is_empty() {
            return Ok(0);
        }
        if self.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let mut done = if packets { 0 } else { self.append(from) };
        while done < from.len() && !self.full() {
            let count = (from.len() - done).min(BUFFER);
            self.buffers.push_back(Buffer { data: from[done..done + count].to_vec(), start: 0, packet: packets });
            done += count;
        }
        if done == 0 {
            return Err(Errno::EAGAIN);
        }
        self.read_edges += 1;
        Ok(done)
    }

    /// Puts the odd bytes of a write into the last buffer when they fit there, as Linux does.
    fn append(&mut self, from: &[u8]) -> usize {
        let odd = from.len() % BUFFER;
        match self.buffers.back_mut() {
            Some(last) if odd > 0 && !last.packet && last.data.len() + odd <= BUFFER => {
                last.data.extend_from_slice(&from[..odd]);
                odd
            }
            _ => 0,
        }
    }
}

/// One end of a pipe.
#[derive(Clone, PartialEq, Debug)]
pub struct PipeEnd {
    pipe: u64,
    writer: bool,
}

impl PipeEnd {
    /// Whether it is the write end.
    #[must_use]
    pub fn is_writer(&self) -> bool {
        self.writer
    }

    /// Whether both are ends of the same pipe.
    #[must_use]
    pub fn same_pipe(&self, other: &Self) -> bool {
        self.pipe == other.pipe
    }

    /// Reads without consuming (tee).
    ///
    /// # Errors
    /// As reading.
    pub fn peek(&self, pipes: &mut Pipes, into: &mut [u8]) -> Result<usize, Errno> {
        pipes.table.get_mut(self.pipe).ok_or(Errno::EBADF)?.read(into, false)
    }

    /// The queue of those that wait for its pipe.
    #[must_use]
    pub fn queue(&self) -> Queue {
        Queue::Pipe(self.pipe)
    }

    /// How many bytes a write could place now, at most.
    #[must_use]
    pub fn room(&self, pipes: &Pipes) -> usize {
        pipes.table.get(self.pipe).map_or(0, |pipe| pipe.slots.saturating_sub(pipe.buffers.len()) * BUFFER)
    }

    /// Its pipe's inode number.
    #[must_use]
    pub fn inode(&self) -> u64 {
        (2 << 32) + self.pipe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> Pipe {
        let mut pipes = Pipes::default();
        let (reader, _) = pipes.create();
        pipes.table.remove(reader.pipe).unwrap()
    }

    #[test]
    fn bytes_come_out_in_order() {
        let mut pipe = pipe();
        assert_eq!(pipe.write(b"hello ", false), Ok(6));
        assert_eq!(pipe.write(b"world", false), Ok(5));
        assert_eq!(pipe.length(), 11);
        let mut bytes = [0; 32];
        assert_eq!(pipe.read(&mut bytes[..3], true), Ok(3));
        assert_eq!(pipe.read(&mut bytes[3..], true), Ok(8));
        assert_eq!(&bytes[..11], b"hello world");
        assert_eq!(pipe.read(&mut bytes, true), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_full_pipe_takes_more_when_a_buffer_is_free() {
        let mut pipe = pipe();
        assert_eq!(pipe.write(&vec![7; 100_000], false), Ok(65536));
        assert_eq!(pipe.write(b"x", false), Err(Errno::EAGAIN));
        let edges = pipe.write_edges;
        assert_eq!(pipe.read(&mut [0; 1], true), Ok(1));
        assert_eq!(pipe.write(b"x", false), Err(Errno::EAGAIN));
        assert_eq!(pipe.read(&mut [0; 4095], true), Ok(4095));
        assert_eq!(pipe.write_edges, edges + 1);
        assert_eq!(pipe.write(b"x", false), Ok(1));
    }

    #[test]
    fn a_small_write_is_all_or_nothing() {
        let mut pipe = pipe();
        assert_eq!(pipe.write(&vec![7; 65536 - 4096 + 100], false), Ok(65536 - 4096 + 100));
        assert_eq!(pipe.write(&[1; 4096], false), Err(Errno::EAGAIN));
        assert_eq!(pipe.write(&[1; 3996], false), Ok(3996));
    }

    #[test]
    fn packets_are_read_one_by_one() {
        let mut pipe = pipe();
        assert_eq!(pipe.write(b"one", true), Ok(3));
        assert_eq!(pipe.write(b"two", true), Ok(3));
        let mut bytes = [0; 8];
        assert_eq!(pipe.read(&mut bytes[..2], true), Ok(2));
        assert_eq!(pipe.read(&mut bytes, true), Ok(3));
        assert_eq!(&bytes[..3], b"two");
    }

    #[test]
    fn peeking_leaves_everything() {
        let mut pipe = pipe();
        pipe.write(b"abc", false).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(pipe.read(&mut bytes, false), Ok(3));
        assert_eq!(pipe.read(&mut bytes, false), Ok(3));
        assert_eq!(pipe.length(), 3);
    }

    #[test]
    fn ends_that_are_gone_show() {
        let mut pipes = Pipes::default();
        let (reader, writer) = pipes.create();
        pipes.table.get_mut(reader.pipe).unwrap().write(b"x", false).unwrap();
        pipes.close(&writer);
        let pipe = pipes.table.get_mut(reader.pipe).unwrap();
        assert_eq!(pipe.read(&mut [0; 8], true), Ok(1));
        assert_eq!(pipe.read(&mut [0; 8], true), Ok(0));
        pipes.close(&reader);
        assert_eq!(pipes, Pipes { table: pipes.table.clone(), slots: 0 });
        let (reader, writer) = pipes.create();
        pipes.close(&reader);
        assert_eq!(pipes.table.get_mut(writer.pipe).unwrap().write(b"x", false), Err(Errno::EPIPE));
    }

    #[test]
    fn sizes_follow_linux() {
        let mut pipes = Pipes::default();
        let (reader, _writer) = pipes.create();
        assert_eq!(pipes.resize(&reader, 1), Ok(4096));
        assert_eq!(pipes.resize(&reader, 70_000), Ok(131_072));
        assert_eq!(pipes.resize(&reader, 0), Ok(4096));
        assert_eq!(pipes.resize(&reader, 65536), Ok(65536));
        assert_eq!(pipes.resize(&reader, u32::MAX), Err(Errno::EINVAL));
        assert_eq!(pipes.resize(&reader, 1 << 21), Err(Errno::EPERM));
        pipes.table.get_mut(reader.pipe).unwrap().write(&[0; 10_000], false).unwrap();
        assert_eq!(pipes.resize(&reader, 4096), Err(Errno::EBUSY));
    }

    #[test]
    fn many_pipes_become_small() {
        let mut pipes = Pipes::default();
        for _ in 0..SOFT_LIMIT / DEFAULT_SLOTS {
            pipes.create();
        }
        let (reader, _) = pipes.create();
        assert_eq!(pipes.table.get(reader.pipe).unwrap().slots, SCARCE_SLOTS);
    }
}
