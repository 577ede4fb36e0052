//! The stub's seccomp filter: the second wall.
//!
//! Guest code never makes a host system call, for ptrace turns each of them into a stop. Should that ever fail, the
//! filter lets through only memory calls and the one kind of clone that copies a stub, and only from the two `syscall`
//! instructions of the resident code.
//!
//! One kind of call never passes ptrace: those of the vsyscall page, which the host answers itself unless a filter
//! objects. Ours turns them into SIGSYS, of which the platform makes ordinary system calls of the guest.

use super::layout;

/// One BPF instruction (`struct sock_filter`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    constant: u32,
}

impl Instruction {
    /// The eight bytes of `struct sock_filter`, as a little-endian word.
    pub fn encoded(self) -> u64 {
        let low = u64::from(self.code) | u64::from(self.jump_true) << 16 | u64::from(self.jump_false) << 24;
        low | u64::from(self.constant) << 32
    }
}

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const ALLOW: u32 = 0x7fff_0000;
const TRAP: u32 = 0x0003_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
/// The high half of the vsyscall page's addresses.
const VSYSCALL_HIGH: u32 = 0xffff_ffff;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const POINTER_LOW: u32 = 8;
const POINTER_HIGH: u32 = 12;
const FIRST_ARGUMENT: u32 = 16;

/// The calls that the parent makes through the stub.
const CALLS: [libc::c_long; 8] = [
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_recvmsg,
    libc::SYS_close,
    libc::SYS_dup2,
];

/// The flags with which a stub is forked: its copy is its sibling, traced by the same thread.
pub const CLONE_FLAGS: u32 = (libc::CLONE_PARENT | libc::CLONE_PTRACE | libc::SIGCHLD).cast_unsigned();

/// Instructions of the test for that.
const CLONE_TEST: u8 = 3;

/// The filter program.
#[must_use]
pub fn program() -> Vec<Instruction> {
    let load = |offset| Instruction { code: LOAD, jump_true: 0, jump_false: 0, constant: offset };
    let halves = |address: u64| -> (u32, u32) {
        let bytes = address.to_le_bytes();
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        (word(0), word(4))
    };
    let (single_low, high) = halves(layout::SINGLE_END);
    let (batch_low, _) = halves(layout::BATCH_CALL_END);
    // Jumps count the instructions to skip; each test that fails goes to the kill at the end.
    let calls = u8::try_from(CALLS.len()).unwrap_or(u8::MAX);
    let equal = |constant, jump_true, jump_false| Instruction { code: JUMP_EQUAL, jump_true, jump_false, constant };
    let answer = |constant| Instruction { code: RETURN, jump_true: 0, jump_false: 0, constant };
    let mut program = vec![
        load(ARCHITECTURE),
        equal(AUDIT_ARCH_X86_64, 0, 8 + calls + CLONE_TEST),
        load(POINTER_HIGH),
        equal(VSYSCALL_HIGH, 0, 1),
        answer(TRAP),
        equal(high, 0, 4 + calls + CLONE_TEST),
        load(POINTER_LOW),
        equal(single_low, 1, 0),
        equal(batch_low, 0, 1 + calls + CLONE_TEST),
        load(NUMBER),
    ];
    for (index, call) in CALLS.iter().enumerate() {
        let left = calls - u8::try_from(index).unwrap_or(0) + CLONE_TEST;
        program.push(equal(u32::try_from(*call).unwrap_or(u32::MAX), left, 0));
    }
    program.push(equal(u32::try_from(libc::SYS_clone).unwrap_or(u32::MAX), 0, 2));
    program.push(load(FIRST_ARGUMENT));
    program.push(equal(CLONE_FLAGS, 1, 0));
    program.push(answer(KILL_PROCESS));
    program.push(answer(ALLOW));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel does.
    fn verdict(number: u32, architecture: u32, pointer: u64) -> u32 {
        verdict_with(number, architecture, pointer, 0)
    }

    fn verdict_with(number: u32, architecture: u32, pointer: u64, argument: u32) -> u32 {
        let program = program();
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let instruction = program[at];
            at += 1;
            match instruction.code {
                LOAD => {
                    accumulator = match instruction.constant {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        POINTER_LOW => u32::try_from(pointer & 0xffff_ffff).unwrap(),
                        POINTER_HIGH => u32::try_from(pointer >> 32).unwrap(),
                        FIRST_ARGUMENT => argument,
                        other => panic!("load of offset {other}"),
                    }
                }
                JUMP_EQUAL => {
                    let equal = accumulator == instruction.constant;
                    at += usize::from(if equal { instruction.jump_true } else { instruction.jump_false });
                }
                _ => return instruction.constant,
            }
        }
    }

    #[test]
    fn only_memory_calls_from_the_resident_code_pass() {
        let mmap = u32::try_from(libc::SYS_mmap).unwrap();
        let close = u32::try_from(libc::SYS_close).unwrap();
        let open = u32::try_from(libc::SYS_open).unwrap();
        for pointer in [layout::SINGLE_END, layout::BATCH_CALL_END] {
            assert_eq!(verdict(mmap, AUDIT_ARCH_X86_64, pointer), ALLOW);
            assert_eq!(verdict(close, AUDIT_ARCH_X86_64, pointer), ALLOW);
            assert_eq!(verdict(open, AUDIT_ARCH_X86_64, pointer), KILL_PROCESS);
            assert_eq!(verdict(mmap, 0x4000_0003, pointer), KILL_PROCESS);
            assert_eq!(verdict(mmap, AUDIT_ARCH_X86_64, pointer - 1), KILL_PROCESS);
            let clone = u32::try_from(libc::SYS_clone).unwrap();
            assert_eq!(verdict_with(clone, AUDIT_ARCH_X86_64, pointer, CLONE_FLAGS), ALLOW);
            assert_eq!(verdict_with(clone, AUDIT_ARCH_X86_64, pointer, 0x11), KILL_PROCESS);
            assert_eq!(verdict_with(clone, AUDIT_ARCH_X86_64, pointer - 1, CLONE_FLAGS), KILL_PROCESS);
        }
        assert_eq!(verdict(mmap, AUDIT_ARCH_X86_64, 0x40_0000), KILL_PROCESS);
        assert_eq!(verdict(mmap, AUDIT_ARCH_X86_64, 0xffff_ffff_ff60_0000), TRAP);
        assert_eq!(verdict(mmap, 0x4000_0003, 0xffff_ffff_ff60_0000), KILL_PROCESS);
    }
}
