//! Mappings that are larger than any unit a platform may deal in, and many of them.

use std::os::fd::AsFd;

use warmfork_abi::{Registers, signals};
use warmfork_memory::{GuestMemory, Protection, Source};
use warmfork_platform::{Exit, Platform};

use super::{CODE, DATA, guest, span};
use crate::Tested;

const RW: Protection = Protection::READ.union(Protection::WRITE);
const MIB: u64 = 1 << 20;

/// mov al, [rsi]; syscall; jmp to the start
const READ_ONE: [u8; 6] = [0x8a, 0x06, 0x0f, 0x05, 0xeb, 0xfa];

/// What the guest reads at `address`: a byte, or a fault.
fn look(platform: &mut Tested, registers: &mut Registers, address: u64) -> Result<u8, Exit> {
    (registers.rip, registers.rsi) = (CODE, address);
    registers.rax = 0;
    match platform.run(registers).unwrap() {
        Exit::Syscall => Ok(u8::try_from(registers.orig_rax & 0xff).unwrap()),
        exit => Err(exit),
    }
}

#[test]
fn a_mapping_of_many_megabytes_moves_and_grows() {
    let Some((mut platform, mut registers)) = guest(&READ_ONE) else { return };
    let file = rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, 16 * MIB).unwrap();
    for (index, shared) in [(0, true), (1, false)] {
        let byte = |megabyte: u64| u8::try_from(megabyte).unwrap() + 1;
        for megabyte in 0..16 {
            rustix::io::pwrite(&file, &[byte(megabyte)], megabyte * MIB).unwrap();
        }
        let from = 0x1000_0000 + index * (1 << 36) + 0x5000;
        let to = from + 0x4000_0000 + 0x3000;
        platform.map(span(from, 7 * MIB), RW, Source::File { fd: file.as_fd(), offset: 0, shared }).unwrap();
        assert_eq!(platform.write_some(from + 2 * MIB, &[100]), 1);
        assert_eq!(look(&mut platform, &mut registers, from + 6 * MIB), Ok(7));
        // What is in the way goes.
        platform.map(span(to + 9 * MIB, 4096), RW, Source::Anonymous).unwrap();
        platform.relocate(span(from, 7 * MIB), span(to, 11 * MIB)).unwrap();
        for megabyte in 0..11 {
            let expected = if megabyte == 2 { 100 } else { byte(megabyte) };
            assert_eq!(look(&mut platform, &mut registers, to + megabyte * MIB), Ok(expected), "{megabyte}");
        }
        assert!(look(&mut platform, &mut registers, from).is_err());
        assert!(look(&mut platform, &mut registers, to + 11 * MIB).is_err());
        platform.unmap(span(to + MIB, 9 * MIB)).unwrap();
        assert_eq!(look(&mut platform, &mut registers, to + 10 * MIB), Ok(11));
        assert!(look(&mut platform, &mut registers, to + 9 * MIB).is_err());
        assert_eq!(platform.read_some(to + MIB - 1, &mut [0; 2]), 1);
    }
}

#[test]
fn mappings_far_apart_come_and_go() {
    let Some((mut platform, mut registers)) = guest(&READ_ONE) else { return };
    let place = |number: u64| 0x2_0000_0000 + number * 64 * MIB;
    for round in 0..3 {
        for number in 0..600 {
            let here = place(number + 300 * round);
            platform.map(span(here, 4096), RW, Source::Anonymous).unwrap();
            platform.write_some(here, &[7]);
            assert_eq!(look(&mut platform, &mut registers, here), Ok(7));
        }
        for number in 0..600 {
            let here = place(number + 300 * round);
            platform.unmap(span(here, 4096)).unwrap();
            let Err(Exit::Fault(fault)) = look(&mut platform, &mut registers, here) else { panic!("still there") };
            assert_eq!((fault.code, fault.address), (signals::SEGV_MAPERR, here));
        }
    }
}

#[test]
fn a_large_mapping_comes_and_goes() {
    let Some((mut platform, mut registers)) = guest(&READ_ONE) else { return };
    let start = 0x2_0000_0000;
    for _ in 0..3 {
        platform.map(span(start, 5 << 30), RW, Source::Anonymous).unwrap();
        for at in [start, start + (5 << 30) - 1] {
            assert_eq!(platform.write_some(at, &[7]), 1);
            assert_eq!(look(&mut platform, &mut registers, at), Ok(7));
        }
        platform.unmap(span(start, 5 << 30)).unwrap();
        assert!(look(&mut platform, &mut registers, start).is_err());
        assert_eq!(look(&mut platform, &mut registers, DATA), Ok(0));
    }
}

