//! Directories: the host's, and those that warmfork makes up. Positions are the description's, so that a fork's
//! listing goes on where the snapshot's was.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{SEEK_CUR, SEEK_SET};
use warmfork_abi::stat::{Metadata, S_IFDIR, S_ISVTX, entry_type};
use warmfork_memory::HostFile;

use crate::host::errno;
use crate::metadata::{host_metadata, made_up, made_up_inode};
use crate::objects::shared_memory::DIRECTORY as SHARED_MEMORY;
use crate::objects::{Context, Operations};

/// One entry of a listing.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Inode number.
    pub inode: u64,
    /// Where a listing goes on after it (d_off).
    pub next: u64,
    /// d_type
    pub kind: u8,
    /// Name.
    pub name: Vec<u8>,
}

/// Where a directory's entries come from.
#[derive(Clone, PartialEq, Debug)]
pub enum Source {
    /// A directory of the host, open for reading.
    Host(Arc<HostFile>),
    /// Names and modes, as they were when it was opened.
    Made(Vec<(Vec<u8>, u32)>),
}

/// A directory open for reading.
#[derive(Clone, PartialEq, Debug)]
pub struct Directory {
    /// The guest's plain path of it.
    pub path: Vec<u8>,
    /// Its entries.
    pub source: Source,
}

impl Directory {
    /// The entries from `position` on, in order; `take` says whether it had room for one more.
    ///
    /// # Errors
    /// The host's refusal to list it.
    pub fn list(&self, position: u64, mut take: impl FnMut(&Entry) -> bool) -> Result<(), Errno> {
        match &self.source {
            Source::Host(handle) => list_host(handle, position, take),
            Source::Made(entries) => {
                let dots = [(b".".to_vec(), S_IFDIR), (b"..".to_vec(), S_IFDIR)];
                let skip = usize::try_from(position).unwrap_or(usize::MAX);
                let all = dots.iter().chain(entries).zip(1_u64..).skip(skip);
                for ((name, mode), next) in all {
                    let inode = made_up_inode(&crate::guest_path::child(&self.path, name));
                    let entry = Entry { inode, next, kind: entry_type(*mode), name: name.clone() };
                    if !take(&entry) {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Lists through a descriptor of our own, whose position no fork shares.
fn list_host(handle: &Arc<HostFile>, position: u64, mut take: impl FnMut(&Entry) -> bool) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = rustix::fs::openat(handle, ".", flags, Mode::empty()).map_err(errno)?;
    if position != 0 {
        rustix::fs::seek(&own, SeekFrom::Start(position)).map_err(errno)?;
    }
    let mut buffer = [const { MaybeUninit::uninit() }; 16 * 1024];
    let mut entries = RawDir::new(&own, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(errno)?;
        let entry = Entry {
            inode: entry.ino(),
            next: entry.next_entry_cookie(),
            kind: entry_type(entry.file_type().as_raw_mode()),
            name: entry.file_name().to_bytes().to_vec(),
        };
        if !take(&entry) {
            break;
        }
    }
    Ok(())
}

/// The metadata of the made-up directory at `path`.
#[must_use]
pub fn directory_metadata(path: &[u8]) -> Metadata {
    let permissions = if path == SHARED_MEMORY { S_ISVTX | 0o777 } else { 0o555 };
    Metadata { mode: S_IFDIR | permissions, links: 2, ..made_up(path) }
}

impl Operations for Directory {
    fn read(&mut self, _context: &mut Context<'_>, _into: &mut [u8], _at: Option<u64>) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn write(&mut self, _context: &mut Context<'_>, _from: &[u8], _at: Option<u64>) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }

    fn seek(&mut self, context: &mut Context<'_>, by: i64, whence: u32) -> Result<u64, Errno> {
        *context.offset = match whence {
            SEEK_SET => u64::try_from(by).map_err(|_| Errno::EINVAL)?,
            SEEK_CUR if by == 0 => *context.offset,
            _ => return Err(Errno::EINVAL),
        };
        Ok(*context.offset)
    }

    fn pollable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        true
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        match &self.source {
            Source::Host(handle) => host_metadata(handle.as_fd()),
            Source::Made(_) => Ok(directory_metadata(&self.path)),
        }
    }

    fn host_file(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::Host(handle) => Some(handle.as_fd()),
            Source::Made(_) => None,
        }
    }

    fn link_text(&self) -> Vec<u8> {
        match &self.source {
            Source::Host(handle) => super::file::name_of(handle.as_fd(), &self.path),
            Source::Made(_) => self.path.clone(),
        }
    }

    fn close(&mut self, context: &mut Context<'_>) {
        context.shared.locks.release(context.id);
    }

    fn directory_path(&self) -> Option<&[u8]> {
        Some(&self.path)
    }
}
