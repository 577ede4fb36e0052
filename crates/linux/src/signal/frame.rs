//! `struct rt_sigframe` on the guest's stack: written before a handler runs, read back by rt_sigreturn.
//!
//! ```text
//!   higher   the interrupted function's frame and red zone, or the top of the alternate stack
//!            vector area (64-byte aligned) and its final magic word      <- uc_mcontext.fpstate
//!            siginfo (128), ucontext (304), return address (8)           <- rsp, 8 below a multiple of 16
//!   lower
//! ```

use warmfork_abi::registers::{USER_CS, USER_SS};
use warmfork_abi::signals::{
    HANDLER_CLEARS_RFLAGS, RED_ZONE, SA_ONSTACK, SA_RESTORER, SA_SIGINFO, SIGRETURN_RFLAGS, UC_FP_XSTATE,
    UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS,
};
use warmfork_abi::{Registers, USER_END};
use warmfork_memory::{Fault, GuestMemory};

use super::information::SIGINFO_SIZE;
use super::vector::{self, Extent, MAGIC2_SIZE};
use super::{Action, AlternateStack, SignalInfo, Trap};

/// Where things are in the frame, from its start.
const UCONTEXT: usize = 8;
const STACK: usize = UCONTEXT + 16;
const CONTEXT: usize = UCONTEXT + 40;
const SELECTORS: usize = CONTEXT + 144;
const FPSTATE: usize = CONTEXT + 184;
const MASK: usize = UCONTEXT + 296;
const SIGINFO: usize = UCONTEXT + 304;
/// Size of the frame without the vector area.
const FRAME_SIZE: usize = SIGINFO + SIGINFO_SIZE;

/// Everything that goes into a frame.
pub struct Frame<'a> {
    /// The signal.
    pub info: SignalInfo,
    /// Its action; the handler is one.
    pub action: Action,
    /// The interrupted context.
    pub registers: Registers,
    /// The mask that rt_sigreturn brings back.
    pub mask: u64,
    /// The alternate stack.
    pub stack: AlternateStack,
    /// The last exception.
    pub trap: Trap,
    /// The interrupted vector state.
    pub vector_state: &'a [u8],
}

/// A frame cannot be written: no room, or no SA_RESTORER.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a signal frame at {0:#x} cannot be written")]
pub struct NoFrame(pub u64);

impl From<Fault> for NoFrame {
    fn from(fault: Fault) -> Self {
        Self(fault.0)
    }
}

impl Frame<'_> {
    /// Writes the frame; the registers with which the handler begins.
    ///
    /// # Errors
    /// [`NoFrame`] when the stack has no room for it or the action no restorer.
    pub fn write(&self, memory: &dyn GuestMemory) -> Result<Registers, NoFrame> {
        let stack_pointer = self.registers.rsp;
        if self.action.flags & SA_RESTORER == 0 {
            return Err(NoFrame(stack_pointer));
        }
        let area = vector::to_frame(self.vector_state);
        let (frame, vectors) = self.place(area.len() as u64).ok_or(NoFrame(stack_pointer))?;
        memory.write(vectors, &area)?;
        memory.write(frame, &self.bytes(vectors))?;
        Ok(Registers {
            rip: self.action.handler,
            rsp: frame,
            rdi: u64::from(self.info.signal),
            rsi: frame + SIGINFO as u64,
            rdx: frame + UCONTEXT as u64,
            rax: 0,
            rflags: self.registers.rflags & !HANDLER_CLEARS_RFLAGS,
            cs: USER_CS,
            ss: USER_SS,
            orig_rax: u64::MAX,
            ..self.registers
        })
    }

    /// Addresses of the frame and of its vector area; `None` when they lie outside of the address space or of the
    /// alternate stack.
    fn place(&self, area: u64) -> Option<(u64, u64)> {
        let interrupted = self.registers.rsp;
        // A stack pointer that points nowhere is no matter where there is an alternate stack.
        let mut top = interrupted.wrapping_sub(RED_ZONE);
        let mut alternate = self.stack.in_use(interrupted);
        if self.action.flags & SA_ONSTACK != 0 && self.stack.size != 0 && !self.stack.in_use(top) {
            top = self.stack.start.checked_add(self.stack.size)?;
            alternate = true;
        }
        let vectors = top.checked_sub(area.max(MAGIC2_SIZE))? & !63;
        let frame = (vectors.checked_sub(FRAME_SIZE as u64)? & !15).checked_sub(8)?;
        let fits = !alternate || self.stack.holds(frame);
        (fits && vectors.checked_add(area)? <= USER_END).then_some((frame, vectors))
    }

    fn bytes(&self, vectors: u64) -> [u8; FRAME_SIZE] {
        let mut bytes = [0; FRAME_SIZE];
        put(&mut bytes, 0, self.action.restorer);
        put(&mut bytes, UCONTEXT, UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS);
        put(&mut bytes, STACK, self.stack.start);
        put(&mut bytes, STACK + 8, u64::from(self.stack.flags));
        put(&mut bytes, STACK + 16, self.stack.size);
        let registers = &self.registers;
        let general = [
            registers.r8,
            registers.r9,
            registers.r10,
            registers.r11,
            registers.r12,
            registers.r13,
            registers.r14,
            registers.r15,
            registers.rdi,
            registers.rsi,
            registers.rbp,
            registers.rbx,
            registers.rdx,
            registers.rax,
            registers.rcx,
            registers.rsp,
            registers.rip,
            registers.rflags,
        ];
        let context = general.into_iter().chain([
            registers.cs & 0xffff | (registers.ss & 0xffff) << 48,
            self.trap.error,
            self.trap.number,
            self.mask,
            self.trap.address,
            vectors,
        ]);
        for (index, value) in context.enumerate() {
            put(&mut bytes, CONTEXT + index * 8, value);
        }
        put(&mut bytes, MASK, self.mask);
        if self.action.flags & SA_SIGINFO != 0 {
            bytes[SIGINFO..].copy_from_slice(&self.info.to_bytes());
        }
        bytes
    }
}

