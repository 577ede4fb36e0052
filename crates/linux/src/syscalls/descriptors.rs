//! close, dup, fcntl, flock.

use rustix::fs::SealFlags;
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{
    CLOSE_RANGE_CLOEXEC, CLOSE_RANGE_UNSHARE, F_ADD_SEALS, F_DUPFD, F_DUPFD_CLOEXEC, F_DUPFD_QUERY, F_GET_SEALS,
    F_GETFD, F_GETFL, F_GETLEASE, F_GETLK, F_GETOWN, F_GETOWN_EX, F_GETPIPE_SZ, F_GETSIG, F_OFD_GETLK, F_OFD_SETLK,
    F_OFD_SETLKW, F_OWNER_PGRP, F_OWNER_PID, F_OWNER_TID, F_SETFD, F_SETFL, F_SETLK, F_SETLKW, F_SETOWN, F_SETOWN_EX,
    F_SETPIPE_SZ, F_SETSIG, F_UNLCK, FD_CLOEXEC, O_APPEND, O_ASYNC, O_CLOEXEC, O_DIRECT, O_NOATIME, O_NONBLOCK, O_PATH,
};

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::files::SignalOwner;
use crate::objects::Object;

fn fd_result(fd: i32) -> SyscallResult {
    Ok(u64::from(fd.cast_unsigned()))
}

/// close(2)
pub fn close(call: &mut Call<'_>) -> SyscallResult {
    call.close_descriptor(call.int(0))?;
    Ok(0)
}

/// close_range(2)
pub fn close_range(call: &mut Call<'_>) -> SyscallResult {
    let (first, last, flags) = (call.uint(0), call.uint(1), call.uint(2));
    if first > last || flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let open = call.kernel.process().descriptors.iter().map(|(fd, _)| fd);
    let within: Vec<i32> = open.filter(|fd| (first..=last).contains(&fd.cast_unsigned())).collect();
    for fd in within {
        if flags & CLOSE_RANGE_CLOEXEC != 0 {
            call.kernel.process_mut().descriptors.set_close_on_exec(fd, true)?;
        } else {
            call.close_descriptor(fd)?;
        }
    }
    Ok(0)
}

impl Call<'_> {
    /// Closes `fd`. By POSIX's rule that ends all record locks of the process on its file.
    fn close_descriptor(&mut self, fd: i32) -> Result<(), Errno> {
        let id = self.description_id(fd)?;
        self.kernel.release_record_locks(self.host, id);
        self.kernel.close(self.host, fd)
    }

    /// One more descriptor for description `id`, the lowest free one from `minimum` on.
    fn duplicate(&mut self, id: DescriptionId, minimum: usize, close_on_exec: bool) -> SyscallResult {
        let limit = self.kernel.process().file_limit();
        let fd = self.kernel.process_mut().descriptors.install(id, minimum, limit, close_on_exec)?;
        self.kernel.files.retain(id);
        fd_result(fd)
    }

    /// Makes `new` refer to the description of `old`.
    fn duplicate_to(&mut self, old: i32, new: i32, close_on_exec: bool) -> SyscallResult {
        let id = self.description_id(old)?;
        let index = usize::try_from(new).ok().filter(|&new| new < self.kernel.process().file_limit());
        let index = index.ok_or(Errno::EBADF)?;
        self.kernel.files.retain(id);
        // EBADF only says that nothing was open there.
        let _ = self.close_descriptor(new);
        fd_result(self.kernel.process_mut().descriptors.install(id, index, index + 1, close_on_exec)?)
    }
}

/// dup(2)
pub fn dup(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    call.duplicate(id, 0, false)
}

/// dup2(2)
pub fn dup2(call: &mut Call<'_>) -> SyscallResult {
    let (old, new) = (call.int(0), call.int(1));
    if old == new {
        call.description_id(old)?;
        return fd_result(old);
    }
    call.duplicate_to(old, new, false)
}

/// dup3(2)
pub fn dup3(call: &mut Call<'_>) -> SyscallResult {
    let (old, new, flags) = (call.int(0), call.int(1), call.uint(2));
    if flags & !O_CLOEXEC != 0 || old == new {
        return Err(Errno::EINVAL.into());
    }
    call.duplicate_to(old, new, flags & O_CLOEXEC != 0)
}

