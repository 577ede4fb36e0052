//! Memory files of the host, which are behind memfds, names in /dev/shm, shared memory without a file and a fork's own files.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::MemfdFlags;
use warmfork_abi::Errno;
use warmfork_memory::HostFile;

use crate::host::errno;
use crate::metadata::host_metadata;

/// Linux's name for shared memory without a file in /proc/PID/maps.
const ANONYMOUS: &[u8] = b"/dev/zero (deleted)";

/// An empty memory file that guests know by `name`; `sealable` when seals may be added later.
///
/// # Errors
/// The host's refusal (ENOMEM, EMFILE).
pub(crate) fn create(name: Vec<u8>, sealable: bool) -> Result<Arc<HostFile>, Errno> {
    HostFile::memory(blank(sealable)?, name).map_err(errno)
}

/// A file for shared memory without a file: `length` zeroes.
///
/// # Errors
/// As [`create`].
pub(crate) fn anonymous(length: u64) -> Result<Arc<HostFile>, Errno> {
    let file = create(ANONYMOUS.to_vec(), false)?;
    rustix::fs::ftruncate(&file, length).map_err(errno)?;
    Ok(file)
}

/// A memory file of the host; `sealable` when seals may be added later.
pub(crate) fn blank(sealable: bool) -> Result<OwnedFd, Errno> {
    let sealing = if sealable { MemfdFlags::ALLOW_SEALING } else { MemfdFlags::empty() };
    rustix::fs::memfd_create("warmfork-guest", MemfdFlags::CLOEXEC | sealing).map_err(errno)
}

/// Writes all of `bytes` at `offset` of memory file `file`.
///
/// # Errors
/// The host's (ENOMEM, ENOSPC).
pub(crate) fn write_at(file: &HostFile, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
    let mut written = 0;
    while written < bytes.len() {
        let position = offset + written as u64;
        written += rustix::io::pwrite(file, &bytes[written..], position).map_err(errno)?;
    }
    Ok(())
}

/// Bytes of memory that the host has given memory file `file`.
///
/// # Errors
/// The host's.
pub fn resident_bytes(file: &HostFile) -> Result<u64, Errno> {
    Ok(host_metadata(file.to_look())?.blocks.saturating_mul(512))
}
