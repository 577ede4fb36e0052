//! `Server`: workers that serve a snapshot's sockets.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::waiting::{LOOK, duration, optional_duration};

/// The latency histogram, cumulative as Prometheus has it; seconds.
#[derive(IntoPyObject)]
struct Latency {
    buckets: Vec<(f64, u64)>,
    sum_seconds: f64,
    count: u64,
}

/// A running server.
#[pyclass(frozen)]
pub struct Server {
    server: warmfork_engine::serve::Server,
}

impl Server {
    /// A server that has been started.
    pub fn new(server: warmfork_engine::serve::Server) -> Self {
        Self { server }
    }

    /// Waits until it has stopped or `timeout` has passed, looking at Python's signals.
    fn wait_for(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<bool> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()));
            if py.detach(|| self.server.wait(left.min(LOOK))) {
                return Ok(true);
            }
            py.check_signals()?;
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(false);
            }
        }
    }
}

#[pymethods]
impl Server {
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.wait_for(py, optional_duration(timeout)?)
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let statistics = self.server.statistics();
        let found = PyDict::new(py);
        let platform = self.server.platform();
        found.set_item("platform", platform.kind.name())?;
        found.set_item("platform_reason", platform.reason())?;
        found.set_item("workers", self.server.workers())?;
        let mut microseconds = 0;
        for (name, value) in statistics.counters() {
            match name {
                "latency_sum_us" => microseconds = value,
                "reset_us" => found.set_item("reset_seconds", seconds(value))?,
                name => found.set_item(name, value)?,
            }
        }
        let mut buckets = Vec::new();
        let mut count = 0;
        for (bound, connections) in statistics.histogram() {
            count += connections;
            buckets.extend(bound.map(|bound| (seconds(bound), count)));
        }
        found.set_item("latency", Latency { buckets, sum_seconds: seconds(microseconds), count })?;
        Ok(found)
    }

    fn stop(&self, py: Python<'_>, grace: f64) -> PyResult<()> {
        let grace = duration(grace)?;
        self.server.close();
        let waited = self.wait_for(py, Some(grace));
        if !matches!(waited, Ok(true)) {
            py.detach(|| self.server.stop(Duration::ZERO));
        }
        waited.map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        Python::attach(|py| py.detach(|| self.server.stop(Duration::ZERO)));
    }
}

/// Microseconds as seconds.
fn seconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64()
}
