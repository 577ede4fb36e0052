//! Programs that are not loaded: each refusal has an errno, and names the file. Damaged programs panic nowhere.

use goblin::elf64::program_header::PT_INTERP;
use proptest::prelude::*;

use super::*;

#[test]
fn errors_name_the_file_and_the_errno_of_execve() {
    let with_interpreter = |name: &[u8]| {
        let mut file = Handmade::new();
        file.entries.push(interpreter(0x1800, name.len() as u64));
        let mut bytes = file.bytes();
        bytes[0x1800..0x1800 + name.len()].copy_from_slice(name);
        bytes
    };
    let mut files = Files::default()
        .with("/empty", b"")
        .with("/text", b"echo\n")
        .with("/blank", b"#! \n")
        .with("/lost", b"#!/no/where -x\n")
        .with("/dynamic-lost", &with_interpreter(b"/lib/none.so\0"))
        .with("/dynamic-text", &with_interpreter(b"/text\0"))
        .with("/dynamic-script", &with_interpreter(b"/lost\0"))
        .with("/dynamic-fixed", &with_interpreter(b"/fixed\0"))
        .with("/fixed", &Handmade::new().bytes())
        .with_host(std::path::Path::new("/"))
        .with_host(std::path::Path::new("/dev/null"))
        .refusing("/secret", Errno::EACCES);
    for (path, errno, text) in [
        ("/absent", Errno::ENOENT, "open of program /absent failed: ENOENT (No such file or directory)"),
        ("/secret", Errno::EACCES, "open of program /secret failed: EACCES (Permission denied)"),
        ("/", Errno::EACCES, "load of / failed: it is not a regular file"),
        ("/dev/null", Errno::EACCES, "load of /dev/null failed: it is not a regular file"),
        ("/empty", Errno::ENOEXEC, "load of /empty failed: it is not an ELF file"),
        ("/text", Errno::ENOEXEC, "load of /text failed: it is not an ELF file"),
        ("/blank", Errno::ENOEXEC, "load of script /blank failed: its #! line names no interpreter"),
        (
            "/lost",
            Errno::ENOENT,
            "open of interpreter /no/where, which /lost names, failed: ENOENT (No such file or directory)",
        ),
        (
            "/dynamic-lost",
            Errno::ENOENT,
            "open of interpreter /lib/none.so, which /dynamic-lost names, failed: ENOENT (No such file or directory)",
        ),
        (
            "/dynamic-text",
            Errno::ELIBBAD,
            "load of interpreter /text, which /dynamic-text names, failed: it is not an ELF file",
        ),
        (
            "/dynamic-script",
            Errno::ELIBBAD,
            "load of interpreter /lost, which /dynamic-script names, failed: it is not an ELF file",
        ),
        (
            "/dynamic-fixed",
            Errno::EEXIST,
            "mapping the segments of /fixed at 0x400000-0x405000 failed: EEXIST (File exists)",
        ),
    ] {
        let error = Guest::new().load(&seeded(path, &arguments(&["x"])), &mut files).expect_err(path);
        assert_eq!((error.to_string().as_str(), error.errno()), (text, errno));
    }
}

#[test]
fn arguments_and_stacks_that_do_not_fit_are_refused() {
    let mut files = Files::default().with("/program", &Handmade::new().bytes());
    let mut error_with = |argv: &[Vec<u8>], stack_size| {
        let request = Request { stack_size, ..seeded("/program", argv) };
        Guest::new().load(&request, &mut files).expect_err("refused")
    };
    assert_eq!(error_with(&vec![vec![b'x'; 100_000]; 30], DEFAULT_STACK).errno(), Errno::E2BIG);
    assert_eq!(error_with(&arguments(&["a\0b"]), DEFAULT_STACK).errno(), Errno::EINVAL);
    for size in [0, 4096, u64::MAX, 1 << 40] {
        let error = error_with(&[], size);
        assert!(matches!(error, LoadError::StackSize { .. }) && error.errno() == Errno::ENOMEM);
    }
}

#[test]
fn what_does_not_fit_into_the_space_is_refused() {
    // A bss larger than the space has room for, at a fixed place, and in the stack's place.
    let mut file = Handmade { kind: 3, ..Handmade::new() };
    file.entries.push(load_entry(PF_R | PF_W, 0, 0x60_0000, 0, USER_END - 0x60_0000));
    assert!(matches!(error_of(&file.bytes()), LoadError::NoRoom { .. }));
    file.kind = 2;
    let error = error_of(&file.bytes());
    assert!(matches!(error, LoadError::Map { what: "the stack", errno: Errno::EEXIST, .. }), "{error}");

    let limits = Limits { reserved_bytes: 1 << 20, ..Limits::default() };
    let mut guest = Guest::with(&[], limits);
    let mut files = Files::default().with("/program", &Handmade::new().bytes());
    let error = guest.load(&seeded("/program", &[]), &mut files).expect_err("refused");
    assert_eq!(error.errno(), Errno::ENOMEM);
    let error = guest.load(&seeded("/program", &[]), &mut files).expect_err("refused");
    assert!(matches!(error, LoadError::Occupied { .. }));
}

#[test]
fn every_refusal_of_the_host_is_an_error() {
    let mut file = Handmade { kind: 3, ..Handmade::new() };
    file.entries.push(interpreter(0x1800, 4));
    let mut bytes = file.bytes();
    bytes[0x1800..0x1804].copy_from_slice(b"/ld\0");
    file.entries.retain(|entry| entry.p_type != PT_INTERP);
    let mut files = Files::default().with("/program", &bytes).with("/ld", &file.bytes());
    let mut refusals = 0;
    loop {
        let mut guest = Guest::new();
        guest.memory.refuse_after(refusals);
        match guest.load(&seeded("/program", &[]), &mut files) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.errno(), Errno::ENOMEM, "{error}"),
        }
        refusals += 1;
    }
    // Program and interpreter have three mappings each; then the stack, the vDSO, and twice looking for room.
    assert_eq!(refusals, 3 + 3 + 1 + 2 + 2 * 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn damaged_programs_load_or_are_refused(
        damage in proptest::collection::vec((24_usize..64 + 56 * 8, any::<u8>()), 0..8),
        word in (3_usize..64, prop_oneof![Just(u64::MAX), Just(USER_END), any::<u64>(), 0_u64..0x4000]),
        length in prop_oneof![Just(usize::MAX), 0_usize..0x5000],
    ) {
        static PROGRAM: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let flags = ["-DALONE", "-nostdlib", "-static-pie", "-fPIE", "-fno-stack-protector", "-s"];
        let sound = PROGRAM.get_or_init(|| std::fs::read(compile("data-alone", "data.c", &flags)).expect("read"));
        let mut bytes = sound.clone();
        bytes[word.0 * 8..][..8].copy_from_slice(&word.1.to_le_bytes());
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        bytes.truncate(length);
        match load_bytes(&bytes) {
            Ok((guest, loaded)) => {
                prop_assert!(guest.space.areas().iter().all(|area| area.span.end <= USER_END));
                prop_assert!(loaded.registers.rip < USER_END);
                prop_assert!(loaded.stack.contains(loaded.registers.rsp));
            }
            Err(error) => {
                prop_assert!(error.to_string().contains("/program") && error.errno() != Errno(0));
            }
        }
    }
}
