//! A thread of its own for a machine or a fork, so that callers on any thread can drive it, one at a time.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::cpu;
use crate::error::EngineError;

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// Owns a `T` on a thread of its own. Dropping it ends the thread after the current job.
pub struct MachineThread<T> {
    jobs: Option<Sender<Job<T>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: 'static> MachineThread<T> {
    /// Starts a thread that makes the value and then works for it.
    ///
    /// # Errors
    /// As `make`; the host's refusal of a thread.
    pub fn new(make: impl FnOnce() -> Result<T, EngineError> + Send + 'static) -> Result<Self, EngineError> {
        let (jobs, queue) = channel::<Job<T>>();
        let (ready, made) = channel();
        let thread = std::thread::Builder::new()
            .name("warmfork-machine".into())
            .spawn(move || {
                cpu::pin_here();
                let mut value = match make() {
                    Ok(value) => value,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                // This fails when the caller is gone; the queue then ends at once.
                let _ = ready.send(Ok(()));
                while let Ok(job) = queue.recv() {
                    job(&mut value);
                }
            })
            .map_err(EngineError::host("starting a machine's thread"))?;
        made.recv().map_err(|_| EngineError::Ended)??;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Lets the thread do `job`; the receiver gets the answer.
    ///
    /// # Errors
    /// [`EngineError::Ended`] when the thread is gone (an earlier job panicked).
    pub fn start<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<Receiver<R>, EngineError> {
        let (answer, receiver) = channel();
        let job = Box::new(move |value: &mut T| drop(answer.send(job(value))));
        self.jobs.as_ref().ok_or(EngineError::Ended)?.send(job).map_err(|_| EngineError::Ended)?;
        Ok(receiver)
    }

    /// Lets the thread do `job` and waits for the answer.
    ///
    /// # Errors
    /// [`EngineError::Ended`] when the thread is gone.
    pub fn call<R: Send + 'static>(&self, job: impl FnOnce(&mut T) -> R + Send + 'static) -> Result<R, EngineError> {
        self.start(job)?.recv().map_err(|_| EngineError::Ended)
    }
}

impl<T> Drop for MachineThread<T> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic has already been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
