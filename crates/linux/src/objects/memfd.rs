//! Anonymous memory files (memfd_create). Their bytes are state: a fork gets a copy of its own.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, MemfdFlags, Mode, SealFlags, SeekFrom};
use rustix::io::Errno as HostErrno;
use warmfork_abi::Errno;
use warmfork_abi::stat::{Metadata, device_number};
use warmfork_memory::MappedFile;

use super::file::{read_host, seek_host, write_host};
use crate::objects::{Context, Mappable, Operations};
use crate::poller::errno;
use crate::syscalls::metadata::host_metadata;

/// An anonymous memory file.
#[derive(Clone, Debug)]
pub struct Memfd {
    /// The host's memfd, shared with mappings.
    pub file: Arc<MappedFile>,
    /// What a fork's own copy was made from, which nobody writes to any more.
    original: Option<Arc<MappedFile>>,
}

/// A copy counts as the same file: what differs is told by its bytes.
impl PartialEq for Memfd {
    fn eq(&self, other: &Self) -> bool {
        let copies = |a: &Self, b: &Self| a.is_copy_of(&b.file);
        let siblings = match (&self.original, &other.original) {
            (Some(own), Some(others)) => Arc::ptr_eq(own, others),
            _ => false,
        };
        Arc::ptr_eq(&self.file, &other.file) || copies(self, other) || copies(other, self) || siblings
    }
}

/// Is told of bytes that differ: from which offset on, and what they should be.
type Found<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Errno> + 'a;

/// What Linux calls shared memory without a file in /proc/PID/maps.
const ANONYMOUS: &str = "/dev/zero (deleted)";

/// Bytes copied at a time.
const CHUNK: usize = 64 * 1024;

impl Memfd {
    /// An empty file without a name; `sealable` when seals may be added later.
    ///
    /// # Errors
    /// The host's refusal (ENOMEM, EMFILE).
    pub fn create(name: &[u8], sealable: bool) -> Result<Self, Errno> {
        Self::new(format!("/memfd:{} (deleted)", String::from_utf8_lossy(name)), sealable)
    }

    /// An empty file that goes by `path`, in /dev/shm.
    ///
    /// # Errors
    /// As [`Memfd::create`].
    pub fn named(path: &[u8]) -> Result<Self, Errno> {
        Self::new(String::from_utf8_lossy(path).into_owned(), false)
    }

    /// What is behind shared memory without a file: `length` zeroes.
    ///
    /// # Errors
    /// As [`Memfd::create`].
    pub fn anonymous(length: u64) -> Result<Self, Errno> {
        let memfd = Self::new(ANONYMOUS.into(), false)?;
        rustix::fs::ftruncate(&memfd.file.fd, length).map_err(errno)?;
        Ok(memfd)
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The host's (ENOMEM, ENOSPC).
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut written = 0;
        while written < bytes.len() {
            let position = offset + written as u64;
            written += rustix::io::pwrite(&self.file.fd, &bytes[written..], position).map_err(errno)?;
        }
        Ok(())
    }

    fn new(path: String, sealable: bool) -> Result<Self, Errno> {
        let sealing = if sealable { MemfdFlags::ALLOW_SEALING } else { MemfdFlags::empty() };
        let fd = rustix::fs::memfd_create("warmfork-guest", MemfdFlags::CLOEXEC | sealing).map_err(errno)?;
        let metadata = host_metadata(fd.as_fd())?;
        let device = device_number(metadata.device);
        let file = MappedFile { fd, path, device, inode: metadata.inode, writable: true };
        Ok(Self { file: Arc::new(file), original: None })
    }

    /// The memory file behind a mapping that may have outlived its descriptors; `None` for any other file.
    #[must_use]
    pub fn of_mapping(file: &Arc<MappedFile>) -> Option<Self> {
        let path = &file.path;
        if !path.starts_with("/memfd:") && !path.starts_with("/dev/shm/") && path != ANONYMOUS {
            return None;
        }
        rustix::fs::fcntl_get_seals(&file.fd).ok()?; // a file of that name is none
        Some(Self { file: Arc::clone(file), original: None })
    }

    /// A copy with the same bytes, holes and seals.
    ///
    /// # Errors
    /// The host's refusal (ENOMEM, EMFILE).
    pub fn duplicate(&self) -> Result<Self, Errno> {
        let seals = self.seals()?;
        // A file made without sealing bears the one seal against sealing from the start.
        let sealable = seals != SealFlags::SEAL;
        let copy = Self::new(self.file.path.clone(), sealable)?;
        copy.assign(&self.file)?;
        let mode = host_metadata(self.file.fd.as_fd())?.mode & 0o7777;
        rustix::fs::fchmod(&copy.file.fd, Mode::from_raw_mode(mode)).map_err(errno)?;
        if sealable && !seals.is_empty() {
            copy.add_seals(seals)?;
        }
        Ok(Self { original: Some(Arc::clone(&self.file)), ..copy })
    }

    /// What a fork's own copy was made from.
    #[must_use]
    pub fn original(&self) -> Option<&Arc<MappedFile>> {
        self.original.as_ref()
    }

    /// Whether it was made from `file`.
    #[must_use]
    pub fn is_copy_of(&self, file: &Arc<MappedFile>) -> bool {
        self.original.as_ref().is_some_and(|original| Arc::ptr_eq(original, file))
    }

