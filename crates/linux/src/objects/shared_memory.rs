//! /dev/shm: memory files with names, for shm_open and sem_open. A machine has its own, and a fork its own copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustix::fs::Mode;
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{O_CREAT, O_EXCL, O_TRUNC};
use warmfork_abi::stat::Metadata;
use warmfork_memory::HostFile;

use crate::guest_path;
use crate::host::errno;
use crate::memory_file;
use crate::metadata::file_metadata;

/// The directory.
pub const DIRECTORY: &[u8] = b"/dev/shm";

/// As many names as anyone may need, and few enough to list.
const MAX_NAMES: usize = 1024;

/// Names in /dev/shm and their files.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SharedMemory {
    files: BTreeMap<Vec<u8>, Arc<HostFile>>,
}

impl SharedMemory {
    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.files.keys().map(Vec::as_slice)
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &Arc<HostFile>> {
        self.files.values()
    }

    /// The files, to put others in their place.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut Arc<HostFile>> {
        self.files.values_mut()
    }

    /// The file with the name `name`, if it is there.
    #[must_use]
    pub fn file(&self, name: &[u8]) -> Option<&Arc<HostFile>> {
        self.files.get(name)
    }

    /// The metadata of `name`, if it is there.
    #[must_use]
    pub fn metadata(&self, name: &[u8]) -> Option<Metadata> {
        self.metadata_of(self.file(name)?).ok()
    }

    /// The metadata of memory file `file`, which may have names here.
    ///
    /// # Errors
    /// The host's.
    pub fn metadata_of(&self, file: &HostFile) -> Result<Metadata, Errno> {
        let names = self.files.values().filter(|named| ***named == *file).count();
        Ok(Metadata { links: u32::try_from(names).unwrap_or(u32::MAX), ..file_metadata(file)? })
    }

    /// Opens `name` with open's `flags`; `mode` has the umask taken off.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(&mut self, name: &[u8], flags: u32, mode: u32) -> Result<Arc<HostFile>, Errno> {
        if let Some(file) = self.files.get(name) {
            if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL {
                return Err(Errno::EEXIST);
            }
            if flags & O_TRUNC != 0 {
                rustix::fs::ftruncate(file, 0).map_err(errno)?;
            }
            return Ok(Arc::clone(file));
        }
        if flags & O_CREAT == 0 {
            return Err(Errno::ENOENT);
        }
        if name.len() > guest_path::NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        if self.files.len() >= MAX_NAMES {
            return Err(Errno::ENOSPC);
        }
        let file = memory_file::create(guest_path::child(DIRECTORY, name), false)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777)).map_err(errno)?;
        self.files.insert(name.to_vec(), Arc::clone(&file));
        Ok(file)
    }

    /// Removes `name`.
    ///
    /// # Errors
    /// ENOENT when it is not there.
    pub fn unlink(&mut self, name: &[u8]) -> Result<(), Errno> {
        self.files.remove(name).map(drop).ok_or(Errno::ENOENT)
    }

    /// Gives the file `old` the name `new` too; `replace` takes a name that is in use.
    ///
    /// # Errors
    /// ENOENT when `old` is not there, EEXIST when `new` is.
    pub fn link(&mut self, old: &[u8], new: &[u8], replace: bool) -> Result<(), Errno> {
        let file = self.files.get(old).cloned().ok_or(Errno::ENOENT)?;
        if !replace && self.files.contains_key(new) {
            return Err(Errno::EEXIST);
        }
        self.files.insert(new.to_vec(), file);
        Ok(())
    }
}
