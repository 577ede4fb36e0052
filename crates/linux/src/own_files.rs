//! Files that a fork has in the place of its snapshot's: memory files, and files whose last name was gone.
//!
//! ```text
//!   machine   memfd, /tmp/x (deleted)     of the host
//!      |  freeze                          each copied into memory once
//!   snapshot  copies                      nobody writes to them any more
//!      |  fork                            each copied again
//!   fork      copies of copies            read, written, mapped; a reset makes them the snapshot's again
//! ```
//!
//! A copy has the id and the origin of its original. So states that name it compare as equal, and guests see the same inode.
//! [`OwnFile::differences`] tells how the copy differs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, Mode, OFlags, SealFlags, SeekFrom, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno as HostErrno;
use warmfork_abi::Errno;
use warmfork_abi::stat::Metadata;
use warmfork_memory::{HostFile, HostFileId, Inode, Origin, Span, SpanSet};

use crate::host::errno;
use crate::memory_file;
use crate::metadata::{host_metadata, magic_path};

/// Takes bytes that differ: their offset, and their right values.
type Found<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Errno> + 'a;

/// Bytes copied at a time.
const CHUNK: usize = 64 * 1024;

const PAGE: usize = 4096;

/// All of a file.
const EVERYTHING: Span = Span { start: 0, end: u64::MAX };

/// A fork's own copies of files, even those that the guest has let go.
#[derive(Clone, Debug, Default)]
pub struct OwnFiles {
    copies: BTreeMap<Inode, OwnFile>,
}

/// Copies count as equal: [`OwnFile::differences`] tells how they differ.
impl PartialEq for OwnFiles {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// The copy of one file.
#[derive(Clone, Debug)]
pub struct OwnFile {
    /// The file that it was made from; nobody writes to that any more. Kept open, so that no other file gets its inode number.
    original: Arc<HostFile>,
    /// The copy, as each of those that the snapshot has open.
    files: BTreeMap<HostFileId, Arc<HostFile>>,
}

/// A difference between a file and its original.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Difference {
    /// Its length.
    Length,
    /// Its permissions.
    Mode,
    /// Its seals.
    Seals,
    /// Its bytes, from this offset on.
    Bytes(u64),
}

/// Which parts of files may have been written to where they are mapped, by inode.
#[derive(Clone, Debug)]
pub enum MappedWrites {
    /// Any.
    Anything,
    /// These, as spans of offsets.
    Parts(BTreeMap<Inode, SpanSet>),
}

impl OwnFiles {
    /// Copies of `originals`, without their seals.
    ///
    /// # Errors
    /// The host's refusal (ENOMEM, EMFILE).
    pub(crate) fn of<'a>(originals: impl IntoIterator<Item = &'a Arc<HostFile>>) -> Result<Self, Errno> {
        let mut copies: BTreeMap<Inode, OwnFile> = BTreeMap::new();
        for original in originals {
            match copies.entry(original.inode()) {
                Entry::Vacant(place) => drop(place.insert(OwnFile::new(original)?)),
                Entry::Occupied(mut copy) => copy.get_mut().add(original)?,
            }
        }
        Ok(Self { copies })
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

    /// Whether `file` is one of them, or the original of one of them.
    #[must_use]
    pub fn contains(&self, file: &HostFile) -> bool {
        self.copies.get(&file.inode()).is_some_and(|copy| copy.files.contains_key(&file.id()))
    }

    /// Lets go of the memory files that the copies were made from: the machine that had them has ended, and its memory is not
    /// to be kept twice. A file of a disk is kept, so that no other one gets its inode number.
    pub fn let_go_of_memory(&mut self) {
        for copy in self.copies.values_mut() {
            if matches!(copy.original.origin(), Origin::Memory { .. }) {
                copy.original = Arc::clone(copy.file());
            }
        }
    }

    /// The original of `file`, one of them.
    #[must_use]
    pub fn original(&self, file: &HostFile) -> Option<&Arc<HostFile>> {
        self.copies.get(&file.inode()).map(|copy| &copy.original)
    }

    /// The file that stands in the place of `file`, if there is one.
    #[must_use]
    pub fn other(&self, file: &Arc<HostFile>) -> Option<&Arc<HostFile>> {
        let own = self.copies.get(&file.inode())?.files.get(&file.id())?;
        (!Arc::ptr_eq(own, file)).then_some(own)
    }

    /// Gives each copy its original's content again. A copy that cannot be put back is made anew; the ids of those are
    /// returned, for they have to be mapped anew.
    ///
    /// # Errors
    /// The host's.
    pub(crate) fn restore(&mut self, written: &MappedWrites) -> Result<Vec<HostFileId>, Errno> {
        let mut anew = Vec::new();
        for (inode, copy) in &mut self.copies {
            let used = copy.take_used();
            match written {
                MappedWrites::Parts(parts) if !used && !copy.seals_late()? => {
                    let parts = parts.get(inode).into_iter().flat_map(SpanSet::iter);
                    parts.into_iter().try_for_each(|part| copy.assign_bytes(part))?;
                }
                _ if copy.is_restorable()? => copy.assign()?,
                _ => {
                    copy.make_anew()?;
                    anew.extend(copy.files.keys());
                }
            }
        }
        Ok(anew)
    }

    /// Gives each copy the seals of its original, and begins to watch for its use.
    ///
    /// # Errors
    /// The host's.
    pub(crate) fn seal(&self) -> Result<(), Errno> {
        for copy in self.iter() {
            copy.seal()?;
            copy.take_used();
        }
        Ok(())
    }
}

