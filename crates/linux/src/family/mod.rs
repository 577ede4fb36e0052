//! The processes of one machine: they share its descriptions, pipes, sockets and ids, and are frozen and reset together.
//!
//! ```text
//!   Kernel.tasks, files' table, space, process, fs, signals, timers     the current process: what handlers work on
//!   Family.parked[pid]                                                  the same of each other process
//!   Family.spaces[id]                                                   address spaces that are not the current one
//!   Family.zombies[pid]                                                 ended, not yet waited for
//!
//!   fork.rs: a new process     end.rs: exit, orphans, SIGCHLD     wait.rs: wait4, waitid
//!   exec.rs: another program   group.rs: who is signalled, stop and continue   sharing.rs: memory that both have
//! ```
//!
//! A switch swaps the current process with a parked one. With one process nothing is parked, and nothing here costs
//! anything.

mod end;
mod exec;
mod fork;
mod group;
mod sharing;
mod wait;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use warmfork_abi::Errno;
use warmfork_memory::{AddressSpace, GuestMemory};

use crate::files::DescriptorTable;
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::process::{Ending, FIRST_PID, FileSystemContext, Process, SpaceId, TID_LIMIT};
use crate::signal::ProcessSignals;
use crate::task::{State, Task, Tasks};
use crate::timers::Timers;

pub use crate::ids::Pid;
pub use exec::Executed;
pub use fork::{ForkRequest, Forked};
pub use wait::{Change, Reaped, Selector, WaitRequest};

/// A process that is not the current one.
#[derive(Clone, PartialEq, Debug)]
struct Parked {
    tasks: Tasks,
    table: DescriptorTable,
    process: Process,
    fs: FileSystemContext,
    signals: ProcessSignals,
    timers: Timers,
}

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

/// What the processes of a machine have in common, and those that are not the current one.
#[derive(Clone, PartialEq, Debug)]
pub struct Family {
    parked: BTreeMap<Pid, Box<Parked>>,
    spaces: BTreeMap<SpaceId, AddressSpace>,
    zombies: BTreeMap<Pid, Zombie>,
    next_id: Tid,
    next_space: SpaceId,
    /// The process that [`Host::busy`] counts for.
    running: Pid,
    /// Most threads of all processes.
    pub max_threads: usize,
    /// Most processes, zombies included.
    pub max_processes: usize,
    /// The ticket of the next futex waiter.
    pub futex_tickets: u64,
    /// For how long the thread had had the CPU that got it last, at most: see [`Kernel::next_thread`].
    pub fair_time: u64,
}

impl Family {
    /// A family whose first process is the current one, with at most so many threads and processes.
    #[must_use]
    pub fn new(max_threads: usize, max_processes: usize) -> Self {
        Self {
            parked: BTreeMap::new(),
            spaces: BTreeMap::new(),
            zombies: BTreeMap::new(),
            next_id: FIRST_PID + 1,
            next_space: SpaceId(1),
            running: FIRST_PID,
            max_threads,
            max_processes,
            futex_tickets: 0,
            fair_time: 0,
        }
    }

    /// The id that the next address space gets.
    pub(crate) fn next_space(&self) -> SpaceId {
        self.next_space
    }

    /// Whether there is but one process.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    /// The processes that are not the current one, in order of id.
    #[must_use]
    pub fn parked(&self) -> Vec<Pid> {
        self.parked.keys().copied().collect()
    }

    /// Address spaces that are not the current one.
    pub fn spaces(&self) -> impl Iterator<Item = (SpaceId, &AddressSpace)> {
        self.spaces.iter().map(|(id, space)| (*id, space))
    }

    /// As [`Family::spaces`], to change them.
    pub fn spaces_mut(&mut self) -> impl Iterator<Item = &mut AddressSpace> {
        self.spaces.values_mut()
    }

    /// The zombie `pid`, if there is one.
    #[must_use]
    pub fn zombie(&self, pid: Pid) -> Option<&Zombie> {
        self.zombies.get(&pid)
    }

    /// All zombies, in order of id.
    pub fn zombies(&self) -> impl Iterator<Item = (Pid, &Zombie)> {
        self.zombies.iter().map(|(pid, zombie)| (*pid, zombie))
    }

