//! Extended attributes: no file of a guest has any, as on a file system without them.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::AT_FDCWD;

use crate::call::{Call, SyscallResult};

/// The calls that take a path and follow symlinks.
pub fn no_attributes(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    call.path_metadata(&target, true)?;
    Err(Errno::EOPNOTSUPP.into())
}

/// The calls that take a path and follow no symlink at its end.
pub fn no_link_attributes(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    call.path_metadata(&target, false)?;
    Err(Errno::EOPNOTSUPP.into())
}

/// The calls that take a descriptor.
pub fn no_descriptor_attributes(call: &mut Call<'_>) -> SyscallResult {
    call.description_id(call.int(0))?;
    Err(Errno::EOPNOTSUPP.into())
}