impl OwnFile {
    fn new(original: &Arc<HostFile>) -> Result<Self, Errno> {
        let original = match reader(original)? {
            Some(fd) => original.with_fd(fd),
            None => Arc::clone(original),
        };
        let mut copy = Self { original, files: BTreeMap::new() };
        copy.files.insert(copy.original.id(), copy.fresh()?);
        copy.assign()?;
        if !copy.seals_late()? {
            copy.seal()?;
        }
        Ok(copy)
    }

    /// Lets it stand in the place of `original` too, which is of the same inode.
    fn add(&mut self, original: &HostFile) -> Result<(), Errno> {
        let fd = self.file().as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
        self.files.insert(original.id(), original.with_fd(fd));
        Ok(())
    }

    /// An empty file for a copy, to which the seals of the original can be added.
    fn fresh(&self) -> Result<Arc<HostFile>, Errno> {
        // A file made without sealing bears the one seal against sealing from the start.
        Ok(self.original.with_fd(memory_file::blank(seals(&self.original)? != SealFlags::SEAL)?))
    }

    /// The copy.
    #[must_use]
    pub fn file(&self) -> &Arc<HostFile> {
        self.files.values().next().unwrap_or(&self.original)
    }

    /// Its original.
    #[must_use]
    pub fn original(&self) -> &Arc<HostFile> {
        &self.original
    }

    /// Whether the fork has used a descriptor of it for more than looking since the last call of this.
    fn take_used(&self) -> bool {
        self.files.values().fold(false, |used, file| used | file.take_used())
    }

    /// Whether it may be mapped so that it is written to, but only before it has its seals.
    fn seals_late(&self) -> Result<bool, Errno> {
        let seals = seals(&self.original)?;
        Ok(seals.contains(SealFlags::FUTURE_WRITE) && !seals.contains(SealFlags::WRITE))
    }

    /// Whether it can be put back. Seals are for ever, and some prevent that.
    fn is_restorable(&self) -> Result<bool, Errno> {
        Ok(seals(self.file())? == seals(&self.original)? && !self.seals_late()?)
    }

    /// Another copy in the place of this one.
    fn make_anew(&mut self) -> Result<(), Errno> {
        let fresh = self.fresh()?;
        for file in self.files.values_mut() {
            *file = file.with_fd(fresh.as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?);
        }
        self.assign()?;
        if self.seals_late()? { Ok(()) } else { self.seal() }
    }

    fn seal(&self) -> Result<(), Errno> {
        let (wanted, own) = (seals(&self.original)?, seals(self.file())?);
        if own == wanted { Ok(()) } else { rustix::fs::fcntl_add_seals(self.file(), wanted).map_err(errno) }
    }

    /// The differences from its original.
    ///
    /// # Errors
    /// The host's.
    pub fn differences(&self) -> Result<Vec<Difference>, Errno> {
        let (own, wanted) = (metadata(self.file())?, metadata(&self.original)?);
        let mut found = Vec::new();
        if own.size != wanted.size {
            found.push(Difference::Length);
        }
        if own.mode != wanted.mode {
            found.push(Difference::Mode);
        }
        if seals(self.file())? != seals(&self.original)? {
            found.push(Difference::Seals);
        }
        self.compare(EVERYTHING, &mut |at, _| {
            found.push(Difference::Bytes(at));
            Ok(())
        })?;
        Ok(found)
    }

