//! Process descriptors: pidfd_open(2), CLONE_PIDFD. Readable from when the process has ended.
//!
//! An id that one names is not given out again (`Kernel::new_id`), so that the id is all there is to it.

use crate::ids::Pid;
use crate::objects::{Context, Operations};

/// A descriptor that names a process, or one thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PidFd {
    /// The process's id, or the thread's.
    pub id: Pid,
    /// PIDFD_THREAD: it is one thread that is meant.
    pub thread: bool,
}

/// The state of a process that a descriptor names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessState {
    /// It runs, or could.
    Alive,
    /// It has ended and has not been waited for.
    Ended,
    /// Nobody knows it any more.
    Gone,
}

/// Polling needs the processes: `readiness/pidfd.rs` does it.
impl Operations for PidFd {
    fn link_text(&self) -> Vec<u8> {
        b"anon_inode:[pidfd]".to_vec()
    }

    fn close(&mut self, context: &mut Context<'_>) {
        context.shared.pidfds -= 1;
    }
}
