//! The CPU's time stamp counter. The only unsafe code of this crate: two instructions that every x86-64 CPU has.
//! Called by [`super::clock`].

#![expect(unsafe_code, reason = "the intrinsics are declared unsafe")]

use std::arch::x86_64::{_mm_lfence, _rdtsc};

/// The counter, read after everything before and before everything after.
pub(crate) fn read() -> u64 {
    // SAFETY: LFENCE is part of SSE2 and RDTSC of every x86-64 CPU; Linux lets user space read the counter unless a
    // process has asked to be killed for it (PR_SET_TSC), which warmfork does not. Neither touches memory.
    unsafe {
        _mm_lfence();
        let counter = _rdtsc();
        _mm_lfence();
        counter
    }
}