    /// Whether `is` holds for a process that is not the current one.
    pub fn any(&self, is: impl Fn(&Process) -> bool) -> bool {
        self.parked.values().any(|parked| is(&parked.process))
    }

    /// The processes that are not the current one, with their threads.
    pub(crate) fn all_tasks(&self) -> impl Iterator<Item = (Pid, &Tasks)> {
        self.parked.iter().map(|(pid, parked)| (*pid, &parked.tasks))
    }

    /// The threads of the processes that are not the current one.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.parked.values().flat_map(|parked| parked.tasks.iter())
    }

    /// As [`Family::tasks`], to change them.
    pub(crate) fn tasks_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        self.parked.values_mut().flat_map(|parked| parked.tasks.iter_mut())
    }

    /// Whether all threads of the other processes are blocked or stopped; those that are blocked.
    pub(crate) fn blocked(&self) -> Option<Vec<&Task>> {
        let mut blocked = Vec::new();
        for parked in self.parked.values() {
            for task in parked.tasks.iter() {
                match task.state {
                    State::Blocked(_) => blocked.push(task),
                    State::Ready | State::Retry(_) if parked.tasks.stopped => {}
                    State::Ready | State::Retry(_) => return None,
                }
            }
        }
        Some(blocked)
    }

    /// When the next timer of the other processes runs out.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        self.parked.values().filter_map(|parked| parked.timers.next_deadline()).min()
    }
}

impl Kernel {
    /// The living processes, in order of id.
    #[must_use]
    pub fn pids(&self) -> Vec<Pid> {
        let mut pids = self.family.parked();
        let at = pids.partition_point(|&pid| pid < self.process.pid);
        pids.insert(at, self.process.pid);
        pids
    }

    /// The living process `pid`.
    #[must_use]
    pub fn find_process(&self, pid: Pid) -> Option<&Process> {
        if pid == self.process.pid {
            return Some(&self.process);
        }
        self.family.parked.get(&pid).map(|parked| &parked.process)
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.family.parked.values().map(|parked| &parked.process).chain([&self.process])
    }

    fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.family.parked.values_mut().map(|parked| &mut parked.process).chain([&mut self.process])
    }

    /// The process that thread `tid` belongs to; that of a process id itself, even when its first thread has ended.
    #[must_use]
    pub fn process_of(&self, tid: Tid) -> Option<Pid> {
        if tid == self.process.pid || self.tasks.lookup(tid).is_some() {
            return Some(self.process.pid);
        }
        let owns = |parked: &Parked| parked.process.pid == tid || parked.tasks.lookup(tid).is_some();
        self.family.parked.values().find(|parked| owns(parked)).map(|parked| parked.process.pid)
    }

    /// Thread `tid` of any process.
    #[must_use]
    pub fn any_task(&self, tid: Tid) -> Option<&Task> {
        let parked = || self.family.parked.values().find_map(|parked| parked.tasks.lookup(tid));
        self.tasks.lookup(tid).or_else(parked)
    }

    /// As [`Kernel::any_task`], to change it.
    pub fn any_task_mut(&mut self, tid: Tid) -> Option<&mut Task> {
        let parked = &mut self.family.parked;
        self.tasks.find(tid).or_else(|| parked.values_mut().find_map(|parked| parked.tasks.find(tid)))
    }

    /// Makes `pid` the current process; nothing happens when there is none.
    fn switch_process(&mut self, pid: Pid) {
        let Some(mut other) = self.family.parked.remove(&pid) else { return };
        let (from, to) = (self.process.space, other.process.space);
        std::mem::swap(&mut self.tasks, &mut other.tasks);
        self.files.exchange_table(&mut other.table);
        std::mem::swap(&mut self.process, &mut other.process);
        std::mem::swap(&mut self.fs, &mut other.fs);
        std::mem::swap(&mut self.signals, &mut other.signals);
        std::mem::swap(&mut self.timers, &mut other.timers);
        self.family.parked.insert(other.process.pid, other);
        if from != to
            && let Some(space) = self.family.spaces.remove(&to)
        {
            let before = std::mem::replace(&mut self.space, space);
            self.family.spaces.insert(from, before);
        }
    }

    /// Makes `pid` the process that runs, and books the CPU time of the one before.
    pub fn run_process(&mut self, host: &mut Host, pid: Pid) {
        if pid != self.process.pid {
            self.settle_cpu_time(host);
            self.switch_process(pid);
            self.family.running = pid;
        }
    }

    /// Whether [`Host::busy`] counts for the current process.
    pub(crate) fn counts_busy(&self) -> bool {
        self.family.running == self.process.pid
    }

    /// Runs `operation` with `pid` in the place of the current process; `None` when there is no such process. The
    /// memory of the guest at hand is not that of `pid`, and `operation` must not end the process.
    pub fn with_process<T>(&mut self, pid: Pid, operation: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let current = self.process.pid;
        if pid == current {
            return Some(operation(self));
        }
        if !self.family.parked.contains_key(&pid) {
            return None;
        }
        self.switch_process(pid);
        let result = operation(self);
        self.switch_process(current);
        Some(result)
    }

    /// A copy in which `pid` is the current process, for looking only: what /proc shows of it.
    #[must_use]
    pub fn seen_as(&self, pid: Pid) -> Self {
        let mut copy = self.clone();
        copy.switch_process(pid);
        copy
    }

    /// Makes `pid` the current process without running it.
    pub fn visit_process(&mut self, pid: Pid) {
        self.switch_process(pid);
    }

    /// The address spaces of all processes, each once, that of the current one first.
    pub fn all_spaces(&self) -> impl Iterator<Item = (SpaceId, &AddressSpace)> {
        std::iter::once((self.process.space, &self.space)).chain(self.family.spaces())
    }

    /// As [`Kernel::all_spaces`], to change them.
    pub fn all_spaces_mut(&mut self) -> impl Iterator<Item = &mut AddressSpace> {
        std::iter::once(&mut self.space).chain(self.family.spaces.values_mut())
    }

    /// The address space `id`, while a process has it.
    #[must_use]
    pub fn find_space(&self, id: SpaceId) -> Option<&AddressSpace> {
        if id == self.process.space { Some(&self.space) } else { self.family.spaces.get(&id) }
    }

    /// Zeroes what process `pid`, which was just forked into `memory`, does not get of its parent's.
    ///
    /// # Errors
    /// ENOMEM when the host refuses.
    pub fn wipe_for_child(&mut self, memory: &mut dyn GuestMemory, pid: Pid) -> Result<(), Errno> {
        let space = self.find_process(pid).map(|process| process.space);
        let space = space.and_then(|id| self.family.spaces.get_mut(&id));
        space.map_or(Ok(()), |space| space.wipe_for_child(memory))
    }

    /// As [`Kernel::find_space`], to change it.
    pub fn find_space_mut(&mut self, id: SpaceId) -> Option<&mut AddressSpace> {
        if id == self.process.space { Some(&mut self.space) } else { self.family.spaces.get_mut(&id) }
    }

    /// Whether a process other than the current one has its address space.
    #[must_use]
    pub fn shares_space(&self) -> bool {
        !self.family.is_empty() && self.family.any(|process| process.space == self.process.space)
    }

    /// Threads of all processes.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        let parked: usize = self.family.parked.values().map(|parked| parked.tasks.len()).sum();
        parked + self.tasks.len()
    }

    /// An id for a new thread or process.
    ///
    /// # Errors
    /// EAGAIN when there are as many threads as there may be.
    pub(crate) fn new_id(&mut self) -> Result<Tid, Errno> {
        let limit = usize::try_from(self.process.limits[crate::process::RLIMIT_NPROC].soft).unwrap_or(usize::MAX);
        if self.thread_count() >= self.family.max_threads.min(limit) {
            return Err(Errno::EAGAIN);
        }
        // There are fewer threads, zombies, groups, sessions and descriptors than ids, so one of the next ones is free.
        loop {
            let id = self.family.next_id;
            self.family.next_id = if id + 1 < TID_LIMIT { id + 1 } else { FIRST_PID + 1 };
            let names = |process: &Process| process.group == id || process.session == id;
            let taken = self.process_of(id).is_some()
                || self.processes().any(names)
                || self.family.zombies.iter().any(|(pid, zombie)| *pid == id || zombie.group == id)
                || self.shared.terminals.name(id)
                || self.named_by_pidfd(id);
            if !taken {
                return Ok(id);
            }
        }
    }
}
