//! Buffers of a guest: one, or an array of `struct iovec`.

use warmfork_abi::Errno;
use warmfork_abi::socket::IOV_MAX;
use warmfork_memory::{Fault, GuestMemory};

/// Most bytes that one call moves (MAX_RW_COUNT).
pub const MOST_BYTES: usize = 0x7fff_f000;

/// Buffers of a guest, in order. Never more than [`MOST_BYTES`] in all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Vectors {
    first: (u64, usize),
    rest: Vec<(u64, usize)>,
    total: usize,
}

impl Vectors {
    /// One buffer.
    #[must_use]
    pub fn one(address: u64, length: usize) -> Self {
        let length = length.min(MOST_BYTES);
        Self { first: (address, length), rest: Vec::new(), total: length }
    }

    /// The array of `count` buffers at `address`.
    ///
    /// # Errors
    /// EFAULT; EINVAL for a length that is negative as a signed number, and for more than 1024 buffers.
    pub fn read(memory: &dyn GuestMemory, address: u64, count: u64) -> Result<Self, Errno> {
        if count > IOV_MAX {
            return Err(Errno::EINVAL);
        }
        let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
        let bytes = memory.read_vec(address, count * 16)?;
        let mut vectors = Self::default();
        for (index, entry) in bytes.chunks_exact(16).enumerate() {
            let word = |from: usize| entry[from..from + 8].try_into().map_or(0, u64::from_le_bytes);
            let length = isize::try_from(word(8)).ok().and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or(Errno::EINVAL)?.min(MOST_BYTES - vectors.total);
            vectors.total += length;
            match index {
                0 => vectors.first = (word(0), length),
                _ => vectors.rest.push((word(0), length)),
            }
        }
        Ok(vectors)
    }

    /// Bytes in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Fills `into` with what lies `skip` bytes into the buffers; how many bytes there were.
    ///
    /// # Errors
    /// [`Fault`] when a buffer cannot be read.
    pub fn gather(&self, memory: &dyn GuestMemory, skip: usize, into: &mut [u8]) -> Result<usize, Fault> {
        let mut done = 0;
        for (address, length) in self.parts(skip) {
            let count = length.min(into.len() - done);
            memory.read(address, &mut into[done..done + count])?;
            done += count;
        }
        Ok(done)
    }

    /// Writes `from` to the buffers, from `skip` bytes into them on.
    ///
    /// # Errors
    /// [`Fault`] when a buffer cannot be written.
    pub fn scatter(&self, memory: &dyn GuestMemory, skip: usize, from: &[u8]) -> Result<(), Fault> {
        let mut done = 0;
        for (address, length) in self.parts(skip) {
            let count = length.min(from.len() - done);
            memory.write(address, &from[done..done + count])?;
            done += count;
        }
        Ok(())
    }

    /// What is left of each buffer after the first `skip` bytes of all.
    fn parts(&self, skip: usize) -> impl Iterator<Item = (u64, usize)> {
        let mut skip = skip;
        std::iter::once(self.first).chain(self.rest.iter().copied()).filter_map(move |(address, length)| {
            let skipped = skip.min(length);
            skip -= skipped;
            // An address beyond all memory faults when it is used.
            (length > skipped).then(|| (address.saturating_add(skipped as u64), length - skipped))
        })
    }
}
