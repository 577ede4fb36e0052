//! Driving a machine: the loop between its threads, its kernel and the platform.
//!
//! ```text
//!   run ----------> begin_run, then advance until it is over: waits for the host where no thread can run
//!   several machines on one thread (pool.rs):
//!                   begin_run, then advance in slices: returns instead of waiting
//! ```

use std::sync::atomic::Ordering;

use warmfork_linux::host::{Woken, monotonic, nanoseconds};
use warmfork_linux::ids::FIRST_PID;
use warmfork_linux::schedule::Turn;
use warmfork_platform::alarm;

use crate::clock::ClockSkip;
use crate::error::EngineError;
use crate::goal::{Goal, Outcome, RunLimits};
use crate::machine::Machine;
use crate::step::Step;

/// The interval, in nanoseconds, at which a running machine's clock page is refreshed and its use of memory checked.
const TICK: u64 = 10_000_000;

/// A run that has begun, which goes on with [`Machine::advance`].
#[derive(Debug)]
pub struct Run<'a> {
    goal: Goal<'a>,
    limits: RunLimits,
    /// The current thread's turn.
    turn: Turn,
    /// When the turn began, in nanoseconds of the guest's clock.
    began: u64,
    skip: ClockSkip,
    /// The gate's counts when the run began.
    connections: (u64, u64),
    /// When [`Machine::advance`] last returned, in nanoseconds of the host's CLOCK_MONOTONIC.
    left: Option<u64>,
}

/// The state of a run after [`Machine::advance`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It is over.
    Over(Outcome),
    /// Its slice is over, and a thread can run.
    Runs,
    /// No thread can run before [`warmfork_linux::host::Host::source`] is readable, or this instant has come, in nanoseconds
    /// of the host's CLOCK_MONOTONIC.
    Waits(Option<u64>),
}

impl Machine {
    /// Runs the program until it ends, or `goal` or one of the `limits` is reached.
    ///
    /// # Errors
    /// [`EngineError::Platform`] when the platform fails; the machine is unusable then.
    pub fn run(&mut self, goal: Goal<'_>, limits: RunLimits) -> Result<Outcome, EngineError> {
        let mut run = self.begin_run(goal, limits);
        loop {
            if let Progress::Over(outcome) = self.advance(&mut run, None)? {
                return Ok(outcome);
            }
        }
    }

