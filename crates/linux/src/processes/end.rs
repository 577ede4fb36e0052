//! The end of a process: the news for others, and the new parent of its children.

use warmfork_abi::signals::{CLD_EXITED, CLD_KILLED, SA_NOCLDWAIT, SI_USER, SIG_IGN, SIGCHLD};
use warmfork_memory::GuestMemory;

use super::{ProcessTable, Zombie};
use crate::dispatch::Entered;
use crate::host::Host;
use crate::ids::{FIRST_PID, Pid, Tid};
use crate::kernel::Kernel;
use crate::process::{Ending, Process};
use crate::signal::{SignalInfo, Target};

/// The process that takes orphans when nobody else does.
const INIT: Pid = 1;

impl Kernel {
    /// Ends the current process. With the first one the machine ends; after another one, a process that is left is
    /// the current one.
    pub fn end_process(&mut self, host: &mut Host, memory: &dyn GuestMemory, ending: Ending) -> Entered {
        let pid = self.process().pid;
        if pid == FIRST_PID {
            return Entered::Ended(ending);
        }
        let tasks = &self.process().tasks;
        let threads: Vec<Tid> = tasks.iter().map(|task| task.tid).collect();
        let name = tasks.lookup(pid).or_else(|| tasks.iter().next()).map(|task| task.name.clone());
        for tid in threads {
            self.end_thread(memory, tid);
        }
        let descriptors = std::mem::take(&mut self.process_mut().descriptors);
        self.close_all(host, &descriptors);
        self.shared.locks.end_process(pid);
        if self.process().session == pid {
            self.shared.terminals.leave(pid);
            self.send_notices();
        }
        let resident = self.space().totals().accessible;
        let next = self.processes.find(self.process().parent).map_or(FIRST_PID, |parent| parent.pid);
        self.run_process(host, next);
        let Some(process) = self.processes.remove(pid) else { return Entered::ProcessEnded };
        self.processes.give_memory_back(pid);
        self.processes.leave_children(&process);
        let zombie = Zombie {
            parent: process.parent,
            group: process.group,
            session: process.session,
            uid: process.uid,
            ending,
            exit_signal: process.exit_signal,
            cpu_time: process.cpu_time.saturating_add(process.children_cpu_time),
            resident,
            name: name.unwrap_or_default(),
        };
        self.processes.zombies.insert(pid, zombie);
        self.processes.ends.add(pid);
        self.processes.announce(pid);
        Entered::ProcessEnded
    }
}

impl ProcessTable {
    /// The new parent for the children of a process whose parent is `parent`: the nearest ancestor that asked for them.
    fn reaper_of(&self, parent: Pid) -> Pid {
        let mut ancestor = parent;
        while let Some(process) = self.find(ancestor) {
            if process.attributes.subreaper {
                return ancestor;
            }
            ancestor = process.parent;
        }
        INIT
    }

    /// Finds others to look after the children of `gone`, which has ended.
    fn leave_children(&mut self, gone: &Process) {
        let Process { pid, uid, parent, .. } = *gone;
        let reaper = self.reaper_of(parent);
        let mut bereaved = Vec::new();
        for process in self.living.iter_mut().filter(|process| process.parent == pid) {
            process.parent = reaper;
            process.exit_signal = SIGCHLD;
            bereaved.push((process.pid, process.attributes.parent_death_signal));
        }
        for (child, signal) in bereaved.into_iter().filter(|(_, signal)| *signal != 0) {
            // A signal that cannot be queued is lost.
            let _ = self.send_signal(child, Target::Process, SignalInfo::sent(signal, SI_USER, pid, uid));
        }
        let orphans: Vec<Pid> =
            self.zombies.iter().filter(|(_, zombie)| zombie.parent == pid).map(|(child, _)| *child).collect();
        for orphan in orphans {
            if let Some(zombie) = self.zombies.get_mut(&orphan) {
                zombie.parent = reaper;
                zombie.exit_signal = SIGCHLD;
            }
            self.announce(orphan);
        }
    }

    /// Tells the parent of zombie `pid`; the zombie goes when nobody is going to wait for it.
    fn announce(&mut self, pid: Pid) {
        if !self.tell_of_end(pid) {
            self.remove_zombie(pid);
        }
    }

    /// Tells the parent of zombie `pid`; whether it may wait for it.
    fn tell_of_end(&mut self, pid: Pid) -> bool {
        let Some(zombie) = self.zombies.get(&pid) else { return false };
        let (parent, signal) = (zombie.parent, zombie.exit_signal);
        let (code, status) = match zombie.ending {
            Ending::Exited(status) => (CLD_EXITED, status),
            Ending::Signaled(signal) => (CLD_KILLED, signal.cast_signed()),
        };
        let info = SignalInfo::child(signal, code, pid, zombie.uid, status, zombie.cpu_time);
        let Some(action) = self.find(parent).map(|parent| parent.signals.action(SIGCHLD)) else { return false };
        let ignored = signal == SIGCHLD && action.handler == SIG_IGN;
        if signal != 0 && !ignored {
            // One that cannot be queued is lost, as on Linux.
            let _ = self.send_signal(parent, Target::Process, info);
        }
        self.wake_parent(parent);
        !ignored && (signal != SIGCHLD || action.flags & SA_NOCLDWAIT == 0)
    }

    /// Threads of `parent` that wait for children look again.
    pub(super) fn wake_parent(&mut self, parent: Pid) {
        if let Some(parent) = self.find_mut(parent) {
            parent.tasks.wake_where(|_, wait| wait.children);
        }
    }
}
