//! Guest memory of the process platform: mapping calls through the stub, contents by process_vm_readv/writev.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use warmfork_memory::{GuestMemory, MapError, Protection, Source, Span};

use super::ProcessPlatform;
use super::calls::{CallError, Caller};
use super::host_call::HostCall;
use super::layout::RESERVED;
use super::tracee::Tracee;
use crate::{Mapping, PlatformError, Pristine};

/// Most vectors in one process_vm_writev (IOV_MAX).
const VECTORS: usize = 1024;

/// The mmap call for a mapping; `file` is the source's number in the stub.
fn mmap(span: Span, protection: Protection, source: Source<'_>, file: u64) -> HostCall {
    let fixed = libc::MAP_FIXED | libc::MAP_NORESERVE;
    let (flags, file, offset) = match source {
        Source::Anonymous => (fixed | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, u64::MAX, 0),
        Source::File { offset, shared: false, .. } => (fixed | libc::MAP_PRIVATE, file, offset),
        Source::File { offset, shared: true, .. } => (fixed | libc::MAP_SHARED, file, offset),
    };
    let flags = u64::from(flags.cast_unsigned());
    HostCall::new(libc::SYS_mmap, [span.start, span.len(), u64::from(protection.bits()), flags, file, offset])
}

/// The call that drops the private pages of a span.
pub fn discard(span: Span) -> HostCall {
    let advice = u64::from(libc::MADV_DONTNEED.cast_unsigned());
    HostCall::new(libc::SYS_madvise, [span.start, span.len(), advice, 0, 0, 0])
}

/// The call that takes the faults of writes to a span.
pub fn populate(span: Span) -> HostCall {
    let advice = u64::from(libc::MADV_POPULATE_WRITE.cast_unsigned());
    HostCall::new(libc::SYS_madvise, [span.start, span.len(), advice, 0, 0, 0])
}

impl ProcessPlatform {
    fn checked(
        &mut self,
        operation: &'static str,
        span: Span,
        call: impl FnOnce(&mut Caller, &mut Tracee) -> Result<(), CallError>,
    ) -> Result<(), MapError> {
        let result = if span.intersection(RESERVED).is_some() {
            Err(CallError::Refused(libc::ENOMEM))
        } else {
            call(&mut self.caller, &mut self.tracee)
        };
        result.map_err(|error| MapError { operation, span, source: error.into_io() })
    }

    fn one(&mut self, operation: &'static str, span: Span, call: HostCall) -> Result<(), MapError> {
        self.checked(operation, span, |caller, tracee| caller.call(tracee, call).map(drop))
    }
}

impl GuestMemory for ProcessPlatform {
    fn read_some(&self, address: u64, into: &mut [u8]) -> usize {
        self.read_parts(&[(address, into.len())], into)
    }

    fn write_some(&self, address: u64, from: &[u8]) -> usize {
        self.write_parts(&[(address, from.len())], from)
    }

    fn read_parts(&self, parts: &[(u64, usize)], into: &mut [u8]) -> usize {
        let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
        with_remote(parts, |remote, count| {
            // SAFETY: the local vector is `into`, which is writable over its length; the remote ones are only addresses.
            unsafe { libc::process_vm_readv(self.tracee.pid(), &raw const local, 1, remote, count, 0) }
        })
    }

    fn write_parts(&self, parts: &[(u64, usize)], from: &[u8]) -> usize {
        let local = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
        for &(address, length) in parts {
            self.touched.written([Span { start: address, end: address.saturating_add(length as u64) }]);
        }
        with_remote(parts, |remote, count| {
            // SAFETY: the local vector is `from` and only read; the remote ones are only addresses.
            unsafe { libc::process_vm_writev(self.tracee.pid(), &raw const local, 1, remote, count, 0) }
        })
    }

    fn map(&mut self, span: Span, protection: Protection, source: Source<'_>) -> Result<(), MapError> {
        self.touched.forget();
        self.checked("map", span, |caller, tracee| match source {
            Source::Anonymous => caller.call(tracee, mmap(span, protection, source, 0)).map(drop),
            Source::File { fd, .. } => {
                caller.call_with_file(tracee, fd, |number| mmap(span, protection, source, number))
            }
        })
    }

    fn unmap(&mut self, span: Span) -> Result<(), MapError> {
        self.touched.forget();
        self.one("unmap", span, HostCall::new(libc::SYS_munmap, [span.start, span.len(), 0, 0, 0, 0]))
    }

    fn protect(&mut self, span: Span, protection: Protection) -> Result<(), MapError> {
        let bits = u64::from(protection.bits());
        self.one("protect", span, HostCall::new(libc::SYS_mprotect, [span.start, span.len(), bits, 0, 0, 0]))
    }

