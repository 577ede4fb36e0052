//! What every platform does, with a few hand-assembled instructions as its guest. Each platform's tests include this.

mod gather;
mod memory;

use std::os::fd::AsFd;

use warmfork_abi::{Registers, signals};
use warmfork_memory::{GuestMemory, Protection, Source, Span};
use warmfork_platform::{Exit, Mapping, Platform, Pristine, RESERVED};

use crate::{Tested, empty};

pub const CODE: u64 = 0x1_0000;
pub const DATA: u64 = 0x20_0000;

pub fn span(start: u64, length: u64) -> Span {
    Span::new(start, length).unwrap()
}

/// A guest that begins with `code`; nothing where the platform cannot be had, which `empty` has said then.
pub fn guest(code: &[u8]) -> Option<(Tested, Registers)> {
    let mut platform = empty()?;
    platform.map(span(CODE, 4096), Protection::READ | Protection::EXEC, Source::Anonymous).unwrap();
    let mut page = vec![0x90; 4096];
    page[..code.len()].copy_from_slice(code);
    platform.restore(&[(span(CODE, 4096), &page)]).unwrap();
    platform.map(span(DATA, 0x4000), Protection::READ | Protection::WRITE, Source::Anonymous).unwrap();
    Some((platform, Registers::at_entry(CODE, DATA + 0x4000)))
}

#[test]
fn a_system_call_stops_with_its_number_and_arguments() {
    // mov eax, 39; mov edi, 7; syscall; jmp -2
    let Some((mut platform, mut registers)) = guest(&[0xb8, 39, 0, 0, 0, 0xbf, 7, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xfe])
    else {
        return;
    };
    assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall);
    assert_eq!((registers.orig_rax, registers.rdi, registers.rip), (39, 7, CODE + 12));
    platform.interrupter().interrupt();
    assert_eq!(platform.run(&mut registers).unwrap(), Exit::Interrupted);
    assert_eq!(registers.rip, CODE + 12);
}

#[test]
fn old_and_32_bit_system_calls_are_faults() {
    let Some((mut platform, mut registers)) = guest(&[0xb8, 20, 0, 0, 0, 0xcd, 0x80]) else { return };
    let exit = platform.run(&mut registers).unwrap();
    assert!(matches!(exit, Exit::Exception(info) if info.signal == signals::SIGSEGV && info.trap == 13), "{exit:?}");
    assert_eq!((registers.rip, registers.rax), (CODE + 5, 20));
}

#[test]
fn faults_and_exceptions_say_what_and_where() {
    // mov rax, [0x1234]
    let Some((mut platform, mut registers)) = guest(&[0x48, 0x8b, 0x04, 0x25, 0x34, 0x12, 0, 0]) else { return };
    let Exit::Fault(info) = platform.run(&mut registers).unwrap() else { panic!("no fault") };
    assert_eq!((info.signal, info.code, info.address), (signals::SIGSEGV, signals::SEGV_MAPERR, 0x1234));
    assert_eq!(info.error, 4, "a read by user code of a page that is not there");
    // mov byte [CODE], 1
    let Some((mut platform, mut registers)) = guest(&[0xc6, 0x04, 0x25, 0, 0, 1, 0, 1]) else { return };
    let before = registers;
    let Exit::Fault(info) = platform.run(&mut registers).unwrap() else { panic!("no fault") };
    assert_eq!((info.code, info.address, info.error), (signals::SEGV_ACCERR, CODE, 7));
    assert_eq!((registers.rip, registers.rsp), (before.rip, before.rsp), "the guest's own registers");
    for (code, signal, trap) in [
        (&[0x0f, 0x0b][..], signals::SIGILL, 6),
        (&[0xcc], signals::SIGTRAP, 3),
        (&[0x31, 0xc9, 0xf7, 0xf1], signals::SIGFPE, 0),
        (&[0xf4], signals::SIGSEGV, 13),
    ] {
        let Some((mut platform, mut registers)) = guest(code) else { return };
        let exit = platform.run(&mut registers).unwrap();
        assert!(matches!(exit, Exit::Exception(info) if info.signal == signal && info.trap == trap), "{exit:?}");
    }
}

#[test]
fn memory_is_read_and_written_up_to_the_first_bad_page() {
    let Some((platform, _)) = guest(&[]) else { return };
    let guest: &dyn GuestMemory = &platform;
    guest.write(DATA + 0x3ff0, b"0123456789abcdef").unwrap();
    let mut back = [0; 32];
    assert_eq!(guest.read_some(DATA + 0x3ff0, &mut back), 16);
    assert_eq!(&back[..16], b"0123456789abcdef");
    assert_eq!(guest.write_some(CODE, b"x"), 0, "code is read-only for the guest");
}

