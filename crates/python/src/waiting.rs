//! Waiting for the engine without the GIL, while Ctrl-C works.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use warmfork_engine::EngineError;

use crate::errors;

/// How often Python's signals are looked at.
pub const LOOK: Duration = Duration::from_millis(50);

/// Waits for an answer. When a signal handler of Python raises, `interrupt` is called, the job's end awaited and the
/// exception passed on.
pub fn wait<R: Send>(py: Python<'_>, mut answer: Receiver<R>, interrupt: impl Fn()) -> PyResult<R> {
    let mut raised = None;
    loop {
        let received;
        (answer, received) = py.detach(move || {
            let received = answer.recv_timeout(LOOK);
            (answer, received)
        });
        match received {
            Ok(value) => return raised.map_or(Ok(value), Err),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(raised.unwrap_or_else(|| errors::raise(EngineError::Ended)));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if raised.is_none() {
            raised = py.check_signals().err();
        }
        if raised.is_some() {
            interrupt();
        }
    }
}

/// Seconds as Python gives them.
pub fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{seconds} is not a time in seconds")))
}

/// Seconds as Python gives them, or no limit.
pub fn optional_duration(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    seconds.map(duration).transpose()
}
