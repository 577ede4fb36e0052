//! Freezing a program with a connection accepted, which is silent; see `warmfork_linux::ahead` for when that is right.

use std::time::Duration;

use warmfork_linux::ahead::Accepted;

use super::warmup::{Address, Silent};
use crate::clock::MOST_SEEN;
use crate::error::EngineError;
use crate::machine::Machine;
use crate::until::{Outcome, Until};

/// A program that takes longer to wait for the first bytes of a connection does something else.
const PATIENCE: Duration = Duration::from_secs(1);
/// What a program has set itself must be due later than in so many nanoseconds. Of the time that it is frozen its forks see
/// [`MOST_SEEN`] pass: a timeout of the connection that was about as short would be over when somebody comes. What was due
/// so soon before it accepted one has been done: the program was ready.
const SPARE: u64 = MOST_SEEN + MOST_SEEN / 2;

/// What came of it.
pub enum Ahead {
    /// The program may be frozen: it has accepted this, and waits for its first bytes.
    Accepted(Accepted),
    /// It has done what each of its forks has to do itself, or nothing.
    Not,
    /// It stopped for this reason.
    Stopped(Outcome),
}

/// Connects to `machine`, which is ready, says nothing, and runs it until it waits.
///
/// # Errors
/// As [`Silent::to`] and [`Machine::run`].
pub fn accept_ahead(machine: &mut Machine, address: &Address) -> Result<(Silent, Ahead), EngineError> {
    machine.clock.hide_time_of_day(true);
    machine.kernel.watch_accepting();
    let ran = Silent::to(machine, address)
        .and_then(|client| Ok((client, machine.run(&Until { ahead: true, ..Until::within(Some(PATIENCE)) })?)));
    machine.clock.hide_time_of_day(false);
    let accepted = machine.kernel.accepted_ahead();
    let (client, outcome) = ran?;
    let soonest = machine.host.monotonic().saturating_add(SPARE);
    let ahead = match (outcome, accepted) {
        (Outcome::Ready, Some(accepted)) if machine.kernel.next_deadline().is_none_or(|at| at > soonest) => {
            Ahead::Accepted(accepted)
        }
        (Outcome::Ready | Outcome::TimedOut, _) => Ahead::Not,
        (outcome, _) => Ahead::Stopped(outcome),
    };
    Ok((client, ahead))
}
