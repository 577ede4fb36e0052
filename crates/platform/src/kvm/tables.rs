//! The guest's page tables: derived from its areas, filled as it touches memory, never the truth.
//!
//! Only the last level ever changes back: a page table belongs to its 2 MiB of guest addresses until [`Tables::rebuild`].
//! KVM may shadow these tables, or the CPU hold entries of them, and neither sees this process's writes there.
//! Entries of the last level are safe to take away, because the host mapping behind them changes with them, and KVM
//! drops its entries of that page: see memory.rs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::MemfdFlags;
use warmfork_abi::PAGE;
use warmfork_memory::{Protection, Span};

use super::arena::WINDOW;
use super::layout;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// The flags of every level above the last.
const DIRECTORY: u64 = PRESENT | WRITABLE | USER | ACCESSED;

/// Address space of the kernel pages: as many page tables as the largest arena can need, and more.
const SIZE: u64 = 256 << 20;

/// The kernel pages' memory in this process.
pub struct KernelMemory {
    base: usize,
}

impl KernelMemory {
    /// The kernel pages as `template` has them, and zeroes behind those.
    fn like(template: &Template) -> io::Result<Self> {
        let memory = Self::new()?;
        let bytes = usize::try_from(template.next).unwrap_or(usize::MAX);
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
        let (protection, file) = (libc::PROT_READ | libc::PROT_WRITE, template.file.as_raw_fd());
        let start = std::ptr::with_exposed_provenance_mut(memory.base);
        // SAFETY: replaces the beginning of the mapping just made, to which nothing refers.
        let mapped = unsafe { libc::mmap(start, bytes, protection, flags, file, 0) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(memory) }
    }

    /// Zeroes.
    pub fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let bytes = usize::try_from(SIZE).unwrap_or(usize::MAX);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping wherever the host likes.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping just made. Most of it is never touched: huge pages would make it dear.
        unsafe { libc::madvise(base, bytes, libc::MADV_NOHUGEPAGE) };
        Ok(Self { base: base.expose_provenance() })
    }

    /// Address in this process.
    pub fn host(&self) -> usize {
        self.base
    }

    fn word(&self, physical: u64) -> *mut u64 {
        assert!(physical.is_multiple_of(8) && physical < SIZE, "within the kernel pages");
        std::ptr::with_exposed_provenance_mut(self.base + usize::try_from(physical).unwrap_or(0))
    }

    /// The word at guest-physical address `physical`.
    pub fn get(&self, physical: u64) -> u64 {
        // SAFETY: within the mapping and aligned; the guest, which may write there too, does not run now.
        unsafe { self.word(physical).read_volatile() }
    }

    /// Sets the word at guest-physical address `physical`.
    pub fn set(&self, physical: u64, value: u64) {
        // SAFETY: as in `get`.
        unsafe { self.word(physical).write_volatile(value) };
    }

    /// Copies `bytes`, a whole number of words, to guest-physical address `physical`.
    pub fn copy(&self, physical: u64, bytes: &[u8]) {
        for (at, word) in (physical..).step_by(8).zip(bytes.as_chunks::<8>().0) {
            self.set(at, u64::from_le_bytes(*word));
        }
    }

    /// Puts the pages from guest-physical address `physical` to `end` back to their first content.
    fn discard(&self, physical: u64, end: u64) {
        let start = self.word(physical);
        let bytes = usize::try_from(end - physical).unwrap_or(0);
        // SAFETY: a part of our own private mapping, to which no references exist.
        unsafe { libc::madvise(start.cast(), bytes, libc::MADV_DONTNEED) };
    }
}

impl Drop for KernelMemory {
    fn drop(&mut self) {
        let bytes = usize::try_from(SIZE).unwrap_or(0);
        // SAFETY: our own mapping; the guest that used it is gone.
        unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(self.base), bytes) };
    }
}

/// The kernel pages of a machine that has not run, which all begin with and few of which are written to.
pub struct Template {
    file: OwnedFd,
    last: BTreeMap<u64, u64>,
    next: u64,
}

impl Template {
    /// The template of machines whose constant pages `fill` writes.
    pub fn new(fill: impl FnOnce(&KernelMemory)) -> io::Result<Self> {
        let mut tables =
            Tables { template: None, memory: KernelMemory::new()?, last: BTreeMap::new(), next: layout::FREE };
        fill(&tables.memory);
        tables.map_kernel()?;
        let file = File::from(rustix::fs::memfd_create("warmfork-kvm", MemfdFlags::CLOEXEC)?);
        for word in (0..tables.next).step_by(8) {
            // Holes cost nothing.
            match tables.memory.get(word) {
                0 => {}
                value => file.write_all_at(&value.to_le_bytes(), word)?,
            }
        }
        file.set_len(tables.next)?;
        Ok(Self { file: file.into(), last: std::mem::take(&mut tables.last), next: tables.next })
    }
}

