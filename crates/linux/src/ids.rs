//! Ids of threads, processes and address spaces, and the credentials of a process.

/// A guest thread id. The first thread's is the process id.
pub type Tid = i32;

/// A process id.
pub type Pid = i32;

/// The id of a machine's first process, with which the machine ends. Process 1 is an init that nobody sees.
pub const FIRST_PID: Pid = 2;
/// Ids given out stay below this (kernel.pid_max).
pub const TID_LIMIT: Tid = 4_194_304;

/// Names an address space of one machine; never given out twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SpaceId(pub u64);

/// `struct ucred`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Credentials {
    /// The credentials that Linux shows for the peer of a socket that is no Unix socket.
    pub const NOBODY: Self = Self { pid: 0, uid: u32::MAX, gid: u32::MAX };

    /// The structure's bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.pid.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.uid.to_le_bytes());
        bytes[8..].copy_from_slice(&self.gid.to_le_bytes());
        bytes
    }
}
