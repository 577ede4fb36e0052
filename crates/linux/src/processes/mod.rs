//! The processes of one machine: they share its descriptions, pipes, sockets and ids, and are frozen and reset together.
//!
//! ```text
//!   living[current]    the current process: Kernel::process(), Kernel::process_mut()
//!   living             all processes, in order of id: find(pid), iter()
//!   spaces[id]         their address spaces; Kernel::space() is the current process's
//!   zombies[pid]       ended, not yet waited for
//!
//!   fork.rs: a new process     end.rs: exit, orphans, SIGCHLD     wait.rs: wait4, waitid
//!   exec.rs: another program   group.rs: signalling, stop and continue   sharing.rs: memory that both have
//! ```
//!
//! A system call is made by the current process, so handlers mean that one unless they name another. A switch assigns
//! `current`.

mod differences;
mod end;
mod exec;
mod fork;
mod group;
mod sharing;
mod wait;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use warmfork_memory::AddressSpace;

use crate::assign::{assign, assign_entries};
use crate::ids::{FIRST_PID, Pid, SpaceId, Tid};
use crate::news::News;
use crate::process::{Ending, Process};
use crate::task::{Task, Tasks};

pub use exec::Executed;
pub use fork::{ForkRequest, Forked};
pub use wait::{Change, Reaped, Selector, WaitRequest};

/// A process that has ended and has not been waited for.
#[derive(Clone, PartialEq, Debug)]
pub struct Zombie {
    /// Its parent.
    pub parent: Pid,
    /// Its process group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// Its user.
    pub uid: u32,
    /// How it ended.
    pub ending: Ending,
    /// The signal that its parent gets for it.
    pub exit_signal: u32,
    /// CPU time of it and of the children that it waited for, in nanoseconds.
    pub cpu_time: u64,
    /// Bytes that it had mapped when it ended.
    pub resident: u64,
    /// The name of its first thread.
    pub name: Vec<u8>,
}

/// All processes of a machine, and the state that they have in common.
#[derive(Clone, PartialEq, Debug)]
pub struct ProcessTable {
    /// In order of id; at least one.
    living: Vec<Process>,
    /// The index of the current process.
    current: usize,
    spaces: BTreeMap<SpaceId, AddressSpace>,
    zombies: BTreeMap<Pid, Zombie>,
    /// The threads and processes that have ended, and the zombies that have been waited for.
    pub(crate) ends: News<Pid>,
    next_id: Tid,
    next_space: SpaceId,
    /// The process that [`crate::Host::busy`] counts for.
    running: Pid,
    /// Most threads of all processes.
    pub max_threads: usize,
    /// Most processes, zombies included.
    pub max_processes: usize,
    /// The ticket of the next futex waiter.
    pub futex_tickets: u64,
    /// For how long the thread had had the CPU that got it last, at most: see [`crate::Kernel::next_thread`].
    pub fair_time: u64,
}

impl ProcessTable {
    /// A table with one process, which is the current one and has the memory `space`, for at most so many threads and
    /// processes.
    #[must_use]
    pub fn new(first: Process, space: AddressSpace, max_threads: usize, max_processes: usize) -> Self {
        Self {
            spaces: BTreeMap::from([(first.space, space)]),
            next_space: SpaceId(first.space.0 + 1),
            running: first.pid,
            living: vec![first],
            current: 0,
            zombies: BTreeMap::new(),
            ends: News::default(),
            next_id: FIRST_PID + 1,
            max_threads,
            max_processes,
            futex_tickets: 0,
            fair_time: 0,
        }
    }

