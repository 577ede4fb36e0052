//! Shared memory without a file: private memory of the host while there is one process to see it, a memory file from the
//! first fork on.

use warmfork_abi::{Errno, PAGE};
use warmfork_memory::{Area, GuestMemory, HostFile, Protection, Span};

use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::memory_file;
use crate::task::FutexKey;

/// Bytes looked at at a time.
const CHUNK: u64 = 256 * PAGE;

impl Kernel {
    /// Puts a memory file behind each mapping of the current process that is shared and has none.
    ///
    /// # Errors
    /// ENOMEM when the host refuses.
    pub(crate) fn share_memory(&mut self, memory: &mut dyn GuestMemory) -> Result<(), Errno> {
        self.space().shared_without_file().iter().try_for_each(|area| self.share_area(memory, area))
    }

    /// Puts a memory file behind `area`, a mapping of the current process that is shared and has none.
    ///
    /// # Errors
    /// As [`Kernel::share_memory`].
    pub(crate) fn share_area(&mut self, memory: &mut dyn GuestMemory, area: &Area) -> Result<(), Errno> {
        let file = memory_file::anonymous(area.span.len()).map_err(|_| Errno::ENOMEM)?;
        if !area.protection.contains(Protection::READ) {
            memory.protect(area.span, Protection::READ).map_err(|_| Errno::ENOMEM)?;
        }
        self.copy_into(memory, area, &file)?;
        self.space_mut().put_file(memory, area.span, &file)?;
        self.rename_futexes(area.span);
        Ok(())
    }

    fn copy_into(&self, memory: &mut dyn GuestMemory, area: &Area, file: &HostFile) -> Result<(), Errno> {
        let imaged = self.space().imaged();
        let mut at = area.span.start;
        let mut present = [0; (CHUNK / PAGE) as usize];
        while at < area.span.end {
            let chunk = Span { start: at, end: area.span.end.min(at + CHUNK) };
            at = chunk.end;
            let pages = usize::try_from(chunk.len() / PAGE).unwrap_or(0);
            memory.resident(chunk, &mut present[..pages]);
            // Pages that an image holds are there, though no access has touched them.
            if imaged.within(chunk).next().is_none() && present[..pages].iter().all(|&page| page & 1 == 0) {
                continue;
            }
            let bytes = memory.read_vec(chunk.start, usize::try_from(chunk.len()).map_err(|_| Errno::ENOMEM)?)?;
            for (page, bytes) in (0_u64..).zip(bytes.chunks(4096)) {
                if bytes.iter().any(|&byte| byte != 0) {
                    memory_file::write_at(file, chunk.start - area.span.start + page * PAGE, bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Threads that wait for a futex in `span` wait for one in the file there now.
    fn rename_futexes(&mut self, span: Span) {
        let waits = |address: u64| span.start <= address && address < span.end;
        let named = |key: FutexKey, address: u64| matches!(key, FutexKey::Private(..)) && waits(address);
        let waiting: Vec<(Tid, u64)> = self
            .process()
            .tasks
            .iter()
            .filter_map(|task| task.queued().map(|queued| (task.tid, queued.word)))
            .filter(|(_, word)| named(word.key, word.address))
            .map(|(tid, word)| (tid, word.address))
            .collect();
        for (tid, address) in waiting {
            let word = self.futex_word(address, false);
            self.process_mut().tasks.change_queued(tid, |queued| queued.word = word);
        }
    }
}
