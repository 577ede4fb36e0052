//! Restartable sequences (rseq(2)): a thread's word that says which CPU it is on, and stretches of its code that start
//! over at an abort handler when it is pre-empted or gets a signal in the middle.
//!
//! All guest threads are on one CPU, number 0, so that the words never change after registration. Called by the run loop
//! when a thread was interrupted, and before a handler's frame is built.

use warmfork_abi::threads::{RSEQ_AREA_SIZE, RSEQ_CPU_ID_UNINITIALIZED, RSEQ_DESCRIPTOR_SIZE};
use warmfork_abi::{Errno, USER_END};
use warmfork_memory::GuestMemory;

/// A thread's registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sequences {
    /// The guest address of `struct rseq`.
    pub area: u64,
    /// The signature that stands before every abort handler.
    pub signature: u32,
}

/// Offset of `rseq_cs` in `struct rseq`: the address of the descriptor of the sequence that the thread may be in.
const CURRENT: u64 = 8;

impl Sequences {
    /// Writes the kernel's fields in the area of a thread: its CPU, its node, no sequence.
    ///
    /// # Errors
    /// EFAULT when it cannot be written.
    pub fn announce(self, memory: &dyn GuestMemory) -> Result<(), Errno> {
        memory.write(self.area, &[0; RSEQ_AREA_SIZE])?;
        Ok(())
    }

    /// Writes that the area is no thread's any more.
    ///
    /// # Errors
    /// As [`Sequences::announce`].
    pub fn withdraw(self, memory: &dyn GuestMemory) -> Result<(), Errno> {
        let mut bytes = [0; RSEQ_AREA_SIZE];
        bytes[4..8].copy_from_slice(&RSEQ_CPU_ID_UNINITIALIZED.to_le_bytes());
        memory.write(self.area, &bytes)?;
        Ok(())
    }

    /// Where a thread that was interrupted at `rip` goes on, when that is in the middle of its sequence.
    pub(crate) fn abort(self, memory: &dyn GuestMemory, rip: u64) -> Result<Option<u64>, Errno> {
        let current = self.area + CURRENT;
        let address = memory.read_u64(current)?;
        if address == 0 {
            return Ok(None);
        }
        let descriptor = Descriptor::read(memory, address)?;
        descriptor.check(memory, self.signature)?;
        memory.write_u64(current, 0)?;
        if !descriptor.contains(rip) {
            return Ok(None);
        }
        if descriptor.flags != 0 { Err(Errno::EINVAL) } else { Ok(Some(descriptor.abort)) }
    }
}

/// `struct rseq_cs`
struct Descriptor {
    version: u32,
    flags: u32,
    start: u64,
    length: u64,
    abort: u64,
}

impl Descriptor {
    fn read(memory: &dyn GuestMemory, address: u64) -> Result<Self, Errno> {
        let mut bytes = [0; RSEQ_DESCRIPTOR_SIZE];
        memory.read(address, &mut bytes)?;
        let half = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let word = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Ok(Self { version: half(0), flags: half(4), start: word(8), length: word(16), abort: word(24) })
    }

    /// Refuses a sequence that Linux kills a program for: addresses outside of it, an abort handler within the sequence, or one
    /// without the signature before it.
    fn check(&self, memory: &dyn GuestMemory, signature: u32) -> Result<(), Errno> {
        let end = self.start.checked_add(self.length).ok_or(Errno::EINVAL)?;
        let outside = self.start >= USER_END || end >= USER_END || self.abort >= USER_END;
        if outside || self.version != 0 || self.contains(self.abort) {
            return Err(Errno::EINVAL);
        }
        let before = self.abort.checked_sub(4).ok_or(Errno::EINVAL)?;
        if memory.read_u32(before)? == signature { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn contains(&self, rip: u64) -> bool {
        rip.wrapping_sub(self.start) < self.length
    }
}
