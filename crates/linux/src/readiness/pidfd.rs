//! The readiness of process descriptors, which tells the states of their processes.

use crate::events::{DescriptionId, Events};
use crate::host::Host;
use crate::ids::Pid;
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::pidfd::{PidFd, ProcessState};
use crate::wait_queues::Queue;

impl Kernel {
    /// The state of the process (or thread) that `pidfd` names.
    #[must_use]
    pub fn process_state(&self, pidfd: PidFd) -> ProcessState {
        let processes = &self.processes;
        let lives =
            if pidfd.thread { processes.find_task(pidfd.id).is_some() } else { processes.find(pidfd.id).is_some() };
        match lives {
            true => ProcessState::Alive,
            false if processes.zombie(pidfd.id).is_some() => ProcessState::Ended,
            false => ProcessState::Gone,
        }
    }

    /// The process that the process descriptor behind `id` names, when it is one.
    #[must_use]
    pub fn pidfd(&self, id: DescriptionId) -> Option<PidFd> {
        match self.files.find(id).map(|description| &description.object) {
            Some(Object::PidFd(pidfd)) => Some(*pidfd),
            _ => None,
        }
    }

    /// Whether an open process descriptor names `id`.
    pub(crate) fn named_by_pidfd(&self, id: Pid) -> bool {
        let names = |object: &Object| matches!(object, Object::PidFd(pidfd) if pidfd.id == id);
        self.shared.pidfds > 0 && self.files.objects().any(names)
    }
}

/// Whether the process has ended.
#[must_use]
pub fn poll(kernel: &Kernel, host: &mut Host, id: DescriptionId) -> Events {
    let Some(pidfd) = kernel.pidfd(id) else { return Events::empty() };
    host.queues.join(Queue::End(pidfd.id));
    match kernel.process_state(pidfd) {
        ProcessState::Ended => Events::IN | Events::RDNORM,
        ProcessState::Gone => Events::IN | Events::RDNORM | Events::HUP,
        ProcessState::Alive => Events::empty(),
    }
}

/// A number that changes when the process ends, and when it has been waited for.
#[must_use]
pub fn edges(kernel: &Kernel, host: &mut Host, id: DescriptionId) -> u64 {
    u64::from(poll(kernel, host, id).bits())
}
