//! A new process, and the state that it takes over from its maker.

use warmfork_abi::{Errno, Registers};
use warmfork_memory::GuestMemory;

use super::ProcessTable;
use crate::files::DescriptorTable;
use crate::host::Host;
use crate::ids::{FIRST_PID, Pid, SpaceId, TID_LIMIT, Tid};
use crate::kernel::Kernel;
use crate::process::{Attributes, Job, Process, RLIMIT_NPROC};
use crate::signal::{PendingSignals, TaskSignals};
use crate::task::{Task, Tasks};
use crate::timers::Timers;

/// How a new process begins.
#[derive(Clone, Debug)]
pub struct ForkRequest {
    /// The thread that makes it.
    pub maker: Tid,
    /// The registers of its one thread.
    pub registers: Registers,
    /// Its FPU and vector state, where it is loaded into memory that its maker runs in too.
    pub fpu: Option<Vec<u8>>,
    /// The signal that its parent gets when it ends; 0 for none.
    pub exit_signal: u32,
    /// CLONE_PARENT: it is its maker's sibling.
    pub sibling: bool,
    /// CLONE_VM: it runs in its maker's memory.
    pub shares_memory: bool,
    /// CLONE_CLEAR_SIGHAND: its handlers are reset.
    pub default_handlers: bool,
    /// CLONE_CHILD_CLEARTID: the word that is cleared in its memory when it ends.
    pub clear_child_tid: u64,
}

/// A process that has everything but memory of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forked {
    /// Its id.
    pub pid: Pid,
    /// Where its maker wants the id, in the maker's memory; 0 for nowhere.
    pub parent_tid: u64,
    /// Where the child wants it, in the child's memory; 0 for nowhere.
    pub child_tid: u64,
    /// The maker's descriptor of it (CLONE_PIDFD).
    pub pidfd: Option<i32>,
}

impl Kernel {
    /// Makes a process like the current one, with its one thread ready to run; its id.
    ///
    /// # Errors
    /// EAGAIN when there are as many processes or threads as there may be.
    pub fn fork_process(&mut self, host: &Host, request: ForkRequest) -> Result<Pid, Errno> {
        let processes = &mut self.processes;
        if processes.len() + processes.zombies.len() >= processes.max_processes {
            return Err(Errno::EAGAIN);
        }
        let pid = self.new_id()?;
        let processes = &mut self.processes;
        let space = if request.shares_memory {
            processes.current().space
        } else {
            let (id, copy) = (processes.new_space_id(), processes.space().clone());
            processes.spaces.insert(id, copy);
            id
        };
        let descriptors = self.files.share(&processes.current().descriptors);
        let child = child(processes.current(), pid, space, descriptors, host.monotonic(), request);
        processes.insert(child);
        Ok(pid)
    }

    /// An id for a new thread or process.
    ///
    /// # Errors
    /// EAGAIN when there are as many threads as there may be.
    pub(crate) fn new_id(&mut self) -> Result<Tid, Errno> {
        let limit = usize::try_from(self.process().limits[RLIMIT_NPROC].soft).unwrap_or(usize::MAX);
        if self.processes.thread_count() >= self.processes.max_threads.min(limit) {
            return Err(Errno::EAGAIN);
        }
        // There are fewer threads, zombies, groups, sessions and descriptors than ids, so one of the next ones is free.
        loop {
            let id = self.processes.next_id;
            self.processes.next_id = if id + 1 < TID_LIMIT { id + 1 } else { FIRST_PID + 1 };
            let names = |process: &Process| process.has(id) || process.group == id || process.session == id;
            let taken = self.processes.iter().any(names)
                || self.processes.zombies().any(|(pid, zombie)| pid == id || zombie.group == id)
                || self.shared.terminals.name(id)
                || self.named_by_pidfd(id);
            if !taken {
                return Ok(id);
            }
        }
    }

    /// Zeroes the memory that process `pid`, which was just forked into `memory`, does not get from its parent.
    ///
    /// # Errors
    /// ENOMEM when the host refuses.
    pub fn wipe_for_child(&mut self, memory: &mut dyn GuestMemory, pid: Pid) -> Result<(), Errno> {
        let space = self.processes.find(pid).map(|process| process.space);
        let space = space.and_then(|id| self.processes.find_space_mut(id));
        space.map_or(Ok(()), |space| space.wipe_for_child(memory))
    }

    /// Undoes [`Kernel::fork_process`] for a child that has not run, and closes its maker's descriptor of it.
    pub fn undo_fork(&mut self, host: &mut Host, pid: Pid, pidfd: Option<i32>) {
        if let Some(fd) = pidfd {
            // It was opened just now.
            let _ = self.close(host, fd);
        }
        if let Some(child) = self.processes.remove(pid) {
            self.processes.ends.add(pid);
            self.close_all(host, &child.descriptors);
        }
    }

    /// Gives up the descriptions of a process that is gone.
    pub(super) fn close_all(&mut self, host: &mut Host, descriptors: &DescriptorTable) {
        for (_, descriptor) in descriptors.iter() {
            self.release(host, descriptor.description);
        }
    }
}

impl ProcessTable {
    /// Whether the process that thread `tid` has made with vfork still runs in its memory.
    #[must_use]
    pub fn lends_memory(&self, child: Pid) -> bool {
        self.find(child).is_some_and(|process| process.space == self.current().space)
    }

    /// Process `pid` gives up the memory that it has from its vfork: its maker goes on.
    pub(super) fn give_memory_back(&mut self, pid: Pid) {
        let borrowed = |task: &Task| task.restart.lent_to == Some(pid);
        self.living.iter_mut().for_each(|process| process.tasks.wake_where(|task, _| borrowed(task)));
    }
}

/// The process `pid` that `maker` makes at the instant `now`, in address space `space`.
fn child(
    maker: &Process,
    pid: Pid,
    space: SpaceId,
    descriptors: DescriptorTable,
    now: u64,
    request: ForkRequest,
) -> Process {
    let mut signals = maker.signals.clone();
    signals.pending = PendingSignals::default();
    if request.default_handlers {
        signals.reset_handlers();
    }
    let thread = maker.tasks.get(request.maker);
    let mut task = Task::new(pid, request.registers, thread.name.clone());
    task.signals = TaskSignals { stack: thread.signals.stack, ..thread.signals.inherited() };
    task.policy = thread.policy;
    task.fair_time = thread.fair_time;
    task.sequences = thread.sequences.filter(|_| !request.shares_memory);
    task.fpu = request.fpu;
    task.clear_child_tid = request.clear_child_tid;
    let mut tasks = Tasks::default();
    tasks.insert(task);
    tasks.current = pid;
    Process {
        pid,
        parent: if request.sibling { maker.parent } else { maker.pid },
        tasks,
        descriptors,
        fs: maker.fs.clone(),
        signals,
        timers: Timers::default(),
        uid: maker.uid,
        gid: maker.gid,
        executable: maker.executable.clone(),
        arguments: maker.arguments.clone(),
        environment: maker.environment.clone(),
        auxiliary_vector: maker.auxiliary_vector.clone(),
        limits: maker.limits,
        dumpable: maker.dumpable,
        space,
        groups: maker.groups.clone(),
        group: maker.group,
        session: maker.session,
        attributes: Attributes { parent_death_signal: 0, subreaper: false, ..maker.attributes },
        leader_status: None,
        started: now,
        cpu_time: 0,
        children_cpu_time: 0,
        switched_at: 0,
        exit_signal: request.exit_signal,
        executed: false,
        job: Job::default(),
    }
}
