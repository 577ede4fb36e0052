//! Chooses the thread that runs next, and the deadline to wait for when none can run.

use crate::events::{DescriptionId, Events};
use crate::host::Host;
use crate::ids::{Pid, Tid};
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::readiness::epoll;
use crate::task::{State, Task};
use crate::wait::Wait;

/// The state of the current thread's turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It goes on, unless the thread sleeps.
    Lasts,
    /// It is over; the next may be the same thread's.
    Over,
    /// The thread has given it away (sched_yield).
    Given,
}

/// A thread that has slept may run for so many nanoseconds before the others are as entitled to run.
const CREDIT: u64 = 10_000_000;

/// A thread runs for so many nanoseconds before others that may run have their turn.
const SLICE: u64 = 4_000_000;

/// A thread runs for so many nanoseconds before one whose sleep is over has its turn: a switch costs some microseconds, and
/// programs whose threads sleep for less would do nothing else.
const WAKE_GRANULARITY: u64 = 500_000;

/// A thread runs for so many nanoseconds between two signals of timers.
const SIGNAL_GRANULARITY: u64 = 100_000;

impl Kernel {
    /// When the current thread, whose turn began at `began`, is to be interrupted if it runs so long: for a timer's signal,
    /// for a thread whose sleep is over then, or because others may want a turn. In monotonic nanoseconds. Ask again after
    /// each switch, and when [`Host::have_deadlines_moved`].
    #[must_use]
    pub fn next_interruption(&mut self, host: &Host, began: u64) -> Option<u64> {
        host.deadlines_are_known();
        let after = |granularity: u64, at: u64| at.max(began.saturating_add(granularity));
        let timer = self.processes.next_timer(host).map(|at| after(SIGNAL_GRANULARITY, at));
        if self.processes.thread_count() == 1 {
            return timer;
        }
        let sleeper = self.next_deadline().map(|at| after(WAKE_GRANULARITY, at));
        timer.into_iter().chain(sleeper).chain([began.saturating_add(SLICE)]).min()
    }

    /// The thread to run next, with its process: the one that has had the CPU for the shortest time, as the kernel's fair
    /// scheduler has it. The time that a thread slept does not count in its favour, except for [`CREDIT`].
    #[must_use]
    pub fn next_thread(&self, turn: Turn) -> Option<(Pid, Tid)> {
        let current = self.process().tasks.current;
        if turn == Turn::Lasts && self.process().tasks.runnable(current) {
            return Some((self.process().pid, current));
        }
        let floor = self.processes.fair_time.saturating_sub(CREDIT);
        let mut best: Option<(u64, (Pid, Tid))> = None;
        for (pid, task) in self.runnable_threads() {
            // Equals take turns: those after the current thread come before those up to it, which it ends.
            let time = task.fair_time.max(floor);
            let given = turn == Turn::Given && task.tid == current;
            if best.is_none_or(|(least, _)| time < least) && !given {
                best = Some((time, (pid, task.tid)));
            }
        }
        let own = || self.process().tasks.runnable(current).then_some((self.process().pid, current));
        best.map(|(_, thread)| thread).or_else(own)
    }

    /// The threads that may run: those after the current one, those of other processes, those up to the current one.
    fn runnable_threads(&self) -> impl Iterator<Item = (Pid, &Task)> {
        let (tasks, own) = (&self.process().tasks, self.process().pid);
        let after = tasks.all_runnable().filter(|task| task.tid > tasks.current).map(move |task| (own, task));
        let until = tasks.all_runnable().filter(|task| task.tid <= tasks.current).map(move |task| (own, task));
        let others = self.processes.iter().filter(move |process| process.pid != own);
        let others = others.flat_map(|other| other.tasks.all_runnable().map(|task| (other.pid, task)));
        after.chain(others).chain(until)
    }

    /// The current thread has had the CPU for `nanoseconds`.
    pub fn count_turn(&mut self, nanoseconds: u64) {
        let floor = self.processes.fair_time.saturating_sub(CREDIT);
        let tasks = &mut self.processes.current_mut().tasks;
        let Some(task) = tasks.find(tasks.current) else { return };
        let began = task.fair_time.max(floor);
        task.fair_time = began.saturating_add(nanoseconds);
        self.processes.fair_time = self.processes.fair_time.max(began);
    }

    /// Lets every blocked thread try again whose wait is over: an event, a timeout, or a signal that is due.
    ///
    /// Call it after everything that may have ended a wait (a system call, a signal, [`Host::wait`]), and before
    /// [`Host::wait`]: it has the host watch everything that threads wait for.
    pub fn wake(&mut self, host: &mut Host) {
        self.settle_timerfds(host);
        let mut begun = false;
        for index in 0..self.processes.len() {
            self.wake_threads(host, index, &mut begun);
        }
    }

