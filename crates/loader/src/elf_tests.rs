//! Tests of the checks on ELF headers: hand-made files, each wrong in one way, and randomly damaged ones.

use proptest::prelude::*;

use super::*;

/// A hand-made ELF file: fields in the order of the file format.
#[derive(Clone)]
pub(crate) struct Handmade {
    pub ident: [u8; 16],
    pub kind: u16,
    pub machine: u16,
    pub version: u32,
    pub entry: u64,
    pub table: u64,
    pub entry_size: u16,
    pub count: Option<u16>,
    pub entries: Vec<ProgramHeader>,
    pub length: usize,
}

impl Handmade {
    /// Two segments: a page of text at 0x400000, and data at 0x402010 with a bss of two pages.
    pub(crate) fn new() -> Self {
        let mut ident = [0; 16];
        ident[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        Self {
            ident,
            kind: ET_EXEC,
            machine: MACHINE,
            version: 1,
            entry: 0x40_0100,
            table: 64,
            entry_size: ENTRY_SIZE,
            count: None,
            entries: vec![
                load(PF_R | PF_X, 0, 0x40_0000, 0x1000, 0x1000),
                load(PF_R | PF_W, 0x1010, 0x40_2010, 0x20, 0x2000),
            ],
            length: 0x2000,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let count = self.count.unwrap_or_else(|| u16::try_from(self.entries.len()).expect("few"));
        let mut bytes = self.ident.to_vec();
        bytes.extend(self.kind.to_le_bytes());
        bytes.extend(self.machine.to_le_bytes());
        bytes.extend(self.version.to_le_bytes());
        bytes.extend([self.entry, self.table, 0].map(u64::to_le_bytes).concat());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend([64, self.entry_size, count, 0, 0, 0].map(u16::to_le_bytes).concat());
        bytes.extend(self.entries.iter().flat_map(|entry| {
            let halves = [entry.p_type, entry.p_flags].map(u32::to_le_bytes).concat();
            let words = [entry.p_offset, entry.p_vaddr, entry.p_paddr, entry.p_filesz, entry.p_memsz, entry.p_align];
            [halves, words.map(u64::to_le_bytes).concat()].concat()
        }));
        bytes.resize(self.length, 0);
        bytes
    }

    fn parse(&self) -> Result<Image, ElfProblem> {
        parse(self.bytes().as_slice())
    }

    fn changed(change: impl FnOnce(&mut Self)) -> Result<Image, ElfProblem> {
        let mut file = Self::new();
        change(&mut file);
        file.parse()
    }
}

pub(crate) fn load(flags: u32, offset: u64, address: u64, file_size: u64, memory_size: u64) -> ProgramHeader {
    ProgramHeader {
        p_type: PT_LOAD,
        p_flags: flags,
        p_offset: offset,
        p_vaddr: address,
        p_paddr: 0,
        p_filesz: file_size,
        p_memsz: memory_size,
        p_align: PAGE,
    }
}

pub(crate) fn interpreter(offset: u64, length: u64) -> ProgramHeader {
    ProgramHeader { p_type: PT_INTERP, ..load(PF_R, offset, 0, length, length) }
}

#[test]
fn a_sound_file_is_understood() {
    let image = Handmade::new().parse().expect("sound");
    assert_eq!(image.kind, Kind::Fixed);
    assert_eq!(image.span, Span { start: 0x40_0000, end: 0x40_5000 });
    assert_eq!(image.table_address, 0x40_0040);
    assert_eq!((image.entry, image.table_count, image.alignment), (0x40_0100, 2, PAGE));
    assert_eq!(image.segments[1].protection, Protection::READ | Protection::WRITE);
    assert!(!image.executable_stack && image.interpreter.is_none());
}

#[test]
fn what_is_not_for_this_machine_is_refused() {
    use ElfProblem::{Class, Endianness, EntrySize, Machine, Magic, Type, Version};
    assert_eq!(Handmade::changed(|file| file.ident[0] = b'M'), Err(Magic));
    assert_eq!(Handmade::changed(|file| file.ident[4] = 1), Err(Class(1)));
    assert_eq!(Handmade::changed(|file| file.ident[5] = 2), Err(Endianness(2)));
    assert_eq!(Handmade::changed(|file| file.machine = 183), Err(Machine(183)));
    assert_eq!(Handmade::changed(|file| file.version = 2), Err(Version(2)));
    for kind in [0, 1, 4, 0xfe00] {
        assert_eq!(Handmade::changed(|file| file.kind = kind), Err(Type(kind)));
    }
    assert_eq!(Handmade::changed(|file| file.entry_size = 64), Err(EntrySize(64)));
}

#[test]
fn truncated_files_are_refused() {
    let bytes = Handmade::new().bytes();
    assert_eq!(parse(&bytes[..3]), Err(ElfProblem::Magic));
    for length in [4, 16, 63, 64, 64 + 56 + 55, 0x1000, 0x102f] {
        let result = parse(&bytes[..length]);
        assert!(matches!(result, Err(ElfProblem::Truncated { .. })), "{length}: {result:?}");
    }
    assert!(parse(&bytes[..0x1030]).is_ok());
    for table in [0x2000, u64::MAX - 8, u64::MAX] {
        let result = Handmade::changed(|file| file.table = table);
        assert!(matches!(result, Err(ElfProblem::Truncated { .. })), "{table:#x}: {result:?}");
    }
}

#[test]
fn absurd_counts_are_refused() {
    for count in [0, 129, 0xffff] {
        assert_eq!(Handmade::changed(|file| file.count = Some(count)), Err(ElfProblem::EntryCount(count)));
    }
    assert_eq!(Handmade::changed(|file| file.entries = vec![interpreter(0, 2)]), Err(ElfProblem::InterpreterName));
    let nothing = load(PF_R, 0, 0x40_0000, 0, 0);
    assert_eq!(Handmade::changed(|file| file.entries = vec![nothing]), Err(ElfProblem::NothingToLoad));
}

#[test]
fn impossible_segments_are_refused() {
    let with = |entry: ProgramHeader| Handmade::changed(|file| file.entries.push(entry));
    let address = 0x60_0000;
    let shrinking = ElfProblem::Shrinking { address, file_size: 0x20, memory_size: 0x1f };
    assert_eq!(with(load(PF_R, 0, address, 0x20, 0x1f)), Err(shrinking));
    let unaligned = ElfProblem::Unaligned { address, offset: 8 };
    assert_eq!(with(load(PF_R, 8, address, 0x20, 0x20)), Err(unaligned));
    // The offset of a segment that has nothing in the file means nothing.
    assert!(with(load(PF_R, u64::MAX, address, 0, 0x20)).is_ok());
    for (offset, size) in [(0, 0x2001), (0x3000, 1), (!0xfff, 0x2000)] {
        let result = with(load(PF_R, offset, address, size, size));
        assert!(matches!(result, Err(ElfProblem::Truncated { .. })), "{result:?}");
    }
    for (address, memory_size) in [(USER_END - 0x1000, 0x1001), (!0xfff, 0x2000), (0x1000, 0x1000)] {
        let problem = ElfProblem::OutOfRange { address, memory_size };
        assert_eq!(with(load(PF_R, 0, address, 0, memory_size)), Err(problem));
    }
    assert_eq!(with(load(PF_R, 0, USER_END - 0x1000, 0, 0x1000)).expect("the last page").span.end, USER_END);
    assert_eq!(Handmade::changed(|file| file.entry = USER_END), Err(ElfProblem::Entry(USER_END)));
}

#[test]
fn segments_may_share_pages_but_no_bytes() {
    let with = |entry: ProgramHeader| Handmade::changed(|file| file.entries.insert(0, entry));
    let overlap = ElfProblem::Overlap { first: 0x40_2010, second: 0x40_400f };
    assert_eq!(with(load(PF_R, 0xf, 0x40_400f, 8, 8)), Err(overlap));
    assert!(with(load(PF_R, 0x10, 0x40_4010, 8, 8)).is_ok());
    let overlap = ElfProblem::Overlap { first: 0x3f_f000, second: 0x40_0000 };
    assert_eq!(with(load(PF_R, 0, 0x3f_f000, 0, 0x1001)), Err(overlap));
}

#[test]
fn interpreter_names_are_checked() {
    let with = |name: &[u8], offset: u64, length: u64| {
        let mut file = Handmade::new();
        file.entries.push(interpreter(offset, length));
        let mut bytes = file.bytes();
        bytes[0x1800..0x1800 + name.len()].copy_from_slice(name);
        parse(bytes.as_slice()).map(|image| image.interpreter)
    };
    assert_eq!(with(b"/lib/ld.so\0", 0x1800, 11), Ok(Some(b"/lib/ld.so".to_vec())));
    assert_eq!(with(b"/lib\0ld.so\0", 0x1800, 11), Ok(Some(b"/lib".to_vec())));
    for (name, length) in [(b"/lib/ld.so".as_slice(), 10), (b"\0\0", 2), (b"\0", 1), (b"", 4097), (b"", 0)] {
        assert_eq!(with(name, 0x1800, length), Err(ElfProblem::InterpreterName), "{name:?}");
    }
    assert!(matches!(with(b"", 0x1fff, 2), Err(ElfProblem::Truncated { .. })));
    assert!(matches!(with(b"", u64::MAX, 2), Err(ElfProblem::Truncated { .. })));
    let name = b"/lib/ld.so\0";
    let mut file = Handmade::new();
    file.entries.extend([interpreter(0x1800, 11), interpreter(0x1800, 11)]);
    let mut bytes = file.bytes();
    bytes[0x1800..0x1800 + name.len()].copy_from_slice(name);
    assert_eq!(parse(bytes.as_slice()), Err(ElfProblem::SeveralInterpreters));
}

#[test]
fn the_stack_is_executable_only_on_demand() {
    for (flags, expected) in [(PF_R | PF_W, false), (PF_R | PF_W | PF_X, true)] {
        let entry = ProgramHeader { p_type: PT_GNU_STACK, ..load(flags, 0, 0, 0, 0) };
        let image = Handmade::changed(|file| file.entries.push(entry)).expect("sound");
        assert_eq!(image.executable_stack, expected);
    }
}

#[test]
fn the_largest_sensible_alignment_counts() {
    for (alignment, expected) in [(0, PAGE), (0x20_0000, 0x20_0000), (0x20_0001, PAGE), (1 << 63, 1 << 63)] {
        let image = Handmade::changed(|file| file.entries[0].p_align = alignment).expect("sound");
        assert_eq!(image.alignment, expected);
    }
}

proptest! {
    #[test]
    fn no_file_is_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(bytes.as_slice());
    }

    #[test]
    fn damaged_headers_give_sound_images_or_errors(
        damage in proptest::collection::vec((0_usize..232, any::<u8>()), 1..6),
        word in (0_usize..29, prop_oneof![Just(u64::MAX), Just(1 << 63), any::<u64>(), 0_u64..0x3000]),
        kind in prop_oneof![Just(ET_EXEC), Just(ET_DYN)],
    ) {
        let mut file = Handmade { kind, ..Handmade::new() };
        file.entries.push(interpreter(0x1800, 0x10));
        let mut bytes = file.bytes();
        // Mostly behind the first words, which only say what kind of file it is.
        let (at, value) = word;
        if at >= 3 {
            bytes[at * 8..][..8].copy_from_slice(&value.to_le_bytes());
        }
        for (at, byte) in damage {
            if at >= 24 {
                bytes[at] = byte;
            }
        }
        if let Ok(image) = parse(bytes.as_slice()) {
            prop_assert!(image.span.start < image.span.end && image.span.end <= USER_END);
            prop_assert!(image.alignment.is_power_of_two() && image.alignment >= PAGE);
            for segment in &image.segments {
                prop_assert!(segment.file_size <= segment.memory_size && segment.memory_size > 0);
                prop_assert!(image.span.start <= segment.address && segment.end() <= image.span.end);
                prop_assert!(segment.file_size == 0 || segment.offset + segment.file_size <= 0x2000);
            }
        }
    }
}