    /// Makes its bytes those of what it was made from again.
    ///
    /// # Errors
    /// The host's; EPERM when the guest has sealed it meanwhile, for seals are for ever.
    pub fn restore(&self) -> Result<(), Errno> {
        let Some(original) = &self.original else { return Ok(()) };
        if rustix::fs::fcntl_get_seals(&original.fd).map_err(errno)? != self.seals()? {
            return Err(Errno::EPERM);
        }
        let mode = |file: &MappedFile| Ok::<_, Errno>(host_metadata(file.fd.as_fd())?.mode & 0o7777);
        if mode(&self.file)? != mode(original)? {
            rustix::fs::fchmod(&self.file.fd, Mode::from_raw_mode(mode(original)?)).map_err(errno)?;
        }
        self.assign(original)
    }

    /// Where its bytes are not those of what it was made from: offsets, `None` for its size or seals.
    ///
    /// # Errors
    /// The host's.
    pub fn differences(&self) -> Result<Vec<Option<u64>>, Errno> {
        let Some(original) = &self.original else { return Ok(Vec::new()) };
        let size = |file: &MappedFile| Ok::<_, Errno>(host_metadata(file.fd.as_fd())?.size);
        let seals = rustix::fs::fcntl_get_seals(&original.fd).map_err(errno)?;
        let mut found = Vec::new();
        if size(&self.file)? != size(original)? || self.seals()? != seals {
            found.push(None);
        }
        self.compare(original, &mut |at, _| {
            found.push(Some(at));
            Ok(())
        })?;
        Ok(found)
    }

    /// Bytes of memory that the host has given it.
    ///
    /// # Errors
    /// The host's.
    pub fn resident_bytes(&self) -> Result<u64, Errno> {
        Ok(host_metadata(self.file.fd.as_fd())?.blocks.saturating_mul(512))
    }

    /// Makes the bytes of this file those of `other`. What is the same already is left alone.
    fn assign(&self, other: &MappedFile) -> Result<(), Errno> {
        let size = host_metadata(other.fd.as_fd())?.size;
        if host_metadata(self.file.fd.as_fd())?.size != size {
            rustix::fs::ftruncate(&self.file.fd, size).map_err(errno)?;
        }
        self.compare(other, &mut |at, bytes| {
            if bytes.iter().all(|&byte| byte == 0) {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                return rustix::fs::fallocate(&self.file.fd, flags, at, bytes.len() as u64).map_err(errno);
            }
            self.write_at(at, bytes)
        })
    }

    /// Tells `found` of each stretch that is not the same in `other`, and what it is there. What lies behind the end of
    /// either is not looked at.
    fn compare(&self, other: &MappedFile, found: &mut Found<'_>) -> Result<(), Errno> {
        let (mut own, mut others) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut at = 0;
        while let Some(start) = [next_data(&self.file, at)?, next_data(other, at)?].into_iter().flatten().min() {
            let read = [read_chunk(&self.file, start, &mut own)?, read_chunk(other, start, &mut others)?];
            let length = read[0].min(read[1]);
            if length == 0 {
                break;
            }
            if own[..length] != others[..length] {
                found(start, &others[..length])?;
            }
            at = start + length as u64;
        }
        Ok(())
    }

    /// F_GET_SEALS
    ///
    /// # Errors
    /// The host's.
    pub fn seals(&self) -> Result<SealFlags, Errno> {
        rustix::fs::fcntl_get_seals(&self.file.fd).map_err(errno)
    }

    /// F_ADD_SEALS
    ///
    /// # Errors
    /// EPERM when it is sealed against it, EBUSY when it is mapped writable, EINVAL for unknown seals.
    pub fn add_seals(&self, seals: SealFlags) -> Result<(), Errno> {
        rustix::fs::fcntl_add_seals(&self.file.fd, seals).map_err(errno)
    }
}

/// Where the first bytes from `at` on are that are no hole, down to whole chunks; `None` when there are no more.
fn next_data(file: &MappedFile, at: u64) -> Result<Option<u64>, Errno> {
    match rustix::fs::seek(&file.fd, SeekFrom::Data(at)) {
        Ok(start) => Ok(Some(at.max(start - start % CHUNK as u64))),
        Err(HostErrno::NXIO) => Ok(None),
        Err(error) => Err(errno(error)),
    }
}

/// Fills `into` from offset `at` on; how much of it before the file's end.
fn read_chunk(file: &MappedFile, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < into.len() {
        match rustix::io::pread(&file.fd, &mut into[done..], at + done as u64).map_err(errno)? {
            0 => break,
            got => done += got,
        }
    }
    Ok(done)
}

impl Operations for Memfd {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        read_host(self.file.fd.as_fd(), context.offset, into, at)
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], at: Option<u64>) -> Result<usize, Errno> {
        write_host(self.file.fd.as_fd(), context.flags, context.offset, from, at)
    }

    fn seek(&mut self, context: &mut Context<'_>, by: i64, whence: u32) -> Result<u64, Errno> {
        seek_host(self.file.fd.as_fd(), context.offset, by, whence)
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
        host_metadata(self.file.fd.as_fd())
    }

    fn host_file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.fd.as_fd())
    }

    fn link_text(&self) -> Vec<u8> {
        self.file.path.clone().into_bytes()
    }

    fn close(&mut self, context: &mut Context<'_>) {
        context.shared.locks.release(context.id);
    }
}