    /// Assigns `from` to this table.
    pub fn assign(&mut self, from: &Self) {
        let Self {
            living,
            current,
            spaces,
            zombies,
            ends: _,
            next_id,
            next_space,
            running,
            max_threads,
            max_processes,
            futex_tickets,
            fair_time,
        } = self;
        living.retain(|process| from.find(process.pid).is_some());
        for (index, process) in from.living.iter().enumerate() {
            match living.get_mut(index).filter(|own| own.pid == process.pid) {
                Some(own) => own.assign(process),
                None => living.insert(index, process.clone()),
            }
        }
        assign_entries(spaces, &from.spaces);
        spaces.values_mut().for_each(AddressSpace::mark);
        assign(zombies, &from.zombies);
        (*current, *running) = (from.current, from.running);
        (*next_id, *next_space) = (from.next_id, from.next_space);
        (*max_threads, *max_processes) = (from.max_threads, from.max_processes);
        (*futex_tickets, *fair_time) = (from.futex_tickets, from.fair_time);
    }

    /// The current process.
    #[must_use]
    pub fn current(&self) -> &Process {
        &self.living[self.current]
    }

    /// As [`ProcessTable::current`], to change it.
    pub fn current_mut(&mut self) -> &mut Process {
        &mut self.living[self.current]
    }

    /// Makes `pid` the current process; nothing happens when there is none.
    pub fn set_current(&mut self, pid: Pid) {
        self.current = self.index(pid).unwrap_or(self.current);
    }

