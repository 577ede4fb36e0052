//! Sending signals, and finding the threads that have one to act on.

use warmfork_abi::Errno;
use warmfork_abi::signals::{
    CLD_CONTINUED, SI_USER, SIG_DFL, SIG_IGN, SIGCONT, SIGKILL, SIGPIPE, SIGRTMIN, STOPPING, UNBLOCKABLE, signal_bit,
};

use super::pending::{Added, Pending, Source};
use super::{Action, SignalInfo, Trap};
use crate::host::Host;
use crate::ids::{Pid, Tid};
use crate::kernel::Kernel;
use crate::process::{Process, RLIMIT_SIGPENDING};
use crate::processes::ProcessTable;
use crate::task::{State, Task};
use crate::wait::Wait;

/// Whom a signal is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Any thread of the process; the first, if it may.
    Process,
    /// Any thread of the process; this one, if it may: it ran when a timer expired that counts CPU time.
    Runner(Tid),
    /// One thread.
    Thread(Tid),
}

impl Kernel {
    /// The signal for a write of thread `tid` to a pipe or socket that nobody reads; EPIPE is the caller's to return.
    pub fn send_broken_pipe(&mut self, tid: Tid) {
        let Process { pid, uid, .. } = *self.process();
        // The caller lives, and standard signals are never refused for want of room.
        let _ = self.processes.send_signal(pid, Target::Thread(tid), SignalInfo::sent(SIGPIPE, SI_USER, pid, uid));
    }
}

impl ProcessTable {
    /// Sends a signal to process `pid`: it becomes pending unless it is ignored, and a blocked thread that will take it wakes
    /// up.
    ///
    /// # Errors
    /// ESRCH when the process or the thread does not exist, EAGAIN when the queue of real-time signals is full.
    pub fn send_signal(&mut self, pid: Pid, target: Target, info: SignalInfo) -> Result<(), Errno> {
        self.signal(pid, |process| process.send(target, info, None)).ok_or(Errno::ESRCH)?.map(drop)
    }

    /// Lets `operation` send signals to process `pid`, and tells its parent when one of them has let it go on. `None` when
    /// there is no such process.
    pub(crate) fn signal<T>(&mut self, pid: Pid, operation: impl FnOnce(&mut Process) -> T) -> Option<T> {
        let process = self.find_mut(pid)?;
        let stopped = process.tasks.stopped;
        let result = operation(process);
        if stopped && process.job.continued {
            self.tell_parent(pid, CLD_CONTINUED, SIGCONT);
        }
        Some(result)
    }
}

impl Process {
    /// Sends a signal that a timer owns. False when it will not be taken: ignored, or one of its number is pending.
    pub(crate) fn send_timer_signal(&mut self, target: Target, info: SignalInfo, source: Source) -> bool {
        matches!(self.send(target, info, Some(source)), Ok(Some(Added::Queued)))
    }

    /// Makes a signal pending, which `source` owns; `None` when it is ignored.
    ///
    /// # Errors
    /// As [`ProcessTable::send_signal`].
    pub(crate) fn send(
        &mut self,
        target: Target,
        info: SignalInfo,
        source: Option<Source>,
    ) -> Result<Option<Added>, Errno> {
        let signal = info.signal;
        let bit = signal_bit(signal);
        if let Target::Thread(tid) = target {
            self.tasks.lookup(tid).ok_or(Errno::ESRCH)?;
        }
        if bit & STOPPING != 0 {
            self.discard_pending(signal_bit(SIGCONT));
        } else if signal == SIGCONT {
            self.discard_pending(STOPPING);
        }
        if matches!(signal, SIGCONT | SIGKILL) {
            self.go_on(signal);
        }
        if self.signals.action(signal).ignores(bit) && !self.blocked_for(target, bit) {
            return Ok(None);
        }
        let full = self.queued_signals() >= self.limits[RLIMIT_SIGPENDING].soft;
        let info = match source {
            None if full && signal >= SIGRTMIN => match info.code {
                SI_USER => SignalInfo::forgotten(signal),
                _ => return Err(Errno::EAGAIN),
            },
            None if full && info.code < 0 => SignalInfo::forgotten(signal),
            _ => info,
        };
        let queue = match target {
            Target::Process | Target::Runner(_) => &mut self.signals.pending,
            Target::Thread(tid) => &mut self.tasks.get_mut(tid).signals.pending,
        };
        if full && signal >= SIGRTMIN && source.is_none() && queue.set() & bit != 0 {
            return Ok(Some(Added::Collapsed)); // only "pending" can be remembered, and it is
        }
        let added = queue.add(Pending { info, source });
        if added == Added::Queued {
            self.prefer(target, bit);
        }
        self.signals.news.add(self.pid);
        match target {
            Target::Process | Target::Runner(_) => self.wake_for_signals(),
            Target::Thread(tid) => self.wake_for_signal(tid),
        }
        Ok(Some(added))
    }