/// One guest's page tables.
pub struct Tables {
    /// Their first content; nothing for those that become a template.
    template: Option<&'static Template>,
    memory: KernelMemory,
    /// The page table of each granule, by its guest-physical address.
    last: BTreeMap<u64, u64>,
    /// Next free page.
    next: u64,
}

impl Tables {
    /// Tables with nothing but the kernel pages in them.
    pub fn new(template: &'static Template) -> io::Result<Self> {
        let memory = KernelMemory::like(template)?;
        Ok(Self { template: Some(template), memory, last: template.last.clone(), next: template.next })
    }

    /// The kernel pages.
    pub fn memory(&self) -> &KernelMemory {
        &self.memory
    }

    /// Guest-physical bytes in use.
    pub fn used(&self) -> u64 {
        self.next
    }

    /// Whether the granule around `address` has a page table.
    pub fn has(&self, address: u64) -> bool {
        self.last.contains_key(&(address / WINDOW))
    }

    /// Page tables of the last level.
    pub fn count(&self) -> usize {
        self.last.len()
    }

    fn map_kernel(&mut self) -> io::Result<()> {
        for page in (layout::DESCRIPTORS..=layout::DATA).step_by(4096) {
            let entry = self.entry(page)?;
            self.memory.set(entry, page | PRESENT | WRITABLE | ACCESSED | DIRTY);
        }
        let entry = self.entry(layout::DOORBELL)?;
        self.memory.set(entry, layout::DOORBELL_PAGE | PRESENT | USER | ACCESSED | DIRTY);
        for page in (0..layout::FREE - layout::RESUME_PAGES).step_by(4096) {
            let entry = self.entry(layout::RESUME_DATA + page)?;
            let flags = PRESENT | USER | ACCESSED | DIRTY | NO_EXECUTE;
            self.memory.set(entry, (layout::RESUME_PAGES + page) | flags);
        }
        Ok(())
    }

    fn page(&mut self) -> io::Result<u64> {
        let page = self.next;
        if page + PAGE > SIZE {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        self.next += PAGE;
        Ok(page)
    }

    /// The page table of the granule around `address`.
    fn table(&mut self, address: u64) -> io::Result<u64> {
        if let Some(&table) = self.last.get(&(address / WINDOW)) {
            return Ok(table);
        }
        let mut table = layout::TOP_TABLE;
        for shift in [39, 30, 21] {
            let entry = table + (address >> shift & 511) * 8;
            table = match self.memory.get(entry) {
                0 => {
                    let page = self.page()?;
                    self.memory.set(entry, page | DIRECTORY);
                    page
                }
                present => present & ADDRESS,
            };
        }
        self.last.insert(address / WINDOW, table);
        Ok(table)
    }

    fn entry(&mut self, address: u64) -> io::Result<u64> {
        Ok(self.table(address)? + (address / PAGE % 512) * 8)
    }

    /// Makes entries for the pages of `span`, within one granule, at guest-physical addresses from `physical` on.
    pub fn fill(&mut self, span: Span, physical: u64, protection: Protection) -> io::Result<()> {
        let mut flags = PRESENT | USER | ACCESSED | DIRTY;
        if protection.contains(Protection::WRITE) {
            flags |= WRITABLE;
        }
        if !protection.contains(Protection::EXEC) {
            flags |= NO_EXECUTE;
        }
        let first = self.entry(span.start)?;
        for page in 0..span.len() / PAGE {
            self.memory.set(first + page * 8, (physical + page * PAGE) | flags);
        }
        Ok(())
    }

    /// Removes the entries of `span`; whether there were any.
    pub fn clear(&mut self, span: Span) -> bool {
        let mut found = 0;
        for (&granule, &table) in self.last.range(span.start / WINDOW..span.end.div_ceil(WINDOW)) {
            let whole = Span { start: granule * WINDOW, end: (granule + 1) * WINDOW };
            let Some(part) = whole.intersection(span) else { continue };
            let first = table + (part.start / PAGE % 512) * 8;
            for entry in (first..).step_by(8).take(usize::try_from(part.len() / PAGE).unwrap_or(0)) {
                found |= self.memory.get(entry);
                self.memory.set(entry, 0);
            }
        }
        found != 0
    }

    /// Empties all tables. The caller makes KVM forget them.
    pub fn rebuild(&mut self) {
        let Some(template) = self.template else { return };
        self.memory.discard(layout::TOP_TABLE, layout::TOP_TABLE + PAGE);
        self.memory.discard(layout::FREE, SIZE);
        self.last.clone_from(&template.last);
        self.next = template.next;
    }
}
