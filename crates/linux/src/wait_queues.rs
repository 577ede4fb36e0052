//! Who is to be asked again when something changes: wait queues, as other kernels have them. [`Kernel::wake`] uses them.
//!
//! ```text
//!   a blocked thread is asked        each thing that the answer depends on has it in its queue; an epoll set joins the
//!                                    queues of its members, and the thread joins the set's
//!   a call changes a thing           the thing is named in the news (news.rs) of the table that holds it
//!   Kernel::wake                     empties the queues of what has changed; who was in one is asked, and joins again
//! ```
//!
//! They are of one running machine and no part of its state: what they say follows from asking all threads. That is done
//! when a run begins, before the machine waits for the host, and once in a while.
//!
//! [`Kernel::wake`]: crate::Kernel::wake

use std::collections::BTreeSet;
use std::os::fd::RawFd;

use crate::events::DescriptionId;
use crate::ids::{Pid, Tid};
use crate::news::News;

/// A thing that threads wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Queue {
    /// An open file description.
    Description(DescriptionId),
    /// A pipe.
    Pipe(u64),
    /// A socket pair.
    Pair(u64),
    /// A TCP connection without the host.
    Connection(u64),
    /// The datagrams for a Unix socket.
    Mailbox(u64),
    /// A pseudo-terminal.
    Terminal(u32),
    /// The end of a process or a thread.
    End(Pid),
    /// The signals for a process and its threads.
    Signals(Pid),
    /// A host file, by its descriptor.
    File(RawFd),
}

/// A member of a queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Waiter {
    /// A thread.
    Thread(Tid),
    /// An epoll set: those in its own queue wait.
    Set(DescriptionId),
}

/// Most places in all queues together. Beyond it all threads are asked each time.
const MAX_PLACES: usize = 1 << 16;

/// In so many nanoseconds every thread that waits for descriptions is asked once, in case that nothing told of a change.
const ROUND: u64 = 10_000_000;

/// The queues of one machine.
#[derive(Debug, Default)]
pub(crate) struct WaitQueues {
    places: BTreeSet<(Queue, Waiter)>,
    /// There was no place for everybody.
    full: bool,
    /// The waiter that is asked now, if one is.
    asked: Option<Waiter>,
    /// Host files that may have become ready.
    pub(crate) files: News<RawFd>,
    /// The last round in which every blocked thread was asked, in monotonic nanoseconds; `None` when the next one is due.
    last_round: Option<u64>,
    /// Room for the threads of [`WaitQueues::begin`].
    due: Vec<Tid>,
}

impl WaitQueues {
    /// Every blocked thread is to be asked.
    pub(crate) fn ask_all(&mut self) {
        self.last_round = None;
    }

    /// Whether every blocked thread is to be asked at `now`, and notes that it is.
    pub(crate) fn begin_round(&mut self, now: u64) -> bool {
        let due = self.full || self.last_round.is_none_or(|last| now >= last.saturating_add(ROUND) || now < last);
        if due {
            self.last_round = Some(now);
        }
        if std::mem::take(&mut self.full) {
            self.places.clear();
        }
        due
    }

    /// An empty list for the threads to ask. Give it back with [`WaitQueues::end`], which saves an allocation.
    pub(crate) fn begin(&mut self) -> Vec<Tid> {
        std::mem::take(&mut self.due)
    }

    /// Takes back the list of [`WaitQueues::begin`].
    pub(crate) fn end(&mut self, mut due: Vec<Tid>) {
        due.clear();
        self.due = due;
    }

    /// From now on questions are asked for `waiter`, if for anybody; the one for whom they were asked.
    pub(crate) fn ask_for(&mut self, waiter: Option<Waiter>) -> Option<Waiter> {
        std::mem::replace(&mut self.asked, waiter)
    }

    /// As [`WaitQueues::ask_for`], for the epoll set `id` on behalf of whoever asks it.
    pub(crate) fn ask_for_set(&mut self, id: DescriptionId) -> Option<Waiter> {
        let set = self.asked.map(|_| Waiter::Set(id));
        self.ask_for(set)
    }

    /// Whether questions are asked for a waiter.
    pub(crate) fn asks(&self) -> bool {
        self.asked.is_some()
    }

    /// The answer to the present question depends on the thing of `queue`.
    pub(crate) fn join(&mut self, queue: Queue) {
        let Some(waiter) = self.asked else { return };
        if self.places.len() < MAX_PLACES {
            self.places.insert((queue, waiter));
        } else {
            self.full = true;
        }
    }

