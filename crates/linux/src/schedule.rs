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
                match task.state() {
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
