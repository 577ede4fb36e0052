//! Tests of loading as a whole, with programs from the C compiler and without a platform.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use goblin::elf64::program_header::{PF_R, PF_W, PF_X, PT_GNU_STACK, ProgramHeader};
use warmfork_abi::mman::prot;
use warmfork_abi::{Errno, USER_END};
use warmfork_memory::{Backing, FakeMemory, Limits};

use super::*;
use crate::elf::tests::{Handmade, interpreter, load as load_entry};
use crate::testing::{Files, compile};

mod refusals;

/// A guest without a platform.
struct Guest {
    space: AddressSpace,
    memory: FakeMemory,
}

impl Guest {
    fn new() -> Self {
        Self::with(&[], Limits::default())
    }

    fn with(reserved: &[Span], limits: Limits) -> Self {
        let layout = warmfork_memory::Layout::new(USER_END, reserved);
        Self { space: AddressSpace::new(layout, limits), memory: FakeMemory::new() }
    }

    fn load(&mut self, request: &Request<'_>, files: &mut Files) -> Result<Loaded, LoadError> {
        load(request, files, &mut self.space, &mut self.memory)
    }

    fn bytes(&self, start: u64, length: usize) -> Vec<u8> {
        let memory: &dyn GuestMemory = &self.memory;
        memory.read_vec(start, length).expect("readable")
    }

    fn area(&self, address: u64) -> &warmfork_memory::Area {
        self.space.areas().find(address).expect("mapped")
    }

    fn labelled(&self, label: &str) -> Span {
        self.space.areas().iter().find(|area| area.label == Some(label)).expect("a label").span
    }
}

fn arguments(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The clock page of the machine that all guests here are in.
fn clock() -> &'static Arc<HostFile> {
    static CLOCK: OnceLock<vdso::MachineClock> = OnceLock::new();
    CLOCK.get_or_init(|| vdso::MachineClock::new().expect("a clock page")).file()
}

fn seeded<'a>(path: &'a str, argv: &'a [Vec<u8>]) -> Request<'a> {
    Request { randomness: Randomness::Seed(1), ..Request::new(path.as_bytes(), argv, &[], clock()) }
}

/// Loads the one file `bytes`, called `/program`.
fn load_bytes(bytes: &[u8]) -> Result<(Guest, Loaded), LoadError> {
    let mut guest = Guest::new();
    let mut files = Files::default().with("/program", bytes);
    guest.load(&seeded("/program", &arguments(&["program"])), &mut files).map(|loaded| (guest, loaded))
}

fn error_of(bytes: &[u8]) -> LoadError {
    match load_bytes(bytes) {
        Ok((_, loaded)) => panic!("{loaded:?}"),
        Err(error) => error,
    }
}

fn auxv(bytes: &[u8]) -> HashMap<u64, u64> {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("a word"));
    bytes.chunks(16).map(|pair| (word(&pair[..8]), word(&pair[8..]))).collect()
}

/// Compares what is mapped with the program's file, as the file's own headers describe it.
fn check_contents(guest: &Guest, path: &std::path::Path, bias: u64) {
    let file = std::fs::read(path).expect("read");
    let image = elf::parse(file.as_slice()).expect("sound");
    for segment in image.segments {
        let (offset, length) = (usize::try_from(segment.offset).unwrap(), usize::try_from(segment.file_size).unwrap());
        let at = segment.address + bias;
        assert_eq!(guest.bytes(at, length), file[offset..offset + length], "{segment:?}");
        let zeroes = usize::try_from(segment.memory_size - segment.file_size).unwrap();
        assert!(guest.bytes(at + segment.file_size, zeroes).iter().all(|&byte| byte == 0), "{segment:?}");
        let area = guest.area(at);
        assert_eq!((area.protection, area.shared), (segment.protection, false));
        let Backing::File { file, .. } = &area.backing else { panic!("{area:?} is not mapped from the file") };
        assert_eq!(file.name(), b"test");
    }
}

