//! getdents, mkdir, rmdir, unlink, rename, link, symlink, mknod.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{
    AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT,
};
use warmfork_abi::stat::{
    S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, dirent_length, dirent64_length,
};

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::guest_path;
use crate::host::errno;
use crate::metadata::{host_metadata, magic_path};
use crate::objects::Object;
use crate::objects::directory::{Entry, Source};
use crate::objects::frozen_names::FileNumber;
use crate::policy::Access;
use crate::proc;
use crate::resolve::Found;
use crate::syscalls::names::socket_files_renamed;
use crate::syscalls::paths::Target;

/// Most bytes that one getdents returns.
const LISTING: usize = 64 * 1024;

/// getdents64(2)
pub fn getdents64(call: &mut Call<'_>) -> SyscallResult {
    list(call, |entry, into| {
        let length = dirent64_length(entry.name.len());
        let begin = into.len();
        into.extend_from_slice(&entry.inode.to_le_bytes());
        into.extend_from_slice(&entry.next.to_le_bytes());
        into.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
        into.push(entry.kind);
        into.extend_from_slice(&entry.name);
        into.resize(begin + length, 0);
    })
}

/// getdents(2): the type is the last byte of each entry.
pub fn getdents(call: &mut Call<'_>) -> SyscallResult {
    list(call, |entry, into| {
        let length = dirent_length(entry.name.len());
        let begin = into.len();
        into.extend_from_slice(&entry.inode.to_le_bytes());
        into.extend_from_slice(&entry.next.to_le_bytes());
        into.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
        into.extend_from_slice(&entry.name);
        into.resize(begin + length, 0);
        into[begin + length - 1] = entry.kind;
    })
}

fn list(call: &mut Call<'_>, encode: impl Fn(&Entry, &mut Vec<u8>)) -> SyscallResult {
    let (address, room) = (call.args[1], usize::try_from(call.uint(2)).unwrap_or(LISTING).min(LISTING));
    let id = call.description_id(call.int(0))?;
    call.refresh_listing(id);
    let description = call.kernel.files.description(id);
    let directory = match &description.object {
        Object::Directory(directory) => directory.clone(),
        Object::Path(_) => return Err(Errno::EBADF.into()),
        _ => return Err(Errno::ENOTDIR.into()),
    };
    let mut bytes = Vec::with_capacity(room);
    let (mut position, mut full) = (description.offset, false);
    directory.list(position, |entry| {
        let before = bytes.len();
        encode(entry, &mut bytes);
        if bytes.len() > room {
            bytes.truncate(before);
            full = true;
            return false;
        }
        position = entry.next;
        true
    })?;
    if bytes.is_empty() && full {
        return Err(Errno::EINVAL.into());
    }
    call.memory().write(address, &bytes)?;
    call.kernel.files.description_mut(id).offset = position;
    Ok(bytes.len() as u64)
}

impl Call<'_> {
    /// A made-up directory is listed as it is when a listing begins.
    fn refresh_listing(&mut self, id: DescriptionId) {
        let description = self.kernel.files.description(id);
        let Object::Directory(directory) = &description.object else { return };
        if description.offset != 0 || matches!(directory.source, Source::Host(_)) {
            return;
        }
        let entries = proc::list(self.kernel, &directory.path);
        if let Object::Directory(directory) = &mut self.kernel.files.description_mut(id).object {
            directory.source = Source::Made(entries);
        }
    }
}

/// A name in a directory of the host, pinned: later changes of the path lead no call elsewhere.
struct PinnedName {
    directory: OwnedFd,
    name: Vec<u8>,
    /// The guest's plain path.
    path: Vec<u8>,
    /// The path ended in a slash.
    slash: bool,
}

impl PinnedName {
    /// The metadata of the file with that name, if there is one.
    fn mode(&self) -> Result<u32, Errno> {
        Ok(host_metadata(self.open()?.as_fd())?.mode)
    }

    /// EBUSY when a socket of the snapshot would not be found any more if the name were to go or to lead elsewhere: its file
    /// has that name, or is beneath it. Linux has no such file, but says so of mount points and files that the system uses.
    fn check_free(&self, call: &Call<'_>) -> Result<(), Errno> {
        let frozen = &call.kernel.shared.frozen_names;
        if !frozen.has_files() {
            return Ok(());
        }
        let in_use = frozen.goes_by(number(self.directory.as_fd())?, &self.name, self.target(), &self.path);
        if in_use { Err(Errno::EBUSY) } else { Ok(()) }
    }

    /// Which file has that name, if one has.
    fn target(&self) -> Option<FileNumber> {
        self.open().and_then(|file| number(file.as_fd())).ok()
    }

