//! rename and link: a file gets another name, where the guest may do no more with it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{
    AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_FOLLOW, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT,
};
use warmfork_abi::stat::{S_IFDIR, S_IFMT};
use warmfork_memory::Origin;

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::guest_path;
use crate::metadata::magic_path;
use crate::objects::Object;
use crate::policy::Access;
use crate::resolve::Found;
use crate::syscalls::directories::{Last, last};
use crate::syscalls::names::socket_files_renamed;
use crate::syscalls::paths::Target;

/// rename(2)
pub fn rename(call: &mut Call<'_>) -> SyscallResult {
    let old = call.target(AT_FDCWD, call.args[0], false)?;
    let new = call.target(AT_FDCWD, call.args[1], false)?;
    move_name(call, &old, &new, 0)
}

/// renameat(2)
pub fn renameat(call: &mut Call<'_>) -> SyscallResult {
    let old = call.target(call.int(0), call.args[1], false)?;
    let new = call.target(call.int(2), call.args[3], false)?;
    move_name(call, &old, &new, 0)
}

/// renameat2(2)
pub fn renameat2(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(4);
    if flags & !(RENAME_NOREPLACE | RENAME_EXCHANGE) != 0 || flags == RENAME_NOREPLACE | RENAME_EXCHANGE {
        return Err(if flags & RENAME_WHITEOUT != 0 { Errno::EPERM } else { Errno::EINVAL }.into());
    }
    let old = call.target(call.int(0), call.args[1], false)?;
    let new = call.target(call.int(2), call.args[3], false)?;
    move_name(call, &old, &new, flags)
}

fn move_name(call: &mut Call<'_>, old: &Target, new: &Target, flags: u32) -> SyscallResult {
    if !matches!((last(&old.path), last(&new.path)), (Last::Name, Last::Name)) {
        return Err(Errno::EBUSY.into());
    }
    if let (Some(from), Some(to)) = (call.shared_memory_name(old), call.shared_memory_name(new)) {
        call.kernel.shared.memory.link(&from, &to, flags & RENAME_NOREPLACE == 0)?;
        if from != to {
            call.kernel.shared.memory.unlink(&from)?;
        }
        return Ok(0);
    }
    let _moving = one_at_a_time();
    let (from, to) = (call.pin_name(old)?, call.pin_name(new)?);
    from.check_slash()?;
    let mode = from.mode()?;
    if to.slash && mode & S_IFMT != S_IFDIR {
        return Err(Errno::ENOTDIR.into());
    }
    if [&from, &to].into_iter().any(|name| call.kernel.policy.is_fixed(&name.path)) {
        return Err(Errno::EBUSY.into());
    }
    call.check_move(&from.path, &to.path)?;
    let exchanged = flags & RENAME_EXCHANGE != 0;
    if exchanged {
        call.check_move(&to.path, &from.path)?;
    }
    from.check_free(call)?;
    to.check_free(call)?;
    let how = RenameFlags::from_bits_retain(flags);
    let (moved, back) = (from.target(), if exchanged { to.target() } else { None });
    rustix::fs::renameat_with(&from.directory, &from.name[..], &to.directory, &to.name[..], how)?;
    call.renamed(&from.path, &to.path, exchanged);
    socket_files_renamed(call, (&from.directory, &from.name, moved), (&to.directory, &to.name, back));
    Ok(0)
}

