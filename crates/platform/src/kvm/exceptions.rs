//! CPU exceptions as Linux reports them: a signal, its code and its address.

use warmfork_abi::{Registers, USER_END, signals};

use crate::{ExceptionInfo, FaultInfo};

const BUS_ADRALN: i32 = 1;
const BUS_ADRERR: i32 = 2;
const TRAP_BRKPT: i32 = 1;
const TRAP_TRACE: i32 = 2;
const ILL_ILLOPN: i32 = 2;
const FPE_INTDIV: i32 = 1;

/// Bits of a page fault's error code.
pub const PRESENT: u64 = 1;
pub const WRITE: u64 = 1 << 1;
pub const USER: u64 = 1 << 2;
pub const FETCH: u64 = 1 << 4;

/// CPU exceptions by their numbers.
pub const DEBUG: u64 = 1;
pub const INVALID_OPCODE: u64 = 6;
pub const GENERAL_PROTECTION: u64 = 13;
pub const PAGE_FAULT: u64 = 14;
pub const X87: u64 = 16;
pub const SIMD: u64 = 19;

/// State that some exceptions need beside the registers.
#[derive(Clone, Copy, Default, Debug)]
pub struct Details {
    /// DR6 says that the trap flag did it.
    pub single_step: bool,
    /// x87 control and status words, MXCSR.
    pub x87: (u16, u16),
    pub mxcsr: u32,
}

/// Exception `vector` as Linux signals it; `None` for one that no program can cause.
pub fn signal(vector: u64, error: u64, registers: &Registers, details: Details) -> Option<ExceptionInfo> {
    let at = registers.rip;
    let (signal, code, address) = match vector {
        0 => (signals::SIGFPE, FPE_INTDIV, at),
        DEBUG => (signals::SIGTRAP, if details.single_step { TRAP_TRACE } else { TRAP_BRKPT }, at),
        3 => (signals::SIGTRAP, signals::SI_KERNEL, 0),
        4 | 5 | 10 | GENERAL_PROTECTION => (signals::SIGSEGV, signals::SI_KERNEL, 0),
        6 => (signals::SIGILL, ILL_ILLOPN, at),
        11 | 12 => (signals::SIGBUS, signals::SI_KERNEL, 0),
        X87 => (signals::SIGFPE, float_code(u32::from(!details.x87.0 & details.x87.1)), at),
        17 => (signals::SIGBUS, BUS_ADRALN, 0),
        SIMD => (signals::SIGFPE, float_code(!(details.mxcsr >> 7) & details.mxcsr), at),
        _ => return None,
    };
    let trap = u8::try_from(vector).unwrap_or(0);
    Some(ExceptionInfo { signal, code, address, trap, error })
}

/// `si_code` for the first of the unmasked exceptions in `status`.
fn float_code(status: u32) -> i32 {
    match status {
        _ if status & 1 != 0 => 7,
        _ if status & 4 != 0 => 3,
        _ if status & 8 != 0 => 4,
        _ if status & 0x12 != 0 => 5,
        _ if status & 0x20 != 0 => 6,
        _ => 0,
    }
}

/// A page fault at an address that is not mapped.
pub fn unmapped(address: u64, error: u64) -> FaultInfo {
    // Linux hides its own mappings above the programs' part.
    let present = if address >= USER_END { PRESENT } else { 0 };
    FaultInfo { signal: signals::SIGSEGV, code: signals::SEGV_MAPERR, address, error: error & !PRESENT | present }
}

/// A page fault where something is mapped that does not allow the access; `present` if there is a page already.
pub fn forbidden(address: u64, error: u64, present: bool) -> FaultInfo {
    let error = error & !PRESENT | u64::from(present);
    FaultInfo { signal: signals::SIGSEGV, code: signals::SEGV_ACCERR, address, error }
}

/// A page fault behind the end of a mapped file.
pub fn behind_end(address: u64, error: u64) -> FaultInfo {
    FaultInfo { signal: signals::SIGBUS, code: BUS_ADRERR, address, error: error & !PRESENT }
}