    /// An O_PATH handle of the file with that name.
    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, &self.name[..], flags, Mode::empty()).map_err(errno)
    }

    /// A slash after the name of something other than a directory is an error.
    fn check_slash(&self) -> Result<(), Errno> {
        if self.slash && self.mode()? & S_IFMT != S_IFDIR { Err(Errno::ENOTDIR) } else { Ok(()) }
    }

    /// Gives a file just made the mode that the guest asked for: the host's umask is not the guest's.
    fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        let fd = self.open()?;
        if host_metadata(fd.as_fd())?.mode & 0o7777 == mode {
            return Ok(());
        }
        rustix::fs::chmod(magic_path(fd.as_fd()), Mode::from_raw_mode(mode)).map_err(errno)
    }
}

fn number(fd: BorrowedFd<'_>) -> Result<FileNumber, Errno> {
    host_metadata(fd).map(|metadata| (metadata.device, metadata.inode))
}

/// The last names that a call may use that makes or removes names.
enum Last {
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// `/` itself.
    Root,
    /// A name.
    Name,
}

fn last(path: &[u8]) -> Last {
    match path.split(|&byte| byte == b'/').rev().find(|name| !name.is_empty()) {
        None => Last::Root,
        Some(b".") => Last::Dot,
        Some(b"..") => Last::DotDot,
        Some(_) => Last::Name,
    }
}

impl Call<'_> {
    /// Pins the name that `target` ends in, for changing it.
    fn pin_name(&mut self, target: &Target) -> Result<PinnedName, Errno> {
        let keep = target.path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        let slash = keep < target.path.len();
        let target = Target { directory: target.directory, path: target.path[..keep].to_vec() };
        let request = self.request(&target, false, Access::WRITE)?;
        let found = self.resolver().with(&request.as_request(), |place| {
            let (directory, name) = place.open_parent()?;
            Ok((directory, name.to_vec(), place.path.clone()))
        })?;
        match found {
            Found::Host((directory, name, path)) => Ok(PinnedName { directory, name, path, slash }),
            Found::Synthetic(..) => Err(Errno::EPERM),
            Found::Descriptor(_) => Err(Errno::EPERM),
        }
    }

    /// As [`Call::pin_name`] for a new name: EEXIST comes before the errors of permissions.
    fn pin_new_name(&mut self, target: &Target) -> Result<PinnedName, Errno> {
        match last(&target.path) {
            Last::Name => {}
            Last::Root | Last::Dot | Last::DotDot => return Err(Errno::EEXIST),
        }
        match self.pin_name(target) {
            Err(Errno::EACCES | Errno::EROFS | Errno::EPERM | Errno::EBUSY)
                if self.path_metadata(target, false).is_ok() =>
            {
                Err(Errno::EEXIST)
            }
            result => result,
        }
    }
}

/// mkdir(2)
pub fn mkdir(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    make_directory(call, &target, call.uint(1))
}

/// mkdirat(2)
pub fn mkdirat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(call.int(0), call.args[1], false)?;
    make_directory(call, &target, call.uint(2))
}

fn make_directory(call: &mut Call<'_>, target: &Target, mode: u32) -> SyscallResult {
    let mode = mode & 0o1777 & !call.kernel.process().fs.umask;
    let pinned = call.pin_new_name(target)?;
    rustix::fs::mkdirat(&pinned.directory, &pinned.name[..], Mode::from_raw_mode(mode))?;
    // A set-group-ID directory passes that bit on.
    let inherited = pinned.mode()? & 0o2000;
    pinned.set_mode(mode | inherited)?;
    Ok(0)
}

/// rmdir(2)
pub fn rmdir(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    remove_directory(call, &target)
}

/// unlink(2)
pub fn unlink(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    remove_file(call, &target)
}

/// unlinkat(2)
pub fn unlinkat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(call.int(0), call.args[1], false)?;
    match call.uint(2) {
        0 => remove_file(call, &target),
        AT_REMOVEDIR => remove_directory(call, &target),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn remove_directory(call: &mut Call<'_>, target: &Target) -> SyscallResult {
    match last(&target.path) {
        Last::Dot => return Err(Errno::EINVAL.into()),
        Last::DotDot => return Err(Errno::ENOTEMPTY.into()),
        Last::Root => return Err(Errno::EBUSY.into()),
        Last::Name => {}
    }
    let pinned = call.pin_name(target)?;
    rustix::fs::unlinkat(&pinned.directory, &pinned.name[..], AtFlags::REMOVEDIR)?;
    Ok(0)
}

fn remove_file(call: &mut Call<'_>, target: &Target) -> SyscallResult {
    if !matches!(last(&target.path), Last::Name) {
        return Err(Errno::EISDIR.into());
    }
    if let Some(name) = call.shared_memory_name(target) {
        call.kernel.shared.memory.unlink(&name)?;
        return Ok(0);
    }
    let pinned = call.pin_name(target)?;
    if pinned.slash {
        pinned.check_slash()?;
        return Err(Errno::EISDIR.into());
    }
    pinned.check_free(call)?;
    rustix::fs::unlinkat(&pinned.directory, &pinned.name[..], AtFlags::empty())?;
    Ok(0)
}

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
    let (from, to) = (call.pin_name(old)?, call.pin_name(new)?);
    from.check_slash()?;
    if to.slash && from.mode()? & S_IFMT != S_IFDIR {
        return Err(Errno::ENOTDIR.into());
    }
    from.check_free(call)?;
    to.check_free(call)?;
    let how = RenameFlags::from_bits_retain(flags);
    let exchanged = flags & RENAME_EXCHANGE != 0;
    let (moved, back) = (from.target(), if exchanged { to.target() } else { None });
    rustix::fs::renameat_with(&from.directory, &from.name[..], &to.directory, &to.name[..], how)?;
    call.renamed(&from.path, &to.path, exchanged);
    socket_files_renamed(call, (&from.directory, &from.name, moved), (&to.directory, &to.name, back));
    Ok(0)
}

