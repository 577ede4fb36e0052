//! Process groups and sessions: signalling and joining them, stopping and continuing.

use warmfork_abi::Errno;
use warmfork_abi::signals::{CLD_STOPPED, SA_NOCLDSTOP, SIGCHLD, SIGCONT, SIGSTOP};

use super::ProcessTable;
use crate::ids::Pid;
use crate::process::{Job, Process};
use crate::signal::{SignalInfo, Target};

impl ProcessTable {
    /// The living processes that kill(2) reaches with `pid`, and whether there are any or ended ones.
    #[must_use]
    pub fn signalled(&self, pid: Pid) -> (Vec<Pid>, bool) {
        if pid > 0 {
            let found = self.owner(pid).map(|process| process.pid);
            return (found.into_iter().collect(), found.is_some() || self.zombies.contains_key(&pid));
        }
        let own = self.current().pid;
        let group = if pid == 0 { Some(self.current().group) } else { pid.checked_neg() };
        let reaches = |process: &&Process| match pid {
            -1 => process.pid != own,
            _ => Some(process.group) == group,
        };
        let living: Vec<Pid> = self.iter().filter(reaches).map(|process| process.pid).collect();
        let ended = self.zombies.values().any(|zombie| pid == -1 || Some(zombie.group) == group);
        let any = !living.is_empty() || ended;
        (living, any)
    }

    /// setpgid(2): moves process `pid` into `group`.
    ///
    /// # Errors
    /// ESRCH, EACCES and EPERM as on Linux.
    pub fn set_group(&mut self, pid: Pid, group: Pid) -> Result<(), Errno> {
        let own = self.current().pid;
        let session = self.current().session;
        let process = self.find(pid).ok_or(Errno::ESRCH)?;
        if pid != own {
            if process.parent != own {
                return Err(Errno::ESRCH);
            }
            if process.session != session {
                return Err(Errno::EPERM);
            }
            if process.executed {
                return Err(Errno::EACCES);
            }
        }
        let joins = |process: &Process| process.group == group && process.session == session;
        if process.session == pid || group != pid && !self.iter().any(joins) {
            return Err(Errno::EPERM);
        }
        if let Some(process) = self.find_mut(pid) {
            process.group = group;
        }
        Ok(())
    }

    /// The session that process group `group` belongs to.
    #[must_use]
    pub fn session_of_group(&self, group: Pid) -> Option<Pid> {
        let living = self.iter().find(|process| process.group == group).map(|process| process.session);
        let ended = || self.zombies.values().find(|zombie| zombie.group == group).map(|zombie| zombie.session);
        living.or_else(ended)
    }

    /// Whether some process or zombie is in process group `group`.
    #[must_use]
    pub fn group_exists(&self, group: Pid) -> bool {
        self.iter().any(|process| process.group == group) || self.zombies.values().any(|zombie| zombie.group == group)
    }

    /// Stops the current process by `signal`; false when it goes on: alone, it would never be continued, and of an
    /// orphaned group only SIGSTOP stops anybody.
    pub(crate) fn stop(&mut self, signal: u32) -> bool {
        if self.len() == 1 || signal != SIGSTOP && self.group_is_orphaned() {
            return false;
        }
        let process = self.current_mut();
        process.tasks.stopped = true;
        process.job = Job { stopped_by: Some(signal), continued: false };
        let pid = process.pid;
        self.tell_parent(pid, CLD_STOPPED, signal);
        true
    }

    /// Whether no member of the current process's group has a parent in another group of the session.
    pub(crate) fn group_is_orphaned(&self) -> bool {
        let (group, session) = (self.current().group, self.current().session);
        let looked_after = |process: &Process| {
            let parent = self.find(process.parent);
            parent.is_some_and(|parent| parent.group != group && parent.session == session)
        };
        !self.iter().any(|process| process.group == group && looked_after(process))
    }

    /// Tells the parent of process `pid` that `signal` has stopped it or let it go on.
    pub(crate) fn tell_parent(&mut self, pid: Pid, code: i32, signal: u32) {
        let Some(&Process { parent, uid, .. }) = self.find(pid) else { return };
        let info = SignalInfo::child(SIGCHLD, code, pid, uid, signal.cast_signed(), 0);
        let flags = self.find(parent).map_or(0, |parent| parent.signals.action(SIGCHLD).flags);
        if flags & SA_NOCLDSTOP == 0 {
            // One that cannot be queued is lost, as on Linux.
            let _ = self.send_signal(parent, Target::Process, info);
        }
        self.wake_parent(parent);
    }
}

impl Process {
    /// It goes on, if it was stopped: for SIGCONT, which its parent is told then, and so that SIGKILL can end it.
    pub(crate) fn go_on(&mut self, signal: u32) {
        if std::mem::take(&mut self.tasks.stopped) {
            self.job = Job { stopped_by: None, continued: signal == SIGCONT };
        }
    }
}
