//! File locks: flock(2) and fcntl(2) record locks, of processes and of open file descriptions. Plain data; other
//! processes of the host and other forks do not see them.

use std::collections::BTreeMap;

use warmfork_abi::Errno;

use crate::events::DescriptionId;
use crate::ids::Pid;

/// Which file: device and inode number.
pub type FileId = ((u32, u32), u64);

/// The owner of a record lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A process (F_SETLK).
    Process(Pid),
    /// An open file description (F_OFD_SETLK).
    Description(DescriptionId),
}

/// A locked range of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its owner.
    pub owner: Owner,
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
    /// A write lock.
    pub exclusive: bool,
}

/// Most record locks of a machine.
const MAX_RECORDS: usize = 4096;

/// All locks of a machine.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Locks {
    records: BTreeMap<FileId, Vec<Record>>,
    whole: BTreeMap<FileId, Vec<(DescriptionId, bool)>>,
}

impl Locks {
    /// The lock that keeps `wanted` from being taken.
    #[must_use]
    pub fn conflict(&self, file: FileId, wanted: &Record) -> Option<Record> {
        let held = self.records.get(&file)?;
        let conflicts = |record: &&Record| {
            record.owner != wanted.owner
                && record.first <= wanted.last
                && wanted.first <= record.last
                && (record.exclusive || wanted.exclusive)
        };
        held.iter().find(conflicts).copied()
    }

    /// Takes a lock that nothing conflicts with; the owner's own locks give way where they overlap.
    ///
    /// # Errors
    /// ENOLCK when there are too many.
    pub fn set(&mut self, file: FileId, wanted: Record) -> Result<(), Errno> {
        if self.records.values().map(Vec::len).sum::<usize>() >= MAX_RECORDS {
            return Err(Errno::ENOLCK);
        }
        self.clear(file, &wanted);
        self.records.entry(file).or_default().push(wanted);
        Ok(())
    }

    /// Gives up the owner's locks within the range of `wanted`.
    pub fn clear(&mut self, file: FileId, wanted: &Record) {
        let Some(held) = self.records.get_mut(&file) else { return };
        let mut kept = Vec::with_capacity(held.len() + 1);
        for record in held.drain(..) {
            if record.owner != wanted.owner || record.last < wanted.first || wanted.last < record.first {
                kept.push(record);
                continue;
            }
            if record.first < wanted.first {
                kept.push(Record { last: wanted.first - 1, ..record });
            }
            if record.last > wanted.last {
                kept.push(Record { first: wanted.last + 1, ..record });
            }
        }
        *held = kept;
        if held.is_empty() {
            self.records.remove(&file);
        }
    }

    /// flock: takes, changes or (with `None`) gives up the lock of a description; false when another one is in the
    /// way. As in Linux, changing a lock gives up the old one first.
    pub fn flock(&mut self, file: FileId, id: DescriptionId, exclusive: Option<bool>) -> bool {
        let held = self.whole.entry(file).or_default();
        let same = exclusive.is_some_and(|exclusive| held.contains(&(id, exclusive)));
        if same {
            return true;
        }
        held.retain(|(holder, _)| *holder != id);
        let free = match exclusive {
            None => true,
            Some(true) => held.is_empty(),
            Some(false) => !held.iter().any(|(_, exclusive)| *exclusive),
        };
        if let (Some(exclusive), true) = (exclusive, free) {
            held.push((id, exclusive));
        }
        if held.is_empty() {
            self.whole.remove(&file);
        }
        free
    }

    /// Description `id` is gone, and its locks with it.
    pub fn release(&mut self, id: DescriptionId) {
        self.records.retain(|_, held| {
            held.retain(|record| record.owner != Owner::Description(id));
            !held.is_empty()
        });
        self.whole.retain(|_, held| {
            held.retain(|(holder, _)| *holder != id);
            !held.is_empty()
        });
    }

