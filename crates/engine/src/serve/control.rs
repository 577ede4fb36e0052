//! The state that a server and its workers share.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::statistics::Statistics;
use crate::machine::Handle;

/// How long a worker waits before it asks again for something that the host refused (a fork, a connection).
pub const RETRY_DELAY: Duration = Duration::from_millis(100);

/// State that the workers and their server share.
pub struct Control {
    pub stopping: AtomicBool,
    /// Readable once the server stops.
    pub stop: OwnedFd,
    pub statistics: Statistics,
    /// Each worker's machine, to interrupt it.
    pub handles: Mutex<Vec<Option<Handle>>>,
    /// Whether forks accept by themselves, and must be told to stop.
    pub interrupts: bool,
    pub running: AtomicUsize,
    pub ended: (Mutex<()>, Condvar),
}

impl Control {
    /// Whether the server stops.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Waits [`RETRY_DELAY`], or until the server stops.
    pub fn pause(&self) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: RETRY_DELAY.subsec_nanos().into() };
        let mut set = [PollFd::new(&self.stop, PollFlags::IN)];
        let _ = rustix::event::poll(&mut set, Some(&timeout));
    }

    /// Notes worker `index`'s present machine.
    pub fn set_handle(&self, index: usize, handle: Option<Handle>) {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = handles.get_mut(index) {
            *slot = handle;
        }
    }
}
