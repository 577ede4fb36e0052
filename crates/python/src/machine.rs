//! `Machine`: a program that runs, on a thread of its own.

use std::ffi::OsString;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use warmfork_engine::MachineThread;
use warmfork_engine::outside::OutsideRules;
use warmfork_engine::serve::{Address, FreezeOutcome, WarmUp, freeze_at_best, warm_up};
use warmfork_engine::{Counters, Ending, EngineError, Goal, Outcome, PlatformChoice, Program, RunLimits, boot};

use crate::arguments::{Limits, PolicySpec, bytes, duplicate, patterns, variable};
use crate::capture::Capture;
use crate::errors::{self, GuestError};
use crate::owner::Owner;
use crate::snapshot::Snapshot;
use crate::waiting::optional_duration;

/// How a run ended: "exited", "signaled", "served", "timeout", "out_of_memory" or "interrupted", and the exit code or the
/// signal's number, else 0.
pub type Ended = (&'static str, i64);

/// The outcome of a run, for Python.
pub fn ended(outcome: Outcome) -> Ended {
    match outcome {
        Outcome::Ended(Ending::Exited(code)) => ("exited", code.into()),
        Outcome::Ended(Ending::Signaled(signal)) => ("signaled", signal.into()),
        Outcome::TimedOut => ("timeout", 0),
        Outcome::OutOfMemory => ("out_of_memory", 0),
        Outcome::Served => ("served", 0),
        // Nobody asked to stop for the others.
        Outcome::Interrupted | Outcome::Ready | Outcome::Connection | Outcome::Paused | Outcome::Flagged => {
            ("interrupted", 0)
        }
    }
}

/// A machine's counters, for Python.
pub fn counters(py: Python<'_>, counters: Counters) -> PyResult<Bound<'_, PyDict>> {
    let Counters { syscalls, faults, switches } = counters;
    let found = PyDict::new(py);
    for (name, value) in [("syscalls", syscalls), ("faults", faults), ("switches", switches)] {
        found.set_item(name, value)?;
    }
    Ok(found)
}

/// The captured output, for Python; nothing where nothing is captured.
pub fn captured<'py>(py: Python<'py>, capture: Option<&Capture>) -> (Bound<'py, PyBytes>, Bound<'py, PyBytes>) {
    let (output, errors) = py.detach(|| capture.map(Capture::take).unwrap_or_default());
    (PyBytes::new(py, &output), PyBytes::new(py, &errors))
}

/// The machine, until it is frozen; alone on its thread.
type Slot = Option<warmfork_engine::Machine>;

/// One guest program.
#[pyclass(frozen)]
pub struct Machine {
    owner: Owner<MachineThread<Slot>>,
    capture: Option<Arc<Capture>>,
}

/// Where a warm-up request goes.
fn where_it_listens(machine: &warmfork_engine::Machine) -> Result<Address, EngineError> {
    let first = machine.listening().into_iter().next();
    first.ok_or(EngineError::State("warming up a program that does not listen: boot it first"))
}

fn stopped(outcome: Outcome) -> PyErr {
    GuestError::new_err(format!("the program stopped during the warm-up: {outcome:?}"))
}

fn frozen() -> EngineError {
    EngineError::State("using a machine that is frozen: make a fork of its snapshot")
}

impl Machine {
    /// Has the machine's thread do `job`, while Ctrl-C works.
    fn job<R: Send + 'static>(
        &self,
        py: Python<'_>,
        job: impl FnOnce(&mut warmfork_engine::Machine) -> Result<R, EngineError> + Send + 'static,
    ) -> PyResult<R> {
        self.owner.wait(py, |thread| thread.start(move |slot| slot.as_mut().map_or_else(|| Err(frozen()), job)))
    }

    /// `error`, with the end of the guest's output.
    fn with_output(&self, py: Python<'_>, error: PyErr) -> PyErr {
        errors::with_output(py, error, self.capture.as_deref())
    }
}

