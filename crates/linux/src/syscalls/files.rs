//! open and its relatives, memfd_create.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{
    AT_FDCWD, MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_HUGETLB, MFD_NOEXEC_SEAL, O_ACCMODE, O_CLOEXEC, O_CREAT,
    O_DIRECTORY, O_EXCL, O_LARGEFILE, O_NOCTTY, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_TMPFILE, O_TMPFILE_BIT,
    O_TRUNC, O_WRONLY, RESOLVE_BENEATH, RESOLVE_CACHED, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
};
use warmfork_abi::stat::{S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG};
use warmfork_memory::{HostFile, Origin};

use crate::call::{Call, Stop, SyscallResult};
use crate::events::DescriptionId;
use crate::guest_path;
use crate::host::errno;
use crate::metadata::{host_metadata, magic_path};
use crate::objects::Object;
use crate::objects::device::Device;
use crate::objects::directory::{Directory, Source};
use crate::objects::file::File;
use crate::objects::memfd::Memfd;
use crate::objects::path::{self, Path};
use crate::objects::synthetic::Synthetic;
use crate::policy::{Access, Decision, Denial, Policy};
use crate::proc::{self, Node};
use crate::resolve::{Found, Place};
use crate::syscalls::paths::Target;

/// How a file is to be opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenHow {
    flags: u32,
    /// Permissions of a new file, with the umask taken off.
    mode: u32,
    wants_directory: bool,
    /// RESOLVE_ flags.
    bounds: u64,
}

/// Bits of open's flags that Linux knows.
const KNOWN_FLAGS: u32 = 0o37_777_703;

impl OpenHow {
    /// Checks flags as Linux's build_open_flags does.
    fn new(flags: u32, mode: u32) -> Result<Self, Errno> {
        let mut flags = flags & KNOWN_FLAGS;
        if flags & O_TMPFILE_BIT != 0 && (flags & O_TMPFILE != O_TMPFILE || flags & O_ACCMODE == O_RDONLY) {
            return Err(Errno::EINVAL);
        }
        if flags & O_PATH != 0 {
            flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        }
        if flags & (O_CREAT | O_DIRECTORY) == O_CREAT | O_DIRECTORY {
            return Err(Errno::EINVAL);
        }
        Ok(Self { flags, mode: mode & 0o7777, wants_directory: false, bounds: 0 })
    }

    fn has(self, flag: u32) -> bool {
        self.flags & flag == flag
    }

    fn follows(self) -> bool {
        !self.has(O_NOFOLLOW) && !self.has(O_CREAT | O_EXCL)
    }

    fn needs_directory(self) -> bool {
        self.has(O_DIRECTORY) || self.wants_directory
    }

    /// The access that the policy has to allow.
    fn access(self) -> Access {
        let mut access = Access::empty();
        if !self.has(O_PATH) {
            access.set(Access::READ, self.flags & O_ACCMODE != O_WRONLY);
            access.set(Access::WRITE, self.flags & O_ACCMODE != O_RDONLY || self.has(O_TRUNC));
        }
        access
    }

    /// Flags for the host: those that are neither the description's nor ours.
    fn for_host(self) -> OFlags {
        const PASSED: u32 = O_ACCMODE | O_TRUNC | warmfork_abi::fcntl::O_SYNC | warmfork_abi::fcntl::O_NOATIME;
        OFlags::from_bits_retain(self.flags & PASSED) | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC
    }