#[test]
fn of_terabytes_little_need_be_touched() {
    let Some((mut platform, mut registers)) = guest(&READ_ONE) else { return };
    let (start, length) = (0x100_0000_0000, 4 << 40);
    platform.map(span(start, length), RW, Source::Anonymous).unwrap();
    let untouched = platform.mappings().unwrap();
    let edge = start + 1000 * MIB;
    let mut bytes = [1; 8192];
    assert_eq!(platform.read_some(edge - 4096, &mut bytes), bytes.len());
    assert_eq!(bytes, [0; 8192]);
    assert_eq!(platform.write_some(edge - 4096, &[7; 8192]), 8192);
    for (at, expected) in [(start, 0), (edge, 7), (edge - 1, 7), (edge + 4 * MIB, 0), (start + length - 1, 0)] {
        assert_eq!(look(&mut platform, &mut registers, at), Ok(expected), "{at:#x}");
    }
    assert_eq!(platform.mappings().unwrap(), untouched, "touching is nothing to tell of");
    // Hosts before Linux 6.7 do not tell pages of zeroes that were read from written ones.
    let touched = platform.touched(&[span(start, length)]).unwrap();
    assert!(touched.contains(&span(edge - 4096, 8192)), "{touched:x?}");
    assert!(touched.iter().map(|span| span.len()).sum::<u64>() <= 5 * 4096, "{touched:x?}");

    platform.protect(span(start, length), Protection::empty()).unwrap();
    for at in [start, edge, start + 2000 * MIB] {
        let Err(Exit::Fault(fault)) = look(&mut platform, &mut registers, at) else { panic!("it may not be read") };
        assert_eq!((fault.code, fault.address), (signals::SEGV_ACCERR, at));
        assert_eq!(platform.read_some(at, &mut [0]), 0);
    }
    platform.protect(span(start, length), Protection::READ).unwrap();
    assert_eq!(platform.write_some(start + 3000 * MIB, &[7]), 0);
    let to = start + 2 * length;
    platform.relocate(span(start, length), span(to, length + 4096 * MIB)).unwrap();
    for (at, expected) in [(edge, 7), (start + 5, 0), (start + length + 5, 0), (start + length + 2048 * MIB, 0)] {
        assert_eq!(look(&mut platform, &mut registers, at - start + to), Ok(expected), "{at:#x}");
        assert!(look(&mut platform, &mut registers, at).is_err());
    }
    platform.protect(span(to, length), RW).unwrap();
    platform.discard(span(to, length)).unwrap();
    assert_eq!(look(&mut platform, &mut registers, edge - start + to), Ok(0));
    platform.unmap(span(to, length + 4096 * MIB)).unwrap();
    assert!(look(&mut platform, &mut registers, edge - start + to).is_err());
    assert_eq!(look(&mut platform, &mut registers, DATA), Ok(0));
}

#[test]
fn rights_taken_away_are_gone_at_once() {
    // At DATA: ret. call rsi; syscall; jmp to the start
    let Some((mut platform, mut registers)) = guest(&[0xff, 0xd6, 0x0f, 0x05, 0xeb, 0xfa]) else { return };
    platform.write_some(DATA, &[0xc3]);
    let mut call = |platform: &mut Tested| {
        (registers.rip, registers.rsi, registers.rsp) = (CODE, DATA, DATA + 0x4000);
        platform.run(&mut registers).unwrap()
    };
    for _ in 0..3 {
        platform.protect(span(DATA, 4096), RW | Protection::EXEC).unwrap();
        assert_eq!(call(&mut platform), Exit::Syscall);
        platform.protect(span(DATA, 4096), RW).unwrap();
        let Exit::Fault(fault) = call(&mut platform) else { panic!("it may not be run") };
        assert_eq!((fault.code, fault.address, fault.error), (signals::SEGV_ACCERR, DATA, 0x15));
        platform.protect(span(DATA, 4096), Protection::empty()).unwrap();
        assert_eq!(platform.read_some(DATA, &mut [0]), 0);
        assert!(matches!(call(&mut platform), Exit::Fault(fault) if fault.code == signals::SEGV_ACCERR));
    }
}
