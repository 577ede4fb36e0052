//! Parts that path calls share, and chdir, fchdir, getcwd, readlink, umask.

use rustix::fs::{Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::AT_FDCWD;

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::guest_path::{self, PATH_MAX};
use crate::host::errno;
use crate::metadata::{magic_path, read_link};
use crate::objects::Object;
use crate::objects::shared_memory::DIRECTORY;
use crate::policy::{Access, Decision};
use crate::proc::Node;
use crate::resolve::{Found, Request, Resolver};

/// A path argument with the descriptor it starts from.
#[derive(Clone, Debug)]
pub struct Target {
    /// The descriptor, or AT_FDCWD.
    pub directory: i32,
    /// The path. Empty only where AT_EMPTY_PATH allows it: the descriptor itself.
    pub path: Vec<u8>,
}

impl Target {
    /// Whether it is the descriptor itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.path.is_empty()
    }
}

/// A [`Request`] that owns its bytes.
#[derive(Clone, Debug)]
pub struct OwnedRequest {
    base: Vec<u8>,
    path: Vec<u8>,
    follow: bool,
    access: Access,
    bounds: u64,
}

impl OwnedRequest {
    /// The request within the limits of openat2's RESOLVE_ flags, which are about the directory `base`.
    #[must_use]
    pub fn bounded(self, base: Vec<u8>, bounds: u64) -> Self {
        Self { base, bounds, ..self }
    }

    /// The request.
    #[must_use]
    pub fn as_request(&self) -> Request<'_> {
        Request { base: &self.base, path: &self.path, follow: self.follow, access: self.access, bounds: self.bounds }
    }
}

impl Call<'_> {
    /// The name in /dev/shm that `target` is, if it is one.
    pub(super) fn shared_memory_name(&self, target: &Target) -> Option<Vec<u8>> {
        let base = if target.path.starts_with(b"/") { b"/".to_vec() } else { self.base(target.directory).ok()? };
        let path = guest_path::plain(&[&base, &b"/"[..], &target.path].concat());
        let name = guest_path::beneath(&path, DIRECTORY).filter(|name| !name.is_empty() && !name.contains(&b'/'))?;
        (self.kernel.policy.decide(&path, Access::empty()) == Decision::Synthetic).then(|| name.to_vec())
    }

    /// Reads the path at `address`.
    ///
    /// # Errors
    /// EFAULT, ENAMETOOLONG; ENOENT for an empty path that is not allowed to be.
    pub fn target(&mut self, directory: i32, address: u64, allow_empty: bool) -> Result<Target, Errno> {
        if allow_empty && address == 0 {
            return Ok(Target { directory, path: Vec::new() });
        }
        let path = self.memory().read_cstring(address, PATH_MAX)?;
        if path.is_empty() && !allow_empty {
            return Err(Errno::ENOENT);
        }
        Ok(Target { directory, path })
    }

    /// The request to the [`Resolver`] for `target`; an empty path stands for the directory itself.
    ///
    /// # Errors
    /// EBADF and ENOTDIR for a relative path from a descriptor that is no directory.
    pub fn request(&self, target: &Target, follow: bool, access: Access) -> Result<OwnedRequest, Errno> {
        let base = if target.path.starts_with(b"/") { b"/".to_vec() } else { self.base(target.directory)? };
        let path = if target.is_empty() { b".".to_vec() } else { target.path.clone() };
        Ok(OwnedRequest { base, path, follow, access, bounds: 0 })
    }

    /// The plain path that relative paths start from.
    ///
    /// # Errors
    /// EBADF and ENOTDIR for a descriptor that is no directory.
    pub fn base(&self, directory: i32) -> Result<Vec<u8>, Errno> {
        if directory == AT_FDCWD {
            return Ok(self.kernel.process().fs.cwd.clone());
        }
        self.directory_of(directory)
    }

    /// Resolves paths for the guest.
    pub fn resolver(&mut self) -> Resolver<'_> {
        Resolver { policy: &self.kernel.policy, kernel: self.kernel, host: self.host }
    }

    /// The plain path of a directory that the guest may enter.
    fn directory(&mut self, target: &Target) -> Result<Vec<u8>, Errno> {
        let request = self.request(target, true, Access::empty())?;
        let found = self.resolver().with(&request.as_request(), |place| {
            let fd = place.open(OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            rustix::fs::access(magic_path(std::os::fd::AsFd::as_fd(&fd)), rustix::fs::Access::EXEC_OK)
                .map_err(errno)?;
            Ok(place.path.clone())
        })?;
        match found {
            Found::Host(path) | Found::Synthetic(Node::Directory, path) => Ok(path),
            Found::Synthetic(..) => Err(Errno::ENOTDIR),
            Found::Descriptor(id) => self.directory_behind(id),
        }
    }

    fn directory_of(&self, fd: i32) -> Result<Vec<u8>, Errno> {
        self.directory_behind(self.description_id(fd)?)
    }

    fn directory_behind(&self, id: DescriptionId) -> Result<Vec<u8>, Errno> {
        let object = &self.kernel.files.description(id).object;
        Ok(object.directory_path().ok_or(Errno::ENOTDIR)?.to_vec())
    }
}

