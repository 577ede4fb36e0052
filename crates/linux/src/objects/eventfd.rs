//! Event counters: eventfd(2).

use warmfork_abi::Errno;

use crate::events::Events;
use crate::objects::{Context, Operations};

/// An event counter.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EventFd {
    count: u64,
    semaphore: bool,
    written: u64,
    read: u64,
}

impl EventFd {
    /// A counter that starts at `count`; with `semaphore` each read takes one.
    #[must_use]
    pub fn new(count: u32, semaphore: bool) -> Self {
        Self { count: u64::from(count), semaphore, written: 0, read: 0 }
    }

    /// Takes the count, or one of it.
    fn take(&mut self) -> Result<u64, Errno> {
        if self.count == 0 {
            return Err(Errno::EAGAIN);
        }
        let taken = if self.semaphore { 1 } else { self.count };
        self.count -= taken;
        self.read += 1;
        Ok(taken)
    }

    fn add(&mut self, value: u64) -> Result<(), Errno> {
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        let sum = self.count.checked_add(value).filter(|&sum| sum < u64::MAX);
        self.count = sum.ok_or(Errno::EAGAIN)?;
        self.written += 1;
        Ok(())
    }
}

impl Operations for EventFd {
    fn link_text(&self) -> Vec<u8> {
        b"anon_inode:[eventfd]".to_vec()
    }

    fn read(&mut self, _context: &mut Context<'_>, into: &mut [u8], _at: Option<u64>) -> Result<usize, Errno> {
        let into: &mut [u8; 8] = into.first_chunk_mut().ok_or(Errno::EINVAL)?;
        *into = self.take()?.to_le_bytes();
        Ok(8)
    }

    fn write(&mut self, _context: &mut Context<'_>, from: &[u8], _at: Option<u64>) -> Result<usize, Errno> {
        let from: &[u8; 8] = from.first_chunk().ok_or(Errno::EINVAL)?;
        self.add(u64::from_le_bytes(*from))?;
        Ok(8)
    }

    fn seek(&mut self, _context: &mut Context<'_>, _by: i64, _whence: u32) -> Result<u64, Errno> {
        Ok(0)
    }

    fn poll(&mut self, _context: &mut Context<'_>) -> Events {
        let mut events = Events::empty();
        events.set(Events::IN, self.count > 0);
        events.set(Events::OUT, self.count < u64::MAX - 1);
        events
    }

    fn edges(&mut self, _context: &mut Context<'_>, events: Events) -> u64 {
        let written = if events.contains(Events::IN) { self.written } else { 0 };
        let read = if events.contains(Events::OUT) { self.read } else { 0 };
        written.wrapping_add(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_takes_all() {
        let mut counter = EventFd::new(3, false);
        counter.add(4).unwrap();
        assert_eq!(counter.take(), Ok(7));
        assert_eq!(counter.take(), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_semaphore_gives_ones() {
        let mut counter = EventFd::new(2, true);
        assert_eq!(counter.take(), Ok(1));
        assert_eq!(counter.take(), Ok(1));
        assert_eq!(counter.take(), Err(Errno::EAGAIN));
    }

    #[test]
    fn the_counter_does_not_overflow() {
        let mut counter = EventFd::new(0, false);
        assert_eq!(counter.add(u64::MAX), Err(Errno::EINVAL));
        assert_eq!(counter.add(u64::MAX - 1), Ok(()));
        assert_eq!(counter.add(1), Err(Errno::EAGAIN));
        assert_eq!(counter.add(0), Ok(()));
    }
}
