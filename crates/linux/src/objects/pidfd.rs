//! Process descriptors: pidfd_open(2), CLONE_PIDFD. Readable from when the process has ended.
//!
//! An id that one names is not given out again ([`Kernel::new_id`]), so that the id is all there is to it.

use crate::events::{DescriptionId, Events};
use crate::ids::Pid;
use crate::kernel::Kernel;
use crate::objects::{Context, Object, Operations};

/// What names a process, or one thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PidFd {
    /// The process's id, or the thread's.
    pub id: Pid,
    /// PIDFD_THREAD: it is one thread that is meant.
    pub thread: bool,
}

/// How far a process has gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It runs, or could.
    Living,
    /// It has ended and has not been waited for.
    Ended,
    /// Nobody knows it any more.
    Gone,
}

/// Polling needs the processes: [`poll`] and [`edges`] below do it.
impl Operations for PidFd {
    fn link_text(&self) -> Vec<u8> {
        b"anon_inode:[pidfd]".to_vec()
    }

    fn close(&mut self, context: &mut Context<'_>) {
        context.shared.pidfds -= 1;
    }
}

impl Kernel {
    /// How far the process (or thread) that `pidfd` names has gone.
    #[must_use]
    pub fn life(&self, pidfd: PidFd) -> Life {
        let lives =
            if pidfd.thread { self.any_task(pidfd.id).is_some() } else { self.find_process(pidfd.id).is_some() };
        match lives {
            true => Life::Living,
            false if self.family.zombie(pidfd.id).is_some() => Life::Ended,
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
