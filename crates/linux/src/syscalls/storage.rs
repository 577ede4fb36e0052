//! Calls about a file's bytes as a whole: truncate, sync, fallocate, advice.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Advice, FallocateFlags, Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::AT_FDCWD;
use warmfork_abi::signals::SIGXFSZ;
use warmfork_abi::stat::{S_IFDIR, S_IFREG};

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::host::errno;
use crate::metadata::{host_metadata, magic_path};
use crate::objects::Object;
use crate::policy::Access;
use crate::process::{Process, RLIMIT_FSIZE};
use crate::resolve::Found;
use crate::signal::{SignalInfo, Target};

/// A length or offset, which is signed in the system call.
fn signed(value: u64) -> Result<u64, Errno> {
    u64::try_from(value.cast_signed()).map_err(|_| Errno::EINVAL)
}

impl Call<'_> {
    /// Whether a file may grow to `end` bytes: if not, SIGXFSZ is sent.
    ///
    /// # Errors
    /// EFBIG beyond RLIMIT_FSIZE.
    pub fn check_file_size(&mut self, end: u64) -> Result<(), Errno> {
        let limit = self.kernel.process().limits[RLIMIT_FSIZE].soft;
        if end <= limit {
            return Ok(());
        }
        let Process { pid, uid, .. } = *self.kernel.process();
        let info = SignalInfo::sent(SIGXFSZ, warmfork_abi::signals::SI_USER, pid, uid);
        // The caller lives, and standard signals are never refused.
        let _ = self.kernel.processes.send_signal(pid, Target::Thread(self.tid), info);
        Err(Errno::EFBIG)
    }

    /// Whether file `id`, if it is in memory, may grow to `end` bytes: all of those together are as much as the guest may map.
    ///
    /// # Errors
    /// ENOSPC beyond that.
    pub fn check_memory_files(&self, id: DescriptionId, end: u64) -> Result<(), Errno> {
        let kernel = &self.kernel;
        let growing = kernel.files.description(id).object.file();
        let Some(growing) = growing.filter(|file| kernel.is_in_memory(file)) else { return Ok(()) };
        let mut total = end;
        for (inode, file) in kernel.open_files_in_memory() {
            if inode != growing.inode() {
                total = total.saturating_add(host_metadata(file.to_look())?.size);
            }
        }
        if total > self.kernel.space().limits().accessible_bytes { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    /// The description of a regular file (or memory file) behind `fd`.
    pub(super) fn regular(&self, fd: i32, otherwise: Errno) -> Result<DescriptionId, Errno> {
        let id = self.description_id(fd)?;
        match &self.kernel.files.description(id).object {
            Object::File(_) | Object::Memfd(_) => Ok(id),
            Object::Path(_) => Err(Errno::EBADF),
            Object::Pipe(_) | Object::Socket(_) | Object::Pair(_) | Object::Tcp(_) if otherwise == Errno::ENODEV => {
                Err(Errno::ESPIPE)
            }
            _ => Err(otherwise),
        }
    }
}

/// truncate(2)
pub fn truncate(call: &mut Call<'_>) -> SyscallResult {
    let length = signed(call.args[1])?;
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    let request = call.request(&target, true, Access::WRITE)?;
    let found = call.resolver().with(&request.as_request(), |place| {
        let named = place.open(OFlags::PATH, Mode::empty())?;
        open_for_length(named.as_fd())
    })?;
    let (fd, id) = match found {
        Found::Host(fd) => (fd, None),
        Found::Descriptor(id) => {
            let handle = call.kernel.files.description(id).object.handle().ok_or(Errno::EINVAL)?;
            call.host.check_opened(&call.kernel.policy, handle, Access::WRITE)?;
            (open_for_length(handle.as_fd())?, Some(id))
        }
        Found::Synthetic(..) => return Err(Errno::EACCES.into()),
    };
    if length > host_metadata(fd.as_fd())?.size {
        call.check_file_size(length)?;
        id.map_or(Ok(()), |id| call.check_memory_files(id, length))?;
    }
    rustix::fs::ftruncate(fd, length)?;
    Ok(0)
}

/// Opens a file that is open, or only named, once more to set its length.
fn open_for_length(named: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    match host_metadata(named)?.file_type() {
        S_IFREG => {}
        S_IFDIR => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(magic_path(named), flags, Mode::empty()).map_err(errno)
}

/// ftruncate(2)
pub fn ftruncate(call: &mut Call<'_>) -> SyscallResult {
    let length = signed(call.args[1])?;
    let id = call.regular(call.int(0), Errno::EINVAL)?;
    let description = call.kernel.files.description(id);
    if !description.writable() {
        return Err(Errno::EINVAL.into());
    }
    let file = description.object.view().host_file().ok_or(Errno::EINVAL)?;
    if length > host_metadata(file)?.size {
        call.check_file_size(length)?;
        call.check_memory_files(id, length)?;
    }
    let file = call.kernel.files.description(id).object.view().host_file().ok_or(Errno::EINVAL)?;
    rustix::fs::ftruncate(file, length)?;
    Ok(0)
}

/// fsync(2)
pub fn fsync(call: &mut Call<'_>) -> SyscallResult {
    synchronize(call, false)
}

/// fdatasync(2)
pub fn fdatasync(call: &mut Call<'_>) -> SyscallResult {
    synchronize(call, true)
}

fn synchronize(call: &mut Call<'_>, data_only: bool) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let object = &call.kernel.files.description(id).object;
    if matches!(object, Object::Path(_)) {
        return Err(Errno::EBADF.into());
    }
    let file = object.view().host_file().ok_or(Errno::EINVAL)?;
    if data_only {
        rustix::fs::fdatasync(file)?
    } else {
        rustix::fs::fsync(file)?
    }
    Ok(0)
}

/// sync_file_range(2): writes all of the file's bytes back.
pub fn sync_file_range(call: &mut Call<'_>) -> SyscallResult {
    /// SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER.
    const KNOWN: u32 = 7;
    let (offset, length) = (signed(call.args[1])?, signed(call.args[2])?);
    if call.uint(3) & !KNOWN != 0 || offset.checked_add(length).is_none_or(|end| signed(end).is_err()) {
        return Err(Errno::EINVAL.into());
    }
    let id = call.regular(call.int(0), Errno::ESPIPE)?;
    let file = call.kernel.files.description(id).object.view().host_file().ok_or(Errno::ESPIPE)?;
    rustix::fs::fdatasync(file)?;
    Ok(0)
}

/// fallocate(2)
pub fn fallocate(call: &mut Call<'_>) -> SyscallResult {
    let mode = FallocateFlags::from_bits_retain(call.uint(1));
    let (offset, length) = (signed(call.args[2])?, signed(call.args[3])?);
    if length == 0 {
        return Err(Errno::EINVAL.into());
    }
    let id = call.regular(call.int(0), Errno::ENODEV)?;
    if !call.kernel.files.description(id).writable() {
        return Err(Errno::EBADF.into());
    }
    let end = offset.checked_add(length).filter(|&end| signed(end).is_ok()).ok_or(Errno::EFBIG)?;
    if !mode.intersects(FallocateFlags::KEEP_SIZE | FallocateFlags::PUNCH_HOLE) {
        call.check_file_size(end)?;
    }
    call.check_memory_files(id, end)?;
    let object = &call.kernel.files.description(id).object;
    let file = object.view().host_file().ok_or(Errno::ENODEV)?;
    let allocates = FallocateFlags::KEEP_SIZE.contains(mode);
    if allocates && object.file().is_some_and(|file| call.kernel.is_in_memory(file)) {
        // Memory is had when it is used, so that limits see it: only the length changes.
        let grows = mode.is_empty() && end > host_metadata(file)?.size;
        return if grows { Ok(rustix::fs::ftruncate(file, end).map(|()| 0)?) } else { Ok(0) };
    }
    rustix::fs::fallocate(file, mode, offset, length)?;
    Ok(0)
}

/// fadvise64(2)
pub fn fadvise64(call: &mut Call<'_>) -> SyscallResult {
    let advice = match call.int(3) {
        0 => Advice::Normal,
        1 => Advice::Random,
        2 => Advice::Sequential,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::EINVAL.into()),
    };
    let length = signed(call.args[2])?;
    let id = call.description_id(call.int(0))?;
    match &call.kernel.files.description(id).object {
        Object::File(file) => {
            let length = std::num::NonZeroU64::new(length);
            rustix::fs::fadvise(&file.file, call.args[1], length, advice)?;
            Ok(0)
        }
        Object::Path(_) => Err(Errno::EBADF.into()),
        Object::Pipe(_) => Err(Errno::ESPIPE.into()),
        _ => Ok(0),
    }
}

/// readahead(2): the host reads ahead by itself.
pub fn readahead(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let description = call.kernel.files.description(id);
    match &description.object {
        Object::Path(_) => Err(Errno::EBADF.into()),
        _ if !description.readable() => Err(Errno::EBADF.into()),
        Object::File(_) | Object::Memfd(_) => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}
