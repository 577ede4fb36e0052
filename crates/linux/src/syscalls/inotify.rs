//! inotify_init, inotify_add_watch, inotify_rm_watch.

use rustix::fs::{Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{AT_FDCWD, O_DIRECTORY, O_PATH, O_RDONLY};
use warmfork_abi::inotify::{
    IN_ALL_EVENTS, IN_CLOEXEC, IN_DONT_FOLLOW, IN_MASK_ADD, IN_MASK_CREATE, IN_NONBLOCK, IN_ONLYDIR,
};
use warmfork_memory::HostFile;

use crate::call::{Call, SyscallResult};
use crate::guest_path;
use crate::host::errno;
use crate::objects::Object;
use crate::objects::inotify::{Inotify, KNOWN, WatchedPlace, identity};
use crate::policy::Access;
use crate::resolve::Found;

/// Most instances of a machine: those of the host's user are few, and for all machines.
const MAX_INSTANCES: usize = 16;

/// inotify_init(2)
pub fn inotify_init(call: &mut Call<'_>) -> SyscallResult {
    open(call, 0)
}

fn open(call: &mut Call<'_>, flags: u32) -> SyscallResult {
    let instances = call.kernel.files.objects().filter(|object| matches!(object, Object::Inotify(_))).count();
    if instances >= MAX_INSTANCES {
        return Err(Errno::EMFILE.into());
    }
    call.open(Object::Inotify(Inotify::new()?), O_RDONLY | flags & IN_NONBLOCK, flags & IN_CLOEXEC != 0)
}

/// inotify_init1(2)
pub fn inotify_init1(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(0);
    if flags & !(IN_CLOEXEC | IN_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    open(call, flags)
}

/// inotify_add_watch(2): made-up files (/proc, /dev) never change, so they cannot be watched.
pub fn inotify_add_watch(call: &mut Call<'_>) -> SyscallResult {
    let (fd, path, mask) = (call.int(0), call.args[1], call.uint(2));
    let id = call.description_id(fd)?;
    if mask & KNOWN == 0 || mask & IN_MASK_ADD != 0 && mask & IN_MASK_CREATE != 0 {
        return Err(Errno::EINVAL.into());
    }
    if !matches!(call.kernel.files.description(id).object, Object::Inotify(_)) {
        return Err(Errno::EINVAL.into());
    }
    let target = call.target(AT_FDCWD, path, false)?;
    let follow = mask & IN_DONT_FOLLOW == 0;
    let request = call.request(&target, follow, Access::READ)?;
    let mut look = OFlags::PATH;
    look.set(OFlags::NOFOLLOW, !follow);
    look.set(OFlags::DIRECTORY, mask & IN_ONLYDIR != 0);
    let found = call.resolver().with(&request.as_request(), |place| {
        let file = place.open(look, Mode::empty())?;
        let (directory, name) = match place.open_parent() {
            Ok((directory, name)) => (directory, name),
            Err(Errno::EBUSY) => (file.try_clone().map_err(|_| Errno::ENOSPC)?, &b"."[..]),
            Err(error) => return Err(error),
        };
        let above = if name == b"." { None } else { guest_path::split(&place.path) };
        let above = above.map_or(&place.path[..], |(above, _)| above);
        let directory = HostFile::opened(directory, above, O_PATH | O_DIRECTORY).map_err(errno)?;
        let place = WatchedPlace { directory, name: name.to_vec(), file: identity(&file)? };
        Ok((file, place))
    })?;
    let (file, place) = match found {
        Found::Host(found) => found,
        Found::Synthetic(..) | Found::Descriptor(_) => return Err(Errno::EACCES.into()),
    };
    if mask & IN_ALL_EVENTS == 0 {
        return Err(Errno::EINVAL.into());
    }
    // The resolved file is named by its descriptor, which is a link itself.
    let mask = mask & KNOWN & !IN_DONT_FOLLOW;
    match call.object(id).0 {
        Object::Inotify(inotify) => Ok(u64::from(inotify.watch(&file, place, mask)?.unsigned_abs())),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// inotify_rm_watch(2)
pub fn inotify_rm_watch(call: &mut Call<'_>) -> SyscallResult {
    let (fd, number) = (call.int(0), call.int(1));
    let id = call.description_id(fd)?;
    match call.object(id).0 {
        Object::Inotify(inotify) => inotify.forget(number)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}
