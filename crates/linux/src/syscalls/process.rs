//! Ending the program.

use crate::call::{Call, Ending, Stop, SyscallResult};

/// exit(2): ends the calling thread, and the program with the last one.
pub fn exit(call: &mut Call<'_>) -> SyscallResult {
    if call.kernel.tasks.len() == 1 { exit_group(call) } else { Err(Stop::ExitThread) }
}

/// exit_group(2)
pub fn exit_group(call: &mut Call<'_>) -> SyscallResult {
    Err(Stop::ExitProgram(Ending::Exited(call.int(0) & 0xff)))
}
