//! Guest memory in plain Rust, for tests without a platform: of this crate, the loader and the emulated kernel.
//!
//! It is as strict as a host: it refuses to protect holes or to move what is not one mapping (what has been moved
//! never joins its neighbours), and it can be told to refuse any call.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Error;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use warmfork_abi::{PAGE, USER_END, page_down};

use crate::areas::{Area, Backing};
use crate::host::{GuestMemory, MapError, Source};
use crate::host_file::HostFile;
use crate::span::{Protection, Span};
use crate::tree::AreaTree;

const PAGE_BYTES: usize = 4096;

/// Guest memory in plain Rust.
#[derive(Default, Debug)]
pub struct FakeMemory {
    areas: AreaTree,
    pages: RefCell<BTreeMap<u64, Box<[u8; PAGE_BYTES]>>>,
    files: Vec<Arc<HostFile>>,
    seams: BTreeSet<u64>,
    calls: usize,
    refuse_at: Option<usize>,
}

impl FakeMemory {
    /// Memory with nothing mapped.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The mappings. Files bear no path, and nothing bears a label.
    #[must_use]
    pub fn areas(&self) -> &AreaTree {
        &self.areas
    }

    /// How many mapping calls have been made.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Refuses one mapping call with ENOMEM, after `successes` more.
    pub fn refuse_after(&mut self, successes: usize) {
        self.refuse_at = Some(self.calls + successes);
    }

    /// The privately written pages, neighbours joined.
    #[must_use]
    pub fn touched(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for &page in self.pages.borrow().keys() {
            match spans.last_mut() {
                Some(last) if last.end == page => last.end += PAGE,
                _ => spans.push(Span { start: page, end: page + PAGE }),
            }
        }
        spans
    }

    /// Reads regardless of the protection.
    ///
    /// # Errors
    /// EFAULT where nothing is mapped or a file has ended.
    pub fn read_anyway(&self, span: Span, into: &mut [u8]) -> std::io::Result<()> {
        let copied = self.copy_out(span.start, into, |_| true);
        if copied == into.len() { Ok(()) } else { Err(Error::from_raw_os_error(libc::EFAULT)) }
    }

    /// Writes one page privately, regardless of the protection, as a platform restores pages.
    pub fn restore(&mut self, page: u64, bytes: &[u8; PAGE_BYTES]) {
        self.pages.borrow_mut().insert(page, Box::new(*bytes));
    }

    fn begin(&mut self, operation: &'static str, span: Span) -> Result<(), MapError> {
        let sound = span.start < span.end
            && span.end <= USER_END
            && span.start.is_multiple_of(PAGE)
            && span.end.is_multiple_of(PAGE);
        assert!(sound, "{operation} of {span:?}");
        let call = self.calls;
        self.calls += 1;
        if self.refuse_at == Some(call) {
            self.refuse_at = None;
            return Err(failure(operation, span, libc::ENOMEM));
        }
        Ok(())
    }

    /// Forgets the pages of `span`, and that anything within it is apart.
    fn forget(&mut self, span: Span) {
        self.seams.retain(|&seam| seam <= span.start || seam >= span.end);
        self.pages.borrow_mut().retain(|&page, _| !span.contains(page));
    }

    fn file(&mut self, fd: BorrowedFd<'_>) -> std::io::Result<Arc<HostFile>> {
        let flags = rustix::fs::fcntl_getfl(fd)?.bits();
        let file = HostFile::opened(fd.try_clone_to_owned()?, b"", flags)?;
        let same = |other: &&Arc<HostFile>| other.inode() == file.inode() && other.writable() == file.writable();
        if let Some(known) = self.files.iter().find(same) {
            return Ok(Arc::clone(known));
        }
        self.files.push(Arc::clone(&file));
        Ok(file)
    }

    fn copy_out(&self, address: u64, into: &mut [u8], allowed: impl Fn(&Area) -> bool) -> usize {
        let mut done = 0;
        while done < into.len() {
            let Some((page, within, length)) = chunk(address, done, into.len()) else { break };
            let Some(area) = self.areas.find(page).filter(|area| allowed(area)) else { break };
            let Some(bytes) = self.page(area, page) else { break };
            into[done..done + length].copy_from_slice(&bytes[within..within + length]);
            done += length;
        }
        done
    }

    /// Stores a page of which the bytes from `within` on are new: privately, or in the file.
    fn store(&self, area: &Area, page: u64, within: usize, bytes: &[u8; PAGE_BYTES]) -> bool {
        let (Backing::File { file, offset }, true) = (area.backing.advanced(page - area.span.start), area.shared)
        else {
            self.pages.borrow_mut().insert(page, Box::new(*bytes));
            return true;
        };
        let Ok(stat) = rustix::fs::fstat(&file) else { return false };
        let left = u64::try_from(stat.st_size).unwrap_or(0).saturating_sub(offset);
        let end = usize::try_from(left).unwrap_or(PAGE_BYTES).min(PAGE_BYTES);
        // What is stored behind the end of a file's last page is lost, as on Linux.
        within >= end || rustix::io::pwrite(&file, &bytes[within..end], offset + within as u64).is_ok()
    }