#[pymethods]
impl Machine {
    #[new]
    #[pyo3(signature = (argv, *, env, cwd, policy, limits, stdio, platform, huge_pages))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        py: Python<'_>,
        argv: Vec<OsString>,
        env: Vec<(OsString, OsString)>,
        cwd: OsString,
        policy: PolicySpec,
        limits: Limits,
        stdio: Option<(i32, i32, i32)>,
        platform: &str,
        huge_pages: bool,
    ) -> PyResult<Self> {
        let Some(platform) = PlatformChoice::named(platform) else {
            return Err(PyValueError::new_err(format!("no platform is called {platform}: auto, process or kvm")));
        };
        let (capture, stdio) = match stdio {
            Some((input, output, errors)) => (None, [duplicate(input)?, duplicate(output)?, duplicate(errors)?]),
            None => Capture::new().map(|(capture, stdio)| (Some(capture), stdio))?,
        };
        let arguments: Vec<Vec<u8>> = argv.into_iter().map(bytes).collect();
        let program = Program {
            path: arguments.first().cloned().unwrap_or_default(),
            arguments,
            environment: env.into_iter().map(variable).collect(),
            cwd: bytes(cwd),
            rules: py.detach(|| policy.rules())?,
            limits: limits.into(),
            stdio,
            platform,
            huge_pages,
        };
        let owner = py
            .detach(|| {
                let thread = MachineThread::new(move || boot(program).map(Some))?;
                let handle = thread.call(|slot: &mut Slot| slot.as_ref().map(warmfork_engine::Machine::handle))?;
                Ok(Owner::new(thread, handle.ok_or(EngineError::Ended)?))
            })
            .map_err(errors::raise)?;
        Ok(Self { owner, capture })
    }

    fn run(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Ended> {
        let timeout = optional_duration(timeout)?;
        self.job(py, move |machine| {
            if machine.ended().is_some() {
                return Err(EngineError::State("running a program that has ended"));
            }
            machine.admit_any();
            machine.run(Goal::End, RunLimits::within(timeout))
        })
        .map(ended)
    }

    /// Runs the program up to its system call `call`, all of its processes and threads counted; how it ended before.
    fn run_to_call(&self, py: Python<'_>, call: u64, timeout: Option<f64>) -> PyResult<Option<Ended>> {
        let timeout = optional_duration(timeout)?;
        let outcome = self.job(py, move |machine| {
            machine.admit_any();
            machine.run(Goal::Calls(call), RunLimits::within(timeout))
        })?;
        Ok((outcome != Outcome::Paused).then(|| ended(outcome)))
    }

    fn boot(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Vec<String>> {
        let limit = optional_duration(timeout)?;
        let (outcome, listening) = self.job(py, move |machine| {
            // A fork serves each client that connects before the freeze: its bytes must be in no other fork.
            machine.admit_own();
            let outcome = machine.run(Goal::Ready, RunLimits::within(limit))?;
            Ok((outcome, machine.listening()))
        })?;
        if outcome != Outcome::Ready {
            return Err(self.with_output(py, errors::not_ready(outcome, timeout)));
        }
        Ok(listening.iter().map(ToString::to_string).collect())
    }

    fn warm_up(&self, py: Python<'_>, count: u32, path: String) -> PyResult<()> {
        let outcome = self.job(py, move |machine| {
            let address = where_it_listens(machine)?;
            warm_up(machine, &address, count, &path, None)
        });
        match outcome {
            Ok(WarmUp::Ready) => Ok(()),
            Ok(WarmUp::Stopped(outcome)) => Err(self.with_output(py, stopped(outcome))),
            Err(error) => Err(self.with_output(py, error)),
        }
    }

    fn freeze(
        &self,
        py: Python<'_>,
        freeze_points: u32,
        path: String,
        keep_connections: Vec<String>,
        refuse_connections: bool,
    ) -> PyResult<Snapshot> {
        let outside = OutsideRules { keep: patterns(&keep_connections)?, refuse: refuse_connections };
        let freeze = move |slot: &mut Slot| {
            if freeze_points == 0 {
                let machine = slot.take().ok_or_else(frozen)?;
                return warmfork_engine::Snapshot::freeze(machine, &outside).map(FreezeOutcome::Frozen);
            }
            let machine = slot.as_mut().ok_or_else(frozen)?;
            let address = where_it_listens(machine)?;
            let done = freeze_at_best(machine, &address, &path, freeze_points, &outside)?;
            if matches!(done, FreezeOutcome::Frozen(_)) {
                *slot = None;
            }
            Ok(done)
        };
        match self.owner.wait(py, |thread| thread.start(freeze)) {
            Ok(FreezeOutcome::Frozen(snapshot)) => Ok(Snapshot::new(snapshot, self.capture.clone())),
            Ok(FreezeOutcome::Stopped(outcome)) => Err(self.with_output(py, stopped(outcome))),
            Err(error) => Err(self.with_output(py, error)),
        }
    }

    fn output<'py>(&self, py: Python<'py>) -> (Bound<'py, PyBytes>, Bound<'py, PyBytes>) {
        captured(py, self.capture.as_deref())
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = self.job(py, |machine| Ok(machine.counters()))?;
        counters(py, found)
    }

    fn interrupt(&self) -> PyResult<()> {
        self.owner.thread()?;
        self.owner.handle().interrupt();
        Ok(())
    }

    fn forward_signal(&self, signal: u32) {
        self.owner.handle().forward_signal(signal);
    }

    fn close(&self, py: Python<'_>) {
        self.owner.close(py);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        Python::attach(|py| self.owner.close(py));
    }
}
