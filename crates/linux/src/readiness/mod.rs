//! The readiness of descriptions. Most objects answer themselves; epoll sets, signalfds and process descriptors have to ask
//! others, so that the kernel answers for them.

pub(crate) mod epoll;
pub(crate) mod nesting;
mod pidfd;
pub(crate) mod signalfd;

use crate::events::{DescriptionId, Events};
use crate::host::Host;
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::wait_queues::Queue;

impl Kernel {
    /// The events that description `id` is ready for. An id that nothing refers to any more polls POLLNVAL.
    pub fn poll(&mut self, host: &mut Host, id: DescriptionId) -> Events {
        self.poll_for(host, id, Events::all())
    }

    /// As [`Kernel::poll`], for a caller that only wants to know about `interest` (errors and hang-ups are always
    /// told): asks the host for less, and has it watch for the events that are not there yet.
    pub fn poll_for(&mut self, host: &mut Host, id: DescriptionId, interest: Events) -> Events {
        self.join_queues(host, id);
        match self.files.find(id).map(|description| &description.object) {
            None => Events::NVAL,
            Some(Object::Epoll(_)) => epoll::poll(self, host, id),
            Some(Object::SignalFd(_)) => signalfd::poll(self, host, id),
            Some(Object::PidFd(_)) => pidfd::poll(self, host, id),
            Some(_) => self.with_interest(host, id, interest, |object, context| object.poll(context)),
        }
    }

    /// A number that changes when a wait for `events` of description `id` would end.
    pub fn edges(&mut self, host: &mut Host, id: DescriptionId, events: Events) -> u64 {
        self.join_queues(host, id);
        match self.files.find(id).map(|description| &description.object) {
            None => 0,
            Some(Object::Epoll(_)) => epoll::edges(self, host, id),
            Some(Object::SignalFd(_)) => signalfd::edges(self, host, id),
            Some(Object::PidFd(_)) => pidfd::edges(self, host, id),
            Some(_) => self.with_interest(host, id, events, |object, context| object.edges(context, events)),
        }
    }

    /// The present question depends on description `id`.
    fn join_queues(&self, host: &mut Host, id: DescriptionId) {
        if !host.queues.asks() {
            return;
        }
        host.queues.join(Queue::Description(id));
        let shared = self.files.find(id).map(|description| description.object.view().queues());
        shared.into_iter().flatten().flatten().for_each(|queue| host.queues.join(queue));
    }
}