fn load_compiled(name: &str, flags: &[&str]) -> (Guest, Loaded, PathBuf) {
    let program = compile(name, "data.c", flags);
    let mut guest = Guest::new();
    let mut files = Files::default().with_host(&program);
    files = files.with_host(std::path::Path::new("/lib64/ld-linux-x86-64.so.2"));
    let path = program.to_str().expect("a path");
    let loaded = guest.load(&seeded(path, &arguments(&["program", "x"])), &mut files).expect("loaded");
    check_contents(&guest, &program, loaded.program.bias);
    let is_bss = |area: &warmfork_memory::Area| area.backing == Backing::Anonymous && area.label.is_none();
    assert!(guest.space.areas().iter().any(|area| is_bss(area) && area.span.len() >= 4 * PAGE), "no bss");
    (guest, loaded, program)
}

#[test]
fn static_programs_lie_where_they_were_linked() {
    let (guest, loaded, program) = load_compiled("data-static", &["-static", "-no-pie"]);
    assert_eq!(loaded.program.bias, 0);
    assert_eq!(loaded.registers.rip, loaded.program.entry);
    assert_eq!(auxv(&loaded.auxv)[&stack::auxv::AT_BASE], 0);
    assert_eq!(loaded.path, program.as_os_str().as_encoded_bytes());
    assert_eq!(loaded.real_path, b"test");
    // The program headers are where AT_PHDR says.
    let file = std::fs::read(&program).expect("read");
    let length = usize::from(loaded.program.header_count) * usize::from(ENTRY_SIZE);
    assert_eq!(guest.bytes(loaded.program.headers, length), file[64..64 + length]);
    // brk begins behind the bss, not far.
    assert_eq!(guest.space.heap().start, loaded.start_brk);
    assert!((loaded.program.span.end..loaded.program.span.end + (32 << 20)).contains(&loaded.start_brk));
}

#[test]
fn static_pie_programs_are_moved() {
    let (_, loaded, _) = load_compiled("data-static-pie", &["-static-pie"]);
    assert!(loaded.program.bias > USER_END / 2 && loaded.program.bias.is_multiple_of(PAGE));
    assert_eq!(loaded.program.interpreter_base, 0);
    assert_eq!(loaded.registers.rip, loaded.program.entry);
    assert_eq!(auxv(&loaded.auxv)[&stack::auxv::AT_ENTRY], loaded.program.entry);
}

#[test]
fn dynamic_programs_begin_in_their_interpreter() {
    for (name, flags) in [("data-pie", ["-pie"]), ("data-dynamic", ["-no-pie"])] {
        let (guest, loaded, _) = load_compiled(name, &flags);
        let base = loaded.program.interpreter_base;
        check_contents(&guest, std::path::Path::new("/lib64/ld-linux-x86-64.so.2"), base);
        assert_eq!(auxv(&loaded.auxv)[&stack::auxv::AT_BASE], base);
        assert_ne!(loaded.registers.rip, loaded.program.entry);
        assert!(guest.area(loaded.registers.rip).protection.contains(Protection::EXEC));
        assert!(guest.area(loaded.program.entry).protection.contains(Protection::EXEC));
        // The interpreter lies where mmap puts things: below the stack, above the program.
        assert!(loaded.program.span.end < base && base < loaded.stack.start);
    }
}

