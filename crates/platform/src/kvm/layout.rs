//! The guest's kernel pages: the little of an operating system that the CPU itself needs, and the stubs that leave the
//! guest. They begin at 0x1000, below the addresses that guests may map, and only ring 0 may touch them.
//!
//! ```text
//!   0x1000  GDT, TSS with the I/O bitmap     0x2000  IDT       0x3000  stubs (below)
//!   0x4000  save area, frame for iretq, stacks of the exception stubs
//!   0x5000  top page table                   0x6000  code of ring 3: it reads and runs it, at DOORBELL
//!   0x7000  data of that (resume.rs): ring 3 reads it, behind DOORBELL
//!   0xa000  page tables of the guest, as they are needed
//! ```
//!
//! Guest-physical addresses equal these. A stub leaves with `out`: KVM exits for that and has the registers at hand.

use warmfork_abi::socket::MSG_NOSIGNAL;
use warmfork_abi::{USER_END, numbers};

use crate::RESERVED;

/// Guest-physical (and guest-virtual) addresses of the pages above.
pub const DESCRIPTORS: u64 = 0x1000;
pub const TSS: u64 = DESCRIPTORS + 0x100;
pub const IDT: u64 = 0x2000;
pub const STUBS: u64 = 0x3000;
pub const DATA: u64 = 0x4000;
pub const TOP_TABLE: u64 = 0x5000;
pub const DOORBELL_PAGE: u64 = 0x6000;
/// The state that ring 3 loads on its way into a context.
pub const RESUME_PAGES: u64 = 0x7000;
/// First page for page tables.
pub const FREE: u64 = 0xa000;

/// Where ring 3 has the doorbell page: in the span that no guest of any platform can map.
pub const DOORBELL: u64 = USER_END - 0xf000;
/// The place in that page, and the length, of the code that loads it.
pub const RESUME: u64 = DOORBELL + 0x40;
pub const RESUME_LENGTH: usize = 0x60;
/// Where ring 3 has the data of that.
pub const RESUME_DATA: u64 = DOORBELL + 0x1000;

/// Port of a system call. Ring 3 may use it where the doorbell is there.
pub const SYSCALL_PORT: u16 = 0x10;
/// Port of an exception.
pub const EXCEPTION_PORT: u16 = 0x20;

/// Selectors: Linux's own for users.
pub const KERNEL_CS: u16 = 0x10;
pub const TASK: u16 = 0x40;
/// Highest byte of the GDT.
pub const GDT_LIMIT: u16 = 79;
/// Exceptions with a gate; an `int` beyond them is a #GP.
pub const VECTORS: u16 = 32;
/// Highest byte of the TSS: the fixed part and a bitmap of ports 0 to 0x17, which ends with a byte of ones.
pub const TSS_LIMIT: u32 = 104 + 3;

/// Offsets in the data page of the state that the ring-0 stubs save.
pub const SAVED_FS_BASE: usize = 0x08;
pub const SAVED_GS_BASE: usize = 0x10;
/// DS, ES, FS, GS, two bytes each.
pub const SAVED_SELECTORS: usize = 0x18;
pub const SAVED_CR2: usize = 0x20;
/// The frame that `iretq` takes: RIP, CS, RFLAGS, RSP, SS.
pub const IRET_FRAME: usize = 0x40;
/// Gathering (gather.rs): the descriptor; the most bytes; bytes so far, and the number of pieces in the high half.
pub const GATHER_FD: usize = 0x80;
pub const GATHER_ROOM: usize = 0x88;
pub const GATHER_DONE: usize = 0x90;
/// RCX, RSI, RDI of ring 3 meanwhile.
pub const GATHER_SAVED: usize = 0x98;
/// The bytes themselves.
pub const GATHERED: usize = 0x100;
pub const GATHERED_BYTES: usize = 0x5c0;
/// Stacks, by their ends: of #DB, NMI and #DF, and of all other exceptions.
pub const SPECIAL_STACK: usize = 0x800;
pub const STACK: usize = 0x1000;
/// The words that an exception stub leaves on its stack: vector, error code, and the CPU's frame.
pub const EXCEPTION_FRAME_WORDS: usize = 7;

/// Offsets of the stubs.
pub const SYSCALL_STUB: u64 = 0;
pub const SYSRET_STUB: u64 = 0x80;
pub const IRET_STUB: u64 = 0x90;
/// The doorbell's code, which goes to a page of its own, and its length.
pub const DOORBELL_STUB: usize = 0x180;
pub const DOORBELL_LENGTH: usize = 2;
/// First of the exception stubs, 16 bytes each, for ring-0 traps and for the doorbell.
pub const EXCEPTION_STUBS: u64 = 0x200;
pub const PLAIN_EXCEPTION_STUBS: u64 = 0x400;
/// The stub that gathers, and places in it: behind the saving of registers, at the copying instruction, at the instruction that
/// makes it done, behind its return, and its end.
pub const GATHER_STUB: u64 = 0x600;
pub const GATHER_SAVED_ALL: u64 = 0x620;
pub const GATHER_COPY: u64 = 0x6c0;
pub const GATHER_COMMIT: u64 = 0x6e0;
pub const GATHER_RETURNED: u64 = 0x710;
pub const GATHER_END: u64 = 0x740;