    fn relocate(&mut self, from: Span, to: Span) -> Result<(), MapError> {
        if to.intersection(RESERVED).is_some() {
            let source = io::Error::from_raw_os_error(libc::ENOMEM);
            return Err(MapError { operation: "relocate", span: to, source });
        }
        self.touched.forget();
        let flags = u64::from((libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED).cast_unsigned());
        let arguments = [from.start, from.len(), to.len(), flags, to.start, 0];
        self.one("relocate", from, HostCall::new(libc::SYS_mremap, arguments))
    }

    fn discard(&mut self, span: Span) -> Result<(), MapError> {
        self.touched.forget();
        self.one("discard", span, discard(span))
    }

    fn resident(&self, span: Span, pages: &mut [u8]) {
        if let Err(error) = self.touched.pagemap().present(span, pages) {
            log::debug!("reading the stub's pagemap failed: {error}");
            pages.fill(1);
        }
    }
}

/// Makes `mappings` in few stops: each distinct file is sent to the stub once.
pub fn map_all(tracee: &mut Tracee, caller: &mut Caller, mappings: &[Mapping<'_>]) -> Result<(), PlatformError> {
    let mut files: Vec<BorrowedFd<'_>> = Vec::new();
    let mut index = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        index.push(match mapping.source {
            Source::Anonymous => 0,
            Source::File { fd, .. } => {
                let known = files.iter().position(|file| file.as_raw_fd() == fd.as_raw_fd());
                known.unwrap_or_else(|| {
                    files.push(fd);
                    files.len() - 1
                })
            }
        });
    }
    let calls = |numbers: &[u64]| {
        let number = |file: usize| numbers.get(file).copied().unwrap_or(u64::MAX);
        mappings
            .iter()
            .zip(&index)
            .map(|(mapping, &file)| mmap(mapping.span, mapping.protection, mapping.source, number(file)))
            .collect()
    };
    caller.call_with_files(tracee, &files, calls).map_err(|error| error.into_platform("mapping a fork's memory"))
}

/// Writes the pages that the stub could not: those that the guest itself may not write.
pub fn write_refused(
    memory: &File,
    image: &[u8],
    pages: &[(Span, Pristine)],
    refused: &[usize],
) -> Result<(), PlatformError> {
    for &(span, pristine) in refused.iter().filter_map(|&index| pages.get(index)) {
        let length = usize::try_from(span.len()).unwrap_or(0);
        let written = match pristine.bytes(image, length) {
            Some(bytes) => memory.write_all_at(&bytes, span.start),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        written.map_err(|source| PlatformError::Host { operation: "putting pages back", source })?;
    }
    Ok(())
}

/// Writes `pages`, regardless of their protection.
pub fn restore(pid: libc::pid_t, memory: &File, pages: &[(Span, &[u8])]) -> Result<(), PlatformError> {
    let mut rest = pages;
    while !rest.is_empty() {
        let chunk = &rest[..rest.len().min(VECTORS)];
        let local: Vec<_> = chunk
            .iter()
            .map(|(_, bytes)| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
            .collect();
        let remote: Vec<_> = chunk.iter().map(|(span, bytes)| remote(span.start, bytes.len())).collect();
        let count = chunk.len() as libc::c_ulong;
        // SAFETY: the local vectors are the slices in `pages` and only read; the remote ones are only addresses.
        let put = unsafe { libc::process_vm_writev(pid, local.as_ptr(), count, remote.as_ptr(), count, 0) };
        let mut done = usize::try_from(put).unwrap_or(0);
        let mut written = 0;
        for (_, bytes) in chunk {
            if done < bytes.len() {
                break;
            }
            done -= bytes.len();
            written += 1;
        }
        // The next one is not writable for the guest: /proc/PID/mem does not mind.
        if let Some((span, bytes)) = chunk.get(written) {
            memory
                .write_all_at(bytes, span.start)
                .map_err(|source| PlatformError::Host { operation: "restoring pages", source })?;
            written += 1;
        }
        rest = &rest[written..];
    }
    Ok(())
}

/// Has `transfer` copy to or from `parts` of the guest's memory; how many bytes it did.
fn with_remote(
    parts: &[(u64, usize)],
    transfer: impl FnOnce(*const libc::iovec, libc::c_ulong) -> libc::ssize_t,
) -> usize {
    let done = if let &[(address, length)] = parts {
        let one = remote(address, length);
        transfer(&raw const one, 1)
    } else {
        let vectors: Vec<_> = parts.iter().map(|&(address, length)| remote(address, length)).collect();
        transfer(vectors.as_ptr(), vectors.len() as libc::c_ulong)
    };
    usize::try_from(done).unwrap_or(0)
}

fn remote(address: u64, length: usize) -> libc::iovec {
    let address = usize::try_from(address).unwrap_or(usize::MAX);
    libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: length }
}
