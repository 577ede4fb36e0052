//! Freezing a program with a connection accepted, which is silent; see `warmfork_linux::early_accept` for when that is right.

use std::time::Duration;

use warmfork_linux::gate::Accepted;

use super::warmup::{Address, Silent, WarmUp};
use crate::clock::MAX_SEEN;
use crate::error::EngineError;
use crate::goal::{Goal, Outcome, RunLimits};
use crate::machine::Machine;

/// A program that takes longer to wait for the first bytes of a connection does something else.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a program has set itself must be due later than in so many nanoseconds. Of the time that it is frozen its forks see
/// [`MAX_SEEN`] pass: a timeout of the connection that was about as short would be over when somebody comes. What was due
/// so soon before it accepted one has been done: the program was ready.
const SPARE: u64 = MAX_SEEN + MAX_SEEN / 2;

/// A program that cannot be frozen with a connection accepted is tried so often: it may have been by chance.
pub const ATTEMPTS: u32 = 3;

/// What came of it.
pub enum Ahead {
    /// The program may be frozen: it has accepted this connection of that client's, and waits for its first bytes.
    Accepted(Silent, Accepted),
    /// It does what each of its forks has to do itself. Nobody is connected, and it is ready.
    Not,
    /// It stopped for this reason.
    Stopped(Outcome),
}

/// Connects to `machine`, which is ready, says nothing, and runs it until it waits; hangs up and tries again when it may not
/// be frozen then, as long as there are `attempts`.
///
/// # Errors
/// As [`Silent::to`] and [`Machine::run`].
pub fn accept_ahead(machine: &mut Machine, address: &Address, attempts: &mut u32) -> Result<Ahead, EngineError> {
    while *attempts > 0 && machine.guest.kernel.may_be_watched() {
        let (client, outcome, accepted) = watch(machine, address)?;
        if !matches!(outcome, Outcome::Ready | Outcome::TimedOut) {
            return Ok(Ahead::Stopped(outcome));
        }
        if let Some(accepted) = accepted.filter(|_| outcome == Outcome::Ready) {
            return Ok(Ahead::Accepted(client, accepted));
        }
        // A program that did not even wait never will.
        *attempts = if outcome == Outcome::TimedOut { 0 } else { *attempts - 1 };
        if let WarmUp::Stopped(outcome) = client.hang_up(machine, PATIENCE)? {
            return Ok(Ahead::Stopped(outcome));
        }
    }
    Ok(Ahead::Not)
}

/// Has `machine` accept a silent client; why it stopped then, and what it has accepted, if that can be frozen.
fn watch(machine: &mut Machine, address: &Address) -> Result<(Silent, Outcome, Option<Accepted>), EngineError> {
    machine.guest.clock.hide_time_of_day(true);
    machine.guest.host.gate.watch_early_accept();
    let ran = Silent::to(machine, address)
        .and_then(|client| Ok((client, machine.run(Goal::EarlyAccept, RunLimits::within(Some(PATIENCE)))?)));
    machine.guest.clock.hide_time_of_day(false);
    let accepted = machine.guest.kernel.take_early_accept(&mut machine.guest.host);
    let (client, outcome) = ran?;
    let soonest = machine.guest.host.monotonic().saturating_add(SPARE);
    let late = machine.guest.kernel.next_deadline().is_none_or(|at| at > soonest);
    if accepted.is_some() && !late {
        let spare = Duration::from_nanos(SPARE);
        log::info!("each fork accepts by itself: the program has something to do within {spare:?}");
    }
    Ok((client, outcome, accepted.filter(|_| late)))
}