impl Call<'_> {
    /// Open files and the working directory follow a rename (or an exchange of two names), as inodes do.
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
        follow(&mut self.kernel.process_mut().fs.cwd);
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
    let magic = link_source(call, old, follow)?;
    let to = call.pin_new_name(new)?;
    if to.slash {
        return Err(Errno::ENOENT.into());
    }
    let source = magic_path(magic.as_fd());
    rustix::fs::linkat(rustix::fs::CWD, source, &to.directory, &to.name[..], AtFlags::SYMLINK_FOLLOW)?;
    Ok(0)
}

/// The file to link, which the guest must be allowed to write: the new name may be in a directory where it is.
fn link_source(call: &mut Call<'_>, old: &Target, follow: bool) -> Result<OwnedFd, Errno> {
    if old.is_empty() {
        return open_source(call, old.directory);
    }
    let request = call.request(old, follow, Access::WRITE)?;
    let request = request.as_request();
    let mut flags = OFlags::PATH;
    flags.set(OFlags::NOFOLLOW, !follow);
    flags.set(OFlags::DIRECTORY, request.wants_directory());
    let found = call.resolver().with(&request, |place| place.open(flags, Mode::empty()))?;
    match found {
        Found::Host(fd) => Ok(fd),
        Found::Descriptor(fd) => open_source(call, fd),
        Found::Synthetic(..) => Err(Errno::EXDEV),
    }
}

/// A file without a name (O_TMPFILE) that gets one.
fn open_source(call: &mut Call<'_>, fd: i32) -> Result<OwnedFd, Errno> {
    let id = call.description_id(fd)?;
    let description = call.kernel.files.description(id);
    match &description.object {
        Object::File(file) if description.writable() => {
            file.file.as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)
        }
        Object::File(_) => Err(Errno::EACCES),
        _ => Err(Errno::EXDEV),
    }
}

/// symlink(2)
pub fn symlink(call: &mut Call<'_>) -> SyscallResult {
    let text = call.target(AT_FDCWD, call.args[0], false)?.path;
    let target = call.target(AT_FDCWD, call.args[1], false)?;
    make_symlink(call, &text, &target)
}

/// symlinkat(2)
pub fn symlinkat(call: &mut Call<'_>) -> SyscallResult {
    let text = call.target(AT_FDCWD, call.args[0], false)?.path;
    let target = call.target(call.int(1), call.args[2], false)?;
    make_symlink(call, &text, &target)
}

fn make_symlink(call: &mut Call<'_>, text: &[u8], target: &Target) -> SyscallResult {
    let pinned = call.pin_new_name(target)?;
    if pinned.slash {
        return Err(Errno::ENOENT.into());
    }
    rustix::fs::symlinkat(text, &pinned.directory, &pinned.name[..])?;
    Ok(0)
}

/// mknod(2)
pub fn mknod(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    make_node(call, &target, call.uint(1))
}

/// mknodat(2)
pub fn mknodat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(call.int(0), call.args[1], false)?;
    make_node(call, &target, call.uint(2))
}

fn make_node(call: &mut Call<'_>, target: &Target, mode: u32) -> SyscallResult {
    let permissions = mode & 0o7777 & !call.kernel.process().fs.umask;
    match mode & S_IFMT {
        0 | S_IFREG | S_IFIFO => {}
        S_IFSOCK | S_IFCHR | S_IFBLK | S_IFDIR => return Err(Errno::EPERM.into()),
        _ => return Err(Errno::EINVAL.into()),
    }
    let pinned = call.pin_new_name(target)?;
    if pinned.slash {
        return Err(Errno::ENOENT.into());
    }
    let mode_bits = Mode::from_raw_mode(permissions);
    if mode & S_IFMT == S_IFIFO {
        rustix::fs::mkfifoat(&pinned.directory, &pinned.name[..], mode_bits)?;
    } else {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&pinned.directory, &pinned.name[..], flags, mode_bits)?;
    }
    pinned.set_mode(permissions)?;
    Ok(0)
}
