//! At which moment to freeze a program. A runtime that collects garbage does so every so many requests; frozen just before
//! that, it would begin with it in each fork. No sign of that is the same for all runtimes, so moments are tried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use warmfork_linux::serve::Offer;

use super::warmup::{Address, WarmUp, warm_up};
use crate::error::EngineError;
use crate::machine::{Machine, Outcome, Until};
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
/// is the one whose forks answer that request soonest, their reset included.
///
/// # Errors
/// As [`warm_up`] and [`Snapshot::freeze`].
pub fn freeze_at_best(
    machine: &mut Machine,
    address: &Address,
    path: &str,
    moments: u32,
) -> Result<Frozen, EngineError> {
    let mut best: Option<(Duration, Snapshot)> = None;
    let mut waiting = Vec::new();
    for moment in 0..moments.max(1) {
        if moment > 0
            && let WarmUp::Stopped(outcome) = warm_up(machine, address, 1, path, None)?
        {
            return Ok(Frozen::Stopped(outcome));
        }
        let snapshot = Arc::new(Snapshot::of(machine)?);
        let taken = time(&snapshot, address, path, &mut waiting).unwrap_or_else(|error| {
            log::debug!("a fork of moment {moment} did not answer: {error}");
            Duration::MAX
        });
        log::debug!("moment {moment}: {} us for a request", taken.as_micros());
        if best.as_ref().is_none_or(|(least, _)| taken < *least) {
            let snapshot = Arc::into_inner(snapshot).ok_or(EngineError::State("a fork outlived its trial"))?;
            best = Some((taken, snapshot));
        }
    }
    let (_, mut snapshot) = best.ok_or(EngineError::Ended)?;
    waiting.append(&mut machine.take_waiting());
    snapshot.keep_waiting(waiting);
    Ok(Frozen::At(Arc::new(snapshot)))
}

/// How long forks of `snapshot` take for a request and their reset, at least. Who else connects joins `waiting`.
fn time(
    snapshot: &Arc<Snapshot>,
    address: &Address,
    path: &str,
    waiting: &mut Vec<Offer>,
) -> Result<Duration, EngineError> {
    let mut fork = snapshot.fork()?;
    let mut least = Duration::MAX;
    for request in 0..REQUESTS {
        let Until { deadline, .. } = Until::within(Some(PATIENCE));
        let start = Instant::now();
        let answered = warm_up(fork.machine_mut(), address, 1, path, deadline);
        let served = start.elapsed();
        waiting.append(&mut fork.machine_mut().take_waiting());
        if let WarmUp::Stopped(outcome) = answered? {
            log::debug!("a fork did not get ready again: {outcome:?}");
            return Ok(Duration::MAX);
        }
        let start = Instant::now();
        fork.reset()?;
        if request >= REQUESTS - COUNTED {
            least = least.min(served + start.elapsed());
        }
    }
    Ok(least)
}
