//! Early accept: a program is frozen after it has accepted a connection of ours that is silent, so that its forks need not
//! accept. `warmfork_linux::early_accept` says when that is right.

use std::time::Duration;

use warmfork_linux::gate::Accepted;

use super::warmup::{Address, IdleClient, WarmUp};
use crate::clock::MAX_SEEN;
use crate::error::EngineError;
use crate::goal::{Goal, Outcome, RunLimits};
use crate::machine::Machine;

/// A program that does not wait for the first bytes of a connection within this time does something else.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Nanoseconds within which the program must have no deadline. Its forks see up to [`MAX_SEEN`] of the time pass for which it
/// was frozen: a connection's timeout of about that length would be over when a client comes. Deadlines that were so near
/// before it accepted are over, because the program was ready.
const MIN_DEADLINE: u64 = MAX_SEEN + MAX_SEEN / 2;

/// How often to try a program that cannot be frozen with a connection accepted: chance may have been the reason.
pub const ATTEMPTS: u32 = 3;

/// The result of [`accept_early`].
pub enum EarlyAccept {
    /// The program can be frozen: it has accepted this connection of this client, and waits for its first bytes.
    Accepted(IdleClient, Accepted),
    /// The program cannot be frozen with a connection accepted: each fork must accept by itself. No client is connected, and the
    /// program is ready.
    NotPossible,
    /// The program stopped for this reason.
    Stopped(Outcome),
}

/// Connects to `machine`, which is ready, sends nothing, and runs it until it waits for the first bytes. If it cannot be frozen
/// then, hangs up and tries again while `attempts` are left.
///
/// # Errors
/// As [`IdleClient::connect_to`] and [`Machine::run`].
pub fn accept_early(machine: &mut Machine, address: &Address, attempts: &mut u32) -> Result<EarlyAccept, EngineError> {
    while *attempts > 0 && machine.guest.kernel.may_be_watched() {
        let (client, outcome, accepted) = attempt(machine, address)?;
        if !matches!(outcome, Outcome::Ready | Outcome::TimedOut) {
            return Ok(EarlyAccept::Stopped(outcome));
        }
        if let Some(accepted) = accepted.filter(|_| outcome == Outcome::Ready) {
            return Ok(EarlyAccept::Accepted(client, accepted));
        }
        // A program that did not even wait never will.
        *attempts = if outcome == Outcome::TimedOut { 0 } else { *attempts - 1 };
        if let WarmUp::Stopped(outcome) = client.hang_up(machine, TIMEOUT)? {
            return Ok(EarlyAccept::Stopped(outcome));
        }
    }
    Ok(EarlyAccept::NotPossible)
}

/// Runs `machine` until it has accepted an idle client. Returns the client, why the run stopped, and the connection if the
/// program can be frozen with it.
fn attempt(machine: &mut Machine, address: &Address) -> Result<(IdleClient, Outcome, Option<Accepted>), EngineError> {
    machine.guest.clock.hide_time_of_day(true);
    machine.guest.host.gate.watch_early_accept();
    let ran = IdleClient::connect_to(machine, address)
        .and_then(|client| Ok((client, machine.run(Goal::EarlyAccept, RunLimits::within(Some(TIMEOUT)))?)));
    machine.guest.clock.hide_time_of_day(false);
    let accepted = machine.guest.kernel.take_early_accept(&mut machine.guest.host);
    let (client, outcome) = ran?;
    let soonest = machine.guest.host.monotonic().saturating_add(MIN_DEADLINE);
    let late = machine.guest.kernel.next_deadline().is_none_or(|at| at > soonest);
    if accepted.is_some() && !late {
        let time = Duration::from_nanos(MIN_DEADLINE);
        log::info!("each fork accepts by itself: the program has something to do within {time:?}");
    }
    Ok((client, outcome, accepted.filter(|_| late)))
}
