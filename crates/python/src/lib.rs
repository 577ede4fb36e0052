//! `warmfork._core`: the engine for Python. Converts arguments, releases the GIL around long calls and raises the
//! exceptions of `warmfork.errors`. Imported by `python/warmfork/machine.py` and by the command line.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

/// The native half of warmfork; use the `warmfork` package instead.
#[pymodule]
mod _core {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_init]
    fn initialise(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("DEBUG_BUILD", cfg!(debug_assertions))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
