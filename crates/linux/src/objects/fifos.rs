//! The FIFOs that the machine has open, each with the pipe between its own processes ([`crate::objects::fifo`]), and which
//! were opened lately: an open that waits for the other side must learn that it came, even when it is gone again by then.

use std::collections::{BTreeMap, VecDeque};

use warmfork_abi::stat::Metadata;

use crate::events::DescriptionId;
use crate::objects::pipes::{Ends, PipeEnd, Pipes};

/// Most openings that are remembered. A waiting open looks again in milliseconds.
const REMEMBERED: usize = 256;

/// Which file a FIFO is: device and inode.
pub type FifoId = ((u32, u32), u64);

/// The FIFO that `metadata` is of.
#[must_use]
pub fn id(metadata: &Metadata) -> FifoId {
    (metadata.device, metadata.inode)
}

/// An open(2) of one end that waits for the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// The FIFO.
    pub fifo: FifoId,
    /// [`Fifos::now`] when it began to wait.
    pub since: u64,
    /// The end that reads, which a writer must find open: a description that no descriptor refers to.
    pub reader: Option<DescriptionId>,
}

/// The FIFOs of a machine.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fifos {
    /// The pipe of each that is open.
    pipes: BTreeMap<FifoId, u64>,
    recent: VecDeque<(u64, FifoId, Ends)>,
    count: u64,
}

impl Fifos {
    /// New ends of the pipe in FIFO `id`: one that reads, one that writes.
    pub fn open(&mut self, pipes: &mut Pipes, id: FifoId, ends: Ends) -> (Option<PipeEnd>, Option<PipeEnd>) {
        let mut end = |wanted: bool, writer| {
            wanted.then(|| {
                let (pipe, end) = pipes.open_named(self.pipes.get(&id).copied(), writer);
                self.pipes.insert(id, pipe);
                end
            })
        };
        (end(ends.reads, false), end(ends.writes, true))
    }

    /// Closes an end of the pipe in FIFO `id`, which is empty when the last one is.
    pub fn close(&mut self, pipes: &mut Pipes, id: FifoId, end: &PipeEnd) {
        if pipes.close(end) {
            self.pipes.remove(&id);
        }
    }

    /// Whether one of the machine's reads from FIFO `id`, and whether one writes to it.
    #[must_use]
    pub fn ends(&self, pipes: &Pipes, id: FifoId) -> Ends {
        self.pipes.get(&id).map_or(Ends { reads: false, writes: false }, |pipe| pipes.ends(*pipe))
    }

    /// A number that each opening raises.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.count
    }

    /// Notes an opening.
    pub fn opened(&mut self, fifo: FifoId, ends: Ends) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((self.count, fifo, ends));
        self.count += 1;
    }

    /// Whether `fifo` was opened for reading (or, with `writing`, for writing) since then.
    #[must_use]
    pub fn came(&self, fifo: FifoId, writing: bool, since: u64) -> bool {
        let wanted = |ends: &Ends| if writing { ends.writes } else { ends.reads };
        self.recent.iter().any(|(number, opened, ends)| *number >= since && *opened == fifo && wanted(ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: Ends = Ends { reads: true, writes: false };

    #[test]
    fn only_what_came_later_counts() {
        let (one, other) = (((0, 1), 5), ((0, 1), 6));
        let mut fifos = Fifos::default();
        fifos.opened(one, READER);
        let now = fifos.now();
        assert!(!fifos.came(one, false, now));
        fifos.opened(other, READER);
        assert!(!fifos.came(one, false, now));
        fifos.opened(one, READER);
        assert!(fifos.came(one, false, now));
        assert!(!fifos.came(one, true, now));
    }

    #[test]
    fn ends_of_one_fifo_share_a_pipe_until_all_are_closed() {
        let (mut fifos, mut pipes) = (Fifos::default(), Pipes::default());
        let (one, other) = (((0, 1), 5), ((0, 1), 6));
        let (reader, none) = fifos.open(&mut pipes, one, READER);
        let (strangers, writer) = fifos.open(&mut pipes, other, Ends { reads: true, writes: true });
        assert!(none.is_none() && fifos.ends(&pipes, one) == READER);
        let (_, own) = fifos.open(&mut pipes, one, Ends { reads: false, writes: true });
        let (reader, own) = (reader.unwrap(), own.unwrap());
        assert!(reader.same_pipe(&own) && !reader.same_pipe(&strangers.unwrap()) && !own.same_pipe(&writer.unwrap()));
        fifos.close(&mut pipes, one, &own);
        assert_eq!(fifos.ends(&pipes, one), READER);
        fifos.close(&mut pipes, one, &reader);
        assert_eq!(fifos.ends(&pipes, one), Ends { reads: false, writes: false });
        assert_eq!(fifos.pipes.len(), 1);
    }

    #[test]
    fn few_are_remembered() {
        let mut fifos = Fifos::default();
        for inode in 0..10_000 {
            fifos.opened(((0, 1), inode), READER);
        }
        assert_eq!(fifos.recent.len(), REMEMBERED);
        assert!(fifos.came(((0, 1), 9_999), false, 0));
    }
}
