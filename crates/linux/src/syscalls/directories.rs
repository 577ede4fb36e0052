//! getdents, mkdir, rmdir, unlink, symlink, mknod; names that a call pins before it acts on them.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{AT_FDCWD, AT_REMOVEDIR};
use warmfork_abi::stat::{
    S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, dirent_length, dirent64_length,
};

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::host::errno;
use crate::metadata::{host_metadata, magic_path};
use crate::objects::Object;
use crate::objects::directory::{Entry, Source};
use crate::objects::frozen_names::FileNumber;
use crate::policy::Access;
use crate::proc;
use crate::resolve::Found;
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
pub(super) struct PinnedName {
    pub(super) directory: OwnedFd,
    pub(super) name: Vec<u8>,
    /// The guest's plain path.
    pub(super) path: Vec<u8>,
    /// The path ended in a slash.
    pub(super) slash: bool,
}

impl PinnedName {
    /// The metadata of the file with that name, if there is one.
    pub(super) fn mode(&self) -> Result<u32, Errno> {
        Ok(host_metadata(self.open()?.as_fd())?.mode)
    }

    /// EBUSY when a socket of the snapshot would not be found any more if the name were to go or to lead elsewhere: its file
    /// has that name, or is beneath it. Linux has no such file, but says so of mount points and files that the system uses.
    pub(super) fn check_free(&self, call: &Call<'_>) -> Result<(), Errno> {
        let frozen = &call.kernel.shared.frozen_names;
        if !frozen.has_files() {
            return Ok(());
        }
        let in_use = frozen.goes_by(number(self.directory.as_fd())?, &self.name, self.target(), &self.path);
        if in_use { Err(Errno::EBUSY) } else { Ok(()) }
    }

    /// Which file has that name, if one has.
    pub(super) fn target(&self) -> Option<FileNumber> {
        self.open().and_then(|file| number(file.as_fd())).ok()
    }

    /// An O_PATH handle of the file with that name.
    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, &self.name[..], flags, Mode::empty()).map_err(errno)
    }

    /// A slash after the name of something other than a directory is an error.
    pub(super) fn check_slash(&self) -> Result<(), Errno> {
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
pub(super) enum Last {
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// `/` itself.
    Root,
    /// A name.
    Name,
}

pub(super) fn last(path: &[u8]) -> Last {
    match path.split(|&byte| byte == b'/').rev().find(|name| !name.is_empty()) {
        None => Last::Root,
        Some(b".") => Last::Dot,
        Some(b"..") => Last::DotDot,
        Some(_) => Last::Name,
    }
}

impl Call<'_> {
    /// Pins the name that `target` ends in, for changing it.
    pub(super) fn pin_name(&mut self, target: &Target) -> Result<PinnedName, Errno> {
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
    pub(super) fn pin_new_name(&mut self, target: &Target) -> Result<PinnedName, Errno> {
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
    if !call.kernel.policy.names_towards_volumes(&pinned.path).is_empty() {
        return Err(Errno::ENOTEMPTY.into());
    }
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
