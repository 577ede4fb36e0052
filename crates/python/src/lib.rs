//! `warmfork._core`: the engine for Python. Converts arguments, releases the GIL around long calls and raises the
//! exceptions of `warmfork.errors`. Imported by the Python package beside it.
//!
//! ```text
//!   Python thread --job--> owner.rs --> the guest's thread (engine::MachineThread, Owned), which alone touches the guest
//!                 <-- answer -- waiting.rs: without the GIL, looking at Python's signals every now and then
//! ```
//!
//! The engine logs through Python's `logging`, from any thread, and takes the GIL for that: so nothing here waits for
//! an engine thread while it holds the GIL, and that includes dropping.

#![forbid(unsafe_code)]

mod arguments;
mod capture;
mod errors;
mod fork;
mod machine;
mod owner;
mod server;
mod snapshot;
mod waiting;

use pyo3::prelude::*;

/// One finding of `doctor`.
#[derive(IntoPyObject)]
struct Fact {
    name: &'static str,
    good: bool,
    value: String,
    why: &'static str,
}

/// The findings of `doctor`.
#[derive(IntoPyObject)]
struct Diagnosis {
    platform: &'static str,
    facts: Vec<Fact>,
}

/// The native half of warmfork; use the `warmfork` package instead.
#[pymodule]
mod _core {
    use pyo3::prelude::*;
    use pyo3_log::{Caching, Logger};

    use super::{Diagnosis, Fact};

    #[pymodule_export]
    use super::fork::Fork;
    #[pymodule_export]
    use super::machine::Machine;
    #[pymodule_export]
    use super::server::Server;
    #[pymodule_export]
    use super::snapshot::Snapshot;

    /// Probes this host.
    #[pyfunction]
    fn doctor(py: Python<'_>) -> Diagnosis {
        let diagnosis = py.detach(warmfork_engine::doctor::diagnose);
        let facts = diagnosis.facts.into_iter();
        Diagnosis {
            platform: diagnosis.platform.unwrap_or(""),
            facts: facts
                .map(|fact| Fact { name: fact.name, good: fact.good, value: fact.value, why: fact.why })
                .collect(),
        }
    }

    /// The table of system calls: number, name, support, note.
    #[pyfunction]
    fn syscalls() -> Vec<(u64, &'static str, &'static str, &'static str)> {
        use warmfork_engine::table::{Support, TABLE};
        let level = |support| match support {
            Support::Full => "full",
            Support::Partial => "partial",
            Support::Refused => "refused",
            Support::None => "none",
        };
        TABLE.iter().map(|entry| (entry.number, entry.name, level(entry.support), entry.note)).collect()
    }

    /// Whether each system call of a guest is a debug record of the logger `warmfork.syscalls`. Slow.
    #[pyfunction]
    fn trace_system_calls(on: bool) {
        log::set_max_level(if on { log::LevelFilter::Debug } else { log::LevelFilter::Info });
    }

    #[pymodule_init]
    fn initialise(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("DEBUG_BUILD", cfg!(debug_assertions))?;
        module.add("DEFAULT_REWRITE_LIMIT", warmfork_engine::fork::DEFAULT_REWRITE_LIMIT)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // Levels are cached, so that what nobody wants to read does not take the GIL. A second import finds the
        // logger installed, which is all right.
        let logger = Logger::new(module.py(), Caching::LoggersAndLevels)?.filter(log::LevelFilter::Debug);
        let _ = logger.install();
        log::set_max_level(log::LevelFilter::Info);
        Ok(())
    }
}
