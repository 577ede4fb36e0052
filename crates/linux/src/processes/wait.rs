//! News of children for their parent: wait4(2), waitid(2).

use warmfork_abi::Errno;
use warmfork_abi::process::{WALL, WCLONE};
use warmfork_abi::signals::SIGCHLD;

use super::ProcessTable;
use crate::ids::Pid;
use crate::process::{Ending, Process};

/// Which children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Selector {
    /// All.
    Any,
    /// One.
    Process(Pid),
    /// Those in a process group.
    Group(Pid),
}

impl Selector {
    fn selects(self, pid: Pid, group: Pid) -> bool {
        match self {
            Self::Any => true,
            Self::Process(wanted) => wanted == pid,
            Self::Group(wanted) => wanted == group,
        }
    }
}

/// The children to wait for, and the news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitRequest {
    /// Which children.
    pub selector: Selector,
    /// Ended ones.
    pub ended: bool,
    /// Stopped ones.
    pub stopped: bool,
    /// Ones that went on.
    pub continued: bool,
    /// `__WALL` and `__WCLONE`: selects by the signal that tells of a child's end.
    pub kinds: u32,
    /// WNOWAIT: the news can be waited for again.
    pub leave: bool,
}

impl WaitRequest {
    fn takes(&self, pid: Pid, group: Pid, exit_signal: u32) -> bool {
        let clone = exit_signal != SIGCHLD;
        self.selector.selects(pid, group) && (self.kinds & WALL != 0 || clone == (self.kinds & WCLONE != 0))
    }
}

/// The news of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It ended.
    Ended(Ending),
    /// A signal stopped it.
    Stopped(u32),
    /// It goes on.
    Continued,
}

/// A child with news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reaped {
    /// Its id.
    pub pid: Pid,
    /// Its user.
    pub uid: u32,
    /// The news.
    pub change: Change,
    /// CPU time of it and the children that it waited for, in nanoseconds.
    pub cpu_time: u64,
    /// Bytes that it has or had mapped.
    pub resident: u64,
}

impl ProcessTable {
    /// Takes news of a child of the current process, if there are any.
    ///
    /// # Errors
    /// ECHILD when there is no such child.
    pub fn wait_for_child(&mut self, request: &WaitRequest) -> Result<Option<Reaped>, Errno> {
        let parent = self.current().pid;
        let mut known = false;
        let mut ended = None;
        for (&pid, zombie) in &self.zombies {
            if zombie.parent == parent && request.takes(pid, zombie.group, zombie.exit_signal) {
                known = true;
                ended = Some(pid).filter(|_| request.ended);
                if ended.is_some() {
                    break;
                }
            }
        }
        if let Some(found) = ended.and_then(|pid| self.reap(pid, request.leave)) {
            return Ok(Some(found));
        }
        for process in &mut self.living {
            if process.parent == parent && request.takes(process.pid, process.group, process.exit_signal) {
                known = true;
                if let Some(change) = job_news(process, request) {
                    let (pid, uid, cpu_time) = (process.pid, process.uid, process.cpu_time);
                    return Ok(Some(Reaped { pid, uid, change, cpu_time, resident: 0 }));
                }
            }
        }
        if known { Ok(None) } else { Err(Errno::ECHILD) }
    }

    fn reap(&mut self, pid: Pid, leave: bool) -> Option<Reaped> {
        let zombie = self.zombies.get(&pid)?;
        let change = Change::Ended(zombie.ending);
        let reaped = Reaped { pid, uid: zombie.uid, change, cpu_time: zombie.cpu_time, resident: zombie.resident };
        if !leave {
            let parent = &mut self.living[self.current];
            parent.children_cpu_time = parent.children_cpu_time.saturating_add(zombie.cpu_time);
            self.remove_zombie(pid);
        }
        Some(reaped)
    }
}

/// The news of a living child.
fn job_news(process: &mut Process, request: &WaitRequest) -> Option<Change> {
    let job = &mut process.job;
    if let Some(signal) = job.stopped_by.filter(|_| request.stopped) {
        if !request.leave {
            job.stopped_by = None;
        }
        return Some(Change::Stopped(signal));
    }
    if job.continued && request.continued {
        job.continued = request.leave;
        return Some(Change::Continued);
    }
    None
}
