//! Memory of the host that warmfork itself has mapped: the frozen bytes of an image, and a page shared with guests.
//! The unsafe calls are here, so that [`crate::image`] and the callers of [`SharedPage`] need none.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const PAGE_BYTES: usize = 4096;

/// Words in a [`SharedPage`].
const WORDS: usize = PAGE_BYTES / size_of::<AtomicU64>();

/// An empty memory file that can be sealed.
///
/// # Errors
/// The host's refusal.
pub fn memory_file(name: &str) -> io::Result<OwnedFd> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

/// Lets nobody write to `file` or resize it any more, but through mappings that there are.
///
/// # Errors
/// The host's refusal.
pub fn seal(file: impl AsFd) -> io::Result<()> {
    // Not `WRITE`, even where there are no mappings: that is refused with EBUSY while anybody in the host holds one of the
    // pages, if only for a moment (memory compaction does).
    Ok(fcntl_add_seals(file, SealFlags::FUTURE_WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?)
}

/// A memory file whose bytes nobody can change any more, mapped to be read.
#[derive(Debug)]
pub(crate) struct FrozenBytes {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and its bytes never change.
unsafe impl Send for FrozenBytes {}
// SAFETY: as above; shared reads of memory that never changes do not race.
unsafe impl Sync for FrozenBytes {}

impl FrozenBytes {
    /// Maps the first `length` bytes (not zero) of `file`, which nobody has mapped to write.
    ///
    /// # Errors
    /// EINVAL when the file is not sealed against writing and shrinking or is shorter; else the host's refusal.
    pub fn map(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        let sealed = fcntl_get_seals(file)?.contains(SealFlags::FUTURE_WRITE | SealFlags::SHRINK);
        let size = u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0);
        if !sealed || size < length as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Private, as kernels before 6.7 map nothing shared that is sealed against writing. It makes no difference.
        // SAFETY: a new mapping at an address of the host's choice touches no other memory.
        let start = unsafe { mmap(null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, 0) }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the mapping has this length until drop; its file can neither change nor shrink (`map` has checked
        // the seals, which can't be removed, and no memory file of ours is mapped to be written before it is sealed,
        // but that of `SharedPage`), so the bytes are there and stay as they are.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for FrozenBytes {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and no slice of it outlives `self`.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// One page that warmfork writes and guests may only read: its file is sealed against any other writable mapping.
/// Guests see each word change atomically; what spans words needs a sequence counter in one of them.
#[derive(Debug)]
pub struct SharedPage {
    file: OwnedFd,
    words: NonNull<[AtomicU64; WORDS]>,
}

// SAFETY: the mapping belongs to this value alone, and all access to it is atomic.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// A page of zeroes.
    ///
    /// # Errors
    /// The host's refusal.
    pub fn new(name: &str) -> io::Result<Self> {
        let file = memory_file(name)?;
        ftruncate(&file, PAGE_BYTES as u64)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the host's choice touches no other memory.
        let start = unsafe { mmap(null_mut(), PAGE_BYTES, protection, MapFlags::SHARED, &file, 0) }?;
        let words = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let page = Self { file, words };
        seal(&page.file)?;
        Ok(page)
    }

    /// The page as little-endian words.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64; WORDS] {
        // SAFETY: the mapping is a page long, page-aligned, and stays until drop; its file can't shrink. Others only
        // read it, and atomics allow for that.
        unsafe { self.words.as_ref() }
    }
}

impl AsFd for SharedPage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and no reference to it outlives `self`.
        let _ = unsafe { munmap(self.words.as_ptr().cast(), PAGE_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn frozen_bytes_need_seals() {
        let file = memory_file("test").expect("memfd");
        rustix::io::pwrite(&file, b"frozen", 0).expect("write");
        assert_eq!(FrozenBytes::map(file.as_fd(), 6).expect_err("unsealed").kind(), io::ErrorKind::InvalidInput);
        fcntl_add_seals(&file, SealFlags::FUTURE_WRITE | SealFlags::SHRINK).expect("seal");
        assert_eq!(FrozenBytes::map(file.as_fd(), 7).expect_err("longer").kind(), io::ErrorKind::InvalidInput);
        assert_eq!(FrozenBytes::map(file.as_fd(), 6).expect("mapped").as_slice(), b"frozen");
        assert!(rustix::io::pwrite(&file, b"x", 0).is_err());
    }

    #[test]
    fn shared_page_is_written_by_its_owner_alone() {
        let page = SharedPage::new("test").expect("page");
        page.words()[1].store(0x0102_0304, Ordering::Relaxed);
        let mut bytes = [0; 16];
        rustix::io::pread(&page, &mut bytes, 0).expect("read");
        assert_eq!(bytes[8..], 0x0102_0304_u64.to_le_bytes());
        assert!(rustix::io::pwrite(&page, b"x", 0).is_err());
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the host's choice touches no other memory.
        assert!(unsafe { mmap(null_mut(), PAGE_BYTES, protection, MapFlags::SHARED, &page, 0) }.is_err());
    }
}