    /// Whether [`Kernel::deliver_signals`] has anything to do for thread `tid`.
    #[must_use]
    pub fn signals_to_deliver(&self, tid: Tid) -> bool {
        self.tasks.get(tid).signals.interrupted.is_some() || self.signal_due(tid, None)
    }

    /// Sends a signal that thread `tid` itself caused (a fault, an exception): it cannot be blocked or ignored. Its
    /// handler sees `trap`.
    pub fn force_signal(&mut self, tid: Tid, info: SignalInfo, trap: Trap) {
        self.tasks.get_mut(tid).signals.trap = trap;
        self.force(tid, info);
    }

    /// As [`Process::force_signal`], for a signal that no CPU exception stands behind.
    pub(crate) fn force(&mut self, tid: Tid, info: SignalInfo) {
        let bit = signal_bit(info.signal);
        let action = self.signals.action(info.signal);
        let signals = &mut self.tasks.get_mut(tid).signals;
        if signals.mask & bit != 0 || action.handler == SIG_IGN {
            self.signals.set_action(info.signal, Action { handler: SIG_DFL, ..action });
        }
        signals.mask &= !bit;
        signals.pending.add(Pending { info, source: None });
    }

    /// Takes a pending signal out of `wanted` on behalf of thread `tid`, blocked or not: sigtimedwait and signalfd.
    pub fn take_signal(&mut self, tid: Tid, wanted: u64, host: &Host) -> Option<SignalInfo> {
        let own = self.tasks.get_mut(tid).signals.pending.take(wanted);
        let taken = own.or_else(|| self.signals.pending.take(wanted))?;
        Some(self.taken(host, taken))
    }

    /// Signals pending for thread `tid` or the process, blocked or not.
    #[must_use]
    pub fn pending_signals(&self, tid: Tid) -> u64 {
        self.tasks.get(tid).signals.pending.set() | self.signals.pending.set()
    }

    /// Whether thread `tid` has a signal to act on, with `mask` in place of its own when given.
    #[must_use]
    pub fn signal_due(&self, tid: Tid, mask: Option<u64>) -> bool {
        let task = self.tasks.get(tid);
        if task.signals.pending.is_empty() && self.signals.pending.is_empty() {
            return false;
        }
        let unblocked = !(mask.unwrap_or(task.signals.mask) & !UNBLOCKABLE);
        task.signals.pending.set() & unblocked != 0 || self.shared_due(tid, unblocked) != 0
    }

    /// The signals pending for the process that thread `tid` shall take out of `unblocked`.
    pub(super) fn shared_due(&self, tid: Tid, unblocked: u64) -> u64 {
        let shared = self.signals.pending.set() & unblocked;
        if shared == 0 {
            return 0;
        }
        let timed = self.signals.timed;
        self.left_to(tid, self.signals.runner, shared & timed) | self.left_to(tid, self.pid, shared & !timed)
    }