    /// The bytes of a mapped page; `None` behind the end of its file.
    fn page(&self, area: &Area, page: u64) -> Option<[u8; PAGE_BYTES]> {
        if let Some(bytes) = self.pages.borrow().get(&page) {
            return Some(**bytes);
        }
        let mut bytes = [0; PAGE_BYTES];
        if let Backing::File { file, offset } = &area.backing {
            let got = rustix::io::pread(file, &mut bytes, offset + (page - area.span.start)).ok()?;
            if got == 0 {
                return None;
            }
        }
        Some(bytes)
    }
}

/// The page, the offset in it and how many bytes of it, for what comes `done` bytes behind `address`.
fn chunk(address: u64, done: usize, total: usize) -> Option<(u64, usize, usize)> {
    let at = address.checked_add(done as u64).filter(|&at| at < USER_END)?;
    let within = usize::try_from(at % PAGE).ok()?;
    Some((page_down(at), within, (PAGE_BYTES - within).min(total - done)))
}

fn failure(operation: &'static str, span: Span, errno: i32) -> MapError {
    MapError { operation, span, source: Error::from_raw_os_error(errno) }
}

impl GuestMemory for FakeMemory {
    fn read_some(&self, address: u64, into: &mut [u8]) -> usize {
        self.copy_out(address, into, |area| !area.protection.is_empty())
    }

    fn write_some(&self, address: u64, from: &[u8]) -> usize {
        let mut done = 0;
        while done < from.len() {
            let Some((page, within, length)) = chunk(address, done, from.len()) else { break };
            let writable = |area: &&Area| area.protection.contains(Protection::WRITE);
            let Some(area) = self.areas.find(page).filter(writable) else { break };
            let Some(mut bytes) = self.page(area, page) else { break };
            bytes[within..within + length].copy_from_slice(&from[done..done + length]);
            if !self.store(area, page, within, &bytes) {
                break;
            }
            done += length;
        }
        done
    }

    fn map(&mut self, span: Span, protection: Protection, source: Source<'_>) -> Result<(), MapError> {
        self.begin("map", span)?;
        let (backing, shared) = match source {
            Source::Anonymous => (Backing::Anonymous, false),
            Source::File { fd, offset, shared } => {
                let file = self.file(fd.as_fd()).map_err(|source| MapError { operation: "map", span, source })?;
                (Backing::File { file, offset }, shared)
            }
        };
        self.forget(span);
        self.areas.insert(Area {
            span,
            protection,
            shared,
            backing,
            wipe_on_fork: false,
            unreserved: false,
            label: None,
        });
        Ok(())
    }

    fn unmap(&mut self, span: Span) -> Result<(), MapError> {
        self.begin("unmap", span)?;
        self.forget(span);
        self.areas.remove(span);
        Ok(())
    }

    fn protect(&mut self, span: Span, protection: Protection) -> Result<(), MapError> {
        self.begin("protect", span)?;
        if !self.areas.is_fully_mapped(span) {
            return Err(failure("protect", span, libc::ENOMEM));
        }
        self.areas.protect(span, protection);
        Ok(())
    }

    fn relocate(&mut self, from: Span, to: Span) -> Result<(), MapError> {
        self.begin("relocate", from)?;
        let apart = self.seams.range(from.start + 1..from.end).next().is_some();
        let whole = |area: &&Area| from.end <= area.span.end && !apart;
        let Some(mut area) = self.areas.find(from.start).filter(whole).and_then(|area| area.clipped(from)) else {
            return Err(failure("relocate", from, libc::EFAULT));
        };
        if from.intersection(to).is_some() || to.len() < from.len() {
            return Err(failure("relocate", from, libc::EINVAL));
        }
        self.forget(to);
        let moved = |page| if from.contains(page) { to.start + (page - from.start) } else { page };
        let pages = self.pages.take();
        self.pages = RefCell::new(pages.into_iter().map(|(page, bytes)| (moved(page), bytes)).collect());
        self.areas.remove(from);
        self.seams.extend([to.start, to.end]);
        area.span = to;
        self.areas.insert(area);
        Ok(())
    }

    fn discard(&mut self, span: Span) -> Result<(), MapError> {
        self.begin("discard", span)?;
        if !self.areas.is_fully_mapped(span) {
            return Err(failure("discard", span, libc::ENOMEM));
        }
        self.pages.borrow_mut().retain(|&page, _| !span.contains(page));
        Ok(())
    }

    fn resident(&self, span: Span, pages: &mut [u8]) {
        let touched = self.pages.borrow();
        for (page, byte) in (span.start..span.end).step_by(PAGE_BYTES).zip(pages) {
            *byte = u8::from(touched.contains_key(&page));
        }
    }
}
