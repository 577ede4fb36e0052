//! /dev/shm: memory files with names, for shm_open and sem_open. A machine has its own, and a fork its own copy.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;

use rustix::fs::Mode;
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{O_CREAT, O_EXCL, O_TRUNC};
use warmfork_abi::stat::{Metadata, S_IFREG};
use warmfork_memory::HostFile;

use crate::call::Call;
use crate::guest_path;
use crate::objects::file::file_metadata;
use crate::objects::memfd::Memfd;
use crate::poller::errno;
use crate::syscalls::metadata::host_metadata;
use crate::syscalls::paths::Target;

/// The directory.
pub const DIRECTORY: &[u8] = b"/dev/shm";

/// Names in /dev/shm and what they lead to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SharedMemory {
    files: BTreeMap<Vec<u8>, Memfd>,
}

impl SharedMemory {
    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.files.keys().map(Vec::as_slice)
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &Memfd> {
        self.files.values()
    }

    /// The files, to put others in their place.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut Memfd> {
        self.files.values_mut()
    }

    /// What stat shows of `name`, if it is there.
    #[must_use]
    pub fn metadata(&self, name: &[u8]) -> Option<Metadata> {
        self.metadata_of(&self.files.get(name)?.file).ok()
    }

    /// What stat shows of memory file `file`, which may have names here.
    ///
    /// # Errors
    /// The host's.
    pub fn metadata_of(&self, file: &HostFile) -> Result<Metadata, Errno> {
        let names = self.files.values().filter(|named| *named.file == *file).count();
        Ok(Metadata { links: u32::try_from(names).unwrap_or(u32::MAX), ..file_metadata(file)? })
    }
}

impl Call<'_> {
    /// The name in /dev/shm that `target` is, if it is one.
    pub(super) fn shared_memory_name(&self, target: &Target) -> Option<Vec<u8>> {
        let base = if target.path.starts_with(b"/") { b"/".to_vec() } else { self.base(target.directory).ok()? };
        let path = guest_path::plain(&[&base, &b"/"[..], &target.path].concat());
        let name = guest_path::beneath(&path, DIRECTORY).filter(|name| !name.is_empty() && !name.contains(&b'/'))?;
        let synthetic = crate::policy::Decision::Synthetic;
        (self.kernel.policy.decide(&path, crate::policy::Access::empty()) == synthetic).then(|| name.to_vec())
    }

    /// Opens `name` in /dev/shm with open's `flags`; `mode` has the umask taken off.
    pub(super) fn open_shared_memory(&mut self, name: &[u8], flags: u32, mode: u32) -> Result<Memfd, Errno> {
        /// As many as anyone may need, and few enough to list.
        const MOST: usize = 1024;
        let files = &mut self.kernel.shared.memory.files;
        if let Some(file) = files.get(name) {
            if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL {
                return Err(Errno::EEXIST);
            }
            if flags & O_TRUNC != 0 {
                rustix::fs::ftruncate(&file.file, 0).map_err(errno)?;
            }
            return Ok(file.clone());
        }
        if flags & O_CREAT == 0 {
            return Err(Errno::ENOENT);
        }
        if name.len() > guest_path::NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        if files.len() >= MOST {
            return Err(Errno::ENOSPC);
        }
        let file = Memfd::named(&guest_path::child(DIRECTORY, name))?;
        rustix::fs::fchmod(&file.file, Mode::from_raw_mode(mode & 0o777)).map_err(errno)?;
        debug_assert_eq!(host_metadata(file.file.as_fd()).map(|file| file.file_type()), Ok(S_IFREG), "a memfd");
        files.insert(name.to_vec(), file.clone());
        Ok(file)
    }

    /// Removes `name` from /dev/shm.
    pub(super) fn unlink_shared_memory(&mut self, name: &[u8]) -> Result<(), Errno> {
        self.kernel.shared.memory.files.remove(name).map(drop).ok_or(Errno::ENOENT)
    }

    /// Gives what `old` names in /dev/shm the name `new`, there too; `replace` takes a name that is in use.
    pub(super) fn link_shared_memory(&mut self, old: &[u8], new: &[u8], replace: bool) -> Result<(), Errno> {
        let files = &mut self.kernel.shared.memory.files;
        let file = files.get(old).cloned().ok_or(Errno::ENOENT)?;
        if !replace && files.contains_key(new) {
            return Err(Errno::EEXIST);
        }
        files.insert(new.to_vec(), file);
        Ok(())
    }
}
