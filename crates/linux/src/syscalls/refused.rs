//! Calls that warmfork refuses on purpose: the answers of a kernel without the feature, or to a user without the right.

use log::warn;
use warmfork_abi::Errno;

use crate::call::{Call, SyscallResult};
use crate::table;

/// ENOSYS, without the log line for calls that warmfork does not know: programs ask for these and go on without.
pub fn not_implemented(_call: &mut Call<'_>) -> SyscallResult {
    Err(Errno::ENOSYS.into())
}

/// EPERM: the caller lacks the privilege, and nobody has it here.
pub fn not_permitted(_call: &mut Call<'_>) -> SyscallResult {
    Err(Errno::EPERM.into())
}

/// fork, vfork, execve, execveat: ENOSYS, which programs report as it is; EAGAIN would make some try again for ever.
pub fn no_new_process(call: &mut Call<'_>) -> SyscallResult {
    let number = call.registers.orig_rax;
    if call.host.count_unknown(number) {
        let name = table::find(number).map_or("", |entry| entry.name);
        warn!("the program wants to start another process ({name}): a machine has one, the guest gets ENOSYS");
    }
    Err(Errno::ENOSYS.into())
}
