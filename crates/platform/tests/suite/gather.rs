//! Pieces that a guest may gather come in order, each once, whether it gathers them or makes a call for each.

use warmfork_abi::numbers::{SENDTO, WRITE};
use warmfork_abi::socket::{MSG_DONTWAIT, MSG_NOSIGNAL};
use warmfork_memory::GuestMemory;
use warmfork_platform::{Exit, Platform, alarm};

use super::{CODE, DATA, guest};

const FD: i32 = 5;
const ROOM: usize = 1000;

/// Sends the number at DATA and counts it up, without end; R12 is the sum of what the calls return.
///
/// ```text
///   mov esi, DATA; mov edx, 4; again: mov edi, FD; mov eax, SENDTO; syscall; inc dword [rsi]; add r12, rax; jmp again
/// ```
const COUNTER: [u8; 32] = [
    0xbe, 0, 0, 0x20, 0, 0xba, 4, 0, 0, 0, 0xbf, 5, 0, 0, 0, 0xb8, 44, 0, 0, 0, 0x0f, 0x05, 0xff, 0x06, 0x49, 0x01,
    0xc4, 0xeb, 0xed, 0x90, 0x90, 0x90,
];

/// Runs the counter for `stops` stops, with an alarm `after(stop)` nanoseconds after the begin of each; the bytes that it has sent.
fn count(stops: u64, after: Option<fn(u64) -> u64>) -> Option<Vec<u8>> {
    let (mut platform, mut registers) = guest(&COUNTER)?;
    let mut sent = Vec::new();
    for stop in 0..stops {
        if let Some(after) = after {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let now = u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap();
            alarm::set_anew(now + after(stop)).unwrap();
        }
        platform.gather(FD, ROOM);
        let exit = platform.run(&mut registers).unwrap();
        let gathered = platform.gathered();
        assert!(gathered.bytes.len() <= ROOM && gathered.pieces * 4 == gathered.bytes.len(), "{gathered:?}");
        sent.extend(gathered.bytes);
        match exit {
            Exit::Syscall => {
                assert_eq!((registers.orig_rax, registers.rdi, registers.rsi, registers.rdx), (SENDTO, 5, DATA, 4));
                let mut piece = [0; 4];
                assert_eq!(platform.read_some(DATA, &mut piece), 4);
                sent.extend(piece);
                registers.rax = 4;
            }
            Exit::Interrupted => _ = alarm::has_rung(),
            exit => panic!("{exit:?} at {:#x}", registers.rip),
        }
        assert!((CODE..CODE + 32).contains(&registers.rip), "{:#x}", registers.rip);
    }
    // The last call may have returned, and its number not yet been counted.
    assert!((sent.len() as u64).abs_diff(registers.r12) <= 4, "{} {}", sent.len(), registers.r12);
    Some(sent)
}

fn assert_counts(sent: &[u8]) {
    let (numbers, rest) = sent.as_chunks::<4>();
    assert!(rest.is_empty());
    assert!((0..).zip(numbers).all(|(expected, number)| u32::from_le_bytes(*number) == expected));
}

#[test]
fn each_piece_comes_once_and_in_order() {
    let Some(sent) = count(50, None) else { return };
    assert_counts(&sent);
    assert!(sent.len() >= 200);
}

#[test]
fn interrupts_lose_and_repeat_no_piece() {
    let Some(sent) = count(3_000, Some(|stop| stop * 77 % 100_000)) else { return };
    assert_counts(&sent);
}

#[test]
fn a_call_that_is_no_plain_piece_leaves_as_it_is() {
    let far = DATA + 0x4000;
    let plain = [SENDTO, 5, DATA, 8, 0, 0];
    for (what, call) in [
        ("another call", [0, 5, DATA, 8, 0, 0]),
        ("another descriptor", [WRITE, 6, DATA, 8, 0, 0]),
        ("nothing to send", [WRITE, 5, DATA, 0, 0, 0]),
        ("more than there is room for", [WRITE, 5, DATA, 1001, 0, 0]),
        ("far more", [WRITE, 5, DATA, u64::MAX, 0, 0]),
        ("another flag", [SENDTO, 5, DATA, 8, MSG_DONTWAIT.into(), 0]),
        ("an address", [SENDTO, 5, DATA, 8, 0, DATA]),
        ("no memory", [WRITE, 5, far, 8, 0, 0]),
        ("memory that ends", [WRITE, 5, far - 4, 8, 0, 0]),
        ("no address", [WRITE, 5, 0x8000_0000_0000, 8, 0, 0]),
        ("an address near the end of all", [WRITE, 5, u64::MAX - 3, 8, 0, 0]),
        ("the platform's own page", [WRITE, 5, 0x4000, 8, 0, 0]),
        ("reserved addresses", [WRITE, 5, warmfork_platform::RESERVED.start, 8, 0, 0]),
    ] {
        // syscall; jmp to itself
        let Some((mut platform, mut registers)) = guest(&[0x0f, 0x05, 0xeb, 0xfe]) else { return };
        [registers.rax, registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8] = call;
        platform.gather(FD, ROOM);
        assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall, "{what}");
        assert_eq!(platform.gathered(), Default::default(), "{what}");
        let [rax, rdi, rsi, rdx, r10, r8] = call;
        let found = (registers.orig_rax, registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8);
        assert_eq!(found, (rax, rdi, rsi, rdx, r10, r8), "{what}");
        assert_eq!(registers.rip, CODE + 2, "{what}");
    }
    // Not asked to any more.
    let Some((mut platform, mut registers)) = guest(&[0x0f, 0x05, 0x0f, 0x05]) else { return };
    [registers.rax, registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8] = plain;
    assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall);
    platform.gather(FD, ROOM);
    platform.gathered();
    [registers.rax, registers.r10] = [SENDTO, MSG_NOSIGNAL.into()];
    assert_eq!(platform.run(&mut registers).unwrap(), Exit::Syscall);
    assert_eq!(platform.gathered(), Default::default());
}