    /// Gives it the bytes, length, mode and times of the original. Writes only what differs.
    fn assign(&self) -> Result<(), Errno> {
        let (own, wanted) = (metadata(self.file())?, metadata(&self.original)?);
        if own.size != wanted.size {
            rustix::fs::ftruncate(self.file(), wanted.size).map_err(errno)?;
        }
        self.assign_bytes(EVERYTHING)?;
        if own.mode != wanted.mode {
            rustix::fs::fchmod(self.file(), Mode::from_raw_mode(wanted.mode & 0o7777)).map_err(errno)?;
        }
        // Reading it to compare is an access, too.
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let modified = wanted.modified;
        let last_modification = Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanoseconds.into() };
        let times = Timestamps { last_access, last_modification };
        rustix::fs::futimens(self.file(), &times).map_err(errno)
    }

    /// Makes the bytes of `part` those of the original.
    fn assign_bytes(&self, part: Span) -> Result<(), Errno> {
        self.compare(part, &mut |at, bytes| {
            if bytes.iter().all(|&byte| byte == 0) {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                return rustix::fs::fallocate(self.file(), flags, at, bytes.len() as u64).map_err(errno);
            }
            memory_file::write_at(self.file(), at, bytes)
        })
    }

    /// Tells `found` of each stretch of `part` that differs from the original, with the original's bytes. It does not look
    /// beyond the end of either.
    fn compare(&self, part: Span, found: &mut Found<'_>) -> Result<(), Errno> {
        let (file, original) = (self.file(), &self.original);
        let (mut own, mut others) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut at = part.start;
        while let Some(start) = [next_data(file, at)?, next_data(original, at)?].into_iter().flatten().min() {
            let wanted = usize::try_from(part.end.saturating_sub(start)).unwrap_or(CHUNK).min(CHUNK);
            let (own, others) = (&mut own[..wanted], &mut others[..wanted]);
            let read = [read_chunk(file, start, own)?, read_chunk(original, start, others)?];
            let length = read[0].min(read[1]);
            if length == 0 {
                break;
            }
            if own[..length] != others[..length] {
                differing(&own[..length], &others[..length], &mut |skipped, bytes| found(start + skipped, bytes))?;
            }
            at = start + length as u64;
        }
        Ok(())
    }
}

/// Tells `found` of each run of pages that differ from `wanted`, all zeroes or none of them: its start, and its right
/// content.
fn differing(own: &[u8], wanted: &[u8], found: &mut Found<'_>) -> Result<(), Errno> {
    let kind = |at: usize| {
        let page = at..wanted.len().min(at + PAGE);
        (own[page.clone()] != wanted[page.clone()]).then(|| wanted[page].iter().all(|&byte| byte == 0))
    };
    let mut at = 0;
    while at < wanted.len() {
        let (begin, first) = (at, kind(at));
        while at < wanted.len() && kind(at) == first {
            at += PAGE;
        }
        if first.is_some() {
            found(begin as u64, &wanted[begin..wanted.len().min(at)])?;
        }
    }
    Ok(())
}

/// A descriptor to read `file` with, if its own is for writing or naming only.
fn reader(file: &HostFile) -> Result<Option<OwnedFd>, Errno> {
    let flags = rustix::fs::fcntl_getfl(file).map_err(errno)?;
    if flags & OFlags::RWMODE != OFlags::WRONLY && !flags.contains(OFlags::PATH) {
        return Ok(None);
    }
    let again = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::open(magic_path(file.as_fd()), again, Mode::empty()).map(Some).map_err(errno)
}

/// The seals of `file`. A file that cannot be sealed counts as sealed against sealing.
fn seals(file: &HostFile) -> Result<SealFlags, Errno> {
    match rustix::fs::fcntl_get_seals(file) {
        Err(HostErrno::INVAL) => Ok(SealFlags::SEAL),
        seals => seals.map_err(errno),
    }
}

fn metadata(file: &HostFile) -> Result<Metadata, Errno> {
    host_metadata(file.as_fd())
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
