//! Threads that were interrupted in user code, in the middle of a restartable sequence perhaps. Called by the run loop when
//! another thread may run, and before a handler's frame is built.

use warmfork_abi::signals::SIGSEGV;
use warmfork_abi::{Errno, Registers};
use warmfork_memory::GuestMemory;

use super::SignalInfo;
use crate::ids::Tid;
use crate::kernel::Kernel;

impl Kernel {
    /// Thread `tid` has been interrupted in user code, and another one may run before it goes on.
    pub fn interrupted(&mut self, memory: &dyn GuestMemory, registers: &mut Registers, tid: Tid) {
        if self.restart_sequence(memory, registers, tid).is_err() {
            self.process_mut().force(tid, SignalInfo::kernel(SIGSEGV));
        }
    }

    /// Thread `tid` has been interrupted: if that was in the middle of its restartable sequence, it goes on at the abort
    /// handler.
    ///
    /// # Errors
    /// Its area or its descriptor is wrong: Linux sends SIGSEGV.
    pub(crate) fn restart_sequence(
        &mut self,
        memory: &dyn GuestMemory,
        registers: &mut Registers,
        tid: Tid,
    ) -> Result<(), Errno> {
        let Some(sequences) = self.process().tasks.get(tid).sequences else { return Ok(()) };
        if let Some(handler) = sequences.abort(memory, registers.rip)? {
            registers.rip = handler;
        }
        Ok(())
    }
}