    /// Whether a thread waits for a host file.
    pub(crate) fn awaits_files(&self) -> bool {
        let files = (Queue::File(RawFd::MIN), Waiter::Thread(Tid::MIN))..;
        self.places.range(files).next().is_some()
    }

    /// The thing of `queue` has changed: empties the queue; `due` gets the threads that were in it.
    pub(crate) fn fire(&mut self, queue: Queue, due: &mut Vec<Tid>) {
        let mut next = Some(queue);
        let mut more = Vec::new(); // allocates for sets in sets alone
        while let Some(queue) = next {
            let mut sets = None;
            while let Some(waiter) = self.leave(queue) {
                match waiter {
                    Waiter::Thread(tid) => due.push(tid),
                    Waiter::Set(id) => more.extend(sets.replace(Queue::Description(id))),
                }
            }
            next = sets.or_else(|| more.pop());
        }
    }

    /// Takes one waiter out of `queue`.
    fn leave(&mut self, queue: Queue) -> Option<Waiter> {
        let place = *self.places.range((queue, Waiter::Thread(Tid::MIN))..).next()?;
        (place.0 == queue && self.places.remove(&place)).then_some(place.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(queues: &mut WaitQueues, queue: Queue) -> Vec<Tid> {
        let mut due = Vec::new();
        queues.fire(queue, &mut due);
        due
    }

    fn join(queues: &mut WaitQueues, waiter: Waiter, queue: Queue) {
        queues.ask_for(Some(waiter));
        queues.join(queue);
        queues.ask_for(None);
    }

    #[test]
    fn a_queue_is_emptied_once_and_others_stay() {
        let mut queues = WaitQueues::default();
        for tid in [5, 3, 5] {
            join(&mut queues, Waiter::Thread(tid), Queue::Pipe(7));
        }
        join(&mut queues, Waiter::Thread(4), Queue::Pipe(8));
        assert_eq!(fired(&mut queues, Queue::Pipe(7)), [3, 5]);
        assert_eq!(fired(&mut queues, Queue::Pipe(7)), []);
        assert_eq!(fired(&mut queues, Queue::Pair(8)), []);
        assert_eq!(fired(&mut queues, Queue::Pipe(8)), [4]);
    }

    #[test]
    fn who_waits_for_a_set_waits_for_its_members() {
        let (outer, inner) = (DescriptionId(1), DescriptionId(2));
        let mut queues = WaitQueues::default();
        join(&mut queues, Waiter::Thread(3), Queue::Description(outer));
        join(&mut queues, Waiter::Thread(4), Queue::Description(inner));
        join(&mut queues, Waiter::Set(outer), Queue::Description(inner));
        join(&mut queues, Waiter::Set(inner), Queue::Pipe(0));
        join(&mut queues, Waiter::Set(outer), Queue::Pipe(0));
        let mut due = fired(&mut queues, Queue::Pipe(0));
        due.sort_unstable();
        assert_eq!(due, [3, 4]);
        assert!(queues.places.is_empty());
    }

    #[test]
    fn a_set_asks_on_behalf_of_somebody_or_not_at_all() {
        let mut queues = WaitQueues::default();
        assert_eq!(queues.ask_for_set(DescriptionId(1)), None);
        queues.join(Queue::Pipe(0));
        assert!(queues.places.is_empty());
    }

    #[test]
    fn only_host_files_have_the_host_asked() {
        let mut queues = WaitQueues::default();
        join(&mut queues, Waiter::Thread(3), Queue::Signals(9));
        assert!(!queues.awaits_files());
        join(&mut queues, Waiter::Set(DescriptionId(1)), Queue::File(0));
        assert!(queues.awaits_files());
    }

    #[test]
    fn without_a_place_for_everybody_all_are_asked() {
        let mut queues = WaitQueues::default();
        assert!(queues.begin_round(0) && !queues.begin_round(1) && queues.begin_round(ROUND));
        for pipe in 0..=MAX_PLACES as u64 {
            join(&mut queues, Waiter::Thread(3), Queue::Pipe(pipe));
        }
        assert_eq!(queues.places.len(), MAX_PLACES);
        assert!(queues.begin_round(ROUND + 1) && queues.places.is_empty());
        assert!(!queues.begin_round(ROUND + 2));
    }
}
