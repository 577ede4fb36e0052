//! A new process: what it takes over from its maker.

use warmfork_abi::{Errno, Registers};

use super::{Parked, Pid};
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::process::{Job, Process, SpaceId};
use crate::signal::{PendingSignals, TaskSignals};
use crate::task::Task;
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
    /// What its parent gets when it ends; 0 for nothing.
    pub exit_signal: u32,
    /// CLONE_PARENT: it is its maker's sibling.
    pub sibling: bool,
    /// CLONE_VM: it runs in its maker's memory.
    pub shares_memory: bool,
    /// CLONE_CLEAR_SIGHAND: its handlers are reset.
    pub default_handlers: bool,
    /// CLONE_CHILD_CLEARTID: what is cleared in its memory when it ends.
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
        if self.family.parked.len() + 1 + self.family.zombies.len() >= self.family.max_processes {
            return Err(Errno::EAGAIN);
        }
        let pid = self.new_id()?;
        let space = if request.shares_memory { self.process.space } else { self.new_space_id() };
        if !request.shares_memory {
            self.family.spaces.insert(space, self.space.clone());
        }
        let parent = if request.sibling { self.process.parent } else { self.process.pid };
        let mut process = Process {
            pid,
            parent,
            space,
            exit_signal: request.exit_signal,
            cpu_time: 0,
            children_cpu_time: 0,
            switched_at: 0,
            started: host.monotonic(),
            leader_status: None,
            executed: false,
            job: Job::default(),
            ..self.process.clone()
        };
        process.attributes.parent_death_signal = 0;
        process.attributes.subreaper = false;
        let mut signals = self.signals.clone();
        signals.pending = PendingSignals::default();
        if request.default_handlers {
            signals.reset_handlers();
        }
        let maker = self.tasks.get(request.maker);
        let mut task = Task::new(pid, request.registers, maker.name.clone());
        task.signals = TaskSignals { stack: maker.signals.stack, ..maker.signals.inherited() };
        task.policy = maker.policy;
        task.fair_time = maker.fair_time;
        task.sequences = maker.sequences.filter(|_| !request.shares_memory);
        task.fpu = request.fpu;
        task.clear_child_tid = request.clear_child_tid;
        let mut tasks = crate::task::Tasks::default();
        tasks.insert(task);
        tasks.current = pid;
        let table = self.files.share_table();
        let fs = self.fs.clone();
        let timers = Timers::default();
        self.family.parked.insert(pid, Box::new(Parked { tasks, table, process, fs, signals, timers }));
        Ok(pid)
    }

    /// An id for an address space.
    pub(super) fn new_space_id(&mut self) -> SpaceId {
        let id = self.family.next_space;
        self.family.next_space = SpaceId(id.0.saturating_add(1));
        id
    }

    /// Undoes [`Kernel::fork_process`] for a child that has not run, and closes what its maker has got of it.
    pub fn undo_fork(&mut self, host: &mut Host, pid: Pid, pidfd: Option<i32>) {
        if let Some(fd) = pidfd {
            // It was opened just now.
            let _ = self.close(host, fd);
        }
        let descriptors = self.with_process(pid, |kernel| kernel.close_all(host));
        if descriptors.is_some() {
            self.forget_process(pid);
        }
    }

    /// Takes a process out of the family, and its address space when nobody else has it.
    pub(super) fn forget_process(&mut self, pid: Pid) -> Option<Box<Parked>> {
        let gone = self.family.parked.remove(&pid)?;
        let space = gone.process.space;
        if self.process.space != space && !self.family.any(|process| process.space == space) {
            self.family.spaces.remove(&space);
        }
        Some(gone)
    }

    /// Closes every descriptor of the current process.
    pub(super) fn close_all(&mut self, host: &mut Host) {
        let open: Vec<i32> = self.files.descriptors().map(|(fd, _)| fd).collect();
        for fd in open {
            // It was open just now.
            let _ = self.close(host, fd);
        }
    }

    /// Whether the process that thread `tid` has made with vfork still runs in its memory.
    #[must_use]
    pub fn lends_memory(&self, child: Pid) -> bool {
        self.find_process(child).is_some_and(|process| process.space == self.process.space)
    }

    /// The current process gives up the memory that it has from its vfork: its maker goes on.
    pub(super) fn give_memory_back(&mut self, pid: Pid) {
        let lent = |task: &&mut Task| task.restart.lent_to == Some(pid);
        let own = self.tasks.iter_mut().filter(lent);
        own.chain(self.family.tasks_mut().filter(lent)).for_each(Task::wake);
    }
}
