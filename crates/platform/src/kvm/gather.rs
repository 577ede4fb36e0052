//! Small pieces that a guest sends one after the other, gathered by a stub in ring 0 without leaving the guest: see
//! [`Platform::gather`](crate::Platform::gather).
//!
//! ```text
//!   GATHER_STUB        saves RCX, RSI, RDI       interrupted before the commit: the call has not begun, and leaves the guest
//!   GATHER_COPY        rep movsb                 a page fault here: the same
//!   GATHER_COMMIT      counts bytes and piece    interrupted behind it: the call has returned
//!   GATHER_END
//! ```

use kvm_bindings::kvm_regs;

use super::layout;
use super::tables::KernelMemory;
use crate::Gathered;

const DONE: u64 = layout::DATA + layout::GATHER_DONE as u64;
const ROOM: u64 = layout::DATA + layout::GATHER_ROOM as u64;
const SAVED: u64 = layout::DATA + layout::GATHER_SAVED as u64;

/// Has the stub gather at most `room` bytes for descriptor `fd`.
pub fn begin(memory: &KernelMemory, fd: i32, room: usize) {
    memory.set(layout::DATA + layout::GATHER_FD as u64, u64::from(fd.cast_unsigned()));
    memory.set(ROOM, room.min(layout::GATHERED_BYTES) as u64);
}

/// Has it gather no more.
pub fn stop(memory: &KernelMemory) {
    memory.set(ROOM, 0);
}

/// What it has gathered, once.
pub fn take(memory: &KernelMemory) -> Gathered {
    stop(memory);
    let done = memory.get(DONE);
    memory.set(DONE, 0);
    let length = usize::try_from(done & u64::from(u32::MAX)).unwrap_or(0).min(layout::GATHERED_BYTES);
    let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
    for word in (layout::DATA + layout::GATHERED as u64..).step_by(8).take(length.div_ceil(8)) {
        bytes.extend(memory.get(word).to_le_bytes());
    }
    bytes.truncate(length);
    Gathered { bytes, pieces: usize::try_from(done >> 32).unwrap_or(0) }
}

/// The state of a call whose gathering was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Nothing has come of it.
    Begun,
    /// It has returned.
    Done,
}

/// How far the stub is at the RIP of `regs`, and ring 3's registers there: before the call or after it. `None` elsewhere.
pub fn interrupted(memory: &KernelMemory, regs: &kvm_regs) -> Option<(Progress, kvm_regs)> {
    let at = regs.rip.checked_sub(layout::STUBS).filter(|at| (layout::GATHER_STUB..layout::GATHER_END).contains(at))?;
    if at < layout::GATHER_SAVED_ALL {
        return Some((Progress::Begun, *regs));
    }
    let [rcx, rsi, rdi] = [0, 8, 16].map(|word| memory.get(SAVED + word));
    let call = kvm_regs { rcx, rsi, rdi, ..*regs };
    let done = at > layout::GATHER_COMMIT && at < layout::GATHER_RETURNED;
    Some(if done { (Progress::Done, kvm_regs { rax: regs.rdx, ..call }) } else { (Progress::Begun, call) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_begun_up_to_the_commit_and_returned_behind_it() {
        let memory = KernelMemory::new().unwrap();
        for (word, value) in [(0, 11), (8, 12), (16, 13)] {
            memory.set(SAVED + word, value);
        }
        let at = |offset: u64| {
            let regs =
                kvm_regs { rip: layout::STUBS + offset, rax: 1, rcx: 2, rdx: 3, rsi: 4, rdi: 5, ..kvm_regs::default() };
            let (progress, call) = interrupted(&memory, &regs)?;
            Some((progress, [call.rax, call.rcx, call.rdx, call.rsi, call.rdi]))
        };
        assert_eq!(at(layout::SYSCALL_STUB), None);
        assert_eq!(at(layout::GATHER_STUB), Some((Progress::Begun, [1, 2, 3, 4, 5])));
        for offset in [layout::GATHER_SAVED_ALL, layout::GATHER_COPY, layout::GATHER_COMMIT, layout::GATHER_RETURNED] {
            assert_eq!(at(offset), Some((Progress::Begun, [1, 11, 3, 12, 13])), "{offset:#x}");
        }
        for offset in [layout::GATHER_COMMIT + 1, layout::GATHER_RETURNED - 1] {
            assert_eq!(at(offset), Some((Progress::Done, [3, 11, 3, 12, 13])), "{offset:#x}");
        }
        assert_eq!(at(layout::GATHER_END), None);
    }
}