    /// Flags that F_GETFL shows.
    fn for_description(self) -> u32 {
        let kept = self.flags & !(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
        if self.has(O_PATH) { kept } else { kept | O_LARGEFILE }
    }
}

/// The outcome of opening a place.
enum Opened {
    /// An object.
    Object(Box<Object>),
    /// A symlink that was not to be followed.
    Symlink,
    /// A FIFO, by an O_PATH handle.
    Fifo(Arc<HostFile>),
    /// The file would have to be made, and may not be.
    Denied(Vec<u8>, Denial),
}

/// Opens the file at a place of the host.
fn open_place(policy: &Policy, place: &Place<'_>, how: OpenHow) -> Result<Opened, Errno> {
    if how.has(O_TMPFILE) {
        let directory = place.open(OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        return open_unnamed(directory.as_fd(), &place.path, how);
    }
    let mut look = OFlags::PATH;
    look.set(OFlags::NOFOLLOW, !how.follows());
    look.set(OFlags::DIRECTORY, how.wants_directory);
    // A file that comes or goes meanwhile: look again, but not for ever.
    for _ in 0..8 {
        match place.open(look, Mode::empty()) {
            Ok(_) if how.has(O_CREAT | O_EXCL) => return Err(Errno::EEXIST),
            Ok(handle) if how.has(O_PATH) => {
                let handle = HostFile::opened(handle, &place.path, how.flags).map_err(errno)?;
                return Ok(Opened::Object(Box::new(name(&handle, place.path.clone(), how)?)));
            }
            Ok(handle) => return open_existing(handle.as_fd(), &place.path, place.path.clone(), how),
            Err(Errno::ENOENT) if how.has(O_CREAT) => {}
            Err(error) => return Err(error),
        }
        if how.wants_directory {
            return Err(Errno::EISDIR);
        }
        if let Decision::Denied(denial) = policy.decide(&place.path, how.access() | Access::WRITE) {
            return Ok(Opened::Denied(place.path.clone(), denial));
        }
        let create = how.for_host() | OFlags::CREATE | OFlags::EXCL;
        match place.open(create, Mode::from_raw_mode(how.mode)) {
            Ok(fd) => return Ok(Opened::Object(Box::new(created(fd, place.path.clone(), how)?))),
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EBUSY)
}

/// A file just made: the host's umask is not the guest's, so its mode is set again where they differ.
fn created(fd: OwnedFd, path: Vec<u8>, how: OpenHow) -> Result<Object, Errno> {
    if host_metadata(fd.as_fd())?.mode & 0o7777 != how.mode {
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(how.mode)).map_err(errno)?;
    }
    Ok(Object::File(File::new(fd, path, how.flags)?))
}

/// O_TMPFILE in the directory `path`.
fn open_unnamed(directory: BorrowedFd<'_>, path: &[u8], how: OpenHow) -> Result<Opened, Errno> {
    let mut flags = how.for_host() | OFlags::TMPFILE;
    flags.set(OFlags::EXCL, how.has(O_EXCL));
    let fd = rustix::fs::openat(directory, ".", flags, Mode::from_raw_mode(how.mode)).map_err(errno)?;
    // The name that Linux shows.
    let name = format!("#{}", host_metadata(fd.as_fd())?.inode);
    Ok(Opened::Object(Box::new(created(fd, guest_path::child(path, name.as_bytes()), how)?)))
}

/// O_PATH: names the file of `handle`, whose path is `path`.
fn name(handle: &Arc<HostFile>, path: Vec<u8>, how: OpenHow) -> Result<Object, Errno> {
    if how.needs_directory() && host_metadata(handle.to_look())?.file_type() != S_IFDIR {
        return Err(Errno::ENOTDIR);
    }
    Ok(Object::Path(Path { path, target: path::Target::Host(Arc::clone(handle)) }))
}

/// Opens the file of `handle`, an open or only named one, once more. The policy goes by `name` from now on; `path` is where the
/// file is.
fn open_existing(handle: BorrowedFd<'_>, name: &[u8], path: Vec<u8>, how: OpenHow) -> Result<Opened, Errno> {
    let metadata = host_metadata(handle)?;
    let kind = metadata.file_type();
    if kind == S_IFLNK {
        return Ok(Opened::Symlink);
    }
    if kind != S_IFDIR && how.needs_directory() {
        return Err(Errno::ENOTDIR);
    }
    let opened = |fd: OwnedFd, flags| HostFile::opened(fd, name, flags).map_err(errno);
    Ok(Opened::Object(Box::new(match kind {
        S_IFDIR if how.has(O_CREAT) || how.access().contains(Access::WRITE) => return Err(Errno::EISDIR),
        S_IFDIR => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(handle, ".", flags, Mode::empty()).map_err(errno)?;
            Object::Directory(Directory { path, source: Source::Host(opened(fd, how.flags)?) })
        }
        S_IFREG => Object::File(File { file: opened(open_host(handle, how)?, how.flags)?, path }),
        S_IFIFO => {
            let place = handle.try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
            return Ok(Opened::Fifo(opened(place, O_PATH)?));
        }
        S_IFCHR => Object::Device(Device::from_numbers(metadata.represents).ok_or(Errno::EACCES)?),
        _ => return Err(Errno::ENXIO),
    })))
}

fn open_host(handle: BorrowedFd<'_>, how: OpenHow) -> Result<OwnedFd, Errno> {
    rustix::fs::open(magic_path(handle), how.for_host(), Mode::empty()).map_err(errno)
}

impl Call<'_> {
    /// Opens `target` at the lowest free descriptor.
    fn open_path(&mut self, target: &Target, mut how: OpenHow) -> SyscallResult {
        let limit = self.kernel.process().file_limit();
        if !self.kernel.process().descriptors.has_room(limit) {
            return Err(Errno::EMFILE.into());
        }
        how.mode &= !self.kernel.process().fs.umask;
        let object = self.open_object(target, how)?;
        self.open(object, how.for_description(), how.has(O_CLOEXEC))
    }

