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
//! A machine stays on the thread that made it (ptrace wants that); [`owner::Owner`] gives one a thread of its own for
//! callers that come from several.

#![forbid(unsafe_code)]

pub mod boot;
mod choice;
mod clock;
pub mod cpu;
pub mod doctor;
pub mod error;
mod files;
pub mod fork;
pub mod guest;
pub mod inspect;
mod keys;
pub mod machine;
mod mapped_writes;
pub mod owner;
pub mod pristine;
mod processes;
pub mod serve;
mod settle;
pub mod snapshot;
pub mod until;
mod usage;

pub use boot::{MachineLimits, Program, boot};
pub use choice::{Choice, Chosen, PlatformKind};
pub use error::EngineError;
pub use fork::{Fork, ResetKind};
pub use machine::{Counters, Handle, Machine};
pub use owner::Owner;
pub use serve::{ServeOptions, Server};
pub use snapshot::Snapshot;
pub use until::{Outcome, Until};
pub use warmfork_linux::process::Ending;
pub use warmfork_linux::{outside, policy, table};
