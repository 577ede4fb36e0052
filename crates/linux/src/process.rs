//! One process: its threads, descriptors, signals and timers, ids, names and limits. Plain data.

use warmfork_abi::signals::SIGCHLD;

use crate::assign::assign;
use crate::files::DescriptorTable;
use crate::ids::{Credentials, FIRST_PID, Pid, SpaceId, Tid};
use crate::signal::ProcessSignals;
use crate::task::Tasks;
use crate::timers::Timers;

/// One resource limit (getrlimit(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// rlim_cur
    pub soft: u64,
    /// rlim_max
    pub hard: u64,
}

/// Number of resource limits (RLIM_NLIMITS).
pub const LIMITS: usize = 16;
/// RLIMIT_CPU
pub const RLIMIT_CPU: usize = 0;
/// RLIMIT_FSIZE
pub const RLIMIT_FSIZE: usize = 1;
/// RLIMIT_DATA
pub const RLIMIT_DATA: usize = 2;
/// RLIMIT_STACK
pub const RLIMIT_STACK: usize = 3;
/// RLIMIT_CORE
pub const RLIMIT_CORE: usize = 4;
/// RLIMIT_RSS
pub const RLIMIT_RSS: usize = 5;
/// RLIMIT_NPROC
pub const RLIMIT_NPROC: usize = 6;
/// RLIMIT_NOFILE
pub const RLIMIT_NOFILE: usize = 7;
/// RLIMIT_MEMLOCK
pub const RLIMIT_MEMLOCK: usize = 8;
/// RLIMIT_AS
pub const RLIMIT_AS: usize = 9;
/// RLIMIT_SIGPENDING
pub const RLIMIT_SIGPENDING: usize = 11;
/// RLIMIT_MSGQUEUE
pub const RLIMIT_MSGQUEUE: usize = 12;
/// RLIMIT_NICE
pub const RLIMIT_NICE: usize = 13;
/// RLIMIT_RTPRIO
pub const RLIMIT_RTPRIO: usize = 14;
/// RLIM_INFINITY
pub const UNLIMITED: u64 = u64::MAX;

/// The limits of a new process.
#[must_use]
pub fn default_limits() -> [Limit; LIMITS] {
    const fn limit(soft: u64, hard: u64) -> Limit {
        Limit { soft, hard }
    }
    let mut limits = [limit(UNLIMITED, UNLIMITED); LIMITS];
    limits[RLIMIT_STACK] = limit(8 << 20, UNLIMITED);
    limits[RLIMIT_CORE] = limit(0, 0);
    limits[RLIMIT_NPROC] = limit(4096, 4096);
    limits[RLIMIT_NOFILE] = limit(1024, 65_536);
    limits[RLIMIT_MEMLOCK] = limit(8 << 20, 8 << 20);
    limits[RLIMIT_SIGPENDING] = limit(4096, 4096);
    limits[RLIMIT_MSGQUEUE] = limit(819_200, 819_200);
    limits[RLIMIT_NICE] = limit(0, 0);
    limits[RLIMIT_RTPRIO] = limit(0, 0);
    limits
}

/// A process; [`crate::processes::ProcessTable`] has its memory.
#[derive(Clone, PartialEq, Debug)]
pub struct Process {
    /// Process id, which is also the first thread's.
    pub pid: Pid,
    /// Parent's process id.
    pub parent: Pid,
    /// Threads.
    pub tasks: Tasks,
    /// Descriptors.
    pub descriptors: DescriptorTable,
    /// Working directory and umask.
    pub fs: FileSystemContext,
    /// Signal actions, and signals pending for any thread.
    pub signals: ProcessSignals,
    /// alarm, setitimer and timer_create timers.
    pub timers: Timers,
    /// Real, effective and saved user id (the host user's, since files are opened as that user).
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Guest path of the executable, for /proc/self/exe.
    pub executable: Vec<u8>,
    /// Arguments as they were at the start.
    pub arguments: Vec<Vec<u8>>,
    /// Environment as it was at the start.
    pub environment: Vec<Vec<u8>>,
    /// The auxiliary vector's bytes, for /proc/self/auxv.
    pub auxiliary_vector: Vec<u8>,
    /// Resource limits by number.
    pub limits: [Limit; LIMITS],
    /// PR_SET_DUMPABLE.
    pub dumpable: u32,
    /// Its address space; only a child of vfork has its parent's.
    pub space: SpaceId,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Process group.
    pub group: Pid,
    /// Session.
    pub session: Pid,
    /// Attributes that prctl and its like set and report.
    pub attributes: Attributes,
    /// The status that the first thread passed to exit(2) when others went on.
    pub leader_status: Option<i32>,
    /// When the process started (monotonic nanoseconds).
    pub started: u64,
    /// CPU time used up to the moment from which [`crate::Host::busy`] counts (for the process that runs then), in
    /// nanoseconds.
    pub cpu_time: u64,
    /// CPU time of the children that it has waited for, and theirs.
    pub children_cpu_time: u64,
    /// CPU time of the process at which the current thread began to run.
    pub switched_at: u64,
    /// The signal that its parent gets when it ends; 0 for none.
    pub exit_signal: u32,
    /// It has called execve since it was forked.
    pub executed: bool,
    /// Where it is between stopping and going on.
    pub job: Job,
}