const STUB_BYTES: usize = 0x740;

/// The addresses at which a piece may lie that a stub copies: user pages, and none of the pages above.
const LOWEST_PIECE: u64 = 0x1_0000;
const HIGHEST_PIECE: u64 = RESERVED.start - GATHERED_BYTES as u64;

core::arch::global_asm!(
    r#"
    .pushsection .rodata.warmfork_kvm_stubs, "a"
    .balign 16
    .globl warmfork_kvm_stubs
    .hidden warmfork_kvm_stubs
warmfork_kvm_stubs:
    // A system call: RSP is still the guest's.
    cmp edi, dword ptr [0x4080]
    je 103f
    // It writes down the state that KVM would need an ioctl to tell.
102:
    mov qword ptr [0x4000], rax
    rdfsbase rax
    mov qword ptr [0x4008], rax
    rdgsbase rax
    mov qword ptr [0x4010], rax
    mov word ptr [0x4018], ds
    mov word ptr [0x401a], es
    mov word ptr [0x401c], fs
    mov word ptr [0x401e], gs
    mov rax, qword ptr [0x4000]
    out 0x10, al
    .org warmfork_kvm_stubs + 0x80
    sysretq
    .org warmfork_kvm_stubs + 0x90
    iretq
    // An exception, the same; and its address.
    .org warmfork_kvm_stubs + 0xc0
100:
    mov qword ptr [0x4000], rax
    rdfsbase rax
    mov qword ptr [0x4008], rax
    rdgsbase rax
    mov qword ptr [0x4010], rax
    mov word ptr [0x4018], ds
    mov word ptr [0x401a], es
    mov word ptr [0x401c], fs
    mov word ptr [0x401e], gs
    mov rax, cr2
    mov qword ptr [0x4020], rax
    mov rax, qword ptr [0x4000]
    out 0x20, al
    // Where ring 0 is emulated each instruction is dear, and KVM tells the rest.
    .org warmfork_kvm_stubs + 0x140
101:
    out 0x20, al
    .org warmfork_kvm_stubs + 0x180
    out 0x10, al
    .org warmfork_kvm_stubs + 0x200
    .irp kind, 100, 101
    .set vector, 0
    .rept 32
    .balign 16
    // Those for which the CPU pushes an error code: 8, 10 to 14, 17, 21, 29 and 30.
    .if ((0x60227d00 >> vector) & 1) == 0
    push 0
    .endif
    push vector
    jmp \kind\()b
    .set vector, vector + 1
    .endr
    .balign 16
    .endr
    // write(fd, bytes, count), or sendto(fd, bytes, count, 0 or MSG_NOSIGNAL, 0, ..), of a descriptor that gathers: adds the bytes to
    // those gathered, and returns their count. Anything unusual leaves instead, with all registers as they were.
    .org warmfork_kvm_stubs + 0x600
103:
    mov qword ptr [0x4098], rcx
    mov qword ptr [0x40a0], rsi
    mov qword ptr [0x40a8], rdi
    jmp 104f
    .org warmfork_kvm_stubs + 0x620
104:
    test rdx, rdx
    jz 102b
    cmp rdx, qword ptr [0x4088]
    ja 102b
    // TF and RF: `sysretq` would not do.
    test r11d, 0x10100
    jnz 102b
    cmp eax, {write}
    je 105f
    cmp eax, {sendto}
    jne 102b
    test r8, r8
    jnz 102b
    test r10d, {other_flags}
    jnz 102b
105:
    cmp rsi, {lowest}
    jb 102b
    movabs rcx, {highest}
    cmp rsi, rcx
    ja 106f
    mov ecx, dword ptr [0x4090]
    lea rdi, [rcx + 0x4100]
    add rcx, rdx
    cmp rcx, qword ptr [0x4088]
    ja 106f
    mov rcx, rdx
    jmp 107f
    .org warmfork_kvm_stubs + 0x6c0
107:
    rep movsb
    mov ecx, 1
    shl rcx, 32
    add rcx, rdx
    jmp 108f
    .org warmfork_kvm_stubs + 0x6e0
108:
    add qword ptr [0x4090], rcx
    mov rax, rdx
    mov rcx, qword ptr [0x4098]
    mov rsi, qword ptr [0x40a0]
    mov rdi, qword ptr [0x40a8]
    sysretq
    .org warmfork_kvm_stubs + 0x710
106:
    mov rcx, qword ptr [0x4098]
    mov rdi, qword ptr [0x40a8]
    jmp 102b
    .org warmfork_kvm_stubs + 0x740
    .popsection
    "#,
    write = const numbers::WRITE,
    sendto = const numbers::SENDTO,
    other_flags = const !MSG_NOSIGNAL,
    lowest = const LOWEST_PIECE,
    highest = const HIGHEST_PIECE,
);

unsafe extern "C" {
    static warmfork_kvm_stubs: [u8; STUB_BYTES];
}

/// The stubs' code.
pub fn stubs() -> &'static [u8; STUB_BYTES] {
    // SAFETY: assembled above, STUB_BYTES long, read-only data that nothing writes to.
    unsafe { &warmfork_kvm_stubs }
}
