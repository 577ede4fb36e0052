//! Guest threads: contexts that one executor switches between. Plain data.

mod table;

use warmfork_abi::Registers;
use warmfork_abi::process::SCHED_NORMAL;
use warmfork_memory::Inode;

use crate::ids::{SpaceId, Tid};
use crate::sequences::Sequences;
use crate::wait::Wait;

pub use table::Tasks;

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
    queued: Option<Queued>,
    /// The child of its vfork, which has its memory.
    pub lent_to: Option<Tid>,
}

/// The identity of a futex word: two words with the same key are one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
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
    state: State,
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

    /// Whether it may run; [`Tasks`] changes that.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether it may run.
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        !matches!(self.state, State::Blocked(_))
    }

    /// Where the call that it makes queues for a futex.
    #[must_use]
    pub fn queued(&self) -> Option<Queued> {
        self.restart.queued
    }

    /// Its call, which is about to block, queues for a futex at `place`.
    pub fn queue(&mut self, place: Queued) {
        debug_assert!(self.futex_place().is_none(), "a thread that waits for a futex changes its place by Tasks alone");
        self.restart.queued = Some(place);
    }

    /// Its place among the waiters of a futex, while it waits: until its call has come to its end, or it was woken.
    fn futex_place(&self) -> Option<(FutexKey, u64, Tid)> {
        let queued = self.restart.queued.filter(|queued| !queued.woken && self.state.waits())?;
        Some((queued.word.key, queued.sequence, self.tid))
    }

    fn deadline(&self) -> Option<(u64, Tid)> {
        match &self.state {
            State::Blocked(wait) => Some((wait.deadline?, self.tid)),
            State::Ready | State::Retry(_) => None,
        }
    }
}

impl State {
    /// Whether the thread is in a call that has not come to its end.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self, Self::Blocked(_) | Self::Retry(_))
    }
}
