//! Process groups and sessions: who is signalled, who may join, and stopping and continuing.

use warmfork_abi::Errno;
use warmfork_abi::signals::{CLD_CONTINUED, CLD_STOPPED, SA_NOCLDSTOP, SIGCHLD, SIGCONT, SIGSTOP};

use super::Pid;
use crate::kernel::Kernel;
use crate::process::{Job, Process};
use crate::signal::{SignalInfo, Target};

impl Kernel {
    /// The living processes that kill(2) reaches with `pid`, and whether there are any or ended ones.
    #[must_use]
    pub fn signalled(&self, pid: Pid) -> (Vec<Pid>, bool) {
        if pid > 0 {
            let found = self.process_of(pid);
            return (found.into_iter().collect(), found.is_some() || self.family.zombies.contains_key(&pid));
        }
        let own = self.process.pid;
        let group = if pid == 0 { Some(self.process.group) } else { pid.checked_neg() };
        let reaches = |process: &&Process| match pid {
            -1 => process.pid != own,
            _ => Some(process.group) == group,
        };
        let mut living: Vec<Pid> = self.processes().filter(reaches).map(|process| process.pid).collect();
        living.sort_unstable();
        let ended = self.family.zombies.values().any(|zombie| pid == -1 || Some(zombie.group) == group);
        let any = !living.is_empty() || ended;
        (living, any)
    }

    /// setpgid(2): moves process `pid` into `group`.
    ///
    /// # Errors
    /// ESRCH, EACCES and EPERM as on Linux.
    pub fn set_group(&mut self, pid: Pid, group: Pid) -> Result<(), Errno> {
        let own = self.process.pid;
        let session = self.process.session;
        let process = self.find_process(pid).ok_or(Errno::ESRCH)?;
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
        if process.session == pid || group != pid && !self.processes().any(joins) {
            return Err(Errno::EPERM);
        }
        if let Some(process) = self.processes_mut().find(|process| process.pid == pid) {
            process.group = group;
        }
        Ok(())
    }

    /// The session that process group `group` belongs to.
    #[must_use]
    pub fn session_of_group(&self, group: Pid) -> Option<Pid> {
        let living = self.processes().find(|process| process.group == group).map(|process| process.session);
        let ended = || self.family.zombies.values().find(|zombie| zombie.group == group).map(|zombie| zombie.session);
        living.or_else(ended)
    }

    /// Whether some process or zombie is in process group `group`.
    #[must_use]
    pub fn group_exists(&self, group: Pid) -> bool {
        self.processes().any(|process| process.group == group)
            || self.family.zombies.values().any(|zombie| zombie.group == group)
    }

    /// Stops the current process by `signal`; false when it goes on: alone, it would never be continued, and of an
    /// orphaned group only SIGSTOP stops anybody.
    pub(crate) fn stop(&mut self, signal: u32) -> bool {
        if self.family.is_empty() || signal != SIGSTOP && self.group_is_orphaned() {
            return false;
        }
        self.tasks.stopped = true;
        self.process.job = Job { stopped_by: Some(signal), continued: false };
        self.tell_parent(CLD_STOPPED, signal);
        true
    }

    /// The current process goes on, if it was stopped: for SIGCONT, and so that SIGKILL can end it.
    pub(crate) fn go_on(&mut self, signal: u32) {
        if !std::mem::take(&mut self.tasks.stopped) {
            return;
        }
        self.process.job = Job { stopped_by: None, continued: signal == SIGCONT };
        if signal == SIGCONT {
            self.tell_parent(CLD_CONTINUED, SIGCONT);
        }
    }

    /// Whether no member of the current process's group has a parent in another group of the session.
    pub(crate) fn group_is_orphaned(&self) -> bool {
        let (group, session) = (self.process.group, self.process.session);
        let looked_after = |process: &Process| {
            let parent = self.find_process(process.parent);
            parent.is_some_and(|parent| parent.group != group && parent.session == session)
        };
        !self.processes().any(|process| process.group == group && looked_after(process))
    }

    fn tell_parent(&mut self, code: i32, signal: u32) {
        let Process { pid, parent, uid, .. } = self.process;
        let info = SignalInfo::child(SIGCHLD, code, pid, uid, signal.cast_signed(), 0);
        self.with_process(parent, |kernel| {
            if kernel.signals.action(SIGCHLD).flags & SA_NOCLDSTOP == 0 {
                // One that cannot be queued is lost, as on Linux.
                let _ = kernel.send_signal(Target::Process, info);
            }
            kernel.wake_waiting_parents();
        });
    }
}
