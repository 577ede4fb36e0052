//! The emulated kernel: system calls of x86-64 Linux over plain-data kernel objects. Knows no platform and no CPU.
//!
//! ```text
//!   engine: run loop -> Kernel::enter (dispatch.rs) -> table.rs -> syscalls/<family>.rs -> objects/<object>.rs
//!                    -> Kernel::wake (wake.rs), Kernel::next_thread (schedule.rs)
//!                    -> Kernel::next_deadline (kernel.rs) when none can run
//! ```
//!
//! A snapshot freezes a [`Kernel`]: it clones and compares. The parts of one running machine alone (the host's epoll set,
//! scratch buffers, the gate) are in [`Host`] beside it; a freeze settles the little of them that a guest can observe.

#![forbid(unsafe_code)]

mod assign;
pub mod call;
pub mod clock;
mod coalesce;
mod cpu_time;
pub mod dispatch;
mod durations;
pub mod early_accept;
pub mod edges;
pub mod events;
mod expiry;
pub mod files;
pub mod futex;
pub mod gate;
pub mod guest_path;
pub mod host;
pub mod ids;
pub mod kernel;
pub mod locks;
mod memory_file;
mod metadata;
pub mod news;
pub mod objects;
pub mod outside;
pub mod own_files;
pub mod policy;
pub mod proc;
pub mod process;
pub mod processes;
mod readiness;
pub mod resolve;
pub mod schedule;
pub mod sequences;
pub mod signal;
pub mod syscalls;
pub mod table;
pub mod task;
pub mod timers;
pub mod trace;
pub mod wait;
pub mod wait_queues;
mod wake;

#[cfg(test)]
pub(crate) mod testing;

pub use call::{Call, Guest, Stop, SyscallResult};
pub use events::{DescriptionId, Events};
pub use files::{Description, Files};
pub use host::Host;
pub use ids::{Pid, Tid};
pub use kernel::Kernel;
pub use task::Task;
pub use wait::Wait;