    /// The living processes, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.living.iter()
    }

    /// As [`ProcessTable::iter`], to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.living.iter_mut()
    }

    /// The ids of the living processes, in order.
    #[must_use]
    pub fn pids(&self) -> Vec<Pid> {
        self.living.iter().map(|process| process.pid).collect()
    }

    /// How many live.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.living.len()
    }

    /// The living process `pid`.
    #[must_use]
    pub fn find(&self, pid: Pid) -> Option<&Process> {
        self.index(pid).map(|index| &self.living[index])
    }

    /// As [`ProcessTable::find`], to change it.
    pub fn find_mut(&mut self, pid: Pid) -> Option<&mut Process> {
        self.index(pid).map(|index| &mut self.living[index])
    }

    /// The living process at `index`, in order of id.
    ///
    /// # Panics
    /// When there are not so many.
    pub(crate) fn at(&self, index: usize) -> &Process {
        &self.living[index]
    }

    /// As [`ProcessTable::at`], to change it.
    ///
    /// # Panics
    /// As [`ProcessTable::at`].
    pub(crate) fn at_mut(&mut self, index: usize) -> &mut Process {
        &mut self.living[index]
    }

    fn index(&self, pid: Pid) -> Option<usize> {
        if self.current().pid == pid {
            return Some(self.current);
        }
        self.living.binary_search_by_key(&pid, |process| process.pid).ok()
    }

    /// The process that thread `tid` belongs to; that of a process id itself, even when its first thread has ended.
    #[must_use]
    pub fn owner(&self, tid: Tid) -> Option<&Process> {
        let current = Some(self.current()).filter(|process| process.has(tid));
        current.or_else(|| self.living.iter().find(|process| process.has(tid)))
    }

    /// The threads of all processes.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.living.iter().flat_map(|process| process.tasks.iter())
    }

    /// Thread `tid` of any process.
    #[must_use]
    pub fn find_task(&self, tid: Tid) -> Option<&Task> {
        self.living.iter().find_map(|process| process.tasks.lookup(tid))
    }

    /// The FPU and vector state that thread `tid` was left with, if it lives and has one.
    #[must_use]
    pub fn fpu_of(&self, tid: Tid) -> Option<&[u8]> {
        self.find_task(tid)?.fpu.as_deref()
    }

    /// As [`ProcessTable::find_task`], to change it.
    pub fn find_task_mut(&mut self, tid: Tid) -> Option<&mut Task> {
        self.living.iter_mut().find_map(|process| process.tasks.find(tid))
    }

    /// The index of the process that thread `tid` is of, if it lives.
    pub(crate) fn index_with(&self, tid: Tid) -> Option<usize> {
        self.living.iter().position(|process| process.tasks.lookup(tid).is_some())
    }

    /// The threads of the process that thread `tid` is of, to change them.
    pub fn tasks_with(&mut self, tid: Tid) -> Option<&mut Tasks> {
        self.index_with(tid).map(|index| &mut self.living[index].tasks)
    }

    /// Threads of all processes.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.living.iter().map(|process| process.tasks.len()).sum()
    }

    /// The current process's address space.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        self.space_of(self.current())
    }

    /// The address space of `process`, one of these.
    #[must_use]
    pub fn space_of(&self, process: &Process) -> &AddressSpace {
        &self.spaces[&process.space]
    }

    /// As [`ProcessTable::space`], to change it.
    ///
    /// # Panics
    /// Never: a process has memory.
    #[expect(clippy::expect_used, reason = "the space of a living process is there")]
    pub fn space_mut(&mut self) -> &mut AddressSpace {
        self.spaces.get_mut(&self.living[self.current].space).expect("a process has memory")
    }

    /// The address spaces of all processes, each once.
    pub fn spaces(&self) -> impl Iterator<Item = &AddressSpace> {
        self.spaces.values()
    }

    /// As [`ProcessTable::spaces`], to change them.
    pub fn spaces_mut(&mut self) -> impl Iterator<Item = &mut AddressSpace> {
        self.spaces.values_mut()
    }

    /// The address space `id`, while a process has it.
    #[must_use]
    pub fn find_space(&self, id: SpaceId) -> Option<&AddressSpace> {
        self.spaces.get(&id)
    }

    /// As [`ProcessTable::find_space`], to change it.
    pub fn find_space_mut(&mut self, id: SpaceId) -> Option<&mut AddressSpace> {
        self.spaces.get_mut(&id)
    }

    /// The id that the next address space gets.
    pub(crate) fn next_space(&self) -> SpaceId {
        self.next_space
    }

    /// An id for an address space.
    fn new_space_id(&mut self) -> SpaceId {
        let id = self.next_space;
        self.next_space = SpaceId(id.0.saturating_add(1));
        id
    }

    /// Whether a process other than the current one has its address space.
    #[must_use]
    pub fn shares_space(&self) -> bool {
        let current = self.current();
        self.living.iter().any(|process| process.pid != current.pid && process.space == current.space)
    }

    /// Drops address space `id` when no process has it any more.
    fn drop_space(&mut self, id: SpaceId) {
        if !self.living.iter().any(|process| process.space == id) {
            self.spaces.remove(&id);
        }
    }

    /// The zombie `pid`, if there is one.
    #[must_use]
    pub fn zombie(&self, pid: Pid) -> Option<&Zombie> {
        self.zombies.get(&pid)
    }

    /// Takes zombie `pid` out: it has been waited for, or nobody is going to.
    fn remove_zombie(&mut self, pid: Pid) {
        self.zombies.remove(&pid);
        self.ends.add(pid);
    }

    /// All zombies, in order of id.
    pub fn zombies(&self) -> impl Iterator<Item = (Pid, &Zombie)> {
        self.zombies.iter().map(|(pid, zombie)| (*pid, zombie))
    }

    /// Adds a process, whose id is a new one.
    fn insert(&mut self, process: Process) {
        let index = self.living.partition_point(|other| other.pid < process.pid);
        self.living.insert(index, process);
        self.current += usize::from(index <= self.current);
    }

    /// Takes out process `pid`, which is not the current one, and its address space when nobody else has it.
    fn remove(&mut self, pid: Pid) -> Option<Process> {
        let index = self.index(pid).filter(|&index| index != self.current)?;
        let gone = self.living.remove(index);
        self.current -= usize::from(index < self.current);
        self.drop_space(gone.space);
        Some(gone)
    }

    /// Makes `pid`, a living process, the current one and the one that [`crate::Host::busy`] counts for.
    pub(crate) fn run(&mut self, pid: Pid) {
        self.set_current(pid);
        self.running = self.current().pid;
    }

    /// Whether [`crate::Host::busy`] counts for process `pid`.
    pub(crate) fn counts_busy(&self, pid: Pid) -> bool {
        self.running == pid
    }
}