    /// Begins a run. Until it is over, the machine may only be advanced.
    pub fn begin_run<'a>(&mut self, goal: Goal<'a>, limits: RunLimits) -> Run<'a> {
        if let Some(frozen) = self.guest.frozen.take() {
            frozen.resume(&mut self.guest.host);
            self.guest.kernel.begin();
        }
        self.guest.host.ask_all();
        let connections = self.guest.host.gate.counts();
        let began = self.guest.host.monotonic();
        Run { goal, limits, turn: Turn::Lasts, began, skip: ClockSkip::default(), connections, left: None }
    }

    /// Continues `run` until it is over, or at most to the end of `slice`, an instant in nanoseconds of the host's
    /// CLOCK_MONOTONIC. With a slice it returns instead of waiting.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn advance(&mut self, run: &mut Run<'_>, slice: Option<u64>) -> Result<Progress, EngineError> {
        if let Some(ending) = self.guest.ended {
            return Ok(Progress::Over(Outcome::Ended(ending)));
        }
        // An interrupt of a guest that no thread ran has reached no platform.
        if self.guest.host.take_interrupt() {
            return Ok(Progress::Over(Outcome::Interrupted));
        }
        if let Some(left) = run.left.take() {
            self.guest.host.count_idle(monotonic().saturating_sub(left));
            run.began = self.guest.host.monotonic();
        }
        self.refresh_clock();
        let progress = self.drive(run, slice);
        alarm::spare();
        self.guest.kernel.push(&mut self.guest.host);
        match progress {
            Ok(Progress::Over(Outcome::Ended(ending))) => {
                self.guest.ended = Some(ending);
                self.executor.clear();
            }
            Ok(Progress::Over(_)) if self.guest.kernel.process().pid != FIRST_PID => {
                self.executor.switch_process(&mut self.guest, FIRST_PID)?
            }
            Ok(Progress::Runs | Progress::Waits(_)) => run.left = Some(monotonic()),
            _ => {}
        }
        progress
    }

    fn drive(&mut self, run: &mut Run<'_>, slice: Option<u64>) -> Result<Progress, EngineError> {
        self.executor.gathers = !matches!(run.goal, Goal::Calls(_));
        self.begin_ticks();
        self.set_alarm(run, slice)?;
        loop {
            if let Some(outcome) = self.reached(run) {
                return Ok(Progress::Over(outcome));
            }
            if alarm::has_rung() || self.is_tick_due() {
                run.turn = Turn::Over;
                if let Some(outcome) = self.tick(run)? {
                    return Ok(Progress::Over(outcome));
                }
                if slice.is_some_and(|at| at <= monotonic()) {
                    return Ok(Progress::Runs);
                }
            }
            if run.turn != Turn::Lasts {
                let now = self.guest.host.monotonic();
                if self.guest.kernel.processes.thread_count() > 1 {
                    // The last thread may have ended another's wait.
                    self.guest.kernel.wake(&mut self.guest.host);
                    self.guest.kernel.count_turn(now.saturating_sub(run.began));
                }
                run.began = now;
            }
            let Some((pid, tid)) = self.guest.kernel.next_thread(run.turn) else {
                if let Some(progress) = self.idle(run, slice.is_none())? {
                    return Ok(progress);
                }
                run.began = self.guest.host.monotonic();
                continue;
            };
            self.executor.load(&mut self.guest, pid, tid)?;
            if run.turn != Turn::Lasts || self.guest.host.have_deadlines_moved() {
                self.set_alarm(run, slice)?;
            }
            run.turn = match self.step(tid)? {
                Step::Same => Turn::Lasts,
                Step::Switch => Turn::Over,
                Step::Yield => Turn::Given,
                Step::Interrupted => {
                    self.forward_terminal_signals();
                    if let Some(outcome) = self.stop_requested(run) {
                        return Ok(Progress::Over(outcome));
                    }
                    Turn::Over
                }
                Step::Ended(ending) => return Ok(Progress::Over(Outcome::Ended(ending))),
            };
        }
    }

    /// The outcome, if the run is over by a condition that is checked after each call.
    fn reached(&self, run: &Run<'_>) -> Option<Outcome> {
        let gate = &self.guest.host.gate;
        if gate.finished() {
            return Some(Outcome::Served);
        }
        match run.goal {
            Goal::EarlyAccept if gate.is_disqualified() => Some(Outcome::Ready),
            Goal::Connection if gate.counts() != run.connections => Some(Outcome::Connection),
            Goal::Calls(calls) if self.guest.counters.syscalls >= calls => Some(Outcome::Paused),
            _ => None,
        }
    }

    /// Schedules the next tick, if the machine did not run when the last one was due.
    fn begin_ticks(&mut self) {
        let now = monotonic();
        if self.guest.next_tick <= now {
            self.guest.next_tick = now.saturating_add(TICK);
        }
        // The alarm may have rung for another run of this thread.
        let _ = alarm::has_rung();
    }

    fn is_tick_due(&self) -> bool {
        // Exact to a jiffy of the host's, which suffices, and takes a sixth of the exact clock's time.
        nanoseconds(rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse)) >= self.guest.next_tick
    }

    /// Sets the alarm for the next event that must interrupt the current thread.
    fn set_alarm(&mut self, run: &Run<'_>, slice: Option<u64>) -> Result<(), EngineError> {
        let interruption = self.guest.kernel.next_interruption(&self.guest.host, run.began);
        let interruption = interruption.map(|at| self.guest.host.to_host_time(at));
        // Only a guest that makes no call over a whole tick is interrupted for it.
        let watch = self.guest.next_tick.saturating_add(TICK);
        let next = [interruption, run.limits.deadline, slice].into_iter().flatten().fold(watch, u64::min);
        Ok(alarm::set(next)?)
    }

    /// Sends timers' signals and checks the deadline, because the alarm has rung; refreshes the clock page and checks the limit of
    /// memory, every [`TICK`]. Returns the outcome if the run is over.
    fn tick(&mut self, run: &Run<'_>) -> Result<Option<Outcome>, EngineError> {
        let pid = self.guest.kernel.process().pid;
        self.guest.kernel.processes.expire_timers(&self.guest.host, pid);
        self.forward_terminal_signals();
        if let Some(outcome) = self.stop_requested(run) {
            return Ok(Some(outcome));
        }
        let now = monotonic();
        if run.limits.deadline.is_some_and(|at| at <= now) {
            return Ok(Some(Outcome::TimedOut));
        }
        if now < self.guest.next_tick {
            return Ok(None);
        }
        self.guest.next_tick = now.saturating_add(TICK);
        alarm::set_anew(self.guest.next_tick.saturating_add(TICK))?;
        self.refresh_clock();
        self.guest.kernel.push(&mut self.guest.host);
        let short = self.is_short_of_memory(run.limits.touched_bytes)?;
        Ok(short.then_some(Outcome::OutOfMemory))
    }

    /// The outcome, if another thread has asked to stop this run.
    fn stop_requested(&self, run: &Run<'_>) -> Option<Outcome> {
        if self.guest.host.take_interrupt() {
            return Some(Outcome::Interrupted);
        }
        let flagged = matches!(run.goal, Goal::Flag(flag) if flag.load(Ordering::SeqCst));
        flagged.then_some(Outcome::Flagged)
    }

    /// Writes the current time to the page from which guests read it without a system call.
    fn refresh_clock(&mut self) {
        self.guest.clock.show(self.guest.host.lag());
    }

    /// No thread can run: ends the run, or waits for the host if `may_wait`. `None` when a thread may be able to run now.
    fn idle(&mut self, run: &mut Run<'_>, may_wait: bool) -> Result<Option<Progress>, EngineError> {
        self.guest.kernel.wake_all(&mut self.guest.host);
        if self.guest.kernel.next_thread(Turn::Lasts).is_some() {
            return Ok(None);
        }
        let over = |outcome| Ok(Some(Progress::Over(outcome)));
        let next = self.guest.kernel.next_deadline();
        match run.goal {
            Goal::EarlyAccept if self.guest.kernel.awaits_request(&self.guest.host) => return over(Outcome::Ready),
            Goal::Ready if self.guest.kernel.awaits_connection() => {
                // With a connection open, another program's answer would not come in the skipped time.
                if !self.guest.kernel.is_connected() && run.skip.skip_to(&mut self.guest.host, next) {
                    self.refresh_clock();
                    return Ok(None);
                }
                return over(Outcome::Ready);
            }
            _ => {}
        }
        let awaited = matches!(run.goal, Goal::NextClient);
        if self.guest.kernel.is_done(&self.guest.host) && (awaited || self.guest.host.is_awaited()) {
            return over(Outcome::Served);
        }
        let next = next.map(|at| self.guest.host.to_host_time(at));
        let deadline = next.into_iter().chain(run.limits.deadline).min();
        alarm::spare();
        let woken =
            self.guest.host.wait(if may_wait { deadline.map(|at| self.guest.host.to_guest_time(at)) } else { Some(0) });
        if woken == Woken::Interrupted {
            self.forward_terminal_signals();
            if let Some(outcome) = self.stop_requested(run) {
                return over(outcome);
            }
        }
        if run.limits.deadline.is_some_and(|at| at <= monotonic()) {
            return over(Outcome::TimedOut);
        }
        self.guest.kernel.wake(&mut self.guest.host);
        let waits = !may_wait && self.guest.kernel.next_thread(Turn::Lasts).is_none();
        Ok(waits.then_some(Progress::Waits(deadline)))
    }
}
