//! The end of a process: what others are told, and who looks after its children.

use warmfork_abi::signals::{CLD_EXITED, CLD_KILLED, SA_NOCLDWAIT, SI_USER, SIG_IGN, SIGCHLD};
use warmfork_memory::GuestMemory;

use super::{Pid, Zombie};
use crate::dispatch::Entered;
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::process::{Ending, FIRST_PID};
use crate::signal::{SignalInfo, Target};
use crate::task::State;

/// The process that takes orphans when nobody else does.
const INIT: Pid = 1;

impl Kernel {
    /// Ends the current process. With the first one the machine ends; after another one, a process that is left is
    /// the current one.
    pub fn end_process(&mut self, host: &mut Host, memory: &dyn GuestMemory, ending: Ending) -> Entered {
        let pid = self.process.pid;
        if pid == FIRST_PID {
            return Entered::Ended(ending);
        }
        let threads: Vec<Tid> = self.tasks.iter().map(|task| task.tid).collect();
        let name = self.tasks.lookup(pid).or_else(|| self.tasks.iter().next()).map(|task| task.name.clone());
        for tid in threads {
            self.end_thread(memory, tid);
        }
        self.close_all(host);
        self.shared.locks.end_process(pid);
        if self.process.session == pid {
            self.shared.terminals.leave(pid);
            self.send_notices();
        }
        let resident = self.space.totals().accessible;
        let next = if self.family.parked.contains_key(&self.process.parent) { self.process.parent } else { FIRST_PID };
        self.run_process(host, next);
        let Some(gone) = self.forget_process(pid) else { return Entered::ProcessEnded };
        self.give_memory_back(pid);
        self.leave_children(pid, self.reaper_of(gone.process.parent));
        let process = gone.process;
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
        self.family.zombies.insert(pid, zombie);
        self.announce(pid);
        Entered::ProcessEnded
    }

    /// Who takes the children of a process whose parent is `parent`: the nearest ancestor that asked to.
    fn reaper_of(&self, parent: Pid) -> Pid {
        let mut ancestor = parent;
        while let Some(process) = self.find_process(ancestor) {
            if process.attributes.subreaper {
                return ancestor;
            }
            ancestor = process.parent;
        }
        INIT
    }

    /// Gives the children of `pid`, which has ended, to `reaper`.
    fn leave_children(&mut self, pid: Pid, reaper: Pid) {
        let mut bereaved = Vec::new();
        for process in self.processes_mut().filter(|process| process.parent == pid) {
            process.parent = reaper;
            process.exit_signal = SIGCHLD;
            bereaved.push((process.pid, process.attributes.parent_death_signal));
        }
        for (child, signal) in bereaved.into_iter().filter(|(_, signal)| *signal != 0) {
            let uid = self.process.uid;
            let told =
                |kernel: &mut Self| kernel.send_signal(Target::Process, SignalInfo::sent(signal, SI_USER, pid, uid));
            // A signal that cannot be queued is lost.
            let _ = self.with_process(child, told);
        }
        let orphans: Vec<Pid> =
            self.family.zombies.iter().filter(|(_, zombie)| zombie.parent == pid).map(|(child, _)| *child).collect();
        for orphan in orphans {
            if let Some(zombie) = self.family.zombies.get_mut(&orphan) {
                zombie.parent = reaper;
                zombie.exit_signal = SIGCHLD;
            }
            self.announce(orphan);
        }
    }

    /// Tells the parent of zombie `pid`; the zombie goes when nobody is going to wait for it.
    fn announce(&mut self, pid: Pid) {
        let Some(zombie) = self.family.zombies.get(&pid) else { return };
        let (parent, signal) = (zombie.parent, zombie.exit_signal);
        let (code, status) = match zombie.ending {
            Ending::Exited(status) => (CLD_EXITED, status),
            Ending::Signaled(signal) => (CLD_KILLED, signal.cast_signed()),
        };
        let info = SignalInfo::child(signal, code, pid, zombie.uid, status, zombie.cpu_time);
        let kept = self.with_process(parent, |kernel| {
            let action = kernel.signals.action(SIGCHLD);
            let ignored = signal == SIGCHLD && action.handler == SIG_IGN;
            if signal != 0 && !ignored {
                // One that cannot be queued is lost, as on Linux.
                let _ = kernel.send_signal(Target::Process, info);
            }
            kernel.wake_waiting_parents();
            !ignored && (signal != SIGCHLD || action.flags & SA_NOCLDWAIT == 0)
        });
        if kept != Some(true) {
            self.family.zombies.remove(&pid);
        }
    }

    /// Threads of the current process that wait for children look again.
    pub(super) fn wake_waiting_parents(&mut self) {
        for task in self.tasks.iter_mut() {
            if matches!(&task.state, State::Blocked(wait) if wait.children) {
                task.wake();
            }
        }
    }
}
