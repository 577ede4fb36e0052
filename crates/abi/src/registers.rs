//! The integer registers of one x86-64 context.

/// General registers, in the order of the kernel's `struct user_regs_struct` (sys/user.h), so that a platform
/// can hand them to the host as they are.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the registers' own")]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// The system call number while one is being answered; `u64::MAX` otherwise.
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub ds: u64,
    pub es: u64,
    pub fs: u64,
    pub gs: u64,
}

/// Selector of 64-bit user code on Linux x86-64.
pub const USER_CS: u64 = 0x33;
/// Selector of user data and stack on Linux x86-64.
pub const USER_SS: u64 = 0x2b;
/// RFLAGS of a program at its entry: interrupts on, the bit that is always one.
pub const RFLAGS_AT_ENTRY: u64 = 0x202;
/// RFLAGS bits that a guest may choose: arithmetic flags, DF, TF, NT, AC, ID, and RF, which a fault leaves in its frame.
pub const RFLAGS_USER: u64 = 0x0025_4dd5;

impl Registers {
    /// The context in which a program starts: `rip` and `rsp` given, everything else as execve(2) leaves it.
    #[must_use]
    pub fn at_entry(rip: u64, rsp: u64) -> Self {
        Self { rip, rsp, cs: USER_CS, ss: USER_SS, rflags: RFLAGS_AT_ENTRY, orig_rax: u64::MAX, ..Self::default() }
    }

    /// Every register, in the order of `struct user_regs_struct`.
    #[must_use]
    pub fn words(&self) -> [u64; 27] {
        let Self { r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, .. } = *self;
        let Self { orig_rax, rip, cs, rflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs, .. } = *self;
        [
            r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, rflags, rsp,
            ss, fs_base, gs_base, ds, es, fs, gs,
        ]
    }

    /// The six arguments of a system call, in order.
    #[must_use]
    pub fn arguments(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }
}
