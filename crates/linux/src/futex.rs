//! Futexes: waiting on words, waking waiters, and the effect of a thread's end on the locks that it holds.
//!
//! The queue is in the waiters themselves ([`Queued`]). No guest thread runs while warmfork answers a call, so plain
//! reads and writes of guest words are atomic here.

use warmfork_abi::threads::{
    FUTEX_BITSET_MATCH_ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, ROBUST_LIST_LIMIT,
};
use warmfork_memory::{Backing, Fault, GuestMemory};

use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::task::{FutexKey, Queued, Task, Word};

impl Kernel {
    /// The futex word at `address`. One in a file that is mapped shared is the same wherever the file is mapped, unless
    /// the caller says that it is `private`.
    #[must_use]
    pub fn futex_word(&self, address: u64, private: bool) -> Word {
        let key = FutexKey::Private(self.process().space, address);
        let area = if private { None } else { self.space().areas().find(address) };
        let shared = area.filter(|area| area.shared).and_then(|area| match &area.backing {
            Backing::File { file, offset } => {
                let at = offset.saturating_add(address - area.span.start);
                Some(FutexKey::Shared(file.inode(), at))
            }
            Backing::Anonymous => None,
        });
        Word { key: shared.unwrap_or(key), address }
    }

    /// A place at the end of the queue of futex `word`.
    pub fn futex_place(&mut self, word: Word, bitset: u32, lock: bool) -> Queued {
        let sequence = self.processes.futex_tickets;
        self.processes.futex_tickets = sequence.wrapping_add(1);
        Queued { word, bitset, lock, sequence, woken: false }
    }

    /// The threads that `matches` accepts among those that wait on futex `word`, first come first.
    fn futex_waiters(&self, word: Word, matches: impl Fn(&Queued) -> bool) -> Vec<Tid> {
        let waiters = self.processes.iter().flat_map(|process| process.tasks.futex_waiters(word.key));
        let chosen = waiters.filter(|(_, task)| task.queued().is_some_and(|queued| matches(&queued)));
        let mut waiters: Vec<_> = chosen.map(|(sequence, task)| (sequence, task.tid)).collect();
        waiters.sort_unstable();
        waiters.into_iter().map(|(_, tid)| tid).collect()
    }

    fn wake_waiter(&mut self, tid: Tid) {
        let Some(tasks) = self.processes.tasks_with(tid) else { return };
        tasks.change_queued(tid, |queued| queued.woken = true);
        tasks.wake(tid);
    }

    /// Wakes up to `count` threads that wait on `word` with a bit of `bitset`; how many.
    pub fn futex_wake(&mut self, word: Word, count: usize, bitset: u32) -> u64 {
        let mut waiters = self.futex_waiters(word, |queued| !queued.lock && queued.bitset & bitset != 0);
        waiters.truncate(count);
        for &tid in &waiters {
            self.wake_waiter(tid);
        }
        waiters.len() as u64
    }

    /// Wakes up to `wake` waiters of `from` and moves up to `moves` others to the queue of `to`; how many in all.
    pub fn futex_requeue(&mut self, from: Word, to: Word, wake: usize, moves: usize) -> u64 {
        let woken = self.futex_wake(from, wake, FUTEX_BITSET_MATCH_ANY);
        let mut waiters = self.futex_waiters(from, |queued| !queued.lock);
        waiters.truncate(moves);
        for &tid in &waiters {
            let place = self.futex_place(to, FUTEX_BITSET_MATCH_ANY, false);
            if let Some(tasks) = self.processes.tasks_with(tid) {
                tasks.change_queued(tid, |queued| *queued = Queued { bitset: queued.bitset, ..place });
            }
        }
        woken + waiters.len() as u64
    }

    /// Takes the priority-inheritance lock `futex` for `tid`; false when another thread owns it, and the word
    /// then says that somebody waits. `None` when the owner is no thread of this machine.
    ///
    /// # Errors
    /// [`Fault`] when the word is not accessible.
    pub fn futex_lock(
        &mut self,
        memory: &dyn GuestMemory,
        futex: Word,
        tid: Tid,
        wait: bool,
    ) -> Result<Option<bool>, Fault> {
        let address = futex.address;
        let word = memory.read_u32(address)?;
        let owner = (word & FUTEX_TID_MASK).cast_signed();
        if owner == 0 {
            let waiters = if self.futex_waiters(futex, |queued| queued.lock).is_empty() { 0 } else { FUTEX_WAITERS };
            memory.write_u32(address, word & FUTEX_OWNER_DIED | waiters | tid.cast_unsigned())?;
            return Ok(Some(true));
        }
        if self.processes.find_task(owner).is_none() {
            return Ok(None);
        }
        if wait {
            memory.write_u32(address, word | FUTEX_WAITERS)?;
        }
        Ok(Some(false))
    }