    /// Process `pid` has closed a descriptor of `file`: its own locks on it are gone, by POSIX's rule.
    pub fn release_process(&mut self, pid: Pid, file: FileId) {
        let all = Record { owner: Owner::Process(pid), first: 0, last: u64::MAX, exclusive: false };
        self.clear(file, &all);
    }

    /// Process `pid` has ended, and its own locks with it.
    pub fn end_process(&mut self, pid: Pid) {
        self.records.retain(|_, held| {
            held.retain(|record| record.owner != Owner::Process(pid));
            !held.is_empty()
        });
    }

    /// Whether process `pid` holds record locks at all.
    #[must_use]
    pub fn any_of_process(&self, pid: Pid) -> bool {
        self.records.values().flatten().any(|record| record.owner == Owner::Process(pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = ((8, 1), 42);

    fn record(owner: Owner, first: u64, last: u64, exclusive: bool) -> Record {
        Record { owner, first, last, exclusive }
    }

    #[test]
    fn locks_of_different_owners_conflict_where_they_overlap() {
        let mut locks = Locks::default();
        locks.set(FILE, record(Owner::Process(2), 10, 19, true)).unwrap();
        let other = Owner::Description(DescriptionId(1));
        assert!(locks.conflict(FILE, &record(other, 19, 30, false)).is_some());
        assert!(locks.conflict(FILE, &record(other, 20, 30, true)).is_none());
        assert!(locks.conflict(FILE, &record(Owner::Process(2), 0, 30, true)).is_none());
        assert!(locks.conflict(FILE, &record(Owner::Process(3), 0, 30, true)).is_some());
        assert!(locks.conflict(((8, 1), 43), &record(other, 0, 30, true)).is_none());
    }

    #[test]
    fn unlocking_the_middle_leaves_both_ends() {
        let mut locks = Locks::default();
        locks.set(FILE, record(Owner::Process(2), 0, 99, true)).unwrap();
        locks.clear(FILE, &record(Owner::Process(2), 40, 59, false));
        let other = Owner::Description(DescriptionId(1));
        assert!(locks.conflict(FILE, &record(other, 40, 59, true)).is_none());
        assert!(locks.conflict(FILE, &record(other, 39, 39, false)).is_some());
        assert!(locks.conflict(FILE, &record(other, 60, 60, false)).is_some());
    }

    #[test]
    fn a_process_takes_its_locks_with_it() {
        let mut locks = Locks::default();
        locks.set(FILE, record(Owner::Process(2), 0, 9, true)).unwrap();
        locks.set(FILE, record(Owner::Process(3), 10, 19, true)).unwrap();
        locks.end_process(3);
        assert!(locks.any_of_process(2) && !locks.any_of_process(3));
        locks.end_process(2);
        assert_eq!(locks, Locks::default());
    }

    #[test]
    fn whole_file_locks_are_shared_or_exclusive() {
        let mut locks = Locks::default();
        let (a, b) = (DescriptionId(1), DescriptionId(2));
        assert!(locks.flock(FILE, a, Some(false)));
        assert!(locks.flock(FILE, b, Some(false)));
        assert!(!locks.flock(FILE, a, Some(true)), "b still holds it");
        locks.release(b);
        assert!(locks.flock(FILE, a, Some(true)));
        assert!(!locks.flock(FILE, b, Some(false)));
        assert!(locks.flock(FILE, a, None));
        assert_eq!(locks, Locks::default());
    }

    #[test]
    fn there_are_only_so_many() {
        let mut locks = Locks::default();
        let last = (0..MAX_RECORDS as u64).map(|at| locks.set(FILE, record(Owner::Process(2), 2 * at, 2 * at, true)));
        assert_eq!(last.last(), Some(Ok(())));
        assert_eq!(locks.set(FILE, record(Owner::Process(2), 1 << 40, 1 << 40, true)), Err(Errno::ENOLCK));
    }
}
