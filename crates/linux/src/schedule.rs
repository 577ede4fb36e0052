//! Which thread runs next, and what to wait for when none can.

use crate::events::{DescriptionId, Events};
use crate::host::Host;
use crate::ids::{Pid, Tid};
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::readiness::epoll;
use crate::task::{State, Task};
use crate::wait::Wait;

/// What has become of the current thread's turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It goes on, unless the thread sleeps.
    Lasts,
    /// It is over; the next may be the same thread's.
    Over,
    /// The thread has given it away (sched_yield).
    Given,
}

/// Who has slept may run for so many nanoseconds before the others are as entitled to.
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
        let timer = self.next_timer(host).map(|at| after(SIGNAL_GRANULARITY, at));
        if self.tasks.len() == 1 && self.family.is_empty() {
            return timer;
        }
        let sleeper = self.next_deadline().map(|at| after(WAKE_GRANULARITY, at));
        timer.into_iter().chain(sleeper).chain([began.saturating_add(SLICE)]).min()
    }

    /// The thread to run next, with its process: the one that has had the CPU for the shortest time, as the kernel's fair
    /// scheduler has it. What a thread did not use while it slept does not count, but for [`CREDIT`].
    #[must_use]
    pub fn next_thread(&self, turn: Turn) -> Option<(Pid, Tid)> {
        let current = self.tasks.current;
        if turn == Turn::Lasts && self.tasks.runnable(current) {
            return Some((self.process.pid, current));
        }
        let floor = self.family.fair_time.saturating_sub(CREDIT);
        let mut best: Option<(u64, (Pid, Tid))> = None;
        for (pid, task) in self.runnable_threads() {
            // Equals take turns: those after the current thread come before those up to it, which it ends.
            let time = task.fair_time.max(floor);
            let given = turn == Turn::Given && task.tid == current;
            if best.is_none_or(|(least, _)| time < least) && !given {
                best = Some((time, (pid, task.tid)));
            }
        }
        best.map(|(_, thread)| thread).or_else(|| self.tasks.runnable(current).then_some((self.process.pid, current)))
    }

    /// The threads that may run: those after the current one, those of other processes, those up to the current one.
    fn runnable_threads(&self) -> impl Iterator<Item = (Pid, &Task)> {
        let (current, own) = (self.tasks.current, self.process.pid);
        let after = self.tasks.all_runnable().filter(move |task| task.tid > current).map(move |task| (own, task));
        let until = self.tasks.all_runnable().filter(move |task| task.tid <= current).map(move |task| (own, task));
        let others = self.family.all_tasks().flat_map(|(pid, tasks)| tasks.all_runnable().map(move |task| (pid, task)));
        after.chain(others).chain(until)
    }

    /// The current thread has had the CPU for `nanoseconds`.
    pub fn count_turn(&mut self, nanoseconds: u64) {
        let floor = self.family.fair_time.saturating_sub(CREDIT);
        let Some(task) = self.tasks.find(self.tasks.current) else { return };
        let began = task.fair_time.max(floor);
        task.fair_time = began.saturating_add(nanoseconds);
        self.family.fair_time = self.family.fair_time.max(began);
    }

    /// Lets every blocked thread try again whose wait is over: an event, a timeout, or a signal that is due.
    ///
    /// Call it after whatever may have ended a wait (a system call, a signal, [`Host::wait`]), and before
    /// [`Host::wait`]: it has the host watch everything that threads wait for.
    pub fn wake(&mut self, host: &mut Host) {
        self.settle_timerfds(host);
        let mut begun = false;
        self.wake_threads(host, &mut begun);
        if !self.family.is_empty() {
            for pid in self.family.parked() {
                self.with_process(pid, |kernel| kernel.wake_threads(host, &mut begun));
            }
        }
    }

    /// [`Kernel::wake`], for the current process; `begun` says whether this round of questions has begun.
    fn wake_threads(&mut self, host: &mut Host, begun: &mut bool) {
        self.expire_timers(host);
        if self.tasks.iter().all(|task| !matches!(task.state, State::Blocked(_))) {
            return;
        }
        if !std::mem::replace(begun, true) {
            host.begin_round();
        }
        let now = host.monotonic();
        let mut next = self.tasks.first_blocked(Tid::MIN);
        while let Some(tid) = next {
            let task = self.tasks.get_mut(tid);
            if let State::Blocked(wait) = std::mem::replace(&mut task.state, State::Ready) {
                let over = self.is_over(host, tid, &wait, now);
                self.tasks.get_mut(tid).state = if over { State::Retry(wait) } else { State::Blocked(wait) };
            }
            next = self.tasks.first_blocked(tid.saturating_add(1));
        }
    }

    /// Counts what timerfds have run out of, so that their next wake-up lies ahead.
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

    fn is_over(&mut self, host: &mut Host, tid: Tid, wait: &Wait, now: u64) -> bool {
        host.asking = tid;
        wait.deadline.is_some_and(|at| at <= now)
            || self.signal_due(tid, wait.mask)
            || wait.signals & self.pending_signals(tid) != 0
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

    /// Whether every thread is blocked and one of them waits for input of a description that `wanted` says.
    pub(crate) fn awaits(&self, wanted: &dyn Fn(&Self, DescriptionId) -> bool) -> bool {
        let mut awaited = false;
        for task in self.tasks.iter() {
            let State::Blocked(wait) = &task.state else { return false };
            awaited |= self.waits_for(wait, wanted);
        }
        if self.family.is_empty() {
            return awaited;
        }
        let Some(others) = self.family.blocked() else { return false };
        let waits = |task: &&Task| matches!(&task.state, State::Blocked(wait) if self.waits_for(wait, wanted));
        awaited || others.iter().any(waits)
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