    /// Notes which thread takes the signal with this `bit`, which has become pending for `target`, if it may.
    fn prefer(&mut self, target: Target, bit: u64) {
        let signals = &mut self.signals;
        match target {
            Target::Process => signals.timed &= !bit,
            Target::Runner(tid) if tid == signals.runner => signals.timed |= bit,
            Target::Runner(tid) => (signals.runner, signals.timed) = (tid, bit),
            Target::Thread(_) => {}
        }
    }

    /// Those of `signals` that thread `tid` takes. Linux prefers thread `preferred`, which takes those that it does not block;
    /// others take the rest, and those that end the program at once.
    fn left_to(&self, tid: Tid, preferred: Tid, signals: u64) -> u64 {
        let Some(preferred) = self.tasks.lookup(preferred).filter(|preferred| preferred.tid != tid) else {
            return signals;
        };
        signals & (effective_mask(preferred) | self.signals.fatal() & !sought(preferred))
    }

    /// Ends the waits of threads that have a signal to act on.
    pub(crate) fn wake_for_signals(&mut self) {
        let over = self.tasks.blocked().filter(|(tid, wait)| self.signal_ends(*tid, wait));
        let over: Vec<Tid> = over.map(|(tid, _)| tid).collect();
        over.into_iter().for_each(|tid| self.tasks.wake(tid));
    }

    /// Ends the wait of thread `tid`, if it waits and has a signal to act on.
    fn wake_for_signal(&mut self, tid: Tid) {
        if let Some(State::Blocked(wait)) = self.tasks.lookup(tid).map(Task::state)
            && self.signal_ends(tid, wait)
        {
            self.tasks.wake(tid);
        }
    }

    /// Whether a signal ends `wait`, which is thread `tid`'s.
    pub(crate) fn signal_ends(&self, tid: Tid, wait: &Wait) -> bool {
        wait.signals & self.pending_signals(tid) != 0 || self.signal_due(tid, wait.mask)
    }

    /// Drops pending signals of `set` everywhere, timers' included.
    pub(crate) fn discard_pending(&mut self, set: u64) {
        let mut sources = self.signals.pending.discard(set);
        for task in self.tasks.iter_mut() {
            sources.extend(task.signals.pending.discard(set));
        }
        for source in sources {
            self.timers.signal_dropped(source);
        }
    }

    fn blocked_for(&self, target: Target, bit: u64) -> bool {
        // A handler may be set before the signal is unblocked. Linux asks the first thread for all.
        let tid = match target {
            Target::Process => self.pid,
            Target::Thread(tid) | Target::Runner(tid) => tid,
        };
        let task = self.tasks.lookup(tid).or_else(|| self.tasks.iter().next());
        task.is_some_and(|task| (effective_mask(task) | task.signals.mask) & bit & !signal_bit(SIGKILL) != 0)
    }

    fn queued_signals(&self) -> u64 {
        let threads: usize = self.tasks.iter().map(|task| task.signals.pending.len()).sum();
        (threads + self.signals.pending.len()) as u64
    }

    /// Bookkeeping for a signal that leaves its queue: its timer goes on.
    pub(super) fn taken(&mut self, host: &Host, pending: Pending) -> SignalInfo {
        let mut info = pending.info;
        if let Some(source) = pending.source {
            host.move_deadlines();
            if let Some(overrun) = self.timers.signal_taken(source, host.monotonic()) {
                info.set_overrun(overrun);
            }
        }
        info
    }
}

/// The signals that a thread waits for with sigtimedwait or signalfd.
fn sought(task: &Task) -> u64 {
    match task.state() {
        State::Blocked(wait) | State::Retry(wait) => wait.signals,
        State::Ready => 0,
    }
}

/// The signals that a thread blocks now: its mask, or that of the call it waits in, without those that sigtimedwait waits for.
fn effective_mask(task: &Task) -> u64 {
    match task.state() {
        State::Blocked(wait) | State::Retry(wait) => wait.mask.unwrap_or(task.signals.mask) & !wait.signals,
        State::Ready => task.signals.mask,
    }
}
