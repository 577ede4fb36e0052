//! A guest on a thread of the engine's, as an object of Python has it: until it is closed, and with Ctrl-C at work.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use warmfork_engine::{EngineError, Handle};

use crate::errors;
use crate::waiting::wait;

/// The engine's side of a guest, `T`, and the handle that interrupts the guest.
pub struct Owner<T> {
    /// Lock held for a copy only.
    thread: Mutex<Option<Arc<T>>>,
    handle: Handle,
}

impl<T: Send + Sync> Owner<T> {
    pub fn new(thread: T, handle: Handle) -> Self {
        Self { thread: Mutex::new(Some(Arc::new(thread))), handle }
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The engine's side.
    ///
    /// # Errors
    /// `StateError` when it is closed.
    pub fn thread(&self) -> PyResult<Arc<T>> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().map(Arc::clone).ok_or_else(errors::closed)
    }

    /// Waits for the answer to what `start` starts there; an exception of a signal handler interrupts the guest.
    pub fn wait<R: Send>(
        &self,
        py: Python<'_>,
        start: impl FnOnce(&T) -> Result<Receiver<Result<R, EngineError>>, EngineError>,
    ) -> PyResult<R> {
        let thread = self.thread()?;
        let started = start(&thread).map_err(errors::raise)?;
        let answer = wait(py, started, || self.handle.interrupt());
        // It may be the last one: then this waits for the engine's thread, which may want to log.
        py.detach(move || drop(thread));
        answer?.map_err(errors::raise)
    }

    /// Stops the guest and gives back what it has.
    pub fn close(&self, py: Python<'_>) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.handle.interrupt();
            py.detach(move || drop(thread));
        }
    }
}