#[test]
fn the_stack_holds_what_the_program_needs() {
    let (guest, loaded, program) = load_compiled("data-stack", &["-pie"]);
    let rsp = loaded.registers.rsp;
    assert_eq!(guest.labelled("stack"), loaded.stack);
    assert_eq!(loaded.stack.len(), DEFAULT_STACK);
    assert!(loaded.stack.contains(rsp) && rsp % 16 == 0);
    assert_eq!(guest.area(rsp).protection, Protection::READ | Protection::WRITE);
    assert_eq!(guest.bytes(rsp, 8), 2_u64.to_le_bytes());
    let arguments = loaded.arguments.expect("arguments");
    assert_eq!(guest.bytes(arguments.start, usize::try_from(arguments.len()).unwrap()), b"program\0x\0");

    let values = auxv(&loaded.auxv);
    use stack::auxv as at;
    let path = program.as_os_str().as_encoded_bytes();
    assert_eq!(guest.bytes(values[&at::AT_EXECFN], path.len()), path);
    assert_eq!(guest.bytes(values[&at::AT_PLATFORM], 7), b"x86_64\0");
    assert_eq!((values[&at::AT_PAGESZ], values[&at::AT_CLKTCK], values[&at::AT_SECURE]), (4096, 100, 0));
    assert_eq!((values[&at::AT_PHENT], values[&at::AT_FLAGS], values[&at::AT_UID]), (56, 0, 0));
    // The same CPU, the same kernel.
    let own = auxv(&std::fs::read("/proc/self/auxv").unwrap());
    for about_the_cpu in [at::AT_HWCAP, at::AT_MINSIGSTKSZ] {
        assert_eq!(values[&about_the_cpu], own[&about_the_cpu], "{about_the_cpu}");
    }
    let spans = loaded.vdso.expect("a vDSO");
    assert_eq!(values[&at::AT_SYSINFO_EHDR], spans.vdso.start);
    assert_eq!((guest.labelled("vvar"), guest.labelled("vdso")), (spans.vvar, spans.vdso));
    assert_eq!(spans.vvar.end, spans.vdso.start);
    assert_eq!(guest.bytes(spans.vdso.start, vdso::image().len()), vdso::image());
    assert_eq!(guest.area(spans.vdso.start).protection, Protection::READ | Protection::EXEC);
    let vvar = guest.area(spans.vvar.start);
    assert!(vvar.shared && vvar.protection == Protection::READ);
}

#[test]
fn guests_cannot_make_the_clock_page_writable() {
    let (mut guest, loaded) = load_bytes(&Handmade::new().bytes()).expect("loaded");
    let vvar = loaded.vdso.expect("a vDSO").vvar;
    let result = guest.space.protect(&mut guest.memory, vvar.start, PAGE, prot::PROT_READ | prot::PROT_WRITE);
    assert_eq!(result, Err(Errno::EACCES));
}

#[test]
fn identity_stack_size_and_vdso_are_the_callers_choice() {
    let mut guest = Guest::new();
    let mut files = Files::default().with("/program", &Handmade::new().bytes());
    let envp = arguments(&["A=1"]);
    let request = Request {
        identity: Identity { uid: 1, euid: 2, gid: 3, egid: 3 },
        stack_size: (1 << 20) - 5,
        clock: None,
        ..Request::new(b"/program", &[], &envp, clock())
    };
    let loaded = guest.load(&request, &mut files).expect("loaded");
    use stack::auxv as at;
    let values = auxv(&loaded.auxv);
    let identity = [at::AT_UID, at::AT_EUID, at::AT_GID, at::AT_EGID, at::AT_SECURE].map(|number| values[&number]);
    assert_eq!(identity, [1, 2, 3, 3, 1]);
    assert_eq!(loaded.stack.len(), 1 << 20);
    assert!(loaded.vdso.is_none() && !values.contains_key(&at::AT_SYSINFO_EHDR));
    // Linux gives a program without arguments an empty one.
    assert_eq!(loaded.argv, arguments(&[""]));
    let environment = loaded.environment.expect("some");
    assert_eq!(guest.bytes(environment.start, 4), b"A=1\0");
}

#[test]
fn an_executable_stack_is_given_on_demand() {
    let mut file = Handmade::new();
    file.entries.push(ProgramHeader { p_type: PT_GNU_STACK, ..load_entry(PF_R | PF_W | PF_X, 0, 0, 0, 0) });
    let (guest, loaded) = load_bytes(&file.bytes()).expect("loaded");
    assert_eq!(guest.area(loaded.registers.rsp).protection, Protection::all());
}

