//! O_PATH descriptors: a name for a file, good for fstat and as a starting point.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::stat::Metadata;
use warmfork_memory::{HostFile, Origin};

use crate::metadata::{file_metadata, read_link};
use crate::objects::file::name_of;
use crate::objects::{Context, Operations};

/// A file named but not opened.
#[derive(Clone, PartialEq, Debug)]
pub struct Path {
    /// The guest's plain path of it.
    pub path: Vec<u8>,
    /// The host's handle (which may be for more than O_PATH: nothing but names goes through it), or the kind of a made-up file.
    pub target: Target,
}

/// The file that an O_PATH descriptor names.
#[derive(Clone, PartialEq, Debug)]
pub enum Target {
    /// A file of the host.
    Host(Arc<HostFile>),
    /// A file that warmfork makes up.
    Made(Metadata),
}

impl Path {
    /// Where the symlink that it names leads; `None` when it names something else.
    ///
    /// # Errors
    /// The host's.
    pub fn link_target(&self) -> Result<Option<Vec<u8>>, Errno> {
        match &self.target {
            Target::Host(handle) => read_link(handle),
            Target::Made(_) => Ok(None),
        }
    }
}

fn is_memory(handle: &HostFile) -> bool {
    matches!(handle.origin(), Origin::Memory { .. })
}

impl Operations for Path {
    fn read(&mut self, _context: &mut Context<'_>, _into: &mut [u8], _at: Option<u64>) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }

    fn write(&mut self, _context: &mut Context<'_>, _from: &[u8], _at: Option<u64>) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }

    fn metadata(&mut self, context: &mut Context<'_>) -> Result<Metadata, Errno> {
        match &self.target {
            Target::Host(handle) if is_memory(handle) => context.shared.memory.metadata_of(handle),
            Target::Host(handle) => file_metadata(handle),
            Target::Made(metadata) => Ok(*metadata),
        }
    }

    fn host_file(&self) -> Option<BorrowedFd<'_>> {
        match &self.target {
            Target::Host(handle) => Some(handle.as_fd()),
            Target::Made(_) => None,
        }
    }

    fn link_text(&self) -> Vec<u8> {
        match &self.target {
            Target::Host(handle) if !is_memory(handle) => name_of(handle.to_look(), &self.path),
            _ => self.path.clone(),
        }
    }

    /// A fork that reopens it must not come to a file that it shares with others.
    fn file(&self) -> Option<&Arc<HostFile>> {
        match &self.target {
            Target::Host(handle) => Some(handle),
            Target::Made(_) => None,
        }
    }

    fn file_mut(&mut self) -> Option<&mut Arc<HostFile>> {
        match &mut self.target {
            Target::Host(handle) => Some(handle),
            Target::Made(_) => None,
        }
    }

    fn directory_path(&self) -> Option<&[u8]> {
        Some(&self.path)
    }
}