    /// Hands the priority-inheritance lock `word` to the thread that has waited longest, or frees it. `died`
    /// is FUTEX_OWNER_DIED or nothing.
    ///
    /// # Errors
    /// [`Fault`] when the word is not accessible.
    pub fn futex_hand_over(&mut self, memory: &dyn GuestMemory, word: Word, died: u32) -> Result<(), Fault> {
        let waiters = self.futex_waiters(word, |queued| queued.lock);
        let Some((&next, rest)) = waiters.split_first() else {
            return memory.write_u32(word.address, died);
        };
        let others = if rest.is_empty() { 0 } else { FUTEX_WAITERS };
        memory.write_u32(word.address, next.cast_unsigned() | others | died)?;
        self.wake_waiter(next);
        Ok(())
    }

    /// Does for others what the end of thread `tid` requires: its robust list, its locks, the word that joiners wait on.
    /// The guest may have unmapped any of it: then nothing happens.
    pub fn end_thread(&mut self, memory: &dyn GuestMemory, tid: Tid) {
        let (list, clear) = {
            let task = self.process().tasks.get(tid);
            (task.robust_list, task.clear_child_tid)
        };
        if list != 0 {
            // Linux too stops at the first word that cannot be read.
            let _ = self.walk_robust_list(memory, tid, list);
        }
        self.release_locks(memory, tid);
        if clear != 0 && memory.write_u32(clear, 0).is_ok() {
            self.futex_wake(self.futex_word(clear, false), 1, FUTEX_BITSET_MATCH_ANY);
        }
        let gone = self.process_mut().tasks.remove(tid);
        self.processes.ends.add(tid);
        self.shared.orphans.extend(gone.and_then(|task| task.opening?.reader));
    }

    fn walk_robust_list(&mut self, memory: &dyn GuestMemory, tid: Tid, head: u64) -> Result<(), Fault> {
        let first = memory.read_u64(head)?;
        let offset = memory.read_u64(head.wrapping_add(8))?;
        let pending = memory.read_u64(head.wrapping_add(16))?;
        let mut entry = first;
        for _ in 0..ROBUST_LIST_LIMIT {
            if entry & !1 == head {
                break;
            }
            let next = memory.read_u64(entry & !1);
            if entry & !1 != pending & !1 {
                self.futex_died(memory, tid, entry, offset, false)?;
            }
            entry = next?;
        }
        if pending & !1 != 0 {
            self.futex_died(memory, tid, pending, offset, true)?;
        }
        Ok(())
    }

    /// Marks the lock of one robust list entry when the dying thread owns it. Bit 0 of `entry` says that the lock
    /// inherits priority: then [`Kernel::release_locks`] sees to its waiters.
    fn futex_died(
        &mut self,
        memory: &dyn GuestMemory,
        tid: Tid,
        entry: u64,
        offset: u64,
        pending: bool,
    ) -> Result<(), Fault> {
        let address = (entry & !1).wrapping_add(offset);
        let inherits = entry & 1 != 0;
        if !address.is_multiple_of(4) {
            return Err(Fault(address));
        }
        let word = memory.read_u32(address)?;
        let owner = word & FUTEX_TID_MASK;
        if pending && !inherits && owner == 0 {
            self.futex_wake(self.futex_word(address, false), 1, FUTEX_BITSET_MATCH_ANY);
            return Ok(());
        }
        if owner != tid.cast_unsigned() {
            return Ok(());
        }
        if inherits {
            return self.futex_hand_over(memory, self.futex_word(address, false), FUTEX_OWNER_DIED);
        }
        memory.write_u32(address, word & FUTEX_WAITERS | FUTEX_OWNER_DIED)?;
        if word & FUTEX_WAITERS != 0 {
            self.futex_wake(self.futex_word(address, false), 1, FUTEX_BITSET_MATCH_ANY);
        }
        Ok(())
    }

    /// Hands over every priority-inheritance lock that the dying thread `tid` owns and others wait for.
    fn release_locks(&mut self, memory: &dyn GuestMemory, tid: Tid) {
        let queued = self.process().tasks.all_futex_waiters().filter_map(Task::queued);
        let words: Vec<Word> = queued.filter(|queued| queued.lock).map(|queued| queued.word).collect();
        for word in words {
            let owner = memory.read_u32(word.address).map(|word| word & FUTEX_TID_MASK);
            if owner == Ok(tid.cast_unsigned()) {
                // The word was readable just now; one that is not writable keeps its dead owner.
                let _ = self.futex_hand_over(memory, word, FUTEX_OWNER_DIED);
            }
        }
    }
}
