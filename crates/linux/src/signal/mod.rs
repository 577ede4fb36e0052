//! Signals: the pending ones, their receivers, and the frames that handlers run on.
//!
//! ```text
//!   kill, timers, pipes, faults -> Kernel::send_signal / force_signal (send.rs)
//!                                    -> PendingSignals (pending.rs) of a thread or of the process
//!   before user code runs       -> Kernel::deliver_signals (deliver.rs): default action, or a handler's frame
//!                                    -> frame.rs and vector.rs lay it out; rt_sigreturn reads it back
//! ```

pub mod deliver;
pub mod frame;
pub mod information;
mod interrupt;
pub mod pending;
pub mod send;
pub mod state;
pub mod vector;

#[cfg(test)]
mod frame_tests;
#[cfg(test)]
mod tests;

pub use deliver::Delivery;
pub use information::SignalInfo;
pub use pending::{PendingSignals, Source};
pub use send::Target;
pub use state::{Action, AlternateStack, Interrupted, ProcessSignals, TaskSignals, Trap};
