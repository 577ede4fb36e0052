//! The identity of a program that is started: its user and group, and its first thread's name.

use warmfork_loader::Identity;

/// The user and group that programs run as: this process's.
pub(crate) fn identity() -> Identity {
    Identity {
        uid: rustix::process::getuid().as_raw(),
        euid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        egid: rustix::process::getegid().as_raw(),
    }
}

/// The thread name that execve gives: the last part of the path, cut to 15 bytes.
pub(crate) fn name(path: &[u8]) -> Vec<u8> {
    let base = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    base[..base.len().min(15)].to_vec()
}
