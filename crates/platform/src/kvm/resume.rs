//! Loading the state that the shared registers do not hold (vector state, FS and GS bases) without a call of KVM: the guest does it
//! itself, in ring 3, on its way into the context that it is to run.
//!
//! ```text
//!   RESUME (read, execute)                 RESUME_DATA (read only for the guest)
//!   wrfsbase, wrgsbase, xrstor   <------   vector state, mask, bases
//!   mov rax, rdx, rcx; jmp       <------   the context's RAX, RDX, RCX, RIP
//! ```
//!
//! None of these instructions is privileged or changes RFLAGS. A guest that jumps here loads its own state again.

use warmfork_abi::Registers;

use super::layout;
use super::tables::KernelMemory;

/// Bytes of the largest vector state that fits.
pub const STATE_BYTES: usize = 0x3000 - STATE;

/// Offsets in the data pages: the words first, so that mostly one page has all.
const MASK: usize = 0;
const FS_BASE: usize = MASK + 8;
const GS_BASE: usize = MASK + 16;
const RAX: usize = MASK + 24;
const RDX: usize = MASK + 32;
const RCX: usize = MASK + 40;
const RIP: usize = MASK + 48;
const STATE: usize = 64;

core::arch::global_asm!(
    r#"
    .pushsection .rodata.warmfork_kvm_resume, "a"
    .balign 16
    .globl warmfork_kvm_resume
    .hidden warmfork_kvm_resume
warmfork_kvm_resume:
    movabs rcx, {data}
    mov rax, qword ptr [rcx + {fs}]
    wrfsbase rax
    mov rax, qword ptr [rcx + {gs}]
    wrgsbase rax
    mov eax, dword ptr [rcx + {mask}]
    mov edx, dword ptr [rcx + {mask} + 4]
    xrstor64 [rcx + {state}]
    mov rax, qword ptr [rcx + {rax}]
    mov rdx, qword ptr [rcx + {rdx}]
    mov rcx, qword ptr [rcx + {rcx}]
    // jmp qword ptr [rip + ...]: the code runs elsewhere than it is assembled.
    .byte 0xff, 0x25
    .long {distance} + {rip} - (102f - warmfork_kvm_resume)
102:
    .org warmfork_kvm_resume + {bytes}, 0xcc
    .popsection
    "#,
    data = const layout::RESUME_DATA,
    fs = const FS_BASE,
    gs = const GS_BASE,
    mask = const MASK,
    rax = const RAX,
    rdx = const RDX,
    rcx = const RCX,
    rip = const RIP,
    state = const STATE,
    distance = const layout::RESUME_DATA - layout::RESUME,
    bytes = const layout::RESUME_LENGTH,
);

unsafe extern "C" {
    static warmfork_kvm_resume: [u8; layout::RESUME_LENGTH];
}

/// The code.
pub fn code() -> &'static [u8; layout::RESUME_LENGTH] {
    // SAFETY: assembled above, RESUME_LENGTH long, read-only data that nothing writes to.
    unsafe { &warmfork_kvm_resume }
}

/// Whether `address` is in the code.
pub fn holds(address: u64) -> bool {
    (layout::RESUME..layout::RESUME + layout::RESUME_LENGTH as u64).contains(&address)
}

/// The state for the guest to load when it next runs.
#[derive(Default)]
pub struct Resume {
    /// Vector state in the standard layout, checked.
    state: Option<Vec<u8>>,
    bases: Option<(u64, u64)>,
}

impl Resume {
    /// Whether there is anything to load.
    pub fn is_due(&self) -> bool {
        self.state.is_some() || self.bases.is_some()
    }

    /// The vector state that the guest will have then, if it is another than the CPU has now.
    pub fn state(&self) -> Option<&[u8]> {
        self.state.as_deref()
    }

    /// The guest shall have this vector state. It must be one that XRSTOR takes, and of at most [`STATE_BYTES`].
    pub fn set_state(&mut self, state: Vec<u8>) {
        self.state = Some(state);
    }

    /// The guest shall have these bases of FS and GS; nothing if it has them already.
    pub fn set_bases(&mut self, bases: Option<(u64, u64)>) {
        self.bases = bases;
    }

    /// Takes the state back: it is loaded otherwise.
    pub fn take(&mut self) -> (Option<Vec<u8>>, Option<(u64, u64)>) {
        (self.state.take(), self.bases.take())
    }

    /// The guest has loaded it.
    pub fn done(&mut self) {
        self.state = None;
        self.bases = None;
    }

    /// Writes it, and the context to go on with, to the data pages. `bases` are those that the guest has now.
    pub fn prepare(&self, memory: &KernelMemory, registers: &Registers, bases: (u64, u64)) {
        if let Some(state) = &self.state {
            memory.copy(layout::RESUME_PAGES + STATE as u64, state);
        }
        let (fs, gs) = self.bases.unwrap_or(bases);
        let mask = if self.state.is_some() { u64::MAX } else { 0 };
        let words = [mask, fs, gs, registers.rax, registers.rdx, registers.rcx, registers.rip];
        for (at, word) in (layout::RESUME_PAGES + MASK as u64..).step_by(8).zip(words) {
            memory.set(at, word);
        }
    }
}
