//! `Snapshot`: a frozen machine.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::arguments::ServeOptions;
use crate::capture::Capture;
use crate::errors;
use crate::fork::Fork;
use crate::server::Server;

/// The contents of a snapshot.
#[derive(IntoPyObject)]
struct Info {
    pages: u64,
    bytes: u64,
    mapped_bytes: u64,
    areas: usize,
    threads: usize,
    fds: usize,
    accepted: bool,
    listening: Vec<String>,
    connections: Vec<Connection>,
}

/// A connection to the outside that was open at the freeze.
#[derive(IntoPyObject)]
struct Connection {
    peer: String,
    kept: bool,
}

/// A frozen machine, whose forks share its memory.
#[pyclass(frozen)]
pub struct Snapshot {
    snapshot: Arc<warmfork_engine::Snapshot>,
    capture: Option<Arc<Capture>>,
}

impl Snapshot {
    /// A snapshot, and the capture of its forks' output.
    pub fn new(snapshot: Arc<warmfork_engine::Snapshot>, capture: Option<Arc<Capture>>) -> Self {
        Self { snapshot, capture }
    }
}

#[pymethods]
impl Snapshot {
    fn fork(&self, py: Python<'_>) -> PyResult<Fork> {
        Fork::new(py, Arc::clone(&self.snapshot), self.capture.clone())
    }

    fn info(&self) -> Info {
        let info = self.snapshot.info();
        let listening = self.snapshot.listening();
        Info {
            pages: info.resident_bytes / 4096,
            bytes: info.resident_bytes,
            mapped_bytes: info.mapped_bytes,
            areas: info.areas,
            threads: info.threads,
            fds: info.files,
            accepted: info.accepted,
            listening: listening.iter().map(ToString::to_string).collect(),
            connections: (self.snapshot.outside().iter())
                .map(|connection| Connection { peer: connection.to_string(), kept: connection.kept })
                .collect(),
        }
    }

    fn serve(&self, py: Python<'_>, options: ServeOptions) -> PyResult<Server> {
        let options = options.try_into()?;
        let server = py.detach(|| warmfork_engine::serve::Server::start(&self.snapshot, options));
        Ok(Server::new(server.map_err(errors::raise)?))
    }
}
