//! A second stub with the same memory: the host forks the first one, so that private memory is copied on write and
//! shared memory stays shared.
//!
//! ```text
//!   parent thread                        stub                      its copy
//!   socket and table for the copy  -->   receives them
//!   clone(CLONE_PARENT|CLONE_PTRACE) ->  clone --------------->    stops at once, traced as the stub is
//!   its own table and socket in the places of the stub's ------->  mmap, dup2, close
//! ```

use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use super::calls::{CallError, Caller};
use super::host_call::HostCall;
use super::table::Table;
use super::tracee::{Stopped, Tracee};
use super::{ProcessPlatform, filter, layout, open_memory};
use crate::PlatformError;
use crate::touched::Touched;

/// The stub's numbers of the files that it receives for its copy.
const NEW_SOCKET: u64 = 0;
const NEW_TABLE: u64 = 1;

impl ProcessPlatform {
    /// A stub like this one, traced by the calling thread, in memory of its own.
    pub(super) fn fork(&mut self) -> Result<Self, PlatformError> {
        let failed = |error: CallError| error.into_platform("forking the stub");
        let mut table = Table::new()?;
        let (ours, theirs) =
            UnixDatagram::pair().map_err(|source| PlatformError::Host { operation: "socketpair", source })?;
        let files = [theirs.as_fd(), table.file()];
        self.caller.receive(&mut self.tracee, &files).map_err(failed)?;
        let clone = HostCall::new(libc::SYS_clone, [filter::CLONE_FLAGS.into(), 0, 0, 0, 0, 0]);
        // Adopted before anything else can fail: dropping it kills it.
        let cloned = self.caller.call(&mut self.tracee, clone).map_err(failed);
        let adopted = cloned.and_then(|pid| Tracee::adopt(libc::pid_t::try_from(pid).unwrap_or(0)));
        let close = |number| HostCall::new(libc::SYS_close, [number, 0, 0, 0, 0, 0]);
        self.caller.batch(&mut self.tracee, &[close(NEW_SOCKET), close(NEW_TABLE)]).map_err(failed)?;
        let mut tracee = adopted?;
        match tracee.wait()? {
            Stopped::Signal(libc::SIGSTOP) => {}
            stopped => return Err(PlatformError::Gone(format!("the copy of a stub did not stop: {stopped:?}"))),
        }
        table.clear();
        let mut caller = Caller::new(ours, table);
        install(&mut tracee, &mut caller).map_err(failed)?;
        let memory = open_memory(&tracee)?;
        let touched = Touched::open(tracee.pid())?;
        // Its pages are shared with the copy now: a later write to one is counted as a fault, but a page that the
        // copying itself made private is not.
        self.touched.forget();
        Ok(Self { tracee, caller, touched, memory, backwards: false, entries: 0, thread: std::marker::PhantomData })
    }
}

/// Gives the copy its own table and socket in the places of those that it shares with the first stub.
fn install(tracee: &mut Tracee, caller: &mut Caller) -> Result<(), CallError> {
    let (read, write) = (libc::PROT_READ as u64, libc::PROT_WRITE as u64);
    let shared = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
    let size = layout::SHARED_SIZE as u64;
    let socket = u64::from(layout::SOCKET.cast_unsigned());
    for (number, arguments) in [
        (libc::SYS_mmap, [layout::TABLE, size, read | write, shared, NEW_TABLE, 0]),
        (libc::SYS_dup2, [NEW_SOCKET, socket, 0, 0, 0, 0]),
        (libc::SYS_close, [NEW_SOCKET, 0, 0, 0, 0, 0]),
        (libc::SYS_close, [NEW_TABLE, 0, 0, 0, 0, 0]),
    ] {
        caller.call(tracee, HostCall::new(number, arguments))?;
    }
    Ok(())
}