    /// [`Kernel::wake`], for the process at `index`; `begun` says whether this round of questions has begun.
    fn wake_threads(&mut self, host: &mut Host, index: usize, begun: &mut bool) {
        let pid = self.processes.at(index).pid;
        self.processes.expire_timers(host, pid);
        let Some(mut next) = self.processes.at(index).tasks.first_blocked(Tid::MIN) else { return };
        if !std::mem::replace(begun, true) {
            host.begin_round();
        }
        let now = host.monotonic();
        loop {
            let task = self.processes.at_mut(index).tasks.get_mut(next);
            if let State::Blocked(wait) = std::mem::replace(&mut task.state, State::Ready) {
                let over = self.is_over(host, index, next, &wait, now);
                let task = self.processes.at_mut(index).tasks.get_mut(next);
                task.state = if over { State::Retry(wait) } else { State::Blocked(wait) };
            }
            let Some(tid) = self.processes.at(index).tasks.first_blocked(next.saturating_add(1)) else { return };
            next = tid;
        }
    }

    /// Counts the expirations of timerfds, so that their next wake-up lies in the future.
    fn settle_timerfds(&mut self, host: &Host) {
        if self.shared.timers == 0 {
            return;
        }
        let now = host.monotonic();
        for object in self.files.objects_mut() {
            if let Object::TimerFd(timer) = object {
                timer.settle(now);
            }
        }
    }

    /// Whether `wait`, of thread `tid` of the process at `index`, is over.
    fn is_over(&mut self, host: &mut Host, index: usize, tid: Tid, wait: &Wait, now: u64) -> bool {
        host.asking = tid;
        let process = self.processes.at(index);
        wait.deadline.is_some_and(|at| at <= now)
            || process.signal_due(tid, wait.mask)
            || wait.signals & process.pending_signals(tid) != 0
            || self.any_ready(host, wait)
    }

    fn any_ready(&mut self, host: &mut Host, wait: &Wait) -> bool {
        let always = if wait.exact { Events::NVAL } else { Events::ERR | Events::HUP | Events::NVAL };
        wait.descriptions.iter().any(|&(id, events)| self.poll_for(host, id, events).intersects(events | always))
    }

    /// Whether every thread is blocked and one of them waits for a connection: the program is *ready*.
    #[must_use]
    pub fn awaits_connection(&self) -> bool {
        self.awaits(&Self::listens)
    }

    /// Whether every thread is blocked or stopped and one of them waits for input of a description that `wanted` says.
    pub(crate) fn awaits(&self, wanted: &dyn Fn(&Self, DescriptionId) -> bool) -> bool {
        let mut awaited = false;
        for process in self.processes.iter() {
            for task in process.tasks.iter() {
                match &task.state {
                    State::Blocked(wait) => awaited |= self.waits_for(wait, wanted),
                    State::Ready | State::Retry(_) if process.tasks.stopped => {}
                    State::Ready | State::Retry(_) => return false,
                }
            }
        }
        awaited
    }

    /// Whether it has a socket that others may send to, beside those that it listens on.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.files.objects().any(|object| matches!(object, Object::Socket(socket) if !socket.listening()))
    }

    /// Whether the guest is done with its one client: it had answered when it learnt that the client ends, and has sent
    /// nothing since. Not as long as it has other connections, which may be for an answer to come.
    #[must_use]
    pub fn is_done(&self, host: &Host) -> bool {
        let Some(only) = host.gate.only_connection() else { return false };
        self.files.descriptions().all(|(id, description)| match &description.object {
            Object::Socket(socket) if id == only => socket.conversation.is_over(),
            Object::Socket(socket) => socket.listening(),
            _ => true,
        })
    }

    fn waits_for(&self, wait: &Wait, wanted: &dyn Fn(&Self, DescriptionId) -> bool) -> bool {
        wait.descriptions.iter().any(|&(id, events)| events.contains(Events::IN) && self.leads_to(id, wanted))
    }

    fn leads_to(&self, id: DescriptionId, wanted: &dyn Fn(&Self, DescriptionId) -> bool) -> bool {
        match self.files.find(id).map(|description| &description.object) {
            Some(Object::Epoll(_)) => epoll::members(self, id).into_iter().any(|member| self.leads_to(member, wanted)),
            Some(_) => wanted(self, id),
            None => false,
        }
    }

    /// Whether description `id` is a listening socket.
    pub(crate) fn listens(&self, id: DescriptionId) -> bool {
        self.files.find(id).is_some_and(|description| description.object.listening())
    }
}
