//! What a program that is started is told of itself: whom it runs as, its first thread's name.

use warmfork_loader::Identity;

/// Whom programs run as: the user of this process.
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
