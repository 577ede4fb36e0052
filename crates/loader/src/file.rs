//! Host files: opening them, and reading them at any place. Called by [`crate::interpreter`] and, through [`ReadAt`],
//! by [`crate::elf`].

use std::sync::Arc;

use rustix::fs::{FileType, fstat};
use rustix::io::{Errno as HostErrno, pread};
use warmfork_abi::Errno;
use warmfork_memory::HostFile;

use crate::elf::ReadAt;

/// Opens files for the loader as the guest may see them: within the policy, and only files that it may execute.
pub trait ProgramFiles {
    /// Opens the program or interpreter that the guest calls `path`, which may be relative to its working directory.
    ///
    /// # Errors
    /// Those of execve(2) for the path: ENOENT, EACCES, ELOOP, ...
    fn open(&mut self, path: &[u8]) -> Result<Arc<HostFile>, Errno>;
}

/// The errno of the host as the guest's.
pub(crate) fn errno(host: HostErrno) -> Errno {
    Errno(host.raw_os_error())
}

/// A regular file and its size when it was opened.
pub(crate) struct RegularFile<'a> {
    file: &'a HostFile,
    size: u64,
}

impl<'a> RegularFile<'a> {
    /// `None` when `file` is something else than a regular file.
    pub(crate) fn new(file: &'a HostFile) -> Result<Option<Self>, Errno> {
        let status = fstat(file).map_err(errno)?;
        let size = u64::try_from(status.st_size).unwrap_or(0);
        Ok((FileType::from_raw_mode(status.st_mode) == FileType::RegularFile).then_some(Self { file, size }))
    }
}

impl ReadAt for RegularFile<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < into.len() {
            match pread(self.file, &mut into[done..], offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(HostErrno::INTR) => {}
                Err(error) => return Err(errno(error)),
            }
        }
        Ok(done)
    }
}
