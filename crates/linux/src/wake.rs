//! Ends waits: lets blocked threads try again whose wait is over.
//!
//! ```text
//!   a deadline      the sleepers of each process, first come first (task/table.rs)
//!   a signal        whoever sends it wakes the thread (signal/send.rs)
//!   a futex         whoever wakes its waiters does (futex.rs)
//!   a description   those in the queues of what has changed are asked (wait_queues.rs), and those that have begun to wait
//! ```
//!
//! So a call wakes the threads that wait for what it changed, and no other thread costs anything. In case that nothing told of
//! a change, all are asked once in a while, and before the machine waits for the host.

use crate::events::Events;
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::wait::Wait;
use crate::wait_queues::{Queue, Waiter};

impl Kernel {
    /// Lets every blocked thread try again whose wait is over: an event, a timeout, or a signal that is due. Call it after
    /// everything that may have ended a wait: a system call, a signal, [`Host::wait`].
    pub fn wake(&mut self, host: &mut Host) {
        let now = host.monotonic();
        self.settle_timerfds(host, now);
        for index in 0..self.processes.len() {
            let pid = self.processes.at(index).pid;
            self.processes.expire_timers(host, pid);
            let process = self.processes.at_mut(index);
            process.tasks.wake_sleepers(now);
            if !process.signals.pending.is_empty() {
                // Nobody has taken it yet. Whose it is depends on what the first thread does.
                process.wake_for_signals();
            }
        }
        let all = host.queues.begin_round(now);
        if !all && host.queues.awaits_files() {
            host.freshen();
        }
        host.begin_round();
        let mut due = host.queues.begin();
        self.find_due(host, all, &mut due);
        for &tid in &due {
            self.ask(host, tid);
        }
        host.queues.end(due);
    }

    /// As [`Kernel::wake`], asking every blocked thread. Call it when nobody may have told of changes, and before
    /// [`Host::wait`]: it has the host watch everything that threads wait for.
    pub fn wake_all(&mut self, host: &mut Host) {
        host.ask_all();
        self.wake(host);
    }

    /// Counts the expirations of timerfds, so that their next wake-up lies in the future.
    fn settle_timerfds(&mut self, host: &mut Host, now: u64) {
        if self.shared.timers.next().is_none_or(|at| at > now) {
            return;
        }
        for id in self.shared.timers.due(now) {
            if let (Object::TimerFd(timer), mut context) = self.object(host, id) {
                timer.look(&mut context);
            }
        }
    }

    /// Takes all news; `due` gets the threads whose waits they may have ended, or `all` that wait for descriptions.
    fn find_due(&mut self, host: &mut Host, all: bool, due: &mut Vec<Tid>) {
        let mut files = std::mem::take(&mut host.queues.files);
        let mut fire = |queue| {
            if !all {
                host.queues.fire(queue, due);
            }
        };
        let mut many = files.take(|file| fire(Queue::File(file)));
        many |= self.files.news.take(|id| fire(Queue::Description(id)));
        many |= self.shared.take_news(&mut fire);
        many |= self.processes.ends.take(|id| fire(Queue::End(id)));
        for process in self.processes.iter_mut() {
            many |= process.signals.news.take(|pid| fire(Queue::Signals(pid)));
        }
        host.queues.files = files;
        for process in self.processes.iter_mut() {
            many |= process.tasks.news.take(|tid| due.push(tid));
        }
        if all || many {
            due.clear();
            due.extend(self.processes.iter().flat_map(|process| process.tasks.polling()));
        }
        due.sort_unstable();
        due.dedup();
    }

    /// Asks thread `tid`, if it is blocked, whether its wait for descriptions is over. If it is not, the thread is in the queues
    /// of everything that could end that.
    fn ask(&mut self, host: &mut Host, tid: Tid) {
        let Some(index) = self.processes.index_with(tid) else { return };
        let Some(wait) = self.processes.at_mut(index).tasks.take_wait(tid) else { return };
        host.asking = tid;
        host.queues.ask_for(Some(Waiter::Thread(tid)));
        let over = self.any_ready(host, &wait);
        host.queues.ask_for(None);
        let tasks = &mut self.processes.at_mut(index).tasks;
        tasks.return_wait(tid, wait);
        if over {
            tasks.wake(tid);
        }
    }

    fn any_ready(&mut self, host: &mut Host, wait: &Wait) -> bool {
        let always = if wait.exact { Events::NVAL } else { Events::ERR | Events::HUP | Events::NVAL };
        wait.descriptions.iter().any(|&(id, events)| self.poll_for(host, id, events).intersects(events | always))
    }
}

#[cfg(test)]
mod tests;