#[test]
fn private_pages_of_a_file_are_found_and_put_back() {
    let file = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&file, &[7; 0x4000]).unwrap();
    // mov byte [DATA + 0x1000], 1; mov al, [DATA]; syscall
    let code = [0xc6, 0x04, 0x25, 0, 0x10, 0x20, 0, 1, 0x8a, 0x04, 0x25, 0, 0, 0x20, 0, 0x0f, 0x05];
    let Some((mut platform, mut registers)) = guest(&code) else { return };
    let source = Source::File { fd: file.as_fd(), offset: 0, shared: false };
    let protection = Protection::READ | Protection::WRITE;
    let other = span(0x40_0000, 0x1000);
    platform
        .map_all(&[
            Mapping { span: span(DATA, 0x4000), protection, source },
            Mapping { span: other, protection: Protection::READ, source },
        ])
        .unwrap();
    let everything = [Span { start: 0x2_0000, end: RESERVED.start }];
    assert_eq!(platform.touched(&everything).unwrap(), []);
    assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall);
    assert_eq!(platform.touched(&everything).unwrap(), [span(DATA + 0x1000, 0x1000)]);
    let pristine = [7; 0x1000];
    platform.set_image(file.as_fd(), 0x4000).unwrap();
    let pages = [(other, Pristine::Zero), (span(DATA + 0x1000, 0x1000), Pristine::Image(0x1000))];
    platform.put_back(&[7; 0x4000], &pages, None).unwrap();
    assert_eq!((&platform as &dyn GuestMemory).read_array::<2>(DATA + 0x1000).unwrap(), [7, 7]);
    assert_eq!(
        (&platform as &dyn GuestMemory).read_array::<2>(other.start).unwrap(),
        [0, 0],
        "read-only for the guest"
    );
    platform.restore(&[(other, &pristine), (span(DATA + 0x1000, 0x1000), &pristine)]).unwrap();
    assert_eq!((&platform as &dyn GuestMemory).read_array::<2>(DATA + 0x1000).unwrap(), [7, 7]);
}

#[test]
fn vector_registers_are_read_and_set() {
    let Some((mut platform, mut registers)) = guest(&[0x0f, 0x05, 0x0f, 0x28, 0xc8, 0x0f, 0x05]) else { return }; // syscall; movaps xmm1, xmm0
    platform.run(&mut registers).unwrap();
    let mut state = platform.fpu().unwrap();
    state[160..176].copy_from_slice(&[0xab; 16]);
    state[512] |= 3;
    platform.set_fpu(&state).unwrap();
    platform.run(&mut registers).unwrap();
    assert_eq!(platform.fpu().unwrap()[176..192], [0xab; 16]);
}

#[test]
fn vector_registers_come_back_with_the_pages() {
    // movaps xmm1, xmm0; syscall, three times
    let code = [0x0f, 0x28, 0xc8, 0x0f, 0x05].repeat(3);
    let Some((mut platform, mut registers)) = guest(&code) else { return };
    let writable = span(0x100_0000, 0x1000);
    let other = span(0x200_0000, 0x1000);
    platform.map(writable, Protection::READ | Protection::WRITE, Source::Anonymous).unwrap();
    platform.map(other, Protection::READ, Source::Anonymous).unwrap();
    let mut state = platform.fpu().unwrap();
    state[512] |= 3;
    // With pages, without, and with one that the guest's own process cannot write to.
    for (mark, pages) in [(1, vec![(writable, Pristine::Zero)]), (2, vec![]), (3, vec![(other, Pristine::Zero)])] {
        state[160..176].copy_from_slice(&[mark; 16]);
        platform.put_back(&[], &pages, Some(&state)).unwrap();
        platform.run(&mut registers).unwrap();
        assert_eq!(platform.fpu().unwrap()[160..192], [mark; 32]);
    }
}

#[test]
fn pages_are_put_back_where_they_are_by_then() {
    let Some((mut platform, _)) = guest(&[]) else { return };
    let (page, elsewhere) = (span(0x100_0000, 0x1000), span(0x900_0000, 0x1000));
    let all = Protection::READ | Protection::WRITE;
    let image = [5; 0x1000];
    let pages = [(page, Pristine::Image(0))];
    let first = |platform: &Tested, at: Span| {
        let mut byte = [0];
        platform.read_any(at.start, &mut byte).unwrap();
        byte[0]
    };
    let file = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&file, &image).unwrap();
    platform.set_image(file.as_fd(), 0x1000).unwrap();
    platform.map(page, all, Source::Anonymous).unwrap();
    for (number, change) in (10..).zip([None, Some(Protection::READ), Some(all)]) {
        platform.write_some(page.start, &[number]);
        if let Some(protection) = change {
            platform.protect(page, protection).unwrap();
        }
        platform.put_back(&image, &pages, None).unwrap();
        assert_eq!(first(&platform, page), 5);
    }
    platform.relocate(page, elsewhere).unwrap();
    assert_eq!(platform.write_some(elsewhere.start, &[77]), 1);
    platform.map(page, all, Source::Anonymous).unwrap();
    platform.put_back(&image, &pages, None).unwrap();
    assert_eq!((first(&platform, page), first(&platform, elsewhere)), (5, 77));
    platform.unmap(elsewhere).unwrap();
}

