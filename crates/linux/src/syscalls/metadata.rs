//! stat and its relatives, access.

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{
    AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW, R_OK, W_OK, X_OK,
};
use warmfork_abi::stat::{Metadata, S_IFLNK, STATX_RESERVED};

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::host::errno;
use crate::metadata::{host_metadata, magic_path};
use crate::policy::Access;
use crate::proc;
use crate::resolve::Found;
use crate::syscalls::paths::Target;

impl Call<'_> {
    /// The metadata that fstat of descriptor `fd` shows.
    ///
    /// # Errors
    /// EBADF, and the host's.
    pub fn descriptor_metadata(&mut self, fd: i32) -> Result<Metadata, Errno> {
        let id = self.description_id(fd)?;
        self.description_metadata(id)
    }

    /// As [`Call::descriptor_metadata`], for description `id`.
    pub(super) fn description_metadata(&mut self, id: DescriptionId) -> Result<Metadata, Errno> {
        self.kernel.with_object(self.host, id, |object, context| object.metadata(context))
    }

    /// The metadata that stat of a path shows.
    ///
    /// # Errors
    /// Those of path resolution.
    pub fn path_metadata(&mut self, target: &Target, follow: bool) -> Result<Metadata, Errno> {
        if target.is_empty() {
            return match target.directory {
                AT_FDCWD => {
                    let cwd = Target { directory: AT_FDCWD, path: b".".to_vec() };
                    self.path_metadata(&cwd, follow)
                }
                fd => self.descriptor_metadata(fd),
            };
        }
        let request = self.request(target, follow, Access::empty())?;
        let request = request.as_request();
        let mut flags = OFlags::PATH;
        flags.set(OFlags::NOFOLLOW, !follow && !request.wants_directory());
        flags.set(OFlags::DIRECTORY, request.wants_directory());
        let found = self.resolver().with(&request, |place| {
            let fd = place.open(flags, Mode::empty())?;
            host_metadata(std::os::fd::AsFd::as_fd(&fd))
        })?;
        match found {
            Found::Host(metadata) => Ok(metadata),
            Found::Synthetic(node, path) => Ok(proc::metadata(&path, &node)),
            Found::Descriptor(id) => self.description_metadata(id),
        }
    }
}

/// stat(2)
pub fn stat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    let metadata = call.path_metadata(&target, true)?;
    put_stat(call, call.args[1], &metadata)
}

/// lstat(2)
pub fn lstat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    let metadata = call.path_metadata(&target, false)?;
    put_stat(call, call.args[1], &metadata)
}

/// fstat(2)
pub fn fstat(call: &mut Call<'_>) -> SyscallResult {
    let metadata = call.descriptor_metadata(call.int(0))?;
    put_stat(call, call.args[1], &metadata)
}

/// newfstatat(2)
pub fn newfstatat(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(3);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = call.target(call.int(0), call.args[1], flags & AT_EMPTY_PATH != 0)?;
    let metadata = call.path_metadata(&target, flags & AT_SYMLINK_NOFOLLOW == 0)?;
    put_stat(call, call.args[2], &metadata)
}

/// statx(2)
pub fn statx(call: &mut Call<'_>) -> SyscallResult {
    let (flags, mask) = (call.uint(2), call.uint(3));
    let known = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE;
    if flags & !known != 0 || flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE || mask & STATX_RESERVED != 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = call.target(call.int(0), call.args[1], flags & AT_EMPTY_PATH != 0)?;
    let metadata = call.path_metadata(&target, flags & AT_SYMLINK_NOFOLLOW == 0)?;
    let address = call.args[4];
    call.memory().write(address, &metadata.to_statx())?;
    Ok(0)
}

fn put_stat(call: &mut Call<'_>, address: u64, metadata: &Metadata) -> SyscallResult {
    call.memory().write(address, &metadata.to_stat())?;
    Ok(0)
}

/// access(2)
pub fn access(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    check_access(call, &target, call.uint(1), true)
}

/// faccessat(2): the system call has no flags.
pub fn faccessat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(call.int(0), call.args[1], false)?;
    check_access(call, &target, call.uint(2), true)
}

/// faccessat2(2)
pub fn faccessat2(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(3);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EACCESS) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = call.target(call.int(0), call.args[1], flags & AT_EMPTY_PATH != 0)?;
    check_access(call, &target, call.uint(2), flags & AT_SYMLINK_NOFOLLOW == 0)
}

fn check_access(call: &mut Call<'_>, target: &Target, mode: u32, follow: bool) -> SyscallResult {
    if mode & !(R_OK | W_OK | X_OK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    if target.is_empty() && target.directory != AT_FDCWD {
        let id = call.description_id(target.directory)?;
        return permits_open(call, id, mode);
    }
    let request = call.request(target, follow, Access::empty())?;
    let request = request.as_request();
    let mut flags = OFlags::PATH;
    flags.set(OFlags::NOFOLLOW, !follow && !request.wants_directory());
    flags.set(OFlags::DIRECTORY, request.wants_directory());
    let found = call.resolver().with(&request, |place| {
        let fd = place.open(flags, Mode::empty())?;
        permits_host(std::os::fd::AsFd::as_fd(&fd), mode)?;
        Ok(place.path.clone())
    })?;
    match found {
        Found::Host(path) => permits_policy(call, &path, mode),
        Found::Synthetic(node, path) => permits(&proc::metadata(&path, &node), mode),
        Found::Descriptor(id) => permits_open(call, id, mode),
    }
}

/// Whether the host lets the guest have the accesses `mode` to an open (or only named) file.
fn permits_host(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    if host_metadata(fd)?.file_type() == S_IFLNK {
        return Ok(());
    }
    rustix::fs::access(magic_path(fd), rustix::fs::Access::from_bits_truncate(mode)).map_err(errno)
}

/// Whether description `id` can be opened anew for the accesses `mode`.
fn permits_open(call: &mut Call<'_>, id: DescriptionId, mode: u32) -> SyscallResult {
    let Some(handle) = call.kernel.files.description(id).object.handle() else {
        return permits(&call.description_metadata(id)?, mode);
    };
    permits_host(handle.to_look(), mode)?;
    call.kernel.policy.check_opened(handle, access_of(mode)).map_err(|denial| denial.errno)?;
    Ok(0)
}

fn access_of(mode: u32) -> Access {
    let mut access = Access::empty();
    access.set(Access::READ, mode & R_OK != 0);
    access.set(Access::WRITE, mode & W_OK != 0);
    access
}

/// A probe is answered by the policy, too, but is nothing to warn about.
fn permits_policy(call: &Call<'_>, path: &[u8], mode: u32) -> SyscallResult {
    match call.kernel.policy.decide(path, access_of(mode)) {
        crate::policy::Decision::Denied(denial) => Err(denial.errno.into()),
        _ => Ok(0),
    }
}

/// By permission bits alone, for files that have no host path.
fn permits(metadata: &Metadata, mode: u32) -> SyscallResult {
    let anyone = metadata.mode | metadata.mode >> 3 | metadata.mode >> 6;
    if mode & !anyone & 7 == 0 { Ok(0) } else { Err(Errno::EACCES.into()) }
}
