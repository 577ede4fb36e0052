//! The process platform.

mod suite;

use std::os::fd::AsFd;

use suite::{CODE, DATA, guest};
use warmfork_memory::{GuestMemory, Protection, Source, Span};
use warmfork_platform::process::{ProcessPlatform, RESERVED};
use warmfork_platform::{Exit, Platform};

type Tested = ProcessPlatform;

/// For 2,000 pages in three parts, each ended by a page that the stub cannot write to.
const STOPS_OF_A_LONG_REWRITE: u64 = 3;

#[expect(clippy::unnecessary_wraps, reason = "other platforms cannot be had everywhere")]
fn empty() -> Option<Tested> {
    Some(ProcessPlatform::new().unwrap())
}

#[test]
fn nothing_but_the_guest_is_mapped() {
    let Some((platform, _)) = guest(&[]) else { return };
    // Other tests have stubs of other threads.
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    let pid = children.split_whitespace().next();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", pid.expect("the stub"))).unwrap();
    for line in maps.lines().filter(|line| !line.contains("[vsyscall]")) {
        let start = u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
        assert!([CODE, DATA].contains(&start) || RESERVED.contains(start), "{line}");
    }
    drop(platform);
}

#[test]
fn a_duplicate_has_its_own_memory_and_shares_what_is_shared() {
    // mov byte [DATA], 7; syscall; jmp -2
    let address = u32::try_from(DATA).unwrap().to_le_bytes();
    let code = [&[0xc6, 0x04, 0x25][..], &address, &[7, 0x0f, 0x05, 0xeb, 0xfe]].concat();
    let Some((mut platform, registers)) = guest(&code) else { return };
    let file = rustix::fs::memfd_create("shared", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, 4096).unwrap();
    let shared = Span::new(DATA + 0x1000_0000, 4096).unwrap();
    let source = Source::File { fd: file.as_fd(), offset: 0, shared: true };
    platform.map(shared, Protection::READ | Protection::WRITE, source).unwrap();
    assert_eq!(platform.write_some(DATA, &[1, 2]), 2);
    let mut copy = platform.duplicate().unwrap().expect("a stub can be forked");
    assert_eq!(platform.mappings().unwrap(), copy.mappings().unwrap());
    assert_eq!(copy.run(&mut registers.clone()).unwrap(), Exit::Syscall);
    assert_eq!((byte(&platform, DATA), byte(copy.as_ref(), DATA)), (1, 7));
    assert_eq!((byte(&platform, DATA + 1), byte(copy.as_ref(), DATA + 1)), (2, 2));
    assert_eq!(copy.write_some(shared.start, &[9]), 1);
    assert_eq!(byte(&platform, shared.start), 9);
    // Each maps for itself, and one's end is not the other's.
    copy.unmap(shared).unwrap();
    assert_eq!(byte(&platform, shared.start), 9);
    let mut third = copy.duplicate().unwrap().expect("a copy can be forked");
    drop(platform);
    drop(copy);
    third.map(shared, Protection::READ, Source::File { fd: file.as_fd(), offset: 0, shared: false }).unwrap();
    assert_eq!((byte(third.as_ref(), DATA), byte(third.as_ref(), shared.start)), (7, 9));
    let mut registers = registers;
    assert_eq!(third.run(&mut registers).unwrap(), Exit::Syscall);
    third.interrupter().interrupt();
    assert_eq!(third.run(&mut registers).unwrap(), Exit::Interrupted);
}

fn byte(platform: &dyn Platform, address: u64) -> u8 {
    let mut byte = [0];
    assert_eq!(platform.read_some(address, &mut byte), 1);
    byte[0]
}
