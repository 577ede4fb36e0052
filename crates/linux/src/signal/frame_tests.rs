//! Signal frames as a handler sees and spoils them.

use warmfork_abi::registers::{RFLAGS_AT_ENTRY, USER_CS, USER_SS};
use warmfork_abi::signals::{FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, SIGKILL, SIGSEGV, SIGUSR1, signal_bit};
use warmfork_abi::{Registers, USER_END};

use super::Delivery;
use super::frame::unreturnable;
use super::tests::{HANDLER, act, leave_handler, raise};
use crate::process::Ending;
use crate::testing::{Bench, STACK};

#[test]
fn the_vector_area_of_a_frame_is_as_linux_lays_it_out() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    act(&mut bench, SIGUSR1, HANDLER, 0, 0);
    raise(&mut bench, SIGUSR1);
    bench.deliver(pid);
    let context = bench.registers(pid).rdx;
    let area = bench.read(context + 40 + 184);
    assert_eq!(area % 64, 0);
    assert_eq!(bench.read_half(area + 464), FP_XSTATE_MAGIC1);
    assert_eq!(bench.read_half(area + 468), 836);
    assert_eq!(bench.read(area + 472), 7);
    assert_eq!(bench.read_half(area + 480), 832);
    assert_eq!(bench.read_half(area + 832), FP_XSTATE_MAGIC2);
    assert_eq!(bench.read(area + 160), 0xaaaa_aaaa_aaaa_aaaa);
    // The thread goes on with the values that a handler writes there.
    bench.write(area + 160, &[0x1111]);
    bench.write(area + 576, &[0x2222]);
    leave_handler(&mut bench, pid);
    assert_eq!(bench.guest.fpu[160..162], [0x11, 0x11]);
    assert_eq!(bench.guest.fpu[576..578], [0x22, 0x22]);
}

/// Delivers SIGUSR1, lets `spoil` change the frame (ucontext and vector area given), and returns from the handler.
fn with_spoilt_frame(spoil: impl FnOnce(&mut Bench, u64, u64)) -> (Bench, Delivery) {
    let mut bench = Bench::new();
    let pid = bench.pid();
    act(&mut bench, SIGUSR1, HANDLER, 0, 0);
    raise(&mut bench, SIGUSR1);
    bench.deliver(pid);
    let context = bench.registers(pid).rdx;
    let area = bench.read(context + 40 + 184);
    spoil(&mut bench, context, area);
    leave_handler(&mut bench, pid);
    let delivery = bench.deliver(pid);
    (bench, delivery)
}

#[test]
fn a_bad_frame_is_a_segmentation_fault() {
    let killed = Delivery::End(Ending::Signaled(SIGSEGV));
    let cases: [fn(&mut Bench, u64, u64); 6] = [
        |bench, context, area| bench.write(context + 40 + 184, &[area + 8]), // alignment
        |bench, context, _| bench.write(context + 40 + 184, &[STACK + 0x10_0000]), // not mapped
        |bench, _, area| bench.write(area + 512, &[7 | 1 << 62]),            // features that there are not
        |bench, _, area| bench.write(area + 520, &[1 << 63]),                // compacted, of nothing
        |bench, _, area| bench.write(area + 520, &[1 << 63 | 3]),            // compacted, without the AVX part in use
        |bench, _, area| bench.write_half(area + 24, 0x8000_1f80),           // MXCSR
    ];
    for (index, spoil) in cases.into_iter().enumerate() {
        assert_eq!(with_spoilt_frame(spoil).1, killed, "case {index}");
    }
}

#[test]
fn a_frame_cannot_give_privileges() {
    let (mut bench, delivery) = with_spoilt_frame(|bench, context, _| {
        bench.write(context + 40 + 17 * 8, &[u64::MAX]); // rflags
        bench.write(context + 40 + 18 * 8, &[0x0018_0000_0000_0010]); // selectors
        bench.write(context + 296, &[u64::MAX]); // mask
    });
    assert_eq!(delivery, Delivery::Run);
    let pid = bench.pid();
    let registers = *bench.registers(pid);
    assert_eq!(registers.rflags, 0x0005_0dd5 | RFLAGS_AT_ENTRY);
    assert_eq!((registers.cs, registers.ss), (0x13, 0x1b));
    assert_eq!(unreturnable(&registers), Some(0x10));
    assert_eq!(bench.kernel.process().tasks.get(pid).signals.mask & signal_bit(SIGKILL), 0);
}

#[test]
fn nothing_returns_but_to_user_code() {
    let user = Registers::at_entry(0x1000, 0);
    assert_eq!(unreturnable(&user), None);
    for rip in [0, USER_END, (1 << 47) - 1, 0xffff_8000_0000_0000, u64::MAX] {
        assert_eq!(unreturnable(&Registers { rip, ..user }), None, "{rip:#x}");
    }
    for rip in [1 << 47, 1 << 63, 0xffff_7fff_ffff_ffff] {
        assert_eq!(unreturnable(&Registers { rip, ..user }), Some(0), "{rip:#x}");
    }
    assert_eq!(unreturnable(&Registers { ss: 0x33, ..user }), Some(0x30));
    assert_eq!(unreturnable(&Registers { cs: 0xffff, ss: 3, rip: 1 << 47, ..user }), Some(0xfffc));
}

#[test]
fn a_frame_without_its_flags_has_the_ordinary_stack_segment() {
    let (mut bench, delivery) = with_spoilt_frame(|bench, context, _| {
        bench.write(context, &[0]); // uc_flags
        bench.write(context + 40 + 18 * 8, &[USER_CS]);
    });
    assert_eq!(delivery, Delivery::Run);
    let pid = bench.pid();
    assert_eq!(bench.registers(pid).ss, USER_SS);
}

#[test]
fn a_frame_without_vectors_resets_them() {
    let (bench, delivery) = with_spoilt_frame(|bench, context, _| bench.write(context + 40 + 184, &[0]));
    assert_eq!(delivery, Delivery::Run);
    assert_eq!(bench.guest.fpu[160..176], [0; 16]);
}

#[test]
fn a_frame_without_the_magic_words_has_legacy_vectors_only() {
    let (bench, delivery) = with_spoilt_frame(|bench, _, area| bench.write_half(area + 832, 0));
    assert_eq!(delivery, Delivery::Run);
    assert_eq!(bench.guest.fpu[160..162], [0xaa, 0xaa]);
    assert_eq!(u64::from_le_bytes(bench.guest.fpu[512..520].try_into().unwrap()), 3);
}
