//! Ending the program or a thread of it.

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
