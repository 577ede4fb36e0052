//! Which pages a guest has privately written: PAGEMAP_SCAN, or /proc/PID/pagemap on kernels before 6.7. That has a word for
//! every page of the address space, mapped or not, so there smaps says first where private pages are at all.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use warmfork_abi::PAGE;
use warmfork_memory::Span;

use crate::PlatformError;

/// Looks at the page tables of one process.
pub struct Pagemap {
    pid: libc::pid_t,
    file: File,
    scan: bool,
    regions: Vec<Region>,
}

/// `struct page_region` (linux/fs.h).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` (linux/fs.h).
#[repr(C)]
#[derive(Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vector: u64,
    vector_length: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

const IS_FILE: u64 = 1 << 2;
const IS_PRESENT: u64 = 1 << 3;
const IS_SWAPPED: u64 = 1 << 4;
const IS_ZERO_PAGE: u64 = 1 << 5;
/// Bytes of a span whose words are read without asking first.
const LARGE: u64 = 64 << 20;
/// `_IOWR('f', 16, struct pm_scan_arg)`
const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610;

impl Pagemap {
    pub fn open(pid: libc::pid_t) -> Result<Self, PlatformError> {
        let file = File::open(format!("/proc/{pid}/pagemap"))
            .map_err(|source| PlatformError::Host { operation: "opening a guest's pagemap", source })?;
        Ok(Self { pid, file, scan: true, regions: vec![Region::default(); 512] })
    }

    /// Appends the privately written pages of `span` to `touched`, in address order.
    pub fn touched(&mut self, span: Span, touched: &mut Vec<Span>) -> Result<(), PlatformError> {
        if self.scan {
            match self.scan(span, touched) {
                Err(PlatformError::Host { source, .. }) if source.raw_os_error() == Some(libc::ENOTTY) => {
                    self.scan = false;
                }
                done => return done,
            }
        }
        self.read(span, touched)
            .map_err(|source| PlatformError::Host { operation: "reading a guest's pagemap", source })
    }

    /// Says for each page of `span` whether it is in memory (1) or not (0).
    pub fn present(&self, span: Span, pages: &mut [u8]) -> io::Result<()> {
        let mut words = [0_u8; 8 * 512];
        for (index, pages) in (0..).zip(pages.chunks_mut(512)) {
            let words = &mut words[..pages.len() * 8];
            self.file.read_exact_at(words, (span.start / PAGE + index * 512) * 8)?;
            for (word, page) in words.as_chunks::<8>().0.iter().zip(pages) {
                // Bit 63 present, 62 swapped.
                *page = u8::from(u64::from_le_bytes(*word) >> 62 != 0);
            }
        }
        Ok(())
    }

    fn scan(&mut self, span: Span, touched: &mut Vec<Span>) -> Result<(), PlatformError> {
        let mut start = span.start;
        while start < span.end {
            let mut argument = ScanArgument {
                size: size_of::<ScanArgument>() as u64,
                start,
                end: span.end,
                vector: self.regions.as_mut_ptr().addr() as u64,
                vector_length: self.regions.len() as u64,
                // Private pages: there, but neither the file's own nor the shared page of zeroes.
                category_inverted: IS_FILE | IS_ZERO_PAGE,
                category_mask: IS_FILE | IS_ZERO_PAGE,
                category_anyof_mask: IS_PRESENT | IS_SWAPPED,
                ..ScanArgument::default()
            };
            // SAFETY: the argument and the vector that it points to live over the call and have the sizes given.
            let found = unsafe { libc::ioctl(self.file.as_raw_fd(), PAGEMAP_SCAN, &raw mut argument) };
            let Ok(found) = usize::try_from(found) else {
                return Err(PlatformError::Host { operation: "PAGEMAP_SCAN", source: io::Error::last_os_error() });
            };
            for region in &self.regions[..found.min(self.regions.len())] {
                push(touched, Span { start: region.start, end: region.end });
            }
            if argument.walk_end <= start {
                break;
            }
            start = argument.walk_end;
        }
        Ok(())
    }

