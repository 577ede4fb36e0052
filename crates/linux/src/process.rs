//! What a process is beside its threads, memory and files: ids, names, limits, working directory.

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
/// RLIMIT_STACK
pub const RLIMIT_STACK: usize = 3;
/// RLIMIT_NOFILE
pub const RLIMIT_NOFILE: usize = 7;
/// RLIM_INFINITY
pub const UNLIMITED: u64 = u64::MAX;

/// Ids, names and limits of the one process.
#[derive(Clone, PartialEq, Debug)]
pub struct Process {
    /// Process id, which is also the first thread's.
    pub pid: i32,
    /// Parent's process id.
    pub parent: i32,
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
    /// Most threads at once.
    pub max_threads: usize,
    /// Next thread id to give out.
    pub next_tid: i32,
}

impl Process {
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
