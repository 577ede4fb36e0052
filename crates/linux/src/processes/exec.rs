//! Another program in a process: the state that execve(2) keeps, and the state that it takes away.

use warmfork_abi::Registers;
use warmfork_memory::{AddressSpace, GuestMemory, ResourceLimits};

use crate::host::Host;
use crate::ids::{SpaceId, Tid};
use crate::kernel::Kernel;
use crate::process::{Process, RLIMIT_AS, RLIMIT_DATA};
use crate::task::Task;

/// A program that has been loaded into memory of its own.
#[derive(Clone, Debug)]
pub struct Executed {
    /// Its address space.
    pub space: AddressSpace,
    /// The registers to begin with.
    pub registers: Registers,
    /// Guest path of its file, for /proc/self/exe.
    pub executable: Vec<u8>,
    /// The name of its thread.
    pub name: Vec<u8>,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Its environment.
    pub environment: Vec<Vec<u8>>,
    /// Its auxiliary vector's bytes.
    pub auxiliary_vector: Vec<u8>,
}

impl Kernel {
    /// Puts `program` in the place of the current process's, which ends with all its threads but `tid`. `memory` is
    /// still the old program's. The id of the new address space.
    pub fn execute(&mut self, host: &mut Host, memory: &dyn GuestMemory, tid: Tid, program: Executed) -> SpaceId {
        let pid = self.process().pid;
        let old = self.process().tasks.get(tid).clone();
        let threads: Vec<Tid> = self.process().tasks.iter().map(|task| task.tid).collect();
        for tid in threads {
            self.end_thread(memory, tid);
        }
        let mut task = Task::new(pid, program.registers, program.name);
        task.signals.mask = old.signals.mask;
        task.signals.pending = old.signals.pending;
        task.policy = old.policy;
        // The time that other threads used counts for the process, which keeps its time.
        task.cpu_time = old.cpu_time;
        task.fair_time = old.fair_time;
        self.process_mut().tasks.insert(task);
        self.process_mut().tasks.current = pid;
        self.process_mut().forget_timers();
        self.process_mut().signals.reset_handlers();
        let closing = self.process().descriptors.iter().filter(|(_, descriptor)| descriptor.close_on_exec);
        let closing: Vec<i32> = closing.map(|(fd, _)| fd).collect();
        for fd in closing {
            // It was open just now.
            let _ = self.close_for_exec(host, fd);
        }
        let mut new = program.space;
        let limits = &self.process().limits;
        let (address_space, data) = (limits[RLIMIT_AS].soft, limits[RLIMIT_DATA].soft);
        new.set_resource_limits(ResourceLimits { address_space, data });
        let space = self.processes.new_space_id();
        self.processes.spaces.insert(space, new);
        let process = self.processes.current_mut();
        let before = std::mem::replace(&mut process.space, space);
        process.executable = program.executable;
        process.arguments = program.arguments;
        process.environment = program.environment;
        process.auxiliary_vector = program.auxiliary_vector;
        process.executed = true;
        process.leader_status = None;
        process.dumpable = 1;
        process.attributes.keep_capabilities = false;
        process.attributes.barriers = 0;
        self.processes.drop_space(before);
        self.processes.give_memory_back(pid);
        space
    }

    fn close_for_exec(&mut self, host: &mut Host, fd: i32) -> Result<(), warmfork_abi::Errno> {
        let id = self.process().descriptors.lookup(fd)?;
        self.release_record_locks(host, id);
        self.close(host, fd)
    }
}

impl Process {
    /// Timers of timer_create go, with their pending signals; those of setitimer stay.
    fn forget_timers(&mut self) {
        let ids: Vec<i32> = self.timers.posix.keys().copied().collect();
        for id in ids {
            self.forget_timer_signal(id);
        }
        self.timers.posix.clear();
    }
}
