//! `Fork`: a machine made from a snapshot, on a thread of the engine's pool.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use warmfork_engine::{EngineError, Goal, Owned, ResetKind, RunLimits, Snapshot};

use crate::arguments::duplicate;
use crate::capture::Capture;
use crate::errors;
use crate::machine::{Ended, captured, counters, ended};
use crate::owner::Owner;
use crate::waiting::optional_duration;

/// One mapping.
#[derive(IntoPyObject)]
struct Area {
    start: u64,
    end: u64,
    readable: bool,
    writable: bool,
    executable: bool,
    shared: bool,
    name: String,
}

/// One thread.
#[derive(IntoPyObject)]
struct Thread<'py> {
    tid: i32,
    name: Bound<'py, PyBytes>,
    registers: Vec<u64>,
    vectors: Bound<'py, PyBytes>,
}

/// A machine made from a snapshot.
#[pyclass(frozen)]
pub struct Fork {
    owner: Owner<Owned<warmfork_engine::Fork>>,
    capture: Option<Arc<Capture>>,
}

impl Fork {
    /// A new fork of `snapshot`.
    pub fn new(py: Python<'_>, snapshot: Arc<Snapshot>, capture: Option<Arc<Capture>>) -> PyResult<Self> {
        let owner = py
            .detach(|| {
                let owned = Owned::new(move || snapshot.fork())?;
                let handle = owned.call(|fork: &mut warmfork_engine::Fork| fork.machine().handle())?;
                Ok(Owner::new(owned, handle))
            })
            .map_err(errors::raise)?;
        Ok(Self { owner, capture })
    }

    /// Has the fork's thread do `job`, while Ctrl-C works.
    fn job<R: Send + 'static>(
        &self,
        py: Python<'_>,
        job: impl FnOnce(&mut warmfork_engine::Fork) -> Result<R, EngineError> + Send + 'static,
    ) -> PyResult<R> {
        self.owner.wait(py, |fork| fork.start(job))
    }

    /// Has the fork's thread run it, to the goal and within the limits that `begin` says, while Ctrl-C works.
    fn drive(
        &self,
        py: Python<'_>,
        begin: impl FnOnce(&mut warmfork_engine::Fork) -> Result<RunLimits, EngineError> + Send + 'static,
    ) -> PyResult<Ended> {
        let begin = move |fork: &mut warmfork_engine::Fork| {
            if fork.machine().ended().is_some() {
                return Err(EngineError::State("running a fork that has ended: reset it"));
            }
            begin(fork).map(|limits| (Goal::End, limits))
        };
        self.owner.wait(py, |fork| fork.run(begin)).map(ended)
    }
}

#[pymethods]
impl Fork {
    fn run(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Ended> {
        let timeout = optional_duration(timeout)?;
        self.drive(py, move |_| Ok(RunLimits::within(timeout)))
    }

    fn serve(&self, py: Python<'_>, connection: i32, timeout: Option<f64>, max_memory: Option<u64>) -> PyResult<Ended> {
        let timeout = optional_duration(timeout)?;
        let connection = duplicate(connection)?;
        let offered = move |fork: &mut warmfork_engine::Fork| {
            rustix::io::ioctl_fionbio(&connection, true)
                .map_err(|error| EngineError::Host { operation: "ioctl(FIONBIO)", source: error.into() })?;
            let Some(listener) = fork.snapshot().kernel().listeners().into_iter().next() else {
                return Err(EngineError::State("serving a connection: the snapshot does not listen"));
            };
            fork.offer(listener, connection);
            Ok(RunLimits { touched_bytes: max_memory, ..RunLimits::within(timeout) })
        };
        self.drive(py, offered)
    }

    fn reset(&self, py: Python<'_>) -> PyResult<&'static str> {
        let kind = self.job(py, warmfork_engine::Fork::reset)?;
        Ok(match kind {
            ResetKind::Rewritten => "rewritten",
            ResetKind::Dropped => "dropped",
            ResetKind::Rebuilt => "rebuilt",
        })
    }

    fn read_memory<'py>(&self, py: Python<'py>, address: u64, length: usize) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.job(py, move |fork| fork.machine().read_memory(address, length))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn write_memory(&self, py: Python<'_>, address: u64, data: Vec<u8>) -> PyResult<()> {
        self.job(py, move |fork| fork.machine_mut().write_memory(address, &data))
    }

    fn areas(&self, py: Python<'_>) -> PyResult<Vec<Area>> {
        let areas = self.job(py, |fork| Ok(fork.machine().areas()))?;
        let areas = areas.into_iter().map(|area| Area {
            start: area.start,
            end: area.end,
            readable: area.readable,
            writable: area.writable,
            executable: area.executable,
            shared: area.shared,
            name: area.name,
        });
        Ok(areas.collect())
    }

    fn threads<'py>(&self, py: Python<'py>) -> PyResult<Vec<Thread<'py>>> {
        let threads = self.job(py, |fork| fork.machine_mut().threads())?;
        let threads = threads.into_iter().map(|thread| Thread {
            tid: thread.tid,
            name: PyBytes::new(py, &thread.name),
            registers: thread.registers.to_vec(),
            vectors: PyBytes::new(py, &thread.vectors),
        });
        Ok(threads.collect())
    }

    fn describe(&self, py: Python<'_>) -> PyResult<String> {
        self.job(py, |fork| Ok(fork.machine().describe()))
    }

    fn differences(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.job(py, warmfork_engine::Fork::differences)
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (done, resets) = self.job(py, |fork| Ok((fork.machine().counters(), fork.resets)))?;
        let found = counters(py, done)?;
        found.set_item("resets_rewritten", resets.rewritten)?;
        found.set_item("resets_dropped", resets.dropped)?;
        found.set_item("resets_rebuilt", resets.rebuilt)?;
        found.set_item("pages_rewritten", resets.pages)?;
        Ok(found)
    }

    fn output<'py>(&self, py: Python<'py>) -> (Bound<'py, PyBytes>, Bound<'py, PyBytes>) {
        captured(py, self.capture.as_deref())
    }

    fn interrupt(&self) {
        self.owner.handle().interrupt();
    }

    fn close(&self, py: Python<'_>) {
        self.owner.close(py);
    }
}

impl Drop for Fork {
    fn drop(&mut self) {
        Python::attach(|py| self.owner.close(py));
    }
}