/// chdir(2)
pub fn chdir(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    call.kernel.process_mut().fs.cwd = call.directory(&target)?;
    Ok(0)
}

/// fchdir(2)
pub fn fchdir(call: &mut Call<'_>) -> SyscallResult {
    let path = call.directory_of(call.int(0))?;
    call.kernel.process_mut().fs.cwd = call.directory(&Target { directory: AT_FDCWD, path })?;
    Ok(0)
}

/// getcwd(2): the length with the terminating NUL.
pub fn getcwd(call: &mut Call<'_>) -> SyscallResult {
    let (address, size) = (call.args[0], call.size(1)?);
    let here = Target { directory: AT_FDCWD, path: b".".to_vec() };
    if call.path_metadata(&here, true) == Err(Errno::ENOENT) {
        return Err(Errno::ENOENT.into()); // it has been removed
    }
    let mut path = call.kernel.process().fs.cwd.clone();
    path.push(0);
    if path.len() > size {
        return Err(Errno::ERANGE.into());
    }
    call.memory().write(address, &path)?;
    Ok(path.len() as u64)
}

/// umask(2)
pub fn umask(call: &mut Call<'_>) -> SyscallResult {
    let new = call.uint(0) & 0o777;
    Ok(u64::from(std::mem::replace(&mut call.kernel.process_mut().fs.umask, new)))
}

/// readlink(2)
pub fn readlink(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    put_link(call, &target, call.args[1], call.int(2))
}

/// readlinkat(2): an empty path names the descriptor's own symlink.
pub fn readlinkat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(call.int(0), call.args[1], true)?;
    put_link(call, &target, call.args[2], call.int(3))
}

fn put_link(call: &mut Call<'_>, target: &Target, address: u64, size: i32) -> SyscallResult {
    let size = usize::try_from(size).ok().filter(|&size| size > 0).ok_or(Errno::EINVAL)?;
    if target.is_empty() && target.directory == AT_FDCWD {
        return Err(Errno::ENOENT.into());
    }
    let text = call.link_text(target)?;
    let shown = &text[..text.len().min(size)];
    call.memory().write(address, shown)?;
    Ok(shown.len() as u64)
}

impl Call<'_> {
    fn link_text(&mut self, target: &Target) -> Result<Vec<u8>, Errno> {
        if target.is_empty() {
            let id = self.description_id(target.directory)?;
            return match &self.kernel.files.description(id).object {
                Object::Path(path) => path.link_target()?.ok_or(Errno::ENOENT),
                _ => Err(Errno::ENOENT),
            };
        }
        let request = self.request(target, false, Access::empty())?;
        let request = request.as_request();
        let found = self.resolver().with(&request, |place| {
            let mut flags = OFlags::PATH | OFlags::NOFOLLOW;
            flags.set(OFlags::DIRECTORY, request.wants_directory());
            read_link(&place.open(flags, Mode::empty())?)?.ok_or(Errno::EINVAL)
        })?;
        match found {
            Found::Host(text) | Found::Synthetic(Node::Link(text), _) => Ok(text),
            Found::Synthetic(Node::Descriptor(id), _) => {
                Ok(self.kernel.files.description(id).object.view().link_text())
            }
            Found::Synthetic(..) | Found::Descriptor(_) => Err(Errno::EINVAL),
        }
    }
}