#[test]
fn the_bytes_behind_a_segment_are_zeroed_in_its_bss_alone() {
    let mut file = Handmade { length: 0x3000, ..Handmade::new() };
    // No bss: the rest of the page keeps the file's bytes.
    file.entries.push(load_entry(PF_R | PF_W, 0x2000, 0x40_6000, 0x10, 0x10));
    // Nothing in the file at all.
    file.entries.push(load_entry(PF_R | PF_W, 0x123, 0x40_8456, 0, 0x10));
    // A bss that ends within the file's last page.
    file.entries.push(load_entry(PF_R | PF_W, 0x2800, 0x40_a800, 0x10, 0x20));
    let mut bytes = file.bytes();
    bytes[0x1000..].fill(7);
    let (guest, _) = load_bytes(&bytes).expect("loaded");
    assert_eq!(guest.bytes(0x40_2000, 0x30), [7; 0x30]);
    assert_eq!(guest.bytes(0x40_2030, 0x2fd0), [0; 0x2fd0]);
    assert_eq!(guest.bytes(0x40_6000, 0x1000), [7; 0x1000]);
    assert_eq!(guest.bytes(0x40_8000, 0x1000), [0; 0x1000]);
    assert_eq!(guest.bytes(0x40_a000, 0x810), [7; 0x810]);
    assert_eq!(guest.bytes(0x40_a810, 0x7f0), [0; 0x7f0]);
}

#[test]
fn a_read_only_segment_with_a_bss_is_mapped_as_far_as_it_goes() {
    let mut file = Handmade::new();
    file.entries.push(load_entry(PF_R, 0x1000, 0x40_6000, 0x10, 0x1010));
    let mut bytes = file.bytes();
    bytes[0x1000..].fill(7);
    let (guest, _) = load_bytes(&bytes).expect("loaded");
    assert_eq!(guest.bytes(0x40_6000, 0x1000), [7; 0x1000]);
    assert_eq!(guest.bytes(0x40_7000, 0x1000), [0; 0x1000]);
}

#[test]
fn relocatable_programs_are_aligned_as_they_ask() {
    let alignment = 1 << 21;
    let mut file = Handmade { kind: 3, entry: 0x1100, ..Handmade::new() };
    file.entries = vec![load_entry(PF_R | PF_X, 0x1000, 0x1000, 0x1000, 0x1000)];
    file.entries[0].p_align = alignment;
    file.entries.push(interpreter(0x1800, 4));
    let mut bytes = file.bytes();
    bytes[0x1800..0x1804].copy_from_slice(b"/ld\0");
    let interpreter = Handmade { entries: file.entries[..1].to_vec(), ..file.clone() };
    let mut files = Files::default().with("/program", &bytes).with("/ld", &interpreter.bytes());
    let mut guest = Guest::new();
    let loaded = guest.load(&seeded("/program", &arguments(&["p"])), &mut files).expect("loaded");
    assert!(loaded.program.bias.is_multiple_of(alignment));
    assert!(loaded.program.interpreter_base.is_multiple_of(alignment));
    assert_eq!(loaded.registers.rip, loaded.program.interpreter_base + 0x1100);
    assert_eq!(loaded.program.span.start, loaded.program.bias + 0x1000);

    file.entries[0].p_align = 1 << 62;
    file.entries.pop();
    assert!(matches!(error_of(&file.bytes()), LoadError::NoRoom { .. }));
}

