//! Machines, snapshots, forks and serving: where the loader, a platform and the emulated kernel meet.
//!
//! ```text
//!   boot::boot(Program) -> Machine --run--> Outcome
//!                             | freeze
//!                             v
//!                          Snapshot --fork--> Fork --run--> Outcome, --reset--> pristine
//!                             | serve
//!                             v
//!                           Server (one worker thread a fork)
//! ```
//!
//! A machine stays on the thread that made it, because ptrace requires that. For callers on several threads, the threads of a
//! [`pool`] own forks and run them by turns, and a [`machine_thread::MachineThread`] owns one machine while it boots.

#![forbid(unsafe_code)]

pub mod boot;
mod clock;
pub mod cpu;
pub mod doctor;
pub mod error;
mod executor;
mod files;
pub mod fork;
pub mod goal;
mod guest;
pub mod identity;
mod inspect;
pub mod machine;
pub mod machine_thread;
mod mapped_writes;
mod memory_limit;
mod platform_choice;
mod platform_guest;
pub mod pool;
pub mod pristine;
mod processes;
pub mod run;
pub mod serve;
pub mod snapshot;
mod step;
mod terminal_signals;
mod trim;

pub use boot::{MachineLimits, Program, boot};
pub use error::EngineError;
pub use fork::{DetachedFork, Fork, ResetKind};
pub use goal::{Goal, Outcome, RunLimits};
pub use machine::{Counters, Handle, Machine};
pub use machine_thread::MachineThread;
pub use platform_choice::{PlatformChoice, PlatformKind, SelectedPlatform};
pub use pool::Owned;
pub use serve::{ServeOptions, Server};
pub use snapshot::Snapshot;
pub use warmfork_linux::process::Ending;
pub use warmfork_linux::{outside, policy, table};