/// Held while names are resolved, asked about and moved: otherwise another fork could move one's directory meanwhile, and put a
/// file into it that the policy was not asked about.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static MOVES: Mutex<()> = Mutex::new(());
    MOVES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Call<'_> {
    /// Refuses to give what is at `from` the path `to`, where the guest could do more with it.
    fn check_move(&mut self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        self.kernel.policy.check_move(from, to).map_err(|denial| self.host.denied(from, denial))
    }

    /// Open files and working directories follow a rename (or an exchange of two names), as inodes do.
    fn renamed(&mut self, old: &[u8], new: &[u8], exchanged: bool) {
        let moved = |path: &[u8]| {
            let forth = guest_path::beneath(path, old).map(|rest| (new, rest));
            let back = || guest_path::beneath(path, new).filter(|_| exchanged).map(|rest| (old, rest));
            let (to, rest) = forth.or_else(back)?;
            let mut path = to.to_vec();
            guest_path::components(rest).for_each(|name| guest_path::push(&mut path, name));
            Some(path)
        };
        let follow = |path: &mut Vec<u8>| *path = moved(path).unwrap_or_else(|| std::mem::take(path));
        self.kernel.processes.iter_mut().for_each(|process| follow(&mut process.fs.cwd));
        for (_, description) in self.kernel.files.descriptions_mut() {
            match &mut description.object {
                Object::File(file) => follow(&mut file.path),
                Object::Directory(directory) => follow(&mut directory.path),
                Object::Path(path) => follow(&mut path.path),
                Object::Socket(socket) => {
                    if let Some(file) = socket.bound.as_mut().and_then(|bound| bound.file.as_mut()) {
                        follow(&mut file.path);
                    }
                }
                _ => {}
            }
        }
    }
}

/// link(2)
pub fn link(call: &mut Call<'_>) -> SyscallResult {
    let old = call.target(AT_FDCWD, call.args[0], false)?;
    let new = call.target(AT_FDCWD, call.args[1], false)?;
    make_link(call, &old, &new, false)
}

/// linkat(2)
pub fn linkat(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(4);
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let old = call.target(call.int(0), call.args[1], flags & AT_EMPTY_PATH != 0)?;
    let new = call.target(call.int(2), call.args[3], false)?;
    make_link(call, &old, &new, flags & AT_SYMLINK_FOLLOW != 0)
}

fn make_link(call: &mut Call<'_>, old: &Target, new: &Target, follow: bool) -> SyscallResult {
    if let (Some(from), Some(to)) = (call.shared_memory_name(old), call.shared_memory_name(new)) {
        call.kernel.shared.memory.link(&from, &to, false)?;
        return Ok(0);
    }
    let _moving = one_at_a_time();
    let (file, from) = link_source(call, old, follow)?;
    let to = call.pin_new_name(new)?;
    if to.slash {
        return Err(Errno::ENOENT.into());
    }
    call.check_move(&from, &to.path)?;
    let source = magic_path(file.as_fd());
    rustix::fs::linkat(rustix::fs::CWD, source, &to.directory, &to.name[..], AtFlags::SYMLINK_FOLLOW)?;
    Ok(0)
}

/// The file to link and its path, which the guest must be allowed to write: the new name may be in a directory where it is.
fn link_source(call: &mut Call<'_>, old: &Target, follow: bool) -> Result<(OwnedFd, Vec<u8>), Errno> {
    if old.is_empty() {
        let id = call.description_id(old.directory)?;
        return open_source(call, id);
    }
    let request = call.request(old, follow, Access::WRITE)?;
    let request = request.as_request();
    let mut flags = OFlags::PATH;
    flags.set(OFlags::NOFOLLOW, !follow);
    flags.set(OFlags::DIRECTORY, request.wants_directory());
    let found = call.resolver().with(&request, |place| Ok((place.open(flags, Mode::empty())?, place.path.clone())))?;
    match found {
        Found::Host(source) => Ok(source),
        Found::Descriptor(id) => open_source(call, id),
        Found::Synthetic(..) => Err(Errno::EXDEV),
    }
}

/// The file that a description has open or names, with the path by which the guest came to it.
fn open_source(call: &mut Call<'_>, id: DescriptionId) -> Result<(OwnedFd, Vec<u8>), Errno> {
    let handle = call.kernel.files.description(id).object.handle().ok_or(Errno::EXDEV)?;
    if matches!(handle.origin(), Origin::Memory { .. }) {
        return Err(Errno::EXDEV);
    }
    call.host.check_opened(&call.kernel.policy, handle, Access::WRITE)?;
    Ok((handle.as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?, handle.name().to_vec()))
}