    fn read(&self, span: Span, touched: &mut Vec<Span>) -> io::Result<()> {
        if span.len() <= LARGE {
            return self.read_all(span, touched);
        }
        for mapping in with_private_pages(&std::fs::read_to_string(format!("/proc/{}/smaps", self.pid))?) {
            if let Some(part) = mapping.intersection(span) {
                self.read_all(part, touched)?;
            }
        }
        Ok(())
    }

    fn read_all(&self, span: Span, touched: &mut Vec<Span>) -> io::Result<()> {
        let mut words = [0_u8; 8 * 512];
        let mut page = span.start / PAGE;
        while page < span.end / PAGE {
            let count = usize::try_from(span.end / PAGE - page).unwrap_or(512).min(512);
            self.file.read_exact_at(&mut words[..count * 8], page * 8)?;
            for word in words[..count * 8].as_chunks::<8>().0 {
                let word = u64::from_le_bytes(*word);
                // Bit 63 present, 62 swapped, 61 a file's page. The page of zeroes can't be told apart: it counts.
                if word >> 62 != 0 && word >> 61 & 1 == 0 {
                    push(touched, Span { start: page * PAGE, end: (page + 1) * PAGE });
                }
                page += 1;
            }
        }
        Ok(())
    }
}

/// The mappings of /proc/PID/smaps that have private pages.
fn with_private_pages(smaps: &str) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    let mut mapping = None;
    for line in smaps.lines() {
        let Some((name, rest)) = line.split_once(' ') else { continue };
        if let Some((start, end)) = name.split_once('-') {
            let address = |text| u64::from_str_radix(text, 16).ok();
            mapping = address(start).zip(address(end)).map(|(start, end)| Span { start, end });
        } else if matches!(name, "Anonymous:" | "Swap:") && rest.trim() != "0 kB" {
            found.extend(mapping.take());
        }
    }
    found
}

/// Appends `span`, joined to the last one when they touch.
pub fn push(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if last.end == span.start => last.end = span.end,
        _ => spans.push(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_without_the_scan_find_the_same_pages_anywhere() {
        let bytes = 1_usize << 36;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the host's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        // SAFETY: the mapping above, which nothing else knows. Its pages are to stay small.
        unsafe { libc::madvise(start, bytes, libc::MADV_NOHUGEPAGE) };
        let start = start.addr() as u64;
        let pages: Vec<Span> = [0, 5, 6, 1 << 20, (1 << 24) - 1]
            .map(|page| Span { start: start + page * PAGE, end: start + (page + 1) * PAGE })
            .to_vec();
        for page in &pages {
            let at = usize::try_from(page.start).unwrap();
            // SAFETY: within the mapping.
            unsafe { std::ptr::with_exposed_provenance_mut::<u8>(at).write_volatile(1) };
        }
        let mut joined = Vec::new();
        pages.iter().for_each(|&page| push(&mut joined, page));
        let mut pagemap = Pagemap::open(std::process::id().cast_signed()).unwrap();
        pagemap.scan = false;
        let mut everything = Vec::new();
        pagemap.touched(Span { start: PAGE, end: warmfork_abi::USER_END }, &mut everything).unwrap();
        let whole = Span { start, end: start + bytes as u64 };
        let found: Vec<Span> = everything.iter().filter_map(|span| span.intersection(whole)).collect();
        assert_eq!(found, joined);
        // SAFETY: the mapping above.
        unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(usize::try_from(start).unwrap()), bytes) };
    }

    #[test]
    fn mappings_without_private_pages_are_left_out() {
        let smaps = "10000-20000 rw-p 00000000 00:00 0 \nAnonymous:             0 kB\nSwap:                  0 kB\n\
                     20000-30000 rw-p 00000000 00:00 0 \nAnonymous:             4 kB\nSwap:                  8 kB\n\
                     30000-40000 r--p 00000000 00:00 0 \nAnonymous:             0 kB\nSwap:                  4 kB\n";
        let span = |start, end| Span { start, end };
        assert_eq!(with_private_pages(smaps), [span(0x20000, 0x30000), span(0x30000, 0x40000)]);
    }
}