    fn open_object(&mut self, target: &Target, mut how: OpenHow) -> Result<Object, Stop> {
        if how.flags & (O_PATH | O_DIRECTORY) == 0
            && let Some(name) = self.shared_memory_name(target)
        {
            return Ok(Object::Memfd(Memfd { file: self.kernel.shared.memory.open(&name, how.flags, how.mode)? }));
        }
        let mut request = self.request(target, how.follows(), how.access())?;
        if how.bounds & !(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS) != 0 {
            request = request.bounded(self.base(target.directory)?, how.bounds);
        }
        let request = request.as_request();
        how.wants_directory = request.wants_directory();
        let policy = Arc::clone(&self.kernel.policy);
        match self.resolver().with(&request, |place| open_place(&policy, place, how))? {
            Found::Host(opened) => self.opened(opened, how),
            Found::Synthetic(node, path) => Ok(self.open_synthetic(&node, path, how)?),
            Found::Descriptor(id) => self.open_again(id, how),
        }
    }

    fn opened(&mut self, opened: Opened, how: OpenHow) -> Result<Object, Stop> {
        match opened {
            Opened::Object(object) => Ok(*object),
            Opened::Symlink => Err(Errno::ELOOP.into()),
            Opened::Denied(path, denial) => Err(self.host.denied(&path, denial).into()),
            Opened::Fifo(fifo) => self.open_fifo(&fifo, how.flags, how.for_host()),
        }
    }

    fn open_synthetic(&mut self, node: &Node, path: Vec<u8>, how: OpenHow) -> Result<Object, Errno> {
        if how.has(O_CREAT | O_EXCL) {
            return Err(Errno::EEXIST);
        }
        let directory = matches!(node, Node::Directory);
        if how.needs_directory() && !directory {
            return Err(Errno::ENOTDIR);
        }
        if how.has(O_PATH) {
            if let Node::Memory(_) = node
                && let Some((_, memory)) = guest_path::split(&path)
                && let Some(file) = self.kernel.shared.memory.file(memory)
            {
                return name(file, path.clone(), how);
            }
            let target = path::Target::Made(proc::metadata(&path, node));
            return Ok(Object::Path(Path { path, target }));
        }
        let writing = how.access().contains(Access::WRITE);
        match node {
            Node::Directory if writing => Err(Errno::EISDIR),
            Node::Directory => {
                // Its entries are made when they are listed.
                Ok(Object::Directory(Directory { path, source: Source::Made(Vec::new()) }))
            }
            Node::Text(text) if writing && !text.writable() => Err(Errno::EACCES),
            Node::Text(text) => {
                let bytes = proc::text(self.kernel, self.host, text);
                self.check_texts(bytes.len())?;
                Ok(Object::Synthetic(Synthetic { path, permissions: text.permissions(), text: bytes.into() }))
            }
            Node::Device(device) => Ok(Object::Device(*device)),
            Node::Memory(_) => Err(Errno::ENOTDIR), // as a directory; opened as a file it never comes here
            Node::Terminal => self.controlling_terminal(),
            Node::Multiplexer => Ok(Object::Terminal(self.kernel.shared.terminals.create()?)),
            Node::Slave(number) => self.open_slave(*number, how.has(O_NOCTTY)),
            Node::Link(_) | Node::Descriptor(_) => Err(Errno::ELOOP),
        }
    }

