//! Starting a stub: a new host process with nothing in it but the resident code.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;

use rustix::fs::MemfdFlags;

use super::layout;
use super::tracee::{Stopped, Tracee};
use crate::PlatformError;

/// Starts the stub program as a traced child of the calling thread, and waits for its first stop.
///
/// # Errors
/// The host's refusal: no more processes, ptrace forbidden, /proc not mounted.
pub fn spawn(table: BorrowedFd<'_>) -> Result<(Tracee, UnixDatagram), PlatformError> {
    let program = program()?;
    let (ours, theirs) =
        UnixDatagram::pair().map_err(|source| PlatformError::Host { operation: "socketpair", source })?;
    let failed = |error: rustix::io::Errno| PlatformError::Host { operation: "fcntl(F_DUPFD)", source: error.into() };
    // Above the numbers they get, so that duplicating them there is never a no-op that leaves close-on-exec set.
    let theirs = rustix::io::fcntl_dupfd_cloexec(&theirs, 10).map_err(failed)?;
    let table = rustix::io::fcntl_dupfd_cloexec(table, 10).map_err(failed)?;
    let mut tracee = Tracee::adopt(posix_spawn(
        program.as_raw_fd(),
        [(theirs.as_raw_fd(), layout::SOCKET), (table.as_raw_fd(), layout::TABLE_FILE)],
    )?)?;
    match tracee.wait()? {
        Stopped::Signal(libc::SIGTRAP) => {}
        // TRACEME was refused: the breakpoint killed it.
        stopped => return Err(PlatformError::Gone(format!("the stub did not stop for its tracer: {stopped:?}"))),
    }
    tracee.set_options()?;
    Ok((tracee, ours))
}

/// The stub program as an executable memory file, made once.
fn program() -> Result<&'static OwnedFd, PlatformError> {
    static PROGRAM: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(fd) = PROGRAM.get() {
        return Ok(fd);
    }
    let failed = |operation| move |error: rustix::io::Errno| PlatformError::Host { operation, source: error.into() };
    let flags = MemfdFlags::CLOEXEC;
    // MFD_EXEC is refused by kernels before 6.3 and needed by later ones under vm.memfd_noexec.
    let fd = rustix::fs::memfd_create("warmfork-stub", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("warmfork-stub", flags))
        .map_err(failed("memfd_create"))?;
    let fd = rustix::io::fcntl_dupfd_cloexec(&fd, 10).map_err(failed("fcntl(F_DUPFD)"))?;
    rustix::io::write(&fd, layout::PROGRAM).map_err(failed("write"))?;
    Ok(PROGRAM.get_or_init(|| fd))
}

fn posix_spawn(program: RawFd, files: [(RawFd, RawFd); 2]) -> Result<libc::pid_t, PlatformError> {
    let path = CString::new(format!("/proc/self/fd/{program}")).unwrap_or_default();
    let name = c"warmfork-stub";
    let argv = [name.as_ptr().cast_mut(), std::ptr::null_mut()];
    let envp = [std::ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: the actions and attributes are initialised before and destroyed after their use; paths and vectors are
    // NUL-terminated and live over the call.
    let error = unsafe {
        let mut actions = std::mem::zeroed();
        let mut attributes = std::mem::zeroed();
        libc::posix_spawn_file_actions_init(&raw mut actions);
        for (ours, theirs) in files {
            libc::posix_spawn_file_actions_adddup2(&raw mut actions, ours, theirs);
        }
        libc::posix_spawnattr_init(&raw mut attributes);
        // The stub must not inherit blocked or ignored signals: a blocked SIGSEGV would kill it unseen.
        let mut none = std::mem::zeroed();
        let mut all = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigfillset(&raw mut all);
        libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const none);
        libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const all);
        libc::posix_spawnattr_setpgroup(&raw mut attributes, 0);
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETPGROUP;
        libc::posix_spawnattr_setflags(&raw mut attributes, i16::try_from(flags).unwrap_or(0));
        let error = libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions,
            &raw const attributes,
            argv.as_ptr(),
            envp.as_ptr(),
        );
        libc::posix_spawnattr_destroy(&raw mut attributes);
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        error
    };
    if error == 0 {
        return Ok(pid);
    }
    Err(PlatformError::Host { operation: "posix_spawn of the stub", source: io::Error::from_raw_os_error(error) })
}
