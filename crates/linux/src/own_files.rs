//! A fork's own copies of its snapshot's memory files. They have the ids of what they are copies of, so that states which name
//! them compare as equal; what differs is told by their bytes.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, Mode, SealFlags, SeekFrom};
use rustix::io::Errno as HostErrno;
use warmfork_abi::Errno;
use warmfork_memory::{HostFile, HostFileId};

use crate::objects::memfd;
use crate::poller::errno;
use crate::syscalls::metadata::host_metadata;

/// Is told of bytes that differ: from which offset on, and what they should be.
type Found<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Errno> + 'a;

/// Bytes copied at a time.
const CHUNK: usize = 64 * 1024;

/// A fork's own copies of files, even those that the guest has let go.
#[derive(Clone, Debug, Default)]
pub struct OwnFiles {
    copies: BTreeMap<HostFileId, OwnFile>,
}

/// Copies count as equal: what differs is told by [`OwnFile::differences`].
impl PartialEq for OwnFiles {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// One copy.
#[derive(Clone, Debug)]
pub struct OwnFile {
    /// The copy.
    pub file: Arc<HostFile>,
    /// What it was made from, which nobody writes to any more.
    pub original: Arc<HostFile>,
}

impl OwnFiles {
    /// Copies of `originals`.
    ///
    /// # Errors
    /// The host's refusal (ENOMEM, EMFILE).
    pub(crate) fn of(originals: BTreeMap<HostFileId, &Arc<HostFile>>) -> Result<Self, Errno> {
        let copy = |(id, original)| Ok((id, OwnFile::new(original)?));
        Ok(Self { copies: originals.into_iter().map(copy).collect::<Result<_, Errno>>()? })
    }

    /// Every copy.
    pub fn iter(&self) -> impl Iterator<Item = &OwnFile> {
        self.copies.values()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// What stands in the place of `file`, if that is another file.
    #[must_use]
    pub fn other(&self, file: &Arc<HostFile>) -> Option<&Arc<HostFile>> {
        self.copies.get(&file.id()).map(|copy| &copy.file).filter(|own| !Arc::ptr_eq(own, file))
    }

    /// Makes each copy what it was made from again.
    ///
    /// # Errors
    /// As [`OwnFile::restore`].
    pub(crate) fn restore(&self) -> Result<(), Errno> {
        self.iter().try_for_each(OwnFile::restore)
    }
}

impl OwnFile {
    /// A copy with the same bytes, holes, mode and seals.
    fn new(original: &Arc<HostFile>) -> Result<Self, Errno> {
        let seals = seals(original)?;
        // A file made without sealing bears the one seal against sealing from the start.
        let sealable = seals != SealFlags::SEAL;
        let copy = Self { file: original.with_fd(memfd::blank(sealable)?), original: Arc::clone(original) };
        copy.assign()?;
        let mode = Mode::from_raw_mode(mode(original)?);
        rustix::fs::fchmod(&copy.file, mode).map_err(errno)?;
        if sealable && !seals.is_empty() {
            rustix::fs::fcntl_add_seals(&copy.file, seals).map_err(errno)?;
        }
        Ok(copy)
    }

    /// Makes its bytes those of what it was made from again.
    ///
    /// # Errors
    /// The host's; EPERM when the guest has sealed it meanwhile, for seals are for ever.
    fn restore(&self) -> Result<(), Errno> {
        if seals(&self.original)? != seals(&self.file)? {
            return Err(Errno::EPERM);
        }
        let mode_then = mode(&self.original)?;
        if mode(&self.file)? != mode_then {
            rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode_then)).map_err(errno)?;
        }
        self.assign()
    }

    /// Where its bytes are not those of what it was made from: offsets, `None` for its size or seals.
    ///
    /// # Errors
    /// The host's.
    pub fn differences(&self) -> Result<Vec<Option<u64>>, Errno> {
        let mut found = Vec::new();
        if size(&self.file)? != size(&self.original)? || seals(&self.file)? != seals(&self.original)? {
            found.push(None);
        }
        self.compare(&mut |at, _| {
            found.push(Some(at));
            Ok(())
        })?;
        Ok(found)
    }

    /// Makes its bytes those of the original. What is the same already is left alone.
    fn assign(&self) -> Result<(), Errno> {
        let length = size(&self.original)?;
        if size(&self.file)? != length {
            rustix::fs::ftruncate(&self.file, length).map_err(errno)?;
        }
        self.compare(&mut |at, bytes| {
            if bytes.iter().all(|&byte| byte == 0) {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                return rustix::fs::fallocate(&self.file, flags, at, bytes.len() as u64).map_err(errno);
            }
            memfd::write_at(&self.file, at, bytes)
        })
    }

    /// Tells `found` of each stretch that is not the same in the original, and what it is there. What lies behind the end
    /// of either is not looked at.
    fn compare(&self, found: &mut Found<'_>) -> Result<(), Errno> {
        let (mut own, mut others) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut at = 0;
        while let Some(start) = [next_data(&self.file, at)?, next_data(&self.original, at)?].into_iter().flatten().min()
        {
            let read = [read_chunk(&self.file, start, &mut own)?, read_chunk(&self.original, start, &mut others)?];
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
}

fn seals(file: &HostFile) -> Result<SealFlags, Errno> {
    rustix::fs::fcntl_get_seals(file).map_err(errno)
}

fn mode(file: &HostFile) -> Result<u32, Errno> {
    Ok(host_metadata(file.as_fd())?.mode & 0o7777)
}

fn size(file: &HostFile) -> Result<u64, Errno> {
    Ok(host_metadata(file.as_fd())?.size)
}

/// Where the first bytes from `at` on are that are no hole, down to whole chunks; `None` when there are no more.
fn next_data(file: &HostFile, at: u64) -> Result<Option<u64>, Errno> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => Ok(Some(at.max(start - start % CHUNK as u64))),
        Err(HostErrno::NXIO) => Ok(None),
        Err(error) => Err(errno(error)),
    }
}

/// Fills `into` from offset `at` on; how much of it before the file's end.
fn read_chunk(file: &HostFile, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < into.len() {
        match rustix::io::pread(file, &mut into[done..], at + done as u64).map_err(errno)? {
            0 => break,
            got => done += got,
        }
    }
    Ok(done)
}
