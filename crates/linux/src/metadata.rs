//! The metadata that stat(2) shows, of the host's files and of files that warmfork makes up.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use rustix::fs::{AtFlags, Statx, StatxFlags, StatxTimestamp};
use warmfork_abi::Errno;
use warmfork_abi::stat::{Metadata, Timestamp};
use warmfork_memory::HostFile;

use crate::guest_path;
use crate::host::errno;

/// Metadata of an open host file (or an O_PATH handle).
///
/// # Errors
/// The host's.
pub fn host_metadata(fd: BorrowedFd<'_>) -> Result<Metadata, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, wanted).map(|statx| from_statx(&statx)).map_err(errno)
}

/// The host's metadata of the file at `path`, without following a symlink.
///
/// # Errors
/// The host's own.
pub fn host_metadata_at(path: &[u8]) -> Result<Metadata, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    let found = rustix::fs::statx(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted);
    found.map(|statx| from_statx(&statx)).map_err(errno)
}

fn from_statx(from: &Statx) -> Metadata {
    let time = |time: &StatxTimestamp| Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec };
    let has = |flag: StatxFlags| from.stx_mask & flag.bits() != 0;
    Metadata {
        device: (from.stx_dev_major, from.stx_dev_minor),
        inode: from.stx_ino,
        mode: u32::from(from.stx_mode),
        links: from.stx_nlink,
        uid: from.stx_uid,
        gid: from.stx_gid,
        represents: (from.stx_rdev_major, from.stx_rdev_minor),
        size: from.stx_size,
        block_size: from.stx_blksize,
        blocks: from.stx_blocks,
        accessed: time(&from.stx_atime),
        modified: time(&from.stx_mtime),
        changed: time(&from.stx_ctime),
        born: has(StatxFlags::BTIME).then(|| time(&from.stx_btime)),
        attributes: from.stx_attributes.bits(),
        attributes_mask: from.stx_attributes_mask.bits(),
        mount: has(StatxFlags::MNT_ID).then_some(from.stx_mnt_id),
    }
}

/// The metadata of `file`, with the inode that it had when it was opened, even if it is a fork's copy.
///
/// # Errors
/// The host's.
pub fn file_metadata(file: &HostFile) -> Result<Metadata, Errno> {
    let (device, inode) = file.inode();
    let device = (rustix::fs::major(device), rustix::fs::minor(device));
    Ok(Metadata { device, inode, ..host_metadata(file.to_look())? })
}

/// The host's own name of an open file, for calls that take no descriptor opened with O_PATH.
pub(crate) fn magic_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// The target of the symlink behind an O_PATH handle; `None` for anything else.
///
/// # Errors
/// The host's.
pub fn read_link(fd: impl AsFd) -> Result<Option<Vec<u8>>, Errno> {
    match rustix::fs::readlinkat(fd, "", Vec::new()) {
        Ok(target) => Ok(Some(target.into_bytes())),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(errno(error)),
    }
}

/// The path of an open file as the host has it now, if the host tells.
pub(crate) fn host_path(fd: impl AsFd) -> Option<Vec<u8>> {
    rustix::fs::readlink(magic_path(fd.as_fd()), Vec::new()).map(CString::into_bytes).ok()
}

/// The metadata of every made-up file at `path`, which has its mode besides.
pub(crate) fn made_up(path: &[u8]) -> Metadata {
    Metadata { device: (0, 21), inode: made_up_inode(path), links: 1, block_size: 1024, ..Metadata::default() }
}

/// An inode number for a made-up path, the same each time: FNV-1a, small enough for 32-bit programs.
pub(crate) fn made_up_inode(path: &[u8]) -> u64 {
    let plain = guest_path::plain(path);
    let hash = plain.iter().fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u64::from(hash | 1)
}
