//! open and its relatives, memfd_create.

use std::os::fd::{AsFd as _, OwnedFd};
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
use warmfork_memory::HostFile;

use crate::call::{Call, Stop, SyscallResult};
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
        return open_unnamed(place, how);
    }
    let mut look = OFlags::PATH;
    look.set(OFlags::NOFOLLOW, !how.follows());
    look.set(OFlags::DIRECTORY, how.wants_directory);
    // A file that comes or goes meanwhile: look again, but not for ever.
    for _ in 0..8 {
        match place.open(look, Mode::empty()) {
            Ok(_) if how.has(O_CREAT | O_EXCL) => return Err(Errno::EEXIST),
            Ok(handle) => return open_existing(handle, place, how),
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

/// O_TMPFILE: `place` is the directory.
fn open_unnamed(place: &Place<'_>, how: OpenHow) -> Result<Opened, Errno> {
    let directory = place.open(OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    let mut flags = how.for_host() | OFlags::TMPFILE;
    flags.set(OFlags::EXCL, how.has(O_EXCL));
    let fd = rustix::fs::openat(&directory, ".", flags, Mode::from_raw_mode(how.mode)).map_err(errno)?;
    // The name that Linux shows.
    let name = format!("#{}", host_metadata(fd.as_fd())?.inode);
    Ok(Opened::Object(Box::new(created(fd, guest_path::child(&place.path, name.as_bytes()), how)?)))
}

/// Opens the file of an O_PATH handle, whose kind is known now.
fn open_existing(handle: OwnedFd, place: &Place<'_>, how: OpenHow) -> Result<Opened, Errno> {
    let metadata = host_metadata(handle.as_fd())?;
    let kind = metadata.file_type();
    let path = place.path.clone();
    if how.has(O_PATH) {
        if how.has(O_DIRECTORY) && kind != S_IFDIR {
            return Err(Errno::ENOTDIR);
        }
        let target = path::Target::Host(HostFile::opened(handle, &path, how.flags).map_err(errno)?);
        return Ok(Opened::Object(Box::new(Object::Path(Path { path, target }))));
    }
    if kind == S_IFLNK {
        return Ok(Opened::Symlink);
    }
    if kind != S_IFDIR && how.has(O_DIRECTORY) {
        return Err(Errno::ENOTDIR);
    }
    let again =
        |handle: &OwnedFd| rustix::fs::open(magic_path(handle.as_fd()), how.for_host(), Mode::empty()).map_err(errno);
    Ok(Opened::Object(Box::new(match kind {
        S_IFDIR if how.has(O_CREAT) || how.access().contains(Access::WRITE) => return Err(Errno::EISDIR),
        S_IFDIR => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(&handle, ".", flags, Mode::empty()).map_err(errno)?;
            let file = HostFile::opened(fd, &path, how.flags).map_err(errno)?;
            Object::Directory(Directory { path, source: Source::Host(file) })
        }
        S_IFREG => Object::File(File::new(again(&handle)?, path, how.flags)?),
        S_IFIFO => return Ok(Opened::Fifo(HostFile::opened(handle, &path, O_PATH).map_err(errno)?)),
        S_IFCHR => Object::Device(Device::from_numbers(metadata.represents).ok_or(Errno::EACCES)?),
        _ => return Err(Errno::ENXIO),
    })))
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
            Found::Host(Opened::Object(object)) => Ok(*object),
            Found::Host(Opened::Symlink) => Err(Errno::ELOOP.into()),
            Found::Host(Opened::Denied(path, denial)) => Err(self.host.denied(&path, denial).into()),
            Found::Host(Opened::Fifo(fifo)) => self.open_fifo(&fifo, how.flags, how.for_host()),
            Found::Synthetic(node, path) => Ok(self.open_synthetic(&node, path, how)?),
            Found::Descriptor(fd) => self.open_again(fd, how),
        }
    }

    fn open_synthetic(&mut self, node: &Node, path: Vec<u8>, how: OpenHow) -> Result<Object, Errno> {
        if how.has(O_CREAT | O_EXCL) {
            return Err(Errno::EEXIST);
        }
        let directory = matches!(node, Node::Directory);
        if (how.has(O_DIRECTORY) || how.wants_directory) && !directory {
            return Err(Errno::ENOTDIR);
        }
        if how.has(O_PATH) {
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

    /// Opens a file that is open already once more, within the policy: itself, for its path may lead elsewhere by now, or back
    /// to its descriptor.
    fn open_itself(&mut self, file: &HostFile, path: &[u8], how: OpenHow) -> Result<Object, Stop> {
        let how = OpenHow { flags: how.flags & !(O_CREAT | O_NOFOLLOW), ..how };
        let look = OFlags::PATH | OFlags::CLOEXEC;
        let handle = rustix::fs::open(magic_path(file.as_fd()), look, Mode::empty()).map_err(errno)?;
        match open_existing(handle, &self.resolver().place(path, how.access())?, how)? {
            Opened::Object(object) => Ok(*object),
            Opened::Symlink | Opened::Denied(..) | Opened::Fifo(_) => Err(Errno::ENXIO.into()),
        }
    }

    /// Opens /proc/self/fd/N: the same file once more.
    fn open_again(&mut self, fd: i32, how: OpenHow) -> Result<Object, Stop> {
        let id = self.description_id(fd).map_err(|_| Errno::ENOENT)?;
        let description = self.kernel.files.description(id);
        let wanted = how.flags & O_ACCMODE;
        let allowed = description.flags & O_ACCMODE == O_RDWR || description.flags & O_ACCMODE == wanted;
        match &description.object {
            Object::File(File { file, path }) if !allowed || how.has(O_TRUNC) => {
                let (file, path) = (Arc::clone(file), path.clone());
                self.open_itself(&file, &path, how)
            }
            Object::Directory(Directory { path, source: Source::Host(file) }) => {
                let (file, path) = (Arc::clone(file), path.clone());
                self.open_itself(&file, &path, how)
            }
            Object::Directory(directory) => {
                let path = directory.path.clone();
                Ok(self.open_synthetic(&Node::Directory, path, how)?)
            }
            _ if how.has(O_DIRECTORY) => Err(Errno::ENOTDIR.into()),
            Object::Terminal(end) if end.master => Ok(Object::Terminal(self.kernel.shared.terminals.create()?)),
            Object::Terminal(end) => {
                let number = end.number;
                Ok(self.open_slave(number, how.has(O_NOCTTY))?)
            }
            Object::Pipe(end) if wanted != O_RDWR => {
                Ok(Object::Pipe(self.kernel.shared.pipes.open(end, wanted == O_WRONLY)?))
            }
            Object::Fifo(fifo) if allowed => {
                let place = fifo.place.clone();
                self.open_fifo(&place, how.flags, how.for_host())
            }
            object @ (Object::File(_) | Object::Memfd(_) | Object::Stream(_) | Object::Device(_)) if allowed => {
                Ok(object.clone())
            }
            object @ Object::Synthetic(_) if allowed => Ok(object.clone()),
            _ if !allowed => Err(Errno::EACCES.into()),
            _ => Err(Errno::ENXIO.into()),
        }
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