/// The state that rt_sigreturn finds in a frame.
#[derive(Clone, PartialEq, Debug)]
pub struct Restored {
    /// The context to go on with.
    pub registers: Registers,
    /// The mask to go on with.
    pub mask: u64,
    /// The alternate stack, to be set as sigaltstack would.
    pub stack: AlternateStack,
    /// The vector state to go on with; `None` when the frame has none that there can be.
    pub vector_state: Option<Vec<u8>>,
}

/// Reads the frame of the handler that has just returned to its restorer, whose registers are `registers`. `current`
/// is its vector state.
///
/// # Errors
/// [`NoFrame`] when the frame is unreadable.
pub fn read(memory: &dyn GuestMemory, registers: &Registers, current: &[u8]) -> Result<Restored, NoFrame> {
    let frame = registers.rsp.wrapping_sub(8);
    let bytes: [u8; SIGINFO] = memory.read_array(frame)?;
    let mut general = [0; 18];
    for (index, value) in general.iter_mut().enumerate() {
        *value = get(&bytes, CONTEXT + index * 8);
    }
    let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags] = general;
    // As Linux: levels are those of a program; returning finds out an impossible target.
    let selectors = get(&bytes, SELECTORS);
    let strict = get(&bytes, UCONTEXT) & UC_STRICT_RESTORE_SS != 0;
    let (cs, ss) = (selectors & 0xffff | 3, if strict { selectors >> 48 | 3 } else { USER_SS });
    let rflags = registers.rflags & !SIGRETURN_RFLAGS | rflags & SIGRETURN_RFLAGS;
    let vector_state = read_vectors(memory, get(&bytes, FPSTATE), current);
    #[expect(clippy::cast_possible_truncation, reason = "ss_flags is the low half")]
    let flags = get(&bytes, STACK + 8) as u32;
    Ok(Restored {
        registers: Registers {
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            rdi,
            rsi,
            rbp,
            rbx,
            rdx,
            rax,
            rcx,
            rsp,
            rip,
            rflags,
            cs,
            ss,
            orig_rax: u64::MAX,
            ..*registers
        },
        mask: get(&bytes, MASK),
        stack: AlternateStack { start: get(&bytes, STACK), size: get(&bytes, STACK + 16), flags },
        vector_state,
    })
}

/// Why the CPU would refuse to return to `registers`: the error code of its general protection fault.
#[must_use]
pub fn unreturnable(registers: &Registers) -> Option<u64> {
    let canonical = registers.rip.cast_signed() << 16 >> 16 == registers.rip.cast_signed();
    match (registers.cs, registers.ss) {
        (USER_CS, USER_SS) => (!canonical).then_some(0),
        (USER_CS, ss) => Some(refused(ss)),
        (cs, _) => Some(refused(cs)),
    }
}

/// The error code for a selector, without its privilege level.
fn refused(selector: u64) -> u64 {
    selector & 0xfffc
}

fn read_vectors(memory: &dyn GuestMemory, address: u64, current: &[u8]) -> Option<Vec<u8>> {
    if address == 0 {
        return Some(vector::initial(current));
    }
    if !address.is_multiple_of(64) {
        return None;
    }
    let legacy: [u8; 512] = memory.read_array(address).ok()?;
    let mut extent = vector::extent(&legacy, current);
    if let Extent::Extended { size, .. } = extent {
        let area = memory.read_vec(address, size).ok()?;
        let magic = memory.read_u32(address.checked_add(size as u64)?);
        if magic == Ok(warmfork_abi::signals::FP_XSTATE_MAGIC2) {
            return vector::from_frame(&area, extent, current);
        }
        extent = Extent::Legacy;
    }
    vector::from_frame(&legacy, extent, current)
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn get(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

// SELECTORS documents where cs, gs, fs and ss are: one word after the flags.
const _: () = assert!(SELECTORS == CONTEXT + 18 * 8 && FRAME_SIZE == 440);
