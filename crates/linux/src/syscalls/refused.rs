//! Calls that warmfork refuses on purpose: the answers of a kernel without the feature, or to a user without the right.

use warmfork_abi::Errno;

use crate::call::{Call, SyscallResult};

/// ENOSYS, without the log line for calls that warmfork does not know: programs ask for these and go on without.
pub fn not_implemented(_call: &mut Call<'_>) -> SyscallResult {
    Err(Errno::ENOSYS.into())
}

/// EPERM: the caller lacks the privilege, and nobody has it here.
pub fn not_permitted(_call: &mut Call<'_>) -> SyscallResult {
    Err(Errno::EPERM.into())
}