#[test]
fn a_spinning_guest_is_interrupted_from_another_thread() {
    let Some((mut platform, mut registers)) = guest(&[0xeb, 0xfe]) else { return };
    let interrupter = platform.interrupter();
    let waiter = std::thread::spawn(move || interrupter.interrupt());
    assert_eq!(platform.run(&mut registers).unwrap(), Exit::Interrupted);
    waiter.join().unwrap();
}

#[test]
fn touched_pages_are_known_whoever_touches_them_and_whatever_was_known() {
    // mov byte [DATA], 1; syscall; mov byte [DATA + 0x1000], 1; syscall
    let store = |page: u8| [0xc6, 0x04, 0x25, 0, page << 4, 0x20, 0, 1, 0x0f, 0x05];
    let code: Vec<u8> = [0, 1].into_iter().flat_map(store).collect();
    let Some((mut platform, mut registers)) = guest(&code) else { return };
    let everything = [Span { start: 0x2_0000, end: RESERVED.start }];
    let touched = |platform: &mut Tested, length: u64| {
        let expected = if length == 0 { vec![] } else { vec![span(DATA, length)] };
        // The second answer is from memory.
        assert_eq!(platform.touched(&everything).unwrap(), expected);
        assert_eq!(platform.touched(&everything).unwrap(), expected);
    };
    touched(&mut platform, 0);
    for pages in [1, 2] {
        platform.run(&mut registers).unwrap();
        touched(&mut platform, pages << 12);
    }
    let memory: &mut dyn GuestMemory = &mut platform;
    memory.write(DATA + 0x1fff, b"on the next page too").unwrap();
    touched(&mut platform, 0x3000);
    platform.restore(&[(span(DATA + 0x3000, 0x1000), &[1; 4096])]).unwrap();
    touched(&mut platform, 0x4000);
    platform.discard(span(DATA + 0x3000, 0x1000)).unwrap();
    touched(&mut platform, 0x3000);
    platform.put_back(&[], &[(span(DATA + 0x2000, 0x2000), Pristine::Zero)], None).unwrap();
    touched(&mut platform, 0x4000);
    platform.relocate(span(DATA + 0x3000, 0x1000), span(0x1_8000, 0x1000)).unwrap();
    touched(&mut platform, 0x3000);
    platform.unmap(span(DATA, 0x3000)).unwrap();
    touched(&mut platform, 0);
}

#[test]
fn more_pages_are_put_back_than_one_stop_takes() {
    let Some((mut platform, _)) = guest(&[]) else { return };
    let (start, pages) = (0x100_0000, 4000);
    let protection = Protection::READ | Protection::WRITE;
    platform.map(span(start, pages * 4096), protection, Source::Anonymous).unwrap();
    let page = |number: u64| span(start + number * 4096, 4096);
    for number in 0..pages {
        assert_eq!(platform.write_some(page(number).start, &[7]), 1);
    }
    // The guest cannot write to these, nor can the stub.
    for number in [0, 1998, 3998] {
        platform.protect(page(number), Protection::READ).unwrap();
    }
    let even: Vec<_> = (0..pages).step_by(2).map(|number| (page(number), Pristine::Zero)).collect();
    let before = platform.counts().copies;
    platform.put_back(&[], &even, None).unwrap();
    // Each page that the stub cannot write to ends a stop.
    assert_eq!(platform.counts().copies - before, crate::STOPS_OF_A_LONG_REWRITE);
    for number in 0..pages {
        let mut byte = [1];
        platform.read_any(page(number).start, &mut byte).unwrap();
        assert_eq!(byte, [if number % 2 == 0 { 0 } else { 7 }], "page {number}");
    }
}

#[test]
fn an_answer_reaches_the_guest_whether_or_not_more_has_changed_and_is_never_restarted() {
    // syscall; mov rbx, rax; jmp -7
    let Some((mut platform, mut registers)) = guest(&[0x0f, 0x05, 0x48, 0x89, 0xc3, 0xeb, 0xf9]) else { return };
    assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall);
    for answer in [7_i64, -1, -511, -512, -514, -516, -517, i64::MIN] {
        registers.rax = answer.cast_unsigned();
        assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall);
        assert_eq!(registers.rbx.cast_signed(), answer);
        (registers.rax, registers.r12) = (5, answer.cast_unsigned());
        assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall);
        assert_eq!((registers.rbx, registers.r12.cast_signed()), (5, answer));
        // A signal that comes with the answer.
        registers.rax = answer.cast_unsigned();
        platform.interrupter().interrupt();
        assert_eq!(platform.run(&mut registers).unwrap(), Exit::Interrupted);
        assert_eq!((registers.rax.cast_signed(), registers.rip, registers.orig_rax), (answer, CODE + 2, u64::MAX));
        assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall);
        assert_eq!((registers.rbx.cast_signed(), registers.rip), (answer, CODE + 2));
        // A host call between the stop and the answer.
        platform.unmap(span(0x60_0000, 0x1000)).unwrap();
        registers.rax = 9;
        assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall);
        assert_eq!((registers.rbx, registers.rip), (9, CODE + 2));
    }
}
