//! Guest threads: contexts that one executor switches between. Plain data.

use std::collections::BTreeMap;

use warmfork_abi::Registers;
use warmfork_abi::process::SCHED_NORMAL;
use warmfork_memory::Inode;

use crate::assign::assign_entries;
use crate::ids::{SpaceId, Tid};
use crate::sequences::Sequences;
use crate::wait::Wait;

/// The memory of a blocked call from one attempt to the next; cleared when a new call begins.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Restart {
    /// When its timeout runs out (monotonic nanoseconds).
    pub deadline: Option<u64>,
    /// Bytes already moved: an interrupted call returns them.
    pub progress: u64,
    /// Messages already moved by recvmmsg, which returns them instead of bytes.
    pub messages: u64,
    /// Where it queues for a futex.
    pub queued: Option<Queued>,
    /// The child of its vfork, which has its memory.
    pub lent_to: Option<Tid>,
}

/// The identity of a futex word: two words with the same key are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FutexKey {
    /// An address in an address space.
    Private(SpaceId, u64),
    /// A place in a file that is mapped shared, by its offset.
    Shared(Inode, u64),
}

/// A futex word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word {
    /// Which one it is.
    pub key: FutexKey,
    /// Its guest address, as the thread named it.
    pub address: u64,
}

/// A thread's place among the waiters of a futex.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Queued {
    /// The futex.
    pub word: Word,
    /// The bits of which a waker must name one.
    pub bitset: u32,
    /// Waits for the lock of a priority-inheritance futex, not for a FUTEX_WAKE.
    pub lock: bool,
    /// Smaller numbers came earlier and are woken first.
    pub sequence: u64,
    /// A waker has taken it from the queue.
    pub woken: bool,
}

/// Whether a thread may run.
#[derive(Clone, PartialEq, Debug)]
pub enum State {
    /// In user code, or about to be.
    Ready,
    /// In a call that waits.
    Blocked(Wait),
    /// In a call whose wait is over: the call runs again before user code does.
    Retry(Wait),
}

/// One guest thread.
#[derive(Clone, PartialEq, Debug)]
pub struct Task {
    /// Its id.
    pub tid: Tid,
    /// Integer registers while it does not run.
    pub registers: Registers,
    /// FPU and vector state while another thread's is loaded. Out of date, or `None`, while its own is.
    pub fpu: Option<Vec<u8>>,
    /// Whether it may run.
    pub state: State,
    /// The memory of its blocked call.
    pub restart: Restart,
    /// The open(2) of a FIFO that it waits in.
    pub opening: Option<crate::objects::fifos::Waiting>,
    /// Name (PR_SET_NAME), at most 15 bytes.
    pub name: Vec<u8>,
    /// set_tid_address: cleared and woken at exit.
    pub clear_child_tid: u64,
    /// set_robust_list: head address.
    pub robust_list: u64,
    /// rseq: its area, once registered.
    pub sequences: Option<Sequences>,
    /// Signal state of this thread.
    pub signals: crate::kernel::TaskSignals,
    /// CPU time used in earlier turns, in nanoseconds; see [`crate::Kernel::thread_cpu_time`].
    pub cpu_time: u64,
    /// For how long it has had the CPU, in nanoseconds, as [`crate::Kernel::next_thread`] counts.
    pub fair_time: u64,
    /// Scheduling policy as sched_getscheduler reports it. All threads are scheduled alike.
    pub policy: i32,
}

impl Task {
    /// A thread that is ready to run from `registers`.
    #[must_use]
    pub fn new(tid: Tid, registers: Registers, name: Vec<u8>) -> Self {
        Self {
            tid,
            registers,
            fpu: None,
            state: State::Ready,
            restart: Restart::default(),
            opening: None,
            name,
            clear_child_tid: 0,
            robust_list: 0,
            sequences: None,
            signals: crate::kernel::TaskSignals::default(),
            cpu_time: 0,
            fair_time: 0,
            policy: SCHED_NORMAL,
        }
    }

    /// Whether it may run.
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        !matches!(self.state, State::Blocked(_))
    }

    /// Ends its wait, if it waits: its call runs again.
    pub fn wake(&mut self) {
        if let State::Blocked(wait) = &mut self.state {
            self.state = State::Retry(std::mem::take(wait));
        }
    }
}

/// All threads of a process.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Tasks {
    tasks: BTreeMap<Tid, Task>,
    /// The thread that runs, or that ran last. While its process runs, the platform has its registers and FPU state.
    pub current: Tid,
    /// A signal has stopped the process: none of them may run.
    pub stopped: bool,
}

impl Tasks {
    /// Assigns `from` to these threads.
    pub fn assign(&mut self, from: &Self) {
        let Self { tasks, current, stopped } = self;
        assign_entries(tasks, &from.tasks);
        (*current, *stopped) = (from.current, from.stopped);
    }

    /// Adds a thread.
    pub fn insert(&mut self, task: Task) {
        self.tasks.insert(task.tid, task);
    }

    /// Removes and returns a thread.
    pub fn remove(&mut self, tid: Tid) -> Option<Task> {
        self.tasks.remove(&tid)
    }

    /// The live thread `tid`.
    ///
    /// # Panics
    /// When there is none: for ids that came from [`Tasks`] itself.
    #[must_use]
    #[expect(clippy::expect_used, reason = "documented: ids of live threads only")]
    pub fn get(&self, tid: Tid) -> &Task {
        self.tasks.get(&tid).expect("a live thread")
    }

    /// As [`Tasks::get`], to change it.
    ///
    /// # Panics
    /// As [`Tasks::get`].
    #[expect(clippy::expect_used, reason = "documented: ids of live threads only")]
    pub fn get_mut(&mut self, tid: Tid) -> &mut Task {
        self.tasks.get_mut(&tid).expect("a live thread")
    }

    /// The thread that runs, or that ran last.
    ///
    /// # Panics
    /// When it has ended since.
    #[must_use]
    pub fn running(&self) -> &Task {
        self.get(self.current)
    }

    /// Thread `tid`, if it lives.
    #[must_use]
    pub fn lookup(&self, tid: Tid) -> Option<&Task> {
        self.tasks.get(&tid)
    }

    /// The thread that a guest named, if it lives.
    pub fn find(&mut self, tid: Tid) -> Option<&mut Task> {
        self.tasks.get_mut(&tid)
    }

    /// All threads in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// All threads, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        self.tasks.values_mut()
    }

    /// How many live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether none lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether thread `tid` lives and may run.
    #[must_use]
    pub fn runnable(&self, tid: Tid) -> bool {
        !self.stopped && self.tasks.get(&tid).is_some_and(|task| !matches!(task.state, State::Blocked(_)))
    }

    /// The blocked thread with the lowest id from `minimum` on.
    #[must_use]
    pub fn first_blocked(&self, minimum: Tid) -> Option<Tid> {
        let mut blocked = self.tasks.range(minimum..).filter(|(_, task)| matches!(task.state, State::Blocked(_)));
        blocked.next().map(|(tid, _)| *tid)
    }

    /// The threads that may run.
    pub fn all_runnable(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().filter(|task| !self.stopped && task.is_runnable())
    }
}
