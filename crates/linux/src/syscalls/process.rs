//! Ending the program or a thread of it; waiting for children, of which there are none.

use warmfork_abi::Errno;
use warmfork_abi::process::{P_ALL, P_PIDFD, WAIT_KINDS, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WUNTRACED};

use crate::call::{Call, Ending, Stop, SyscallResult};

/// exit(2): ends the calling thread, and the program with the last one. The program's status is then the first
/// thread's.
pub fn exit(call: &mut Call<'_>) -> SyscallResult {
    let status = call.int(0) & 0xff;
    let process = &mut call.kernel.process;
    if call.tid == process.pid {
        process.leader_status = Some(status);
    }
    if call.kernel.tasks.len() > 1 {
        return Err(Stop::ExitThread);
    }
    let status = call.kernel.process.leader_status.unwrap_or(status);
    Err(Stop::ExitProgram(Ending::Exited(status)))
}

/// exit_group(2)
pub fn exit_group(call: &mut Call<'_>) -> SyscallResult {
    Err(Stop::ExitProgram(Ending::Exited(call.int(0) & 0xff)))
}

/// wait4(2)
pub fn wait4(call: &mut Call<'_>) -> SyscallResult {
    match call.uint(2) & !(WNOHANG | WUNTRACED | WCONTINUED | WAIT_KINDS) {
        0 if call.int(0) == i32::MIN => Err(Errno::ESRCH.into()),
        0 => Err(Errno::ECHILD.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// waitid(2)
pub fn waitid(call: &mut Call<'_>) -> SyscallResult {
    const EVENTS: u32 = WEXITED | WUNTRACED | WCONTINUED;
    let (kind, options) = (call.int(0), call.uint(3));
    let known = options & !(EVENTS | WNOHANG | WNOWAIT | WAIT_KINDS) == 0;
    match kind {
        P_ALL..P_PIDFD if known && options & EVENTS != 0 => Err(Errno::ECHILD.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}
