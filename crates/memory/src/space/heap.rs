//! brk: the heap behind a program's data.

use warmfork_abi::mman::MapFlags;
use warmfork_abi::{Errno, PAGE, page_up};

use super::{AddressSpace, MapRequest};
use crate::host::GuestMemory;
use crate::span::{Protection, Span};

/// Where the heap begins, and where the guest has set its end (the break), which need not be a page's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Heap {
    /// First address of the heap.
    pub start: u64,
    /// The break.
    pub end: u64,
}

impl AddressSpace {
    /// The heap.
    #[must_use]
    pub fn heap(&self) -> Heap {
        self.heap
    }

    /// Begins an empty heap at `address`; the loader's choice, behind the program.
    pub fn start_heap(&mut self, address: u64) {
        self.heap = Heap { start: address, end: address };
    }

    /// Moves the break as brk does: to `address` where that can be, and returns where it is then.
    pub fn set_break(&mut self, memory: &mut dyn GuestMemory, address: u64) -> u64 {
        if address >= self.heap.start && self.move_break(memory, address).is_ok() {
            self.heap.end = address;
        }
        self.heap.end
    }

    fn move_break(&mut self, memory: &mut dyn GuestMemory, address: u64) -> Result<(), Errno> {
        let new = page_up(address).ok_or(Errno::ENOMEM)?;
        let old = page_up(self.heap.end).ok_or(Errno::ENOMEM)?;
        if let Some(given_up) = old.checked_sub(new).and_then(|length| Span::new(new, length)) {
            // Linux refuses to shrink a heap whose last part has been unmapped.
            return match self.areas.next(given_up.start) {
                Some(area) if area.span.start < old => self.clear(memory, given_up),
                _ => Err(Errno::ENOMEM),
            };
        }
        let Some(more) = Span::new(old, new - old) else { return Ok(()) };
        // One page stays free between the heap and what comes next.
        let wanted = Span { start: old, end: new.checked_add(PAGE).ok_or(Errno::ENOMEM)? };
        if wanted.end > self.layout.top() || self.areas.overlapping(wanted).next().is_some() {
            return Err(Errno::ENOMEM);
        }
        let mut request =
            MapRequest::anonymous(more.len(), Protection::READ | Protection::WRITE).fixed(more.start).labelled("heap");
        request.flags |= MapFlags::FIXED_NOREPLACE;
        self.map(memory, request).map(|_| ())
    }
}
