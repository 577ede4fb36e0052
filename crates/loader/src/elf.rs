//! ELF files: the mappings that a program file asks for, checked. [`crate::segments`] makes them.
//!
//! Nothing in the file is trusted: every offset, size and count is bounded here, once, so that what follows computes
//! with an [`Image`] without a further check. Only the ELF header, the program headers and the name of the program
//! interpreter are read; sections, notes and symbols are none of the kernel's business.

use goblin::container::Endian;
use goblin::elf64::header::{ELFCLASS64, ELFDATA2LSB, ELFMAG, ET_DYN, ET_EXEC, EV_CURRENT, Header};
use goblin::elf64::program_header::{PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD, ProgramHeader};
use warmfork_abi::{Errno, PAGE, USER_END, page_down, page_up};
use warmfork_memory::{Protection, Span};

/// Bytes of an ELF64 header.
pub(crate) const HEADER_SIZE: usize = 64;
/// Bytes of an ELF64 program header, the only size that `e_phentsize` may tell.
pub(crate) const ENTRY_SIZE: u16 = 56;
/// Linux takes 64 KiB of program headers; no linker makes a tenth of this many.
const MAX_ENTRIES: u16 = 128;
/// Longest name of a program interpreter with its NUL (PATH_MAX).
const MAX_INTERPRETER: u64 = 4096;
/// The first address that a program may claim (the usual vm.mmap_min_addr): null pointers shall fault.
const FIXED_START: u64 = 0x1_0000;
/// EM_X86_64
const MACHINE: u16 = 62;

/// Why a file is not a program that runs here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ElfProblem {
    /// Shorter than an ELF header, or its tables or segments lie beyond its end.
    #[error("the file is truncated: {what} ends at {end:#x}, the file at {size:#x}")]
    Truncated {
        /// The part that lies beyond the end.
        what: &'static str,
        /// Where it ends.
        end: u64,
        /// Size of the file.
        size: u64,
    },
    /// The first four bytes are not `\x7fELF`.
    #[error("it is not an ELF file")]
    Magic,
    /// Not a 64-bit file.
    #[error("it is not a 64-bit ELF file (class {0})")]
    Class(u8),
    /// Not little-endian.
    #[error("it is not a little-endian ELF file (data encoding {0})")]
    Endianness(u8),
    /// An ELF version that does not exist.
    #[error("its ELF version is {0}, not 1")]
    Version(u32),
    /// Made for another CPU.
    #[error("it is made for another machine (e_machine {0}), not for x86-64")]
    Machine(u16),
    /// An object file or a core dump, or something unknown.
    #[error("it is neither an executable nor position-independent (e_type {0})")]
    Type(u16),
    /// Program headers of another size than ELF64's.
    #[error("its program headers are {0} bytes long, not 56")]
    EntrySize(u16),
    /// No program header, or too many.
    #[error("it has {0} program headers; 1 to 128 are possible")]
    EntryCount(u16),
    /// No PT_LOAD segment.
    #[error("it has nothing to load")]
    NothingToLoad,
    /// A segment smaller in memory than in the file.
    #[error("the segment at {address:#x} has {file_size:#x} bytes in the file but only {memory_size:#x} in memory")]
    Shrinking {
        /// Address of the segment.
        address: u64,
        /// `p_filesz`
        file_size: u64,
        /// `p_memsz`
        memory_size: u64,
    },
    /// A segment whose address and file offset differ within a page: it cannot be mapped.
    #[error("the segment at {address:#x} is at file offset {offset:#x}: they differ within a page")]
    Unaligned {
        /// Address of the segment.
        address: u64,
        /// `p_offset`
        offset: u64,
    },
    /// A segment outside the addresses that a program may use.
    #[error("the segment at {address:#x} of {memory_size:#x} bytes is outside user space")]
    OutOfRange {
        /// Address of the segment.
        address: u64,
        /// `p_memsz`
        memory_size: u64,
    },
    /// Two segments claim the same bytes.
    #[error("the segments at {first:#x} and {second:#x} overlap")]
    Overlap {
        /// Address of the lower one.
        first: u64,
        /// Address of the higher one.
        second: u64,
    },
    /// The entry point is outside user space.
    #[error("its entry point {0:#x} is outside user space")]
    Entry(u64),
    /// The name of the program interpreter is empty, too long, or has no NUL at its end.
    #[error("the name of its program interpreter is damaged")]
    InterpreterName,
    /// More than one PT_INTERP where one is possible.
    #[error("it names several program interpreters")]
    SeveralInterpreters,
    /// Reading failed.
    #[error("{what} cannot be read: {errno}")]
    Read {
        /// The part that was being read.
        what: &'static str,
        /// The host's error.
        errno: Errno,
    },
}

