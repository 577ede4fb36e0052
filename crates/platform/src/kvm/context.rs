//! The registers of a context of ring 3, as KVM and as the rest of warmfork have them.

use kvm_bindings::kvm_regs;
use warmfork_abi::registers::{USER_CS, USER_SS};
use warmfork_abi::{Registers, USER_END};

use super::layout;
use super::tables::KernelMemory;
use super::vm::OLD_CS;

/// Segment state that general registers do not tell.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Segments {
    pub fs_base: u64,
    pub gs_base: u64,
    /// DS, ES, FS, GS.
    pub selectors: [u64; 4],
}

/// The general registers of `registers`.
pub fn general(registers: &Registers) -> kvm_regs {
    kvm_regs {
        rax: registers.rax,
        rbx: registers.rbx,
        rcx: registers.rcx,
        rdx: registers.rdx,
        rsi: registers.rsi,
        rdi: registers.rdi,
        rsp: registers.rsp,
        rbp: registers.rbp,
        r8: registers.r8,
        r9: registers.r9,
        r10: registers.r10,
        r11: registers.r11,
        r12: registers.r12,
        r13: registers.r13,
        r14: registers.r14,
        r15: registers.r15,
        rip: registers.rip,
        rflags: registers.rflags,
    }
}

/// Sets `registers` to a context of ring 3.
pub fn store(registers: &mut Registers, regs: &kvm_regs, segments: Segments) {
    let [ds, es, fs, gs] = segments.selectors;
    *registers = Registers {
        r15: regs.r15,
        r14: regs.r14,
        r13: regs.r13,
        r12: regs.r12,
        rbp: regs.rbp,
        rbx: regs.rbx,
        r11: regs.r11,
        r10: regs.r10,
        r9: regs.r9,
        r8: regs.r8,
        rax: regs.rax,
        rcx: regs.rcx,
        rdx: regs.rdx,
        rsi: regs.rsi,
        rdi: regs.rdi,
        orig_rax: u64::MAX,
        rip: regs.rip,
        cs: USER_CS,
        rflags: regs.rflags,
        rsp: regs.rsp,
        ss: USER_SS,
        fs_base: segments.fs_base,
        gs_base: segments.gs_base,
        ds,
        es,
        fs,
        gs,
    };
}

/// The segments of `registers` as far as they can be loaded: bases in user space, selectors of ring 3.
pub fn segments(registers: &Registers) -> Segments {
    let base = |value: u64| if value < USER_END { value } else { 0 };
    let selector = |value: u64| if matches!(value, USER_CS | USER_SS | OLD_CS | 1..4) { value } else { 0 };
    Segments {
        fs_base: base(registers.fs_base),
        gs_base: base(registers.gs_base),
        selectors: [registers.ds, registers.es, registers.fs, registers.gs].map(selector),
    }
}

/// The segments that the last stub has written down.
pub fn saved_segments(memory: &KernelMemory) -> Segments {
    let word = |offset: usize| memory.get(layout::DATA + offset as u64);
    let selectors = word(layout::SAVED_SELECTORS);
    Segments {
        fs_base: word(layout::SAVED_FS_BASE),
        gs_base: word(layout::SAVED_GS_BASE),
        selectors: [0, 16, 32, 48].map(|shift| selectors >> shift & 0xffff),
    }
}