    /// Whether `length` bytes more may be kept for made-up files: a long /proc/self/maps can be opened many times.
    fn check_texts(&self, length: usize) -> Result<(), Errno> {
        const MAX_KEPT: usize = 32 << 20;
        const SHORT: usize = 16 << 10;
        if length <= SHORT {
            return Ok(());
        }
        let kept = self.kernel.files.objects().map(|object| match object {
            Object::Synthetic(file) => file.text.len(),
            _ => 0,
        });
        if kept.sum::<usize>() + length > MAX_KEPT { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Opens what description `id` has open (/proc/PID/fd/N) once more: that, whatever its name leads to by now.
    fn open_again(&mut self, id: DescriptionId, how: OpenHow) -> Result<Object, Stop> {
        let description = self.kernel.files.description(id);
        let object = &description.object;
        let path = match object {
            Object::File(file) => file.path.clone(),
            Object::Directory(directory) => directory.path.clone(),
            Object::Path(named) => named.path.clone(),
            object => object.view().link_text(),
        };
        if let Some(handle) = object.handle().cloned() {
            return self.reopen(&handle, path, how);
        }
        if let Object::Path(_) | Object::Synthetic(_) | Object::Directory(_) = object {
            let node = proc::find(self.kernel, &path).ok_or(Errno::ENXIO)?;
            return Ok(self.open_synthetic(&node, path, how)?);
        }
        if how.needs_directory() {
            return Err(Errno::ENOTDIR.into());
        }
        if how.has(O_PATH) {
            let target = path::Target::Made(self.description_metadata(id)?);
            return Ok(Object::Path(Path { path, target }));
        }
        let wanted = how.flags & O_ACCMODE;
        let allowed = description.flags & O_ACCMODE == O_RDWR || description.flags & O_ACCMODE == wanted;
        match object {
            Object::Terminal(end) if end.master => Ok(Object::Terminal(self.kernel.shared.terminals.create()?)),
            Object::Terminal(end) => {
                let number = end.number;
                Ok(self.open_slave(number, how.has(O_NOCTTY))?)
            }
            Object::Pipe(end) if wanted != O_RDWR => {
                Ok(Object::Pipe(self.kernel.shared.pipes.open(end, wanted == O_WRONLY)?))
            }
            object @ (Object::Stream(_) | Object::Device(_)) if allowed => Ok(object.clone()),
            _ if !allowed => Err(Errno::EACCES.into()),
            _ => Err(Errno::ENXIO.into()),
        }
    }

    /// Opens the file of `handle` once more, within what the policy allowed when it was opened; `path` is where it is now.
    fn reopen(&mut self, handle: &Arc<HostFile>, path: Vec<u8>, how: OpenHow) -> Result<Object, Stop> {
        if how.has(O_PATH) {
            return Ok(name(handle, path, how)?);
        }
        self.host.check_opened(&self.kernel.policy, handle, how.access())?;
        if how.has(O_TMPFILE) {
            let opened = open_unnamed(handle.as_fd(), handle.name(), how)?;
            return self.opened(opened, how);
        }
        if !self.kernel.is_in_memory(handle) {
            let opened = open_existing(handle.as_fd(), handle.name(), path, how)?;
            return self.opened(opened, how);
        }
        if how.needs_directory() {
            return Err(Errno::ENOTDIR.into());
        }
        // The host says whether it may be opened so, and empties it. The handle, of which resets know, stays the only one.
        open_host(handle.as_fd(), how)?;
        let file = Arc::clone(handle);
        Ok(if matches!(file.origin(), Origin::Memory { .. }) {
            Object::Memfd(Memfd { file })
        } else {
            Object::File(File { file, path })
        })
    }
}

/// open(2)
pub fn open(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    let how = OpenHow::new(call.uint(1), call.uint(2))?;
    call.open_path(&target, how)
}

/// creat(2)
pub fn creat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(AT_FDCWD, call.args[0], false)?;
    let how = OpenHow::new(O_CREAT | O_WRONLY | O_TRUNC, call.uint(1))?;
    call.open_path(&target, how)
}

/// openat(2)
pub fn openat(call: &mut Call<'_>) -> SyscallResult {
    let target = call.target(call.int(0), call.args[1], false)?;
    let how = OpenHow::new(call.uint(2), call.uint(3))?;
    call.open_path(&target, how)
}

/// openat2(2): RESOLVE_NO_XDEV has no effect, and RESOLVE_CACHED, which may always fail, does.
pub fn openat2(call: &mut Call<'_>) -> SyscallResult {
    let size = call.size(3)?;
    let how = read_open_how(call, size)?;
    let (flags, mode, resolve) = how;
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let creates = flags & (O_CREAT | O_TMPFILE_BIT) != 0;
    if flags & !KNOWN_FLAGS != 0 || mode & !0o7777 != 0 || mode != 0 && !creates {
        return Err(Errno::EINVAL.into());
    }
    if flags & O_PATH != 0 && flags & !(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let known = RESOLVE_NO_XDEV
        | RESOLVE_NO_MAGICLINKS
        | RESOLVE_NO_SYMLINKS
        | RESOLVE_BENEATH
        | RESOLVE_IN_ROOT
        | RESOLVE_CACHED;
    if resolve & !known != 0 || resolve & RESOLVE_BENEATH != 0 && resolve & RESOLVE_IN_ROOT != 0 {
        return Err(Errno::EINVAL.into());
    }
    if resolve & RESOLVE_CACHED != 0 {
        return Err(Errno::EAGAIN.into());
    }
    let target = call.target(call.int(0), call.args[1], false)?;
    let how = OpenHow::new(flags, u32::try_from(mode).map_err(|_| Errno::EINVAL)?)?;
    call.open_path(&target, OpenHow { bounds: resolve, ..how })
}

/// `struct open_how`: flags, mode, resolve. A larger one must be zero beyond the known fields.
fn read_open_how(call: &mut Call<'_>, size: usize) -> Result<(u64, u64, u64), Errno> {
    const LENGTH: usize = 24;
    if size < LENGTH {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let address = call.args[2];
    let bytes = call.memory().read_vec(address, size)?;
    if bytes[LENGTH..].iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    let word = |index: usize| bytes[index * 8..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    Ok((word(0), word(1), word(2)))
}

/// memfd_create(2)
pub fn memfd_create(call: &mut Call<'_>) -> SyscallResult {
    /// Longest name, with its NUL: NAME_MAX less the prefix `memfd:`.
    const LONGEST: usize = 250;
    let (address, flags) = (call.args[0], call.uint(1));
    let known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    if flags & !(known | MFD_HUGETLB) != 0 || flags & MFD_EXEC != 0 && flags & MFD_NOEXEC_SEAL != 0 {
        return Err(Errno::EINVAL.into());
    }
    if flags & MFD_HUGETLB != 0 {
        return Err(Errno::ENOMEM.into());
    }
    let name = call.memory().read_cstring(address, LONGEST).map_err(|error| match error {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        error => error,
    })?;
    let memfd = Memfd::create(&name, flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) != 0)?;
    call.open(Object::Memfd(memfd), O_RDWR | O_LARGEFILE, flags & MFD_CLOEXEC != 0)
}
