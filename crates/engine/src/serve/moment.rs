//! At which moment to freeze a program. A runtime that collects garbage does so every so many requests; frozen just before
//! that, it would begin with it in each fork. No sign of that is the same for all runtimes, so moments are tried.
//!
//! Each moment is the one after a connection was accepted ahead, where the program can be frozen there, else the one at
//! which it waits for a connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use warmfork_linux::gate::Offer;
use warmfork_linux::outside::OutsideRules;
use warmfork_memory::HostFile;

use super::ahead::{ATTEMPTS, Ahead, accept_ahead};
use super::warmup::{Address, Silent, WarmUp, warm_up};
use crate::error::EngineError;
use crate::goal::{Goal, Outcome, RunLimits};
use crate::machine::Machine;
use crate::snapshot::Snapshot;

/// Requests to a fork of each moment. The first ones take page faults that later ones do not.
const REQUESTS: usize = 6;
/// Of those, how many count.
const COUNTED: usize = 4;
/// A fork that takes longer for one is no better than any other.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of it.
pub enum Frozen {
    /// The best snapshot.
    At(Arc<Snapshot>),
    /// The program stopped for this reason.
    Stopped(Outcome),
}

/// Freezes `machine`, which has been warmed up, at one of `moments` moments: each a request for `path` after the last. It
/// is the one whose forks answer that request soonest, their reset included. Of its connections becomes what `outside` says.
///
/// # Errors
/// As [`warm_up`] and [`Snapshot::freeze`].
pub fn freeze_at_best(
    machine: &mut Machine,
    address: &Address,
    path: &str,
    moments: u32,
    outside: &OutsideRules,
) -> Result<Frozen, EngineError> {
    let mut best: Option<(Duration, Snapshot)> = None;
    let mut waiting = Vec::new();
    let mut attempts = ATTEMPTS;
    for left in (0..moments.max(1)).rev() {
        let (client, accepted) = match accept_ahead(machine, address, &mut attempts)? {
            Ahead::Accepted(client, accepted) => (Some(client), Some(accepted)),
            Ahead::Not => (None, None),
            Ahead::Stopped(outcome) => return Ok(Frozen::Stopped(outcome)),
        };
        let snapshot = Arc::new(Snapshot::of(machine, accepted, outside)?);
        let taken = if moments > 1 { time(&snapshot, address, path, &mut waiting) } else { Duration::ZERO };
        log::debug!("{left} moments left: {} us for a request", taken.as_micros());
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
            return Ok(Frozen::Stopped(outcome));
        }
    }
    let (_, mut snapshot) = best.ok_or(EngineError::Ended)?;
    waiting.append(&mut machine.take_waiting());
    snapshot.keep_waiting(waiting);
    snapshot.tell_of_connections();
    Ok(Frozen::At(Arc::new(snapshot)))
}

/// How long forks of `snapshot` take for a request and their reset, at least: as a worker has them serve it. For ever, if
/// they do not answer. Who else connects joins `waiting`.
fn time(snapshot: &Arc<Snapshot>, address: &Address, path: &str, waiting: &mut Vec<Offer>) -> Duration {
    try_out(snapshot, address, path, waiting).unwrap_or_else(|error| {
        log::debug!("a fork of a moment did not answer: {error}");
        Duration::MAX
    })
}

fn try_out(
    snapshot: &Arc<Snapshot>,
    address: &Address,
    path: &str,
    waiting: &mut Vec<Offer>,
) -> Result<Duration, EngineError> {
    let mut fork = snapshot.fork()?;
    let mut least = Duration::MAX;
    for request in 0..REQUESTS {
        let client = Silent::alone(address)?;
        let offer = accept(&snapshot.listeners, &client, waiting)
            .map_err(|error| EngineError::Host { operation: "accepting a trial's connection", source: error.into() })?;
        let answer = client.ask(address, path).map_err(EngineError::WarmUp)?;
        let start = Instant::now();
        fork.take(offer);
        let outcome = fork.run(Goal::End, RunLimits::within(Some(PATIENCE)))?;
        if outcome != Outcome::Served {
            log::debug!("a fork did not end a connection: {outcome:?}");
            return Ok(Duration::MAX);
        }
        fork.reset()?;
        if request >= REQUESTS - COUNTED {
            least = least.min(start.elapsed());
        }
        answer.join().map_err(|_| EngineError::Ended)?.map_err(EngineError::WarmUp)?;
    }
    Ok(least)
}

/// The connection that `client` has made to one of `listeners`. Who else has connected joins `waiting`.
fn accept(listeners: &[Arc<HostFile>], client: &Silent, waiting: &mut Vec<Offer>) -> Result<Offer, Errno> {
    let patience = Timespec { tv_sec: PATIENCE.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: 0 };
    loop {
        let mut set: Vec<_> = listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        if retry_on_intr(|| poll(&mut set, Some(&patience)))? == 0 {
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
