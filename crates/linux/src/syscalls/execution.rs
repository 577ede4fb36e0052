//! execve, execveat: their arguments, checked. The engine loads the program; see [`crate::Kernel::execute`].

use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::fs::{Access as HostAccess, Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_RDONLY};
use warmfork_abi::process::{ARG_MIN, ARG_MOST, MAX_ARG_STRLEN};
use warmfork_abi::stat::{S_IFLNK, S_IFREG};
use warmfork_memory::HostFile;

use crate::call::{Call, ExecRequest, Stop, SyscallResult};
use crate::host::{Host, errno};
use crate::kernel::Kernel;
use crate::metadata::{host_metadata, magic_path};
use crate::objects::Object;
use crate::objects::path::{self, Path};
use crate::policy::Access;
use crate::process::RLIMIT_STACK;
use crate::resolve::{Found, Place, Request, Resolver};
use crate::syscalls::paths::Target;

/// execve(2)
pub fn execve(call: &mut Call<'_>) -> SyscallResult {
    let [path, arguments, environment, ..] = call.args;
    let target = call.target(AT_FDCWD, path, false)?;
    execute(call, target.path, arguments, environment, true)
}

/// execveat(2)
pub fn execveat(call: &mut Call<'_>) -> SyscallResult {
    let (directory, flags) = (call.int(0), call.uint(4));
    let [_, path, arguments, environment, ..] = call.args;
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let Target { path, .. } = call.target(directory, path, flags & AT_EMPTY_PATH != 0)?;
    let path = if path.is_empty() {
        call.description_id(directory)?;
        format!("/dev/fd/{directory}").into_bytes()
    } else if path.starts_with(b"/") || directory == AT_FDCWD {
        path
    } else {
        let mut full = call.base(directory)?;
        full.push(b'/');
        full.extend(path);
        full
    };
    execute(call, path, arguments, environment, flags & AT_SYMLINK_NOFOLLOW == 0)
}

fn execute(call: &mut Call<'_>, path: Vec<u8>, arguments: u64, environment: u64, follow: bool) -> SyscallResult {
    call.kernel.open_program(call.host, &path, follow)?;
    let stack = call.kernel.process().limits[RLIMIT_STACK].soft;
    let mut room = (stack / 4).clamp(ARG_MIN, ARG_MOST);
    let arguments = strings(call, arguments, &mut room)?;
    let environment = strings(call, environment, &mut room)?;
    Err(Stop::Exec(Box::new(ExecRequest { path, arguments, environment })))
}

/// The strings of a NULL-terminated vector at `address`, as far as `room` lets.
fn strings(call: &mut Call<'_>, address: u64, room: &mut u64) -> Result<Vec<Vec<u8>>, Errno> {
    const POINTER: u64 = 8;
    let mut strings = Vec::new();
    if address == 0 {
        return Ok(strings);
    }
    loop {
        let at = address.checked_add(strings.len() as u64 * POINTER).ok_or(Errno::EFAULT)?;
        let pointer = call.memory().read_u64(at)?;
        if pointer == 0 {
            return Ok(strings);
        }
        let string = match call.memory().read_cstring(pointer, MAX_ARG_STRLEN) {
            Err(Errno::ENAMETOOLONG) => return Err(Errno::E2BIG),
            other => other?,
        };
        *room = room.checked_sub(string.len() as u64 + 1 + POINTER).ok_or(Errno::E2BIG)?;
        strings.push(string);
    }
}

impl Kernel {
    /// Opens a program (or its interpreter) within the policy, for the loader.
    ///
    /// # Errors
    /// Those of execve(2) for the path.
    pub fn open_program(&mut self, host: &mut Host, path: &[u8], follow: bool) -> Result<Arc<HostFile>, Errno> {
        let base = self.process().fs.cwd.clone();
        let request = Request { base: &base, path, follow, access: Access::READ, bounds: 0 };
        if request.wants_directory() {
            return Err(Errno::EACCES);
        }
        let mut resolver = Resolver { policy: &self.policy, kernel: self, host };
        match resolver.with(&request, |place| open(place, follow))? {
            Found::Host(file) => Ok(file),
            Found::Synthetic(..) => Err(Errno::EACCES),
            Found::Descriptor(id) => {
                let handle = runnable(&self.files.description(id).object)?;
                host.check_opened(&self.policy, handle, Access::READ)?;
                again(handle)
            }
        }
    }
}

/// The handle of the program that a descriptor has open or names. Its path may lead elsewhere by now, or to the descriptor itself.
fn runnable(object: &Object) -> Result<&Arc<HostFile>, Errno> {
    match object {
        Object::Path(Path { target: path::Target::Made(metadata), .. }) if metadata.file_type() == S_IFLNK => {
            Err(Errno::ELOOP)
        }
        object => object.handle().ok_or(Errno::EACCES),
    }
}

/// Opens the program at `place`.
fn open(place: &Place<'_>, follow: bool) -> Result<Arc<HostFile>, Errno> {
    let mut look = OFlags::PATH;
    look.set(OFlags::NOFOLLOW, !follow);
    readable(place.open(look, Mode::empty())?.as_fd(), &place.path)
}

/// Opens an executable file that is open already once more, for reading only.
fn again(file: &HostFile) -> Result<Arc<HostFile>, Errno> {
    readable(file.as_fd(), file.name())
}

fn readable(handle: std::os::fd::BorrowedFd<'_>, path: &[u8]) -> Result<Arc<HostFile>, Errno> {
    match host_metadata(handle)?.file_type() {
        S_IFREG => {}
        S_IFLNK => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    rustix::fs::access(magic_path(handle), HostAccess::EXEC_OK).map_err(errno)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::fs::open(magic_path(handle), flags, Mode::empty()).map_err(errno)?;
    HostFile::opened(fd, path, O_RDONLY).map_err(errno)
}
