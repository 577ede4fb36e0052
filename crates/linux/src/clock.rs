//! Clocks that a guest can name.

use rustix::time::ClockId;
use warmfork_abi::time::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_THREAD_CPUTIME_ID,
};

use crate::ids::Tid;

/// The meaning of a clock id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// A clock of the host.
    Host(ClockId),
    /// International atomic time, as the host has it.
    Tai,
    /// CPU time of the process.
    Process,
    /// CPU time of a thread.
    Thread(Tid),
}

/// Whether the clock `id` stands still while a machine is frozen: any but those of the time of day.
#[must_use]
pub fn stands_still(id: i32) -> bool {
    matches!(
        id,
        CLOCK_MONOTONIC
            | CLOCK_MONOTONIC_RAW
            | CLOCK_MONOTONIC_COARSE
            | CLOCK_BOOTTIME
            | CLOCK_PROCESS_CPUTIME_ID
            | CLOCK_THREAD_CPUTIME_ID
    )
}