/// fcntl(2)
pub fn fcntl(call: &mut Call<'_>) -> SyscallResult {
    let (fd, command, argument) = (call.int(0), call.uint(1), call.args[2]);
    let id = call.description_id(fd)?;
    let named_only = matches!(call.kernel.files.description(id).object, Object::Path(_));
    if named_only && !matches!(command, F_DUPFD | F_DUPFD_CLOEXEC | F_DUPFD_QUERY | F_GETFD | F_SETFD | F_GETFL) {
        return Err(Errno::EBADF.into());
    }
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let limit = call.kernel.process().file_limit();
            let minimum = usize::try_from(argument).ok().filter(|&minimum| minimum < limit).ok_or(Errno::EINVAL)?;
            call.duplicate(id, minimum, command == F_DUPFD_CLOEXEC)
        }
        F_DUPFD_QUERY => Ok(u64::from(call.description_id(call.int(2)).is_ok_and(|other| other == id))),
        F_GETFD => Ok(if call.kernel.process().descriptors.get(fd)?.close_on_exec { FD_CLOEXEC } else { 0 }),
        F_SETFD => {
            call.kernel.process_mut().descriptors.set_close_on_exec(fd, argument & FD_CLOEXEC != 0)?;
            Ok(0)
        }
        F_GETFL => Ok(u64::from(call.kernel.files.description(id).flags)),
        F_SETFL => set_flags(call, id, call.uint(2)),
        F_GETLK | F_SETLK | F_SETLKW | F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW => {
            crate::syscalls::locks::record_lock(call, id, command)
        }
        F_SETOWN | F_GETOWN | F_SETOWN_EX | F_GETOWN_EX | F_SETSIG | F_GETSIG => owner(call, id, command),
        F_GETLEASE => Ok(u64::from(F_UNLCK.unsigned_abs())),
        F_GETPIPE_SZ => Ok(call.kernel.with_object(call.host, id, |object, context| object.pipe_size(context))?.into()),
        F_SETPIPE_SZ => {
            let wanted = call.uint(2);
            let size =
                call.kernel.with_object(call.host, id, |object, context| object.set_pipe_size(context, wanted))?;
            Ok(u64::from(size))
        }
        F_ADD_SEALS | F_GET_SEALS => seals(call, id, command),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn set_flags(call: &mut Call<'_>, id: DescriptionId, wanted: u32) -> SyscallResult {
    const CHANGEABLE: u32 = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;
    let description = call.kernel.files.description_mut(id);
    debug_assert_eq!(description.flags & O_PATH, 0, "checked by fcntl");
    description.flags = description.flags & !CHANGEABLE | wanted & CHANGEABLE;
    Ok(0)
}

/// The fcntl commands about whom SIGIO is for.
fn owner(call: &mut Call<'_>, id: DescriptionId, command: u32) -> SyscallResult {
    let address = call.args[2];
    let owner = call.kernel.files.description(id).owner;
    let changed = match command {
        F_GETSIG => return Ok(owner.signal.into()),
        F_GETOWN if owner.kind == F_OWNER_PGRP => return Ok(i64::from(-owner.id).cast_unsigned()),
        F_GETOWN => return Ok(i64::from(owner.id).cast_unsigned()),
        F_GETOWN_EX => {
            let bytes = [owner.kind.to_le_bytes(), owner.id.to_le_bytes()].concat();
            call.memory().write(address, &bytes)?;
            return Ok(0);
        }
        F_SETSIG if address > 64 => return Err(Errno::EINVAL.into()),
        F_SETSIG => SignalOwner { signal: call.uint(2), ..owner },
        F_SETOWN => {
            let kind = if call.int(2) < 0 { F_OWNER_PGRP } else { F_OWNER_PID };
            SignalOwner { kind, id: call.int(2).checked_abs().ok_or(Errno::EINVAL)?, ..owner }
        }
        _ => {
            let bytes: [u8; 8] = call.memory().read_array(address)?;
            let [kind, id] = [0, 4].map(|at| bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word)));
            if !matches!(kind, F_OWNER_TID | F_OWNER_PID | F_OWNER_PGRP) {
                return Err(Errno::EINVAL.into());
            }
            SignalOwner { kind, id: id.cast_signed(), ..owner }
        }
    };
    if changed.id != 0
        && call.kernel.processes.find_task(changed.id).is_none()
        && !call.kernel.processes.group_exists(changed.id)
    {
        return Err(Errno::ESRCH.into());
    }
    call.kernel.files.description_mut(id).owner = changed;
    Ok(0)
}

fn seals(call: &mut Call<'_>, id: DescriptionId, command: u32) -> SyscallResult {
    let wanted = call.uint(2);
    let description = call.kernel.files.description(id);
    let Object::Memfd(memfd) = &description.object else { return Err(Errno::EINVAL.into()) };
    if command == F_GET_SEALS {
        return Ok(u64::from(memfd.seals()?.bits()));
    }
    if !description.writable() {
        return Err(Errno::EPERM.into());
    }
    memfd.add_seals(SealFlags::from_bits_retain(wanted))?;
    Ok(0)
}
