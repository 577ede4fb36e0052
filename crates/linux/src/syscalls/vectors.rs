//! Buffers of a guest: one, or an array of `struct iovec`.

use warmfork_abi::socket::IOV_MAX;
use warmfork_abi::{Errno, USER_END};
use warmfork_memory::{AreaTree, Fault, GuestMemory, Protection};

/// Most bytes that one call moves (MAX_RW_COUNT).
pub const MAX_BYTES: usize = 0x7fff_f000;

/// Whether a buffer lies where user memory can be (access_ok).
fn check_range(address: u64, length: usize) -> Result<(), Errno> {
    let end = address.checked_add(length as u64).filter(|&end| end <= USER_END);
    if end.is_some() { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Buffers of a guest, in order. Never more than [`MAX_BYTES`] in all.
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
        let length = length.min(MAX_BYTES);
        Self { first: (address, length), rest: Vec::new(), total: length }
    }

    /// One buffer, which must lie where user memory can be.
    ///
    /// # Errors
    /// EFAULT when it does not.
    pub fn checked(address: u64, length: usize) -> Result<Self, Errno> {
        check_range(address, length)?;
        Ok(Self::one(address, length))
    }

    /// The array of `count` buffers at `address`.
    ///
    /// # Errors
    /// EFAULT, also for buffers that do not lie where user memory can be; EINVAL for a length that is negative as a
    /// signed number, and for more than 1024 buffers.
    pub fn read(memory: &dyn GuestMemory, address: u64, count: u64) -> Result<Self, Errno> {
        if count > IOV_MAX {
            return Err(Errno::EINVAL);
        }
        let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
        let bytes = memory.read_vec(address, count * 16)?;
        let word = |entry: &[u8], from: usize| entry[from..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let entries = bytes.chunks_exact(16).map(|entry| (word(entry, 0), word(entry, 8)));
        if entries.clone().any(|(_, length)| length.cast_signed() < 0) {
            return Err(Errno::EINVAL);
        }
        let mut vectors = Self::default();
        for (index, (address, length)) in entries.enumerate() {
            let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
            check_range(address, length)?;
            let length = length.min(MAX_BYTES - vectors.total);
            vectors.total += length;
            match index {
                0 => vectors.first = (address, length),
                _ => vectors.rest.push((address, length)),
            }
        }
        Ok(vectors)
    }

    /// Bytes in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Fills `into` with the bytes from `skip` on in the buffers; returns how many there were.
    ///
    /// # Errors
    /// [`Fault`] when a buffer cannot be read.
    pub fn gather(&self, memory: &dyn GuestMemory, skip: usize, into: &mut [u8]) -> Result<usize, Fault> {
        self.with_pieces(skip, into.len(), |pieces, count| {
            memory.read_all(pieces, &mut into[..count])?;
            Ok(count)
        })
    }

    /// Writes `from`, or as much as there is room for, to the buffers, from `skip` bytes into them on.
    ///
    /// # Errors
    /// [`Fault`] when a buffer cannot be written.
    pub fn scatter(&self, memory: &dyn GuestMemory, skip: usize, from: &[u8]) -> Result<(), Fault> {
        self.with_pieces(skip, from.len(), |pieces, count| memory.write_all(pieces, &from[..count]))
    }

    /// As [`Vectors::gather`], up to the first byte that cannot be read.
    pub fn gather_some(&self, memory: &dyn GuestMemory, skip: usize, into: &mut [u8]) -> usize {
        self.with_pieces(skip, into.len(), |pieces, count| memory.read_parts(pieces, &mut into[..count]))
    }

    /// As [`Vectors::scatter`], up to the first byte that cannot be written; how many bytes were.
    pub fn scatter_some(&self, memory: &dyn GuestMemory, skip: usize, from: &[u8]) -> usize {
        self.with_pieces(skip, from.len(), |pieces, count| memory.write_parts(pieces, &from[..count]))
    }

    /// Calls `transfer` with the buffers from `skip` bytes into them on, cut to `most` bytes in all, and with how many they
    /// are.
    fn with_pieces<T>(&self, skip: usize, most: usize, transfer: impl FnOnce(&[(u64, usize)], usize) -> T) -> T {
        let mut left = most;
        let mut pieces = self.parts(skip).map_while(|(address, length)| {
            let count = length.min(left);
            left -= count;
            (count > 0).then_some((address, count))
        });
        // Mostly it is one, which takes no allocation.
        let (one, several);
        let pieces = if self.rest.is_empty() {
            one = pieces.next();
            one.as_slice()
        } else {
            several = pieces.collect::<Vec<_>>();
            &several
        };
        transfer(pieces, most - left)
    }

    /// How many bytes from the start on the guest may write to, as far as its mappings tell.
    #[must_use]
    pub fn writable(&self, areas: &AreaTree) -> usize {
        let mut total = 0;
        for (address, length) in self.parts(0) {
            let mut done = 0;
            while done < length {
                let at = address + done as u64;
                let area = areas.find(at).filter(|area| area.protection.contains(Protection::WRITE));
                let Some(area) = area else { return total + done };
                let left = usize::try_from(area.span.end - at).unwrap_or(usize::MAX);
                done += left.min(length - done);
            }
            total += length;
        }
        total
    }

    /// The rest of each buffer after the first `skip` bytes of all.
    pub fn parts(&self, skip: usize) -> impl Iterator<Item = (u64, usize)> {
        let mut skip = skip;
        std::iter::once(self.first).chain(self.rest.iter().copied()).filter_map(move |(address, length)| {
            let skipped = skip.min(length);
            skip -= skipped;
            // An address beyond all memory faults when it is used.
            (length > skipped).then(|| (address.saturating_add(skipped as u64), length - skipped))
        })
    }
}
