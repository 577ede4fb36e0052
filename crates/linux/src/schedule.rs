//! Which thread runs next, and what to wait for when none can.

use crate::files::{DescriptionId, Events};
use crate::kernel::Kernel;
use crate::objects::{Object, epoll};
use crate::poller::Host;
use crate::task::{State, Tid, Wait};

impl Kernel {
    /// Lets every blocked thread try again whose wait is over: an event, a timeout, or a signal that is due.
    pub fn wake(&mut self, host: &mut Host) {
        self.expire_timers(host);
        let now = host.monotonic();
        let blocked: Vec<Tid> =
            self.tasks.iter().filter(|task| matches!(task.state, State::Blocked(_))).map(|task| task.tid).collect();
        for tid in blocked {
            let task = self.tasks.get_mut(tid);
            let State::Blocked(wait) = std::mem::replace(&mut task.state, State::Ready) else { continue };
            let over = wait.deadline.is_some_and(|at| at <= now)
                || self.signal_due(tid, wait.mask)
                || wait.signals & self.pending_signals(tid) != 0
                || self.any_ready(host, &wait);
            self.tasks.get_mut(tid).state = if over { State::Retry(wait) } else { State::Blocked(wait) };
        }
    }

    fn any_ready(&mut self, host: &mut Host, wait: &Wait) -> bool {
        let always = Events::ERR | Events::HUP | Events::NVAL;
        wait.descriptions.iter().any(|&(id, events)| self.poll(host, id).intersects(events | always))
    }

    /// Whether every thread is blocked and one of them waits for a connection: the program is *ready*.
    #[must_use]
    pub fn awaits_connection(&self) -> bool {
        let mut listening = false;
        for task in self.tasks.iter() {
            let State::Blocked(wait) = &task.state else { return false };
            listening |= wait.descriptions.iter().any(|&(id, _)| self.leads_to_listener(id));
        }
        listening
    }

    fn leads_to_listener(&self, id: DescriptionId) -> bool {
        match self.files.find(id).map(|description| &description.object) {
            Some(Object::Epoll(_)) => epoll::members(self, id).into_iter().any(|member| self.leads_to_listener(member)),
            Some(object) => object.listening(),
            None => false,
        }
    }
}
