//! Anonymous memory files (memfd_create). Their bytes are state: a fork gets a copy of its own.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use rustix::fs::SealFlags;
use warmfork_abi::Errno;
use warmfork_abi::stat::Metadata;
use warmfork_memory::HostFile;

use super::file::{read_host, seek_host, write_host};
use crate::host::errno;
use crate::memory_file;
use crate::objects::{Context, Mappable, Operations};

/// An anonymous memory file.
#[derive(Clone, PartialEq, Debug)]
pub struct Memfd {
    /// The host's memfd, shared with mappings.
    pub file: Arc<HostFile>,
}

impl Memfd {
    /// An empty file without a name; `sealable` when seals may be added later.
    ///
    /// # Errors
    /// The host's refusal (ENOMEM, EMFILE).
    pub fn create(name: &[u8], sealable: bool) -> Result<Self, Errno> {
        Ok(Self { file: memory_file::create([b"/memfd:", name, b" (deleted)"].concat(), sealable)? })
    }

    /// F_GET_SEALS
    ///
    /// # Errors
    /// The host's.
    pub fn seals(&self) -> Result<SealFlags, Errno> {
        rustix::fs::fcntl_get_seals(&self.file).map_err(errno)
    }

    /// F_ADD_SEALS
    ///
    /// # Errors
    /// EPERM when it is sealed against it, EBUSY when it is mapped writable, EINVAL for unknown seals.
    pub fn add_seals(&self, seals: SealFlags) -> Result<(), Errno> {
        rustix::fs::fcntl_add_seals(&self.file, seals).map_err(errno)
    }
}

impl Operations for Memfd {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        read_host(self.file.as_fd(), context.offset, into, at)
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], at: Option<u64>) -> Result<usize, Errno> {
        write_host(self.file.as_fd(), context.flags, context.offset, from, at)
    }

    fn seek(&mut self, context: &mut Context<'_>, by: i64, whence: u32) -> Result<u64, Errno> {
        seek_host(self.file.as_fd(), context.offset, by, whence)
    }

    fn pollable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        true
    }

    fn mappable(&mut self, _context: &mut Context<'_>) -> Result<Mappable, Errno> {
        Ok(Mappable::File(Arc::clone(&self.file)))
    }

    fn metadata(&mut self, context: &mut Context<'_>) -> Result<Metadata, Errno> {
        context.shared.memory.metadata_of(&self.file)
    }

    fn host_file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn link_text(&self) -> Vec<u8> {
        self.file.name().to_vec()
    }

    fn close(&mut self, context: &mut Context<'_>) {
        context.shared.locks.release(context.id);
    }

    fn file(&self) -> Option<&Arc<HostFile>> {
        Some(&self.file)
    }

    fn file_mut(&mut self) -> Option<&mut Arc<HostFile>> {
        Some(&mut self.file)
    }
}
