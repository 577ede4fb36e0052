//! statfs, fstatfs, sync, syncfs.

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::AT_FDCWD;
use warmfork_abi::stat::FileSystemStatus;

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::host::errno;
use crate::objects::Object;
use crate::policy::Access;
use crate::resolve::Found;

/// PROC_SUPER_MAGIC
const PROC: u64 = 0x9fa0;
/// PIPEFS_MAGIC, for everything without a file system of its own.
const PIPEFS: u64 = 0x5049_5045;

fn host_status(fd: BorrowedFd<'_>) -> Result<FileSystemStatus, Errno> {
    let from = rustix::fs::fstatfs(fd).map_err(errno)?;
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(FileSystemStatus {
        kind: unsigned(from.f_type),
        block_size: unsigned(from.f_bsize),
        blocks: from.f_blocks,
        free: from.f_bfree,
        available: from.f_bavail,
        files: from.f_files,
        free_files: from.f_ffree,
        name_length: unsigned(from.f_namelen),
        fragment_size: unsigned(from.f_frsize),
        flags: unsigned(from.f_flags),
    })
}

/// A file system that warmfork makes up.
fn made_up(kind: u64) -> FileSystemStatus {
    FileSystemStatus { kind, block_size: 4096, name_length: 255, fragment_size: 4096, ..FileSystemStatus::default() }
}

/// statfs(2)
pub fn statfs(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    let request = call.request(&target, true, Access::empty())?;
    let request = request.as_request();
    let mut flags = OFlags::PATH;
    flags.set(OFlags::DIRECTORY, request.wants_directory());
    let found = call.resolver().with(&request, |place| {
        let fd = place.open(flags, Mode::empty())?;
        host_status(std::os::fd::AsFd::as_fd(&fd))
    })?;
    let status = match found {
        Found::Host(status) => status,
        Found::Synthetic(..) => made_up(PROC),
        Found::Descriptor(id) => description_status(call, id)?,
    };
    put(call, &status)
}

/// fstatfs(2)
pub fn fstatfs(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let status = description_status(call, id)?;
    put(call, &status)
}

fn description_status(call: &Call<'_>, id: DescriptionId) -> Result<FileSystemStatus, Errno> {
    let object = &call.kernel.files.description(id).object;
    match (object.view().host_file(), object) {
        (Some(file), _) => host_status(file),
        (None, Object::Synthetic(_) | Object::Directory(_) | Object::Device(_) | Object::Path(_)) => Ok(made_up(PROC)),
        (None, _) => Ok(made_up(PIPEFS)),
    }
}

fn put(call: &mut Call<'_>, status: &FileSystemStatus) -> SyscallResult {
    let address = call.args[1];
    call.memory().write(address, &status.to_statfs())?;
    Ok(0)
}

/// sync(2): a guest does not make the whole host write back.
pub fn sync(_call: &mut Call<'_>) -> SyscallResult {
    Ok(0)
}

/// syncfs(2): writes the file itself back.
pub fn syncfs(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let object = &call.kernel.files.description(id).object;
    if matches!(object, Object::Path(_)) {
        return Err(Errno::EBADF.into());
    }
    if let (Some(file), Object::File(_) | Object::Directory(_)) = (object.view().host_file(), object) {
        rustix::fs::fsync(file)?;
    }
    Ok(0)
}
