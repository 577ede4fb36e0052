//! The clocks of a guest: the host's, and CPU time.
//!
//! CPU time is the time that the machine did not spend waiting: exact enough for profiles and limits, and free of cost when a
//! thread runs. [`Host::busy`] counts it for the whole machine; a switch between threads notes whose it was.

use rustix::time::{ClockId, DynamicClockId, clock_gettime_dynamic};
use warmfork_abi::Errno;
use warmfork_abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_REALTIME_COARSE, CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID, CPUCLOCK_CLOCK_MASK, CPUCLOCK_MAX, CPUCLOCK_PERTHREAD_MASK,
};

use crate::clock::Clock;
use crate::host::{Host, nanoseconds};
use crate::ids::{Pid, Tid};
use crate::kernel::Kernel;
use crate::process::Process;
use crate::processes::ProcessTable;

impl Clock {
    /// The clock that `id` names for thread `tid`.
    ///
    /// # Errors
    /// EINVAL when there is no such clock.
    pub fn from_id(kernel: &Kernel, tid: Tid, id: i32) -> Result<Self, Errno> {
        Ok(match id {
            CLOCK_REALTIME => Self::Host(ClockId::Realtime),
            CLOCK_MONOTONIC => Self::Host(ClockId::Monotonic),
            CLOCK_PROCESS_CPUTIME_ID => Self::Process,
            CLOCK_THREAD_CPUTIME_ID => Self::Thread(tid),
            CLOCK_MONOTONIC_RAW => Self::Host(ClockId::MonotonicRaw),
            CLOCK_REALTIME_COARSE => Self::Host(ClockId::RealtimeCoarse),
            CLOCK_MONOTONIC_COARSE => Self::Host(ClockId::MonotonicCoarse),
            CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => Self::Host(ClockId::Boottime),
            CLOCK_REALTIME_ALARM => Self::Host(ClockId::Realtime),
            CLOCK_TAI => Self::Tai,
            _ if id >= 0 => return Err(Errno::EINVAL),
            _ => return Self::dynamic(kernel, tid, id),
        })
    }

    /// A CPU clock of a process or thread named in the id: clock_getcpuclockid(3), pthread_getcpuclockid(3).
    fn dynamic(kernel: &Kernel, tid: Tid, id: i32) -> Result<Self, Errno> {
        let owner = !(id >> 3);
        if id & CPUCLOCK_CLOCK_MASK >= CPUCLOCK_MAX {
            return Err(Errno::EINVAL);
        }
        if id & CPUCLOCK_PERTHREAD_MASK != 0 {
            let owner = if owner == 0 { tid } else { owner };
            kernel.process().tasks.lookup(owner).map(|_| Self::Thread(owner)).ok_or(Errno::EINVAL)
        } else if owner == 0 || owner == kernel.process().pid {
            Ok(Self::Process)
        } else {
            Err(Errno::EINVAL)
        }
    }
}

impl Kernel {
    /// The time of `clock`, in nanoseconds.
    #[must_use]
    pub fn clock(&self, host: &Host, clock: Clock) -> u64 {
        match clock {
            Clock::Host(id) => host.clock(id),
            // Every kernel that warmfork runs on has it.
            Clock::Tai => clock_gettime_dynamic(DynamicClockId::Tai).map_or(0, nanoseconds),
            Clock::Process => self.cpu_time(host),
            Clock::Thread(tid) => self.thread_cpu_time(host, tid),
        }
    }

    /// CPU time of the current process in nanoseconds.
    #[must_use]
    pub fn cpu_time(&self, host: &Host) -> u64 {
        self.processes.cpu_time(host, self.process())
    }

    /// CPU time of thread `tid` of the current process in nanoseconds; 0 when it has ended.
    #[must_use]
    pub fn thread_cpu_time(&self, host: &Host, tid: Tid) -> u64 {
        self.process().thread_cpu_time(tid, self.cpu_time(host))
    }

    /// Makes `tid` the current thread, and books the time that the one before has used.
    pub fn switch_to(&mut self, host: &Host, tid: Tid) {
        let now = self.cpu_time(host);
        let process = self.process_mut();
        let used = now.saturating_sub(process.switched_at);
        if let Some(task) = process.tasks.find(process.tasks.current) {
            task.cpu_time = task.cpu_time.saturating_add(used);
        }
        process.switched_at = now;
        process.tasks.current = tid;
    }

    /// Makes `pid` the process that runs, and books the CPU time of the one before.
    pub fn run_process(&mut self, host: &mut Host, pid: Pid) {
        if pid != self.process().pid {
            self.settle_cpu_time(host);
            self.processes.run(pid);
        }
    }

    /// Writes the CPU time used so far into the kernel's own state, where a snapshot keeps it; `host` begins anew.
    pub fn settle_cpu_time(&mut self, host: &mut Host) {
        self.process_mut().cpu_time = self.cpu_time(host);
        host.restart_busy();
    }
}

impl ProcessTable {
    /// CPU time of `process`, one of these, in nanoseconds.
    #[must_use]
    pub fn cpu_time(&self, host: &Host, process: &Process) -> u64 {
        let running = if self.counts_busy(process.pid) { host.busy() } else { 0 };
        process.cpu_time.saturating_add(running)
    }
}

impl Process {
    /// CPU time of thread `tid` in nanoseconds when the process has had `cpu`; 0 when the thread has ended.
    #[must_use]
    pub fn thread_cpu_time(&self, tid: Tid, cpu: u64) -> u64 {
        let Some(task) = self.tasks.lookup(tid) else { return 0 };
        let running = if tid == self.tasks.current { cpu.saturating_sub(self.switched_at) } else { 0 };
        task.cpu_time.saturating_add(running)
    }
}