#[test]
fn addresses_are_random_but_repeatable_with_a_seed() {
    let bytes = Handmade { kind: 3, ..Handmade::new() }.bytes();
    let layout = |randomness| {
        let mut files = Files::default().with("/program", &bytes);
        let argv = arguments(&["program"]);
        let mut guest = Guest::new();
        let request = Request { randomness, ..Request::new(b"/program", &argv, &[], clock()) };
        let loaded = guest.load(&request, &mut files).expect("loaded");
        let random = guest.bytes(auxv(&loaded.auxv)[&stack::auxv::AT_RANDOM], 16);
        let vdso = loaded.vdso.expect("a vDSO").vdso.start;
        [
            loaded.program.bias,
            loaded.start_brk - loaded.program.bias,
            vdso,
            loaded.stack.end,
            loaded.registers.rsp % PAGE,
        ]
        .map(|address| address.to_le_bytes().to_vec())
        .into_iter()
        .chain([random])
        .collect::<Vec<_>>()
    };
    assert_eq!(layout(Randomness::Seed(7)), layout(Randomness::Seed(7)));
    let differing = |a: Vec<Vec<u8>>, b: Vec<Vec<u8>>| a.iter().zip(&b).filter(|(a, b)| a != b).count();
    assert_eq!(differing(layout(Randomness::Seed(7)), layout(Randomness::Seed(8))), 6);
    // One of 256 page offsets may come twice, and one of 8192 gaps.
    assert!(differing(layout(Randomness::Host), layout(Randomness::Host)) >= 4);
}

#[test]
fn what_the_platform_reserves_stays_free() {
    let reserved = Span { start: 0x7000_0000_0000, end: USER_END };
    let mut guest = Guest::with(&[reserved], Limits::default());
    let mut files = Files::default().with("/program", &Handmade::new().bytes());
    let loaded = guest.load(&Request::new(b"/program", &[], &[], clock()), &mut files).expect("loaded");
    assert!(loaded.stack.end <= reserved.start);
    assert!(guest.space.areas().iter().all(|area| area.span.intersection(reserved).is_none()));
    assert_eq!(guest.space.layout().reserved(), [reserved]);
    assert!(guest.space.layout().mmap_base() < loaded.stack.start);
}

#[test]
fn scripts_are_run_by_their_interpreters() {
    let mut guest = Guest::new();
    let mut files = Files::default()
        .with("./script", b"#!/bin/inner -a  b \nrest")
        .with("/bin/inner", b"#! bin/outer\n")
        .with("bin/outer", &Handmade::new().bytes());
    let loaded = guest.load(&seeded("./script", &arguments(&["name", "x"])), &mut files).expect("loaded");
    assert_eq!(loaded.argv, arguments(&["bin/outer", "/bin/inner", "-a  b", "./script", "x"]));
    assert_eq!(loaded.path, b"bin/outer");
    assert_eq!(files.asked, ["./script", "/bin/inner", "bin/outer"]);
    // AT_EXECFN is the script.
    assert_eq!(guest.bytes(auxv(&loaded.auxv)[&stack::auxv::AT_EXECFN], 9), b"./script\0");

    let loaded = Guest::new().load(&seeded("./script", &[]), &mut files).expect("loaded");
    assert_eq!(loaded.argv, arguments(&["bin/outer", "/bin/inner", "-a  b", "./script"]));
}

#[test]
fn five_scripts_in_a_row_are_possible_and_six_are_not() {
    let chain = |length: u32| {
        let mut files = Files::default().with(&format!("/{length}"), &Handmade::new().bytes());
        for number in 0..length {
            files = files.with(&format!("/{number}"), format!("#!/{}\n", number + 1).as_bytes());
        }
        Guest::new().load(&seeded("/0", &arguments(&["0"])), &mut files)
    };
    assert_eq!(chain(5).expect("loaded").argv, arguments(&["/5", "/4", "/3", "/2", "/1", "/0"]));
    let error = chain(6).expect_err("too deep");
    assert_eq!(error.errno(), Errno::ELOOP);
    assert!(error.hint().is_some());
    let mut files = Files::default().with("/me", b"#!/me");
    let error = Guest::new().load(&seeded("/me", &[]), &mut files).expect_err("endless");
    assert!(matches!(error, LoadError::ScriptDepth { .. }));
}
