//! FPU, vector and debug state of a virtual CPU, by KVM's ioctls: needed at switches between guest threads, at resets
//! and for a few exceptions only.

use std::io;

use kvm_bindings::kvm_xsave;
use kvm_ioctls::VcpuFd;

use super::vm::failed;
use crate::PlatformError;

/// Offset of the word where the standard layout (of ptrace and of signal frames) has XCR0.
const PARTS: usize = 464;
/// Offset of the header: which parts are there, and whether the layout is the compacted one.
const HEADER: usize = 512;
/// Header and legacy area.
const LEAST: usize = 576;
/// Offset of MXCSR, and its bits that no CPU has.
const MXCSR: usize = 24;
const MXCSR_RESERVED: u64 = 0xffff_0000;
/// DR6: the trap flag did it.
const SINGLE_STEP: u64 = 1 << 14;

/// The extended state of one guest.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Which parts it has: XCR0.
    pub parts: u64,
    /// Bytes of all of them.
    pub bytes: usize,
}

fn bytes(state: &kvm_xsave) -> Vec<u8> {
    state.region.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl State {
    /// The state in the standard layout.
    pub fn get(self, vcpu: &VcpuFd) -> Result<Vec<u8>, PlatformError> {
        let state = vcpu.get_xsave().map_err(failed("KVM_GET_XSAVE"))?;
        let mut state = bytes(&state);
        state.truncate(self.bytes);
        state[PARTS..PARTS + 8].copy_from_slice(&self.parts.to_le_bytes());
        state[PARTS + 8..HEADER].fill(0);
        Ok(state)
    }

    /// `state` as the CPU takes it.
    pub fn check(self, state: &[u8]) -> Result<Vec<u8>, PlatformError> {
        let invalid = || PlatformError::Host {
            operation: "loading vector registers",
            source: io::Error::from_raw_os_error(libc::EINVAL),
        };
        let word = |at: usize| Some(u64::from_le_bytes(*state.get(at..at + 8)?.first_chunk()?));
        let (Some(parts), Some(compacted)) = (word(HEADER), word(HEADER + 8)) else { return Err(invalid()) };
        let reserved = state.get(HEADER + 16..LEAST).is_none_or(|bytes| bytes.iter().any(|&byte| byte != 0));
        let mxcsr = word(MXCSR).is_none_or(|word| word & MXCSR_RESERVED != 0);
        if reserved || mxcsr || parts & !self.parts != 0 || compacted != 0 {
            return Err(invalid());
        }
        let mut checked = vec![0; self.bytes];
        let length = state.len().min(self.bytes);
        checked[..length].copy_from_slice(&state[..length]);
        checked[PARTS..HEADER].fill(0);
        Ok(checked)
    }

    /// Loads `state`, which has been checked.
    pub fn set(self, vcpu: &VcpuFd, state: &[u8]) -> Result<(), PlatformError> {
        let mut loaded = kvm_xsave::default();
        for (word, bytes) in loaded.region.iter_mut().zip(state.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        // SAFETY: no feature with a larger state is offered to guests: none was asked for with arch_prctl.
        unsafe { vcpu.set_xsave(&loaded) }.map_err(failed("KVM_SET_XSAVE"))
    }
}

/// Control and status words of the x87 unit, and MXCSR.
pub fn float_status(vcpu: &VcpuFd) -> Result<((u16, u16), u32), PlatformError> {
    let state = vcpu.get_xsave().map_err(failed("KVM_GET_XSAVE"))?;
    let words = state.region[0];
    let half = |word: u32| u16::try_from(word & 0xffff).unwrap_or(0);
    Ok(((half(words), half(words >> 16)), state.region[6]))
}

/// Whether the last #DB was for the trap flag; forgets it.
pub fn take_single_step(vcpu: &VcpuFd) -> Result<bool, PlatformError> {
    let mut registers = vcpu.get_debug_regs().map_err(failed("KVM_GET_DEBUGREGS"))?;
    let stepped = registers.dr6 & SINGLE_STEP != 0;
    registers.dr6 &= !SINGLE_STEP;
    vcpu.set_debug_regs(&registers).map_err(failed("KVM_SET_DEBUGREGS"))?;
    Ok(stepped)
}