/// A file that can be read at any place: a host file, or bytes in a test.
pub trait ReadAt {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// Fills as much of `into` as the file has from `offset` on, and says how much that is.
    ///
    /// # Errors
    /// The host's refusal.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno>;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// Where a program may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// ET_EXEC: at its own addresses.
    Fixed,
    /// ET_DYN: anywhere; addresses in the file count from its base.
    Relocatable,
}

/// One PT_LOAD. `address + memory_size` does not wrap and lies in user space; so does its last page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// `p_vaddr`
    pub address: u64,
    /// `p_offset`; equal to `address` within a page when `file_size` is not zero.
    pub offset: u64,
    /// Bytes from the file; they exist.
    pub file_size: u64,
    /// Bytes in memory, at least `file_size` and not zero; the rest is zero.
    pub memory_size: u64,
    /// Its protection.
    pub protection: Protection,
}

impl Segment {
    /// One past the last address of the segment.
    fn end(&self) -> u64 {
        self.address + self.memory_size
    }
}

/// The checked content of an ELF file's headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Where it may lie.
    pub kind: Kind,
    /// Address of its first instruction.
    pub entry: u64,
    /// The segments to map, in the file's order, at least one, without overlap.
    pub segments: Vec<Segment>,
    /// All segments together, in whole pages.
    pub span: Span,
    /// The largest alignment that a segment asks for: a power of two, at least a page.
    pub alignment: u64,
    /// The program interpreter's name, if it has one.
    pub interpreter: Option<Vec<u8>>,
    /// PT_GNU_STACK asks for an executable stack.
    pub executable_stack: bool,
    /// Where the program headers are found in memory; 0 when no segment holds them.
    pub table_address: u64,
    /// How many program headers there are.
    pub table_count: u16,
}

/// Reads and checks the headers of `file`.
///
/// # Errors
/// [`ElfProblem`], the problem of the file.
pub fn parse<F: ReadAt + ?Sized>(file: &F) -> Result<Image, ElfProblem> {
    let header = header(file)?;
    let table = table(file, &header)?;
    let mut image = Image {
        kind: if header.e_type == ET_EXEC { Kind::Fixed } else { Kind::Relocatable },
        entry: header.e_entry,
        segments: Vec::new(),
        span: Span { start: 0, end: 0 },
        alignment: PAGE,
        interpreter: None,
        executable_stack: false,
        table_address: 0,
        table_count: header.e_phnum,
    };
    for entry in &table {
        match entry.p_type {
            PT_LOAD => image.add_segment(entry, header.e_phoff, file.size())?,
            PT_INTERP if image.interpreter.is_some() => return Err(ElfProblem::SeveralInterpreters),
            PT_INTERP => image.interpreter = Some(interpreter_name(file, entry)?),
            PT_GNU_STACK => image.executable_stack = entry.p_flags & PF_X != 0,
            _ => {}
        }
    }
    image.span = span(&image.segments)?;
    if image.entry >= USER_END {
        return Err(ElfProblem::Entry(image.entry));
    }
    Ok(image)
}

impl Image {
    /// Checks one PT_LOAD and takes it up; an empty one asks for nothing.
    fn add_segment(&mut self, entry: &ProgramHeader, table_offset: u64, size: u64) -> Result<(), ElfProblem> {
        let (address, memory_size) = (entry.p_vaddr, entry.p_memsz);
        if memory_size < entry.p_filesz {
            return Err(ElfProblem::Shrinking { address, file_size: entry.p_filesz, memory_size });
        }
        if memory_size == 0 {
            return Ok(());
        }
        let start = if self.kind == Kind::Fixed { FIXED_START } else { 0 };
        if address < start || address.checked_add(memory_size).is_none_or(|end| end > USER_END) {
            return Err(ElfProblem::OutOfRange { address, memory_size });
        }
        if entry.p_filesz > 0 {
            check_in_file("a segment", entry.p_offset, entry.p_filesz, size)?;
            if entry.p_offset % PAGE != address % PAGE {
                return Err(ElfProblem::Unaligned { address, offset: entry.p_offset });
            }
        }
        if entry.p_align.is_power_of_two() {
            self.alignment = self.alignment.max(entry.p_align);
        }
        if (entry.p_offset..entry.p_offset + entry.p_filesz).contains(&table_offset) {
            self.table_address = table_offset - entry.p_offset + address;
        }
        self.segments.push(Segment {
            address,
            offset: entry.p_offset,
            file_size: entry.p_filesz,
            memory_size,
            protection: protection(entry.p_flags),
        });
        Ok(())
    }
}

fn protection(flags: u32) -> Protection {
    let mut protection = Protection::empty();
    protection.set(Protection::READ, flags & PF_R != 0);
    protection.set(Protection::WRITE, flags & PF_W != 0);
    protection.set(Protection::EXEC, flags & PF_X != 0);
    protection
}

