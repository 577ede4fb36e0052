//! The engine's errors as the exceptions of `warmfork.errors`, with hints for the user.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::io::Errno;
use warmfork_engine::{Ending, EngineError, Outcome};

use crate::capture::Capture;

/// The classes of `warmfork.errors`, imported when they are first raised.
mod classes {
    pyo3::import_exception!(warmfork.errors, BootTimeout);
    pyo3::import_exception!(warmfork.errors, GuestError);
    pyo3::import_exception!(warmfork.errors, LimitError);
    pyo3::import_exception!(warmfork.errors, PlatformError);
    pyo3::import_exception!(warmfork.errors, PolicyError);
    pyo3::import_exception!(warmfork.errors, ProgramError);
    pyo3::import_exception!(warmfork.errors, StateError);
    pyo3::import_exception!(warmfork.errors, WarmforkError);
}

pub use classes::{
    BootTimeout, GuestError, LimitError, PlatformError, PolicyError, ProgramError, StateError, WarmforkError,
};

const DOCTOR: &str = "warmfork doctor says what this host can do";

/// The exception for an error of the engine.
pub fn raise(error: EngineError) -> PyErr {
    let message = error.to_string();
    match error {
        EngineError::Outside(_) => GuestError::new_err((
            message,
            "--keep-connections=HOST:PORT shares them, at your risk; without --refuse-connections they end in each fork",
        )),
        EngineError::WarmUp(_) => GuestError::new_err(message),
        EngineError::Load(_) => ProgramError::new_err(message),
        EngineError::Policy(_) => PolicyError::new_err(message),
        EngineError::State(_) | EngineError::Ended => StateError::new_err(message),
        EngineError::Memory { .. } => WarmforkError::new_err(message),
        EngineError::Kvm(_) => PlatformError::new_err((message, "--platform=process needs no /dev/kvm")),
        EngineError::Platform(_) | EngineError::Image(_) => PlatformError::new_err((message, DOCTOR)),
        EngineError::Host { source, .. } => host_error(message, source.raw_os_error()),
        EngineError::Kernel { source, .. } => host_error(message, Some(source.0)),
    }
}

/// A refusal of the host: because a limit was reached, or because it cannot.
fn host_error(message: String, errno: Option<i32>) -> PyErr {
    let limits = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN].map(Errno::raw_os_error);
    if errno.is_some_and(|errno| limits.contains(&errno)) {
        return LimitError::new_err((message, "ulimit -a shows the limits of this process"));
    }
    PlatformError::new_err((message, DOCTOR))
}

/// A machine or server that is closed.
pub fn closed() -> PyErr {
    StateError::new_err("it is closed")
}

/// `error`, with the end of the guest's output when the guest is to blame.
pub fn with_output(py: Python<'_>, error: PyErr, capture: Option<&Capture>) -> PyErr {
    let Some(capture) = capture.filter(|_| error.is_instance_of::<GuestError>(py)) else { return error };
    let (output, errors) = py.detach(|| capture.last());
    let value = error.value(py);
    let told = value
        .setattr("stdout", PyBytes::new(py, &output))
        .and_then(|()| value.setattr("stderr", PyBytes::new(py, &errors)));
    told.err().unwrap_or(error)
}

/// Why a program is not ready.
pub fn not_ready(outcome: Outcome, seconds: Option<f64>) -> PyErr {
    const LOOK: &str =
        "a denied access names the flag that allows it; servers usually need --allow-read and --allow-listen";
    match outcome {
        Outcome::Ended(Ending::Exited(code)) => {
            GuestError::new_err((format!("the program exited with status {code} before it was ready"), LOOK))
        }
        Outcome::Ended(Ending::Signaled(signal)) => {
            GuestError::new_err((format!("the program was killed by signal {signal} before it was ready"), LOOK))
        }
        Outcome::TimedOut => {
            let message = format!("the program was not ready within {} s", seconds.unwrap_or(0.0));
            BootTimeout::new_err((message, "it must listen on a socket and wait; --max-boot-time=TIME gives it longer"))
        }
        Outcome::OutOfMemory => {
            LimitError::new_err(("the program wanted more memory than it may have", "--max-memory"))
        }
        Outcome::Interrupted
        | Outcome::Ready
        | Outcome::Served
        | Outcome::Connection
        | Outcome::Paused
        | Outcome::Flagged => GuestError::new_err("the program was interrupted before it was ready"),
    }
}
