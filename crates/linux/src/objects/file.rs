//! Regular files of the host. The file offset is the description's: the host's own is never used, for forks share it.

use std::io::IoSlice;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::SeekFrom;
use rustix::io::ReadWriteFlags;
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{O_APPEND, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET};
use warmfork_abi::stat::Metadata;
use warmfork_memory::HostFile;

use crate::host::errno;
use crate::metadata::{file_metadata, host_metadata};
use crate::objects::{Context, Mappable, Operations};

/// A regular file of the host.
#[derive(Clone, PartialEq, Debug)]
pub struct File {
    /// The host file, shared with mappings and forks.
    pub file: Arc<HostFile>,
    /// The guest's plain path of it when it was opened (or last renamed by the guest).
    pub path: Vec<u8>,
}

impl File {
    /// Takes over a host file that the policy allowed, opened with O_ flags `flags`.
    ///
    /// # Errors
    /// The host's refusal to describe it.
    pub fn new(fd: OwnedFd, path: Vec<u8>, flags: u32) -> Result<Self, Errno> {
        Ok(Self { file: HostFile::opened(fd, &path, flags).map_err(errno)?, path })
    }
}

/// Reads a host file at the description's offset, or at `at`.
pub(super) fn read_host(
    fd: BorrowedFd<'_>,
    offset: &mut u64,
    into: &mut [u8],
    at: Option<u64>,
) -> Result<usize, Errno> {
    let count = rustix::io::pread(fd, into, at.unwrap_or(*offset)).map_err(errno)?;
    if at.is_none() {
        *offset = offset.saturating_add(count as u64);
    }
    Ok(count)
}

/// Writes a host file at the description's offset, at `at`, or at its end with O_APPEND in `flags`.
pub(super) fn write_host(
    fd: BorrowedFd<'_>,
    flags: u32,
    offset: &mut u64,
    from: &[u8],
    at: Option<u64>,
) -> Result<usize, Errno> {
    let position = at.unwrap_or(*offset);
    if flags & O_APPEND == 0 {
        let count = rustix::io::pwrite(fd, from, position).map_err(errno)?;
        if at.is_none() {
            *offset = offset.saturating_add(count as u64);
        }
        return Ok(count);
    }
    let count = rustix::io::pwritev2(fd, &[IoSlice::new(from)], position, ReadWriteFlags::APPEND).map_err(errno)?;
    if at.is_none() {
        *offset = host_metadata(fd)?.size;
    }
    Ok(count)
}

/// The text of the link in /proc/self/fd of a host file: its path, marked if its last name is gone.
pub(super) fn name_of(fd: BorrowedFd<'_>, path: &[u8]) -> Vec<u8> {
    let gone = host_metadata(fd).is_ok_and(|metadata| metadata.links == 0);
    if gone { [path, b" (deleted)"].concat() } else { path.to_vec() }
}

/// lseek on a host file with an offset of our own.
pub(super) fn seek_host(fd: BorrowedFd<'_>, offset: &mut u64, by: i64, whence: u32) -> Result<u64, Errno> {
    let from = match whence {
        SEEK_SET => 0,
        SEEK_CUR => *offset,
        SEEK_END => host_metadata(fd)?.size,
        // These move the host's own offset, which nothing uses.
        SEEK_DATA | SEEK_HOLE => {
            let start = u64::try_from(by).map_err(|_| Errno::ENXIO)?;
            let to = if whence == SEEK_DATA { SeekFrom::Data(start) } else { SeekFrom::Hole(start) };
            *offset = rustix::fs::seek(fd, to).map_err(errno)?;
            return Ok(*offset);
        }
        _ => return Err(Errno::EINVAL),
    };
    let target = i64::try_from(from).ok().and_then(|from| from.checked_add(by)).ok_or(Errno::EINVAL)?;
    *offset = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
    Ok(*offset)
}

impl Operations for File {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        read_host(self.file.as_fd(), context.offset, into, at)
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], at: Option<u64>) -> Result<usize, Errno> {
        write_host(self.file.as_fd(), context.flags, context.offset, from, at)
    }

    fn seek(&mut self, context: &mut Context<'_>, by: i64, whence: u32) -> Result<u64, Errno> {
        seek_host(self.file.as_fd(), context.offset, by, whence)
    }

    fn available(&mut self, context: &mut Context<'_>) -> Result<usize, Errno> {
        let size = host_metadata(self.file.as_fd())?.size;
        Ok(usize::try_from(size.saturating_sub(*context.offset)).unwrap_or(usize::MAX))
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

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        file_metadata(&self.file)
    }

    fn host_file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn link_text(&self) -> Vec<u8> {
        name_of(self.file.as_fd(), &self.path)
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