/// The news about stops that a parent can learn of its child.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Job {
    /// The signal that stopped it, until it is waited for.
    pub stopped_by: Option<u32>,
    /// It went on, and nobody has waited for that.
    pub continued: bool,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// exit or exit_group with this status (0 to 255).
    Exited(i32),
    /// Killed by this signal.
    Signaled(u32),
}

/// Attributes that a process sets and reads back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attributes {
    /// PR_SET_PDEATHSIG.
    pub parent_death_signal: u32,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privileges: bool,
    /// The commands of membarrier that it has registered for.
    pub barriers: i32,
    /// PR_SET_KEEPCAPS.
    pub keep_capabilities: bool,
    /// PR_SET_CHILD_SUBREAPER.
    pub subreaper: bool,
    /// PR_SET_THP_DISABLE.
    pub huge_pages_disabled: bool,
    /// PR_SET_TIMERSLACK, in nanoseconds.
    pub timer_slack: u64,
    /// personality(2).
    pub personality: u32,
    /// setpriority(2): -20 to 19.
    pub nice: i32,
    /// ioprio_set(2).
    pub io_priority: u32,
}

/// The timer slack of a new process in nanoseconds.
pub const DEFAULT_TIMER_SLACK: u64 = 50_000;

impl Process {
    /// A process that is about to start: ids of its own, the host user's identity, the usual limits, no thread yet.
    #[must_use]
    pub fn new(executable: Vec<u8>, arguments: Vec<Vec<u8>>, environment: Vec<Vec<u8>>) -> Self {
        let groups = rustix::process::getgroups().unwrap_or_default();
        Self {
            pid: FIRST_PID,
            parent: 1,
            tasks: Tasks::default(),
            descriptors: DescriptorTable::default(),
            fs: FileSystemContext { cwd: b"/".to_vec(), umask: 0o022 },
            signals: ProcessSignals::default(),
            timers: Timers::default(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            executable,
            arguments,
            environment,
            auxiliary_vector: Vec::new(),
            limits: default_limits(),
            dumpable: 1,
            space: SpaceId::default(),
            groups: groups.into_iter().map(rustix::process::Gid::as_raw).collect(),
            group: FIRST_PID,
            session: FIRST_PID,
            attributes: Attributes { timer_slack: DEFAULT_TIMER_SLACK, ..Attributes::default() },
            leader_status: None,
            started: 0,
            cpu_time: 0,
            switched_at: 0,
            children_cpu_time: 0,
            exit_signal: SIGCHLD,
            executed: true,
            job: Job::default(),
        }
    }

    /// Assigns `from` to this process.
    pub fn assign(&mut self, from: &Self) {
        let Self {
            pid,
            parent,
            tasks,
            descriptors,
            fs,
            signals,
            timers,
            uid,
            gid,
            executable,
            arguments,
            environment,
            auxiliary_vector,
            limits,
            dumpable,
            space,
            groups,
            group,
            session,
            attributes,
            leader_status,
            started,
            cpu_time,
            children_cpu_time,
            switched_at,
            exit_signal,
            executed,
            job,
        } = self;
        tasks.assign(&from.tasks);
        assign(descriptors, &from.descriptors);
        assign(fs, &from.fs);
        assign(signals, &from.signals);
        assign(timers, &from.timers);
        assign(executable, &from.executable);
        assign(arguments, &from.arguments);
        assign(environment, &from.environment);
        assign(auxiliary_vector, &from.auxiliary_vector);
        assign(groups, &from.groups);
        (*pid, *parent, *group, *session) = (from.pid, from.parent, from.group, from.session);
        (*uid, *gid, *dumpable, *limits) = (from.uid, from.gid, from.dumpable, from.limits);
        (*space, *attributes, *executed) = (from.space, from.attributes, from.executed);
        (*leader_status, *exit_signal, *job) = (from.leader_status, from.exit_signal, from.job);
        (*started, *switched_at) = (from.started, from.switched_at);
        (*cpu_time, *children_cpu_time) = (from.cpu_time, from.children_cpu_time);
    }

    /// Whether `tid` is one of its threads, or its own id, which stays when its first thread has ended.
    #[must_use]
    pub fn has(&self, tid: Tid) -> bool {
        tid == self.pid || self.tasks.lookup(tid).is_some()
    }

    /// Its credentials, as others on a Unix socket see them.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials { pid: self.pid, uid: self.uid, gid: self.gid }
    }

    /// How many descriptors may be open: RLIMIT_NOFILE's soft limit.
    #[must_use]
    pub fn file_limit(&self) -> usize {
        usize::try_from(self.limits[RLIMIT_NOFILE].soft).unwrap_or(usize::MAX)
    }
}

/// Working directory and umask (`struct fs_struct` of Linux).
#[derive(Clone, PartialEq, Debug)]
pub struct FileSystemContext {
    /// Absolute guest path, without a trailing slash (but `/` itself).
    pub cwd: Vec<u8>,
    /// File mode creation mask.
    pub umask: u32,
}
