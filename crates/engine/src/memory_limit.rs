//! The memory that a machine has written to, and its limit.

use warmfork_abi::PAGE;
use warmfork_memory::Span;

use crate::error::EngineError;
use crate::machine::Machine;

impl Machine {
    /// Whether the guest has written more bytes than it may. Its memory files have a limit. So has its memory in all, where it was
    /// not counted when it was mapped: with mappings without a reservation, or several processes. `limit` is one more, which
    /// leaves out the content of the snapshot's memory files. Where there are mappings without a reservation, which may be
    /// terabytes, page tables count as well.
    pub(crate) fn is_short_of_memory(&mut self, limit: Option<u64>) -> Result<bool, EngineError> {
        let most = self.guest.kernel.space().limits().accessible_bytes;
        let (files, more_files) = self.guest.kernel.memory_file_bytes();
        let Some(room) = limit.unwrap_or(u64::MAX).checked_sub(more_files).filter(|_| files <= most) else {
            return Ok(true);
        };
        let unreserved = self.guest.kernel.space().areas().accessible_bytes().unreserved > 0;
        let uncounted = unreserved || self.guest.kernel.processes.len() > 1;
        if limit.is_none() && !uncounted {
            return Ok(false);
        }
        let room = room.min(if uncounted { most - files } else { u64::MAX });
        // Upper bounds first: exact answers take time for each mapping, of which a guest may have very many.
        let touched = self.executor.sum(|platform| platform.touched_at_most());
        let tables = if unreserved { self.executor.sum(|platform| platform.table_bytes_at_most()) } else { 0 };
        if tables.saturating_add(touched) <= room {
            return Ok(false);
        }
        let tables = if unreserved { self.executor.sum(|platform| platform.table_bytes()) } else { 0 };
        if tables.saturating_add(touched) <= room {
            return Ok(false);
        }
        Ok(tables.saturating_add(self.touched_bytes()?) > room)
    }

    /// Bytes that the guest's processes have privately written, each its own count.
    pub(crate) fn touched_bytes(&mut self) -> Result<u64, EngineError> {
        let spans = self.private_spans();
        self.executor.touched_bytes(&spans)
    }

    /// The spans that can hold private pages.
    pub(crate) fn private_spans(&self) -> Vec<Span> {
        let top = self.guest.kernel.space().layout().top();
        vec![Span { start: PAGE, end: top }]
    }
}
