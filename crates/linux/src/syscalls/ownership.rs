//! chmod, chown, utimensat and their relatives.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, UTIME_NOW, UTIME_OMIT};
use warmfork_abi::stat::S_IFLNK;

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::host::errno;
use crate::metadata::{host_metadata, magic_path};
use crate::objects::Object;
use crate::policy::Access;
use crate::resolve::Found;
use crate::syscalls::paths::Target;

impl Call<'_> {
    /// Runs `change` on the host file that `target` names, if the policy lets the guest change it.
    fn change(
        &mut self,
        target: &Target,
        follow: bool,
        change: impl Fn(BorrowedFd<'_>) -> Result<(), Errno>,
    ) -> SyscallResult {
        if target.is_empty() && target.directory != AT_FDCWD {
            return self.change_open(self.description_id(target.directory)?, change);
        }
        let request = self.request(target, follow, Access::WRITE)?;
        let request = request.as_request();
        let mut flags = OFlags::PATH;
        flags.set(OFlags::NOFOLLOW, !follow && !request.wants_directory());
        flags.set(OFlags::DIRECTORY, request.wants_directory());
        let found = self.resolver().with(&request, |place| change(place.open(flags, Mode::empty())?.as_fd()));
        match found {
            Ok(Found::Host(())) => Ok(0),
            Ok(Found::Descriptor(id)) => self.change_open(id, change),
            Ok(Found::Synthetic(..)) => Err(Errno::EPERM.into()),
            // Changing another user's file is EPERM, changing a missing one ENOENT.
            Err(Errno::EACCES) => match self.path_metadata(target, follow) {
                Ok(_) => Err(Errno::EPERM.into()),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Call::change`] for descriptor `fd`, which must be for more than to name a file.
    fn change_descriptor(&mut self, fd: i32, change: impl Fn(BorrowedFd<'_>) -> Result<(), Errno>) -> SyscallResult {
        let id = self.description_id(fd)?;
        match &self.kernel.files.description(id).object {
            Object::Path(_) => Err(Errno::EBADF.into()),
            _ => self.change_open(id, change),
        }
    }

    fn change_open(
        &mut self,
        id: DescriptionId,
        change: impl Fn(BorrowedFd<'_>) -> Result<(), Errno>,
    ) -> SyscallResult {
        let handle = self.kernel.files.description(id).object.handle().ok_or(Errno::EPERM)?;
        match self.host.check_opened(&self.kernel.policy, handle, Access::WRITE) {
            Err(Errno::EACCES) => Err(Errno::EPERM.into()),
            allowed => Ok(allowed.and_then(|()| change(handle.as_fd())).map(|()| 0)?),
        }
    }
}

/// Sets the mode of an open (or only named) file.
fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    if host_metadata(fd)?.file_type() == S_IFLNK {
        return Err(Errno::EOPNOTSUPP);
    }
    rustix::fs::chmod(magic_path(fd), Mode::from_raw_mode(mode & 0o7777)).map_err(errno)
}

/// chmod(2)
pub fn chmod(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    let mode = call.uint(1);
    call.change(&target, true, |fd| set_mode(fd, mode))
}

/// fchmod(2)
pub fn fchmod(call: &mut Call<'_>) -> SyscallResult {
    let mode = call.uint(1);
    call.change_descriptor(call.int(0), |fd| set_mode(fd, mode))
}

/// fchmodat(2): the system call has no flags.
pub fn fchmodat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(call.int(0), call.args[1], false)?;
    let mode = call.uint(2);
    call.change(&target, true, |fd| set_mode(fd, mode))
}

/// fchmodat2(2)
pub fn fchmodat2(call: &mut Call<'_>) -> SyscallResult {
    let (mode, flags) = (call.uint(2), call.uint(3));
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = call.target(call.int(0), call.args[1], flags & AT_EMPTY_PATH != 0)?;
    call.change(&target, flags & AT_SYMLINK_NOFOLLOW == 0, |fd| set_mode(fd, mode))
}

/// Sets owner and group of an open (or only named) file; all ones leave them.
fn set_owner(fd: BorrowedFd<'_>, owner: u32, group: u32) -> Result<(), Errno> {
    let owner = (owner != u32::MAX).then(|| Uid::from_raw(owner));
    let group = (group != u32::MAX).then(|| Gid::from_raw(group));
    rustix::fs::chownat(fd, "", owner, group, AtFlags::EMPTY_PATH).map_err(errno)
}

/// chown(2)
pub fn chown(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    let (owner, group) = (call.uint(1), call.uint(2));
    call.change(&target, true, |fd| set_owner(fd, owner, group))
}

/// lchown(2)
pub fn lchown(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    let (owner, group) = (call.uint(1), call.uint(2));
    call.change(&target, false, |fd| set_owner(fd, owner, group))
}

/// fchown(2)
pub fn fchown(call: &mut Call<'_>) -> SyscallResult {
    let (owner, group) = (call.uint(1), call.uint(2));
    call.change_descriptor(call.int(0), |fd| set_owner(fd, owner, group))
}

/// fchownat(2)
pub fn fchownat(call: &mut Call<'_>) -> SyscallResult {
    let (owner, group, flags) = (call.uint(2), call.uint(3), call.uint(4));
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = call.target(call.int(0), call.args[1], flags & AT_EMPTY_PATH != 0)?;
    call.change(&target, flags & AT_SYMLINK_NOFOLLOW == 0, |fd| set_owner(fd, owner, group))
}

/// One time of a file.
fn set_times(fd: BorrowedFd<'_>, times: &Timestamps) -> Result<(), Errno> {
    rustix::fs::utimensat(fd, "", times, AtFlags::EMPTY_PATH).map_err(errno)
}

/// Two times of `size` bytes each at `address`: seconds and a fraction that `fraction` makes nanoseconds of.
fn read_times(
    call: &mut Call<'_>,
    address: u64,
    fraction: impl Fn(i64) -> Result<i64, Errno>,
) -> Result<Timestamps, Errno> {
    if address == 0 {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        return Ok(Timestamps { last_access: now, last_modification: now });
    }
    let bytes: [u8; 32] = call.memory().read_array(address)?;
    let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| i64::from_le_bytes(*word));
    let time = |at: usize| Ok::<_, Errno>(Timespec { tv_sec: word(at), tv_nsec: fraction(word(at + 8))? });
    Ok(Timestamps { last_access: time(0)?, last_modification: time(16)? })
}

/// Microseconds to nanoseconds.
fn from_microseconds(fraction: i64) -> Result<i64, Errno> {
    if (0..1_000_000).contains(&fraction) { Ok(fraction * 1000) } else { Err(Errno::EINVAL) }
}

/// utimensat(2)
pub fn utimensat(call: &mut Call<'_>) -> SyscallResult {
    let (directory, path, address, flags) = (call.int(0), call.args[1], call.args[2], call.uint(3));
    let times = read_times(call, address, |fraction| match fraction {
        UTIME_NOW | UTIME_OMIT | 0..1_000_000_000 => Ok(fraction),
        _ => Err(Errno::EINVAL),
    })?;
    if address != 0 && times.last_access.tv_nsec == UTIME_OMIT && times.last_modification.tv_nsec == UTIME_OMIT {
        return Ok(0);
    }
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    if path == 0 && directory != AT_FDCWD {
        if flags != 0 {
            return Err(Errno::EINVAL.into());
        }
        return call.change_descriptor(directory, |fd| set_times(fd, &times));
    }
    if path == 0 {
        return Err(Errno::EFAULT.into());
    }
    let target = call.target(directory, path, flags & AT_EMPTY_PATH != 0)?;
    call.change(&target, flags & AT_SYMLINK_NOFOLLOW == 0, |fd| set_times(fd, &times))
}

/// utimes(2)
pub fn utimes(call: &mut Call<'_>) -> SyscallResult {
    let (path, times) = (call.args[0], call.args[1]);
    let times = read_times(call, times, from_microseconds)?;
    let target = call.target(AT_FDCWD, path, false)?;
    call.change(&target, true, |fd| set_times(fd, &times))
}

/// futimesat(2)
pub fn futimesat(call: &mut Call<'_>) -> SyscallResult {
    let (directory, path, times) = (call.int(0), call.args[1], call.args[2]);
    let times = read_times(call, times, from_microseconds)?;
    if path == 0 {
        return call.change_descriptor(directory, |fd| set_times(fd, &times));
    }
    let target = call.target(directory, path, false)?;
    call.change(&target, true, |fd| set_times(fd, &times))
}

/// utime(2)
pub fn utime(call: &mut Call<'_>) -> SyscallResult {
    let (path, address) = (call.args[0], call.args[1]);
    let times = if address == 0 {
        read_times(call, 0, Ok)?
    } else {
        let bytes: [u8; 16] = call.memory().read_array(address)?;
        let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| i64::from_le_bytes(*word));
        let time = |at: usize| Timespec { tv_sec: word(at), tv_nsec: 0 };
        Timestamps { last_access: time(0), last_modification: time(8) }
    };
    let target = call.target(AT_FDCWD, path, false)?;
    call.change(&target, true, |fd| set_times(fd, &times))
}