fn header<F: ReadAt + ?Sized>(file: &F) -> Result<Header, ElfProblem> {
    let mut bytes = [0; HEADER_SIZE];
    let truncated = ElfProblem::Truncated { what: "the ELF header", end: HEADER_SIZE as u64, size: file.size() };
    let length = file.read_at(0, &mut bytes).map_err(|errno| ElfProblem::Read { what: "the ELF header", errno })?;
    if !bytes[..length].starts_with(ELFMAG) {
        return Err(ElfProblem::Magic);
    }
    if length < HEADER_SIZE {
        return Err(truncated);
    }
    let [_, _, _, _, class, data, ..] = bytes;
    if class != ELFCLASS64 {
        return Err(ElfProblem::Class(class));
    }
    if data != ELFDATA2LSB {
        return Err(ElfProblem::Endianness(data));
    }
    let header = Header::parse(&bytes).map_err(|_| truncated)?;
    if header.e_machine != MACHINE {
        return Err(ElfProblem::Machine(header.e_machine));
    }
    if header.e_version != u32::from(EV_CURRENT) {
        return Err(ElfProblem::Version(header.e_version));
    }
    if header.e_type != ET_EXEC && header.e_type != ET_DYN {
        return Err(ElfProblem::Type(header.e_type));
    }
    if header.e_phentsize != ENTRY_SIZE {
        return Err(ElfProblem::EntrySize(header.e_phentsize));
    }
    if header.e_phnum == 0 || header.e_phnum > MAX_ENTRIES {
        return Err(ElfProblem::EntryCount(header.e_phnum));
    }
    Ok(header)
}

fn table<F: ReadAt + ?Sized>(file: &F, header: &Header) -> Result<Vec<ProgramHeader>, ElfProblem> {
    const WHAT: &str = "the program header table";
    let length = u64::from(header.e_phnum) * u64::from(ENTRY_SIZE);
    let bytes = read_all(file, WHAT, header.e_phoff, length)?;
    ProgramHeader::parse(&bytes, 0, usize::from(header.e_phnum), Endian::Little).map_err(|_| ElfProblem::Truncated {
        what: WHAT,
        end: length,
        size: bytes.len() as u64,
    })
}

fn interpreter_name<F: ReadAt + ?Sized>(file: &F, entry: &ProgramHeader) -> Result<Vec<u8>, ElfProblem> {
    if entry.p_filesz < 2 || entry.p_filesz > MAX_INTERPRETER {
        return Err(ElfProblem::InterpreterName);
    }
    let mut name = read_all(file, "the interpreter's name", entry.p_offset, entry.p_filesz)?;
    if name.last() != Some(&0) {
        return Err(ElfProblem::InterpreterName);
    }
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(length);
    if name.is_empty() { Err(ElfProblem::InterpreterName) } else { Ok(name) }
}

/// All `length` bytes at `offset`; the caller has bounded `length`.
fn read_all<F: ReadAt + ?Sized>(file: &F, what: &'static str, offset: u64, length: u64) -> Result<Vec<u8>, ElfProblem> {
    let (size, end) = (file.size(), offset.saturating_add(length));
    check_in_file(what, offset, length, size)?;
    let truncated = ElfProblem::Truncated { what, end, size };
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| truncated.clone())?];
    let got = file.read_at(offset, &mut bytes).map_err(|errno| ElfProblem::Read { what, errno })?;
    if got == bytes.len() { Ok(bytes) } else { Err(truncated) }
}

fn check_in_file(what: &'static str, offset: u64, length: u64, size: u64) -> Result<(), ElfProblem> {
    match offset.checked_add(length) {
        Some(end) if end <= size => Ok(()),
        end => Err(ElfProblem::Truncated { what, end: end.unwrap_or(u64::MAX), size }),
    }
}

/// The pages of all segments, none of which may share a byte with another. Two may share a page: the later one in the
/// file then has it, as on Linux.
fn span(segments: &[Segment]) -> Result<Span, ElfProblem> {
    let mut sorted: Vec<&Segment> = segments.iter().collect();
    sorted.sort_by_key(|segment| segment.address);
    for pair in sorted.windows(2) {
        if pair[0].end() > pair[1].address {
            return Err(ElfProblem::Overlap { first: pair[0].address, second: pair[1].address });
        }
    }
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return Err(ElfProblem::NothingToLoad) };
    // USER_END is a whole page, so rounding up stays within it.
    let end = page_up(last.end()).unwrap_or(USER_END);
    Ok(Span { start: page_down(first.address), end })
}

#[cfg(test)]
#[path = "elf_tests.rs"]
pub(crate) mod tests;
