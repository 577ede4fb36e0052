//! What process descriptors are ready for: how far their processes have gone.

use crate::events::{DescriptionId, Events};
use crate::ids::Pid;
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::pidfd::{Life, PidFd};

impl Kernel {
    /// How far the process (or thread) that `pidfd` names has gone.
    #[must_use]
    pub fn life(&self, pidfd: PidFd) -> Life {
        let processes = &self.processes;
        let lives =
            if pidfd.thread { processes.find_task(pidfd.id).is_some() } else { processes.find(pidfd.id).is_some() };
        match lives {
            true => Life::Living,
            false if processes.zombie(pidfd.id).is_some() => Life::Ended,
            false => Life::Gone,
        }
    }

    /// What the process descriptor behind `id` names, when it is one.
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
pub fn poll(kernel: &Kernel, id: DescriptionId) -> Events {
    match kernel.pidfd(id).map(|pidfd| kernel.life(pidfd)) {
        Some(Life::Ended) => Events::IN | Events::RDNORM,
        Some(Life::Gone) => Events::IN | Events::RDNORM | Events::HUP,
        Some(Life::Living) | None => Events::empty(),
    }
}

/// A number that changes when the process ends, and when it has been waited for.
#[must_use]
pub fn edges(kernel: &Kernel, id: DescriptionId) -> u64 {
    u64::from(poll(kernel, id).bits())
}
