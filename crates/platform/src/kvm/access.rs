//! Copies between warmfork and the guest's memory, which is this process's.
//!
//! ```text
//!   private memory that cannot end (zeroes, sealed files)    plain copies: its area has the permissions
//!   mapped files, which any process may shorten meanwhile    process_vm_readv and its like: they fail where a plain
//!                                                            copy would raise a signal
//!   regardless of the protection                             /proc/self/mem
//! ```
//!
//! A plain copy must find its page: at all times the host grants at least the permissions of the area.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use warmfork_abi::PAGE;
use warmfork_memory::{Protection, Span};

use super::areas::{Area, Kind};
use super::memory::Memory;

/// A part of guest memory that is contiguous in this process, with the same rights all over.
struct Part {
    /// Address in this process.
    host: usize,
    bytes: usize,
    /// Whether it is there for certain.
    lasts: bool,
}

impl Memory {
    /// Fills `into` from `address` on. How many bytes the guest itself could have read, before the first that it could not.
    pub fn read_some(&mut self, address: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(part) = self.part(address, done, into.len(), false) {
            let target = &mut into[done..done + part.bytes];
            let copied = if part.lasts {
                let source: *const u8 = std::ptr::with_exposed_provenance(part.host);
                // SAFETY: the part is mapped and readable, private, and backed by memory that does not go away; the guest
                // does not run now, and `target` is none of its memory.
                unsafe { source.copy_to_nonoverlapping(target.as_mut_ptr(), part.bytes) };
                part.bytes
            } else {
                let local = libc::iovec { iov_base: target.as_mut_ptr().cast(), iov_len: part.bytes };
                let remote = part.remote();
                // SAFETY: the local vector is `target`, writable; the remote one is only an address.
                let got = unsafe { libc::process_vm_readv(self.pid, &raw const local, 1, &raw const remote, 1, 0) };
                usize::try_from(got).unwrap_or(0)
            };
            done += copied;
            if copied < part.bytes {
                break;
            }
        }
        done
    }

    /// Writes `from` to `address` and on. How many bytes the guest itself could have written, before the first that it could
    /// not.
    pub fn write_some(&mut self, address: u64, from: &[u8]) -> usize {
        let mut done = 0;
        while let Some(part) = self.part(address, done, from.len(), true) {
            let source = &from[done..done + part.bytes];
            let copied = if part.lasts {
                let target: *mut u8 = std::ptr::with_exposed_provenance_mut(part.host);
                // SAFETY: as in `read_some`, and writable.
                unsafe { target.copy_from_nonoverlapping(source.as_ptr(), part.bytes) };
                part.bytes
            } else {
                let local = libc::iovec { iov_base: source.as_ptr().cast_mut().cast(), iov_len: part.bytes };
                let remote = part.remote();
                // SAFETY: the local vector is `source` and only read; the remote one is only an address.
                let put = unsafe { libc::process_vm_writev(self.pid, &raw const local, 1, &raw const remote, 1, 0) };
                usize::try_from(put).unwrap_or(0)
            };
            done += copied;
            if copied < part.bytes {
                break;
            }
        }
        done
    }

    /// The part that can be copied at once of the bytes from `address + done` to `address + length`.
    fn part(&mut self, address: u64, done: usize, length: usize, write: bool) -> Option<Part> {
        let left = length.checked_sub(done).filter(|&left| left > 0)?;
        let at = address.checked_add(done as u64)?;
        let mut area = self.accessible(at, write)?;
        if area.kind == Kind::Untouched {
            self.back(Span::new(at / PAGE * PAGE, PAGE)?).ok()?;
            area = self.accessible(at, write).filter(|area| area.kind != Kind::Untouched)?;
        }
        let (host, whole) = self.arena.from(at)?;
        let bytes = usize::try_from((area.span.end - at).min(whole)).unwrap_or(0).min(left);
        Some(Part { host, bytes, lasts: !area.kind.may_end() })
    }

    fn accessible(&self, address: u64, write: bool) -> Option<Area> {
        let allowed =
            |protection: Protection| !protection.is_empty() && (!write || protection.contains(Protection::WRITE));
        self.areas.find(address).filter(|area| allowed(area.protection))
    }

    /// Reads regardless of the guest's protection.
    pub fn read_any(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
        let missing = || io::Error::from_raw_os_error(libc::EIO);
        let span = Span::new(address, into.len() as u64).ok_or_else(missing)?;
        let mut at = span.start;
        for area in self.areas.within(span) {
            if area.span.start != at {
                return Err(missing());
            }
            let first = usize::try_from(at - address).unwrap_or(0);
            let part = &mut into[first..][..usize::try_from(area.span.len()).unwrap_or(0)];
            if area.kind == Kind::Untouched {
                part.fill(0);
            } else {
                self.read_pieces(area, part)?;
            }
            at = area.span.end;
        }
        if at == span.end { Ok(()) } else { Err(missing()) }
    }

    fn read_pieces(&self, area: Area, into: &mut [u8]) -> io::Result<()> {
        for piece in self.arena.pieces(area.span) {
            let first = usize::try_from(piece.span.start - area.span.start).unwrap_or(0);
            let part = &mut into[first..][..usize::try_from(piece.span.len()).unwrap_or(0)];
            let host = self.arena.host(piece.offset);
            if area.kind.may_end() || area.protection.is_empty() {
                own_memory()?.read_exact_at(part, host as u64)?;
                continue;
            }
            let source: *const u8 = std::ptr::with_exposed_provenance(host);
            // SAFETY: as in `read_some`; `part` is as long as the piece.
            unsafe { source.copy_to_nonoverlapping(part.as_mut_ptr(), part.len()) };
        }
        Ok(())
    }

    /// Writes regardless of the guest's protection.
    pub fn write_any(&mut self, address: u64, from: &[u8]) -> io::Result<()> {
        let span = Span::new(address, from.len() as u64).ok_or_else(|| io::Error::from_raw_os_error(libc::EIO))?;
        self.back(span)?;
        let mut at = span.start;
        for piece in self.arena.pieces(span) {
            let first = usize::try_from(piece.span.start - span.start).unwrap_or(0);
            let part = &from[first..][..usize::try_from(piece.span.len()).unwrap_or(0)];
            own_memory()?.write_all_at(part, self.arena.host(piece.offset) as u64)?;
            at = piece.span.end;
        }
        if at == span.end { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EIO)) }
    }
}

impl Part {
    /// As the host checks it.
    fn remote(&self) -> libc::iovec {
        libc::iovec { iov_base: std::ptr::without_provenance_mut(self.host), iov_len: self.bytes }
    }
}

/// This process's memory as a file, through which read-only pages can be written.
fn own_memory() -> io::Result<&'static File> {
    static MEMORY: OnceLock<File> = OnceLock::new();
    if let Some(file) = MEMORY.get() {
        return Ok(file);
    }
    let file = File::options().read(true).write(true).open("/proc/self/mem")?;
    Ok(MEMORY.get_or_init(|| file))
}
