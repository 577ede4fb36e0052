//! Chooses the point at which a program is frozen. A runtime that collects garbage does so every so many requests; if it
//! were frozen just before that, it would collect in each fork. Runtimes share no sign of that, so several points are tried.
//!
//! At each point the program has accepted a connection early (`early_accept.rs`). Where it cannot be frozen then, the point
//! is the one at which it waits for a connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use warmfork_linux::gate::Offer;
use warmfork_linux::outside::OutsideRules;
use warmfork_memory::HostFile;

use super::early_accept::{ATTEMPTS, EarlyAccept, accept_early};
use super::warmup::{Address, IdleClient, WarmUp, warm_up};
use crate::error::EngineError;
use crate::goal::{Goal, Outcome, RunLimits};
use crate::machine::Machine;
use crate::snapshot::Snapshot;

/// Requests to a fork of each point. The first ones take page faults that later ones do not take.
const REQUESTS: usize = 6;
/// So many of those requests, the last ones, are timed.
const TIMED_REQUESTS: usize = 4;
/// A fork that takes longer for one request loses to any other.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The result of [`freeze_at_best`].
pub enum FreezeOutcome {
    /// The best snapshot.
    Frozen(Arc<Snapshot>),
    /// The program stopped for this reason.
    Stopped(Outcome),
}

/// Freezes `machine`, which has been warmed up, at the best of `points` freeze points. After each point the program answers a
/// request for `path`, which leads to the next one. The best point is the one whose forks answer that request soonest,
/// their reset included. `outside` says which connections to the outside are kept.
///
/// # Errors
/// As [`warm_up`] and [`Snapshot::freeze`].
pub fn freeze_at_best(
    machine: &mut Machine,
    address: &Address,
    path: &str,
    points: u32,
    outside: &OutsideRules,
) -> Result<FreezeOutcome, EngineError> {
    let mut best: Option<(Duration, Snapshot)> = None;
    let mut waiting = Vec::new();
    let mut attempts = ATTEMPTS;
    for left in (0..points.max(1)).rev() {
        let (client, accepted) = match accept_early(machine, address, &mut attempts)? {
            EarlyAccept::Accepted(client, accepted) => (Some(client), Some(accepted)),
            EarlyAccept::NotPossible => (None, None),
            EarlyAccept::Stopped(outcome) => return Ok(FreezeOutcome::Stopped(outcome)),
        };
        let snapshot = Arc::new(Snapshot::capture(machine, accepted, outside)?);
        let taken = if points > 1 { request_time(&snapshot, address, path, &mut waiting) } else { Duration::ZERO };
        log::debug!("{left} freeze points left: {} us for a request", taken.as_micros());
        if best.as_ref().is_none_or(|(least, _)| taken < *least) {
            let snapshot = Arc::into_inner(snapshot).ok_or(EngineError::State("a fork outlived its trial"))?;
            best = Some((taken, snapshot));
        }
        let answered = match client {
            _ if left == 0 => break,
            Some(client) => client.request(machine, address, path)?,
            None => warm_up(machine, address, 1, path, None)?,
        };
        if let WarmUp::Stopped(outcome) = answered {
            return Ok(FreezeOutcome::Stopped(outcome));
        }
    }
    let (_, mut snapshot) = best.ok_or(EngineError::Ended)?;
    waiting.append(&mut machine.take_waiting());
    snapshot.keep_waiting(waiting);
    snapshot.log_outside_connections();
    Ok(FreezeOutcome::Frozen(Arc::new(snapshot)))
}

/// The shortest time in which a fork of `snapshot` serves a request and is reset, as in a worker. [`Duration::MAX`] if it
/// does not answer. Connections of other clients are added to `waiting`.
fn request_time(snapshot: &Arc<Snapshot>, address: &Address, path: &str, waiting: &mut Vec<Offer>) -> Duration {
    try_request_time(snapshot, address, path, waiting).unwrap_or_else(|error| {
        log::debug!("a fork of a freeze point did not answer: {error}");
        Duration::MAX
    })
}

fn try_request_time(
    snapshot: &Arc<Snapshot>,
    address: &Address,
    path: &str,
    waiting: &mut Vec<Offer>,
) -> Result<Duration, EngineError> {
    let mut fork = snapshot.fork()?;
    let mut least = Duration::MAX;
    for request in 0..REQUESTS {
        let client = IdleClient::connect(address)?;
        let offer = accept(&snapshot.listeners, &client, waiting)
            .map_err(|error| EngineError::Host { operation: "accepting a trial's connection", source: error.into() })?;
        let answer = client.ask(address, path).map_err(EngineError::WarmUp)?;
        let start = Instant::now();
        fork.take(offer);
        let outcome = fork.run(Goal::End, RunLimits::within(Some(REQUEST_TIMEOUT)))?;
        if outcome != Outcome::Served {
            log::debug!("a fork did not end a connection: {outcome:?}");
            return Ok(Duration::MAX);
        }
        fork.reset()?;
        if request >= REQUESTS - TIMED_REQUESTS {
            least = least.min(start.elapsed());
        }
        answer.join().map_err(|_| EngineError::Ended)?.map_err(EngineError::WarmUp)?;
    }
    Ok(least)
}

/// Accepts the connection that `client` has made to one of `listeners`. Connections of other clients are added to `waiting`.
fn accept(listeners: &[Arc<HostFile>], client: &IdleClient, waiting: &mut Vec<Offer>) -> Result<Offer, Errno> {
    let timeout = Timespec { tv_sec: REQUEST_TIMEOUT.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: 0 };
    loop {
        let mut set: Vec<_> = listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        if retry_on_intr(|| poll(&mut set, Some(&timeout)))? == 0 {
            return Err(Errno::TIMEDOUT);
        }
        for listener in listeners {
            match Offer::accept(listener)? {
                Some(offer) if client.is_peer(&offer.connection) => return Ok(offer),
                Some(offer) => offer.hold(waiting),
                None => {}
            }
        }
    }
}
