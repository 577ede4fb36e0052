//! fork, vfork, and clone of processes.

use warmfork_abi::threads::{
    CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_FILES, CLONE_FS, CLONE_PARENT,
    CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SETTLS, CLONE_SIGHAND, CLONE_VFORK, CLONE_VM,
};
use warmfork_abi::{Errno, Registers, signals::SIGCHLD, signals::SIGMAX};

use super::attributes::segment_base;
use super::pidfd;
use crate::call::{Call, Stop, SyscallResult};
use crate::ids::{FIRST_PID, Pid};
use crate::objects::pidfd::PidFd;
use crate::processes::{ForkRequest, Forked};
use crate::wait::Wait;

/// The request of clone and clone3.
#[derive(Default)]
pub(super) struct Request {
    pub flags: u64,
    pub stack_pointer: u64,
    pub parent_tid: u64,
    pub child_tid: u64,
    pub tls: u64,
    pub exit_signal: u32,
    /// Where CLONE_PIDFD puts the descriptor.
    pub pidfd: u64,
}

impl Request {
    /// A process with `flags`, whose end is told with `exit_signal`.
    pub fn process(flags: u64, exit_signal: u32) -> Self {
        Self { flags, exit_signal, ..Self::default() }
    }
}

/// fork(2)
pub fn fork(call: &mut Call<'_>) -> SyscallResult {
    start(call, &Request::process(0, SIGCHLD))
}

/// vfork(2)
pub fn vfork(call: &mut Call<'_>) -> SyscallResult {
    start(call, &Request::process(CLONE_VM | CLONE_VFORK, SIGCHLD))
}

/// clone without CLONE_THREAD.
pub(super) fn start(call: &mut Call<'_>, request: &Request) -> SyscallResult {
    if let Some(child) = call.task().restart.lent_to {
        return wait_for_memory(call, child);
    }
    let has = |flag: u64| request.flags & flag != 0;
    let shares_memory = has(CLONE_VM);
    if has(CLONE_FILES | CLONE_FS | CLONE_SIGHAND) || shares_memory && !has(CLONE_VFORK) {
        let flags = request.flags;
        log::warn!("clone with flags {flags:#x}: a process that shares memory or files for good is not supported");
        return Err(Errno::EINVAL.into());
    }
    let sibling = has(CLONE_PARENT);
    if request.exit_signal > SIGMAX || sibling && call.kernel.process().pid == FIRST_PID {
        return Err(Errno::EINVAL.into());
    }
    let mut registers = Registers { rax: 0, orig_rax: u64::MAX, ..*call.registers };
    if request.stack_pointer != 0 {
        registers.rsp = request.stack_pointer;
    }
    if has(CLONE_SETTLS) {
        registers.fs_base = segment_base(request.tls)?;
    }
    let limit = call.kernel.process().file_limit();
    if has(CLONE_PIDFD) && !call.kernel.process().descriptors.has_room(limit) {
        return Err(Errno::EMFILE.into());
    }
    if !shares_memory {
        call.kernel.share_memory(call.guest.memory())?;
    }
    let fpu = if shares_memory { Some(call.kernel.vector_state(call.guest, call.tid)?) } else { None };
    let wanted = ForkRequest {
        maker: call.tid,
        registers,
        fpu,
        exit_signal: if sibling { call.kernel.process().exit_signal } else { request.exit_signal },
        sibling,
        shares_memory,
        default_handlers: has(CLONE_CLEAR_SIGHAND),
        clear_child_tid: if has(CLONE_CHILD_CLEARTID) { request.child_tid } else { 0 },
    };
    let pid = call.kernel.fork_process(call.host, wanted)?;
    let pidfd = if has(CLONE_PIDFD) { Some(describe(call, pid, request.pidfd)?) } else { None };
    let place = |flag, address| if has(flag) { address } else { 0 };
    let forked = Forked {
        pid,
        parent_tid: place(CLONE_PARENT_SETTID, request.parent_tid),
        child_tid: place(CLONE_CHILD_SETTID, request.child_tid),
        pidfd,
    };
    if !shares_memory {
        return Err(Stop::Fork(forked));
    }
    for address in [forked.parent_tid, forked.child_tid].into_iter().filter(|address| *address != 0) {
        // Linux ignores a bad pointer here too: the process exists.
        let _ = call.memory().write_u32(address, pid.cast_unsigned());
    }
    call.task().restart.lent_to = Some(pid);
    wait_for_memory(call, pid)
}

/// Opens a descriptor of `child`, which has just been made, and tells the guest at `address`. There is no child when that fails.
fn describe(call: &mut Call<'_>, child: Pid, address: u64) -> Result<i32, Stop> {
    let fd = match pidfd::open(call, PidFd { id: child, thread: false }, 0) {
        Ok(fd) => fd,
        Err(stop) => {
            call.kernel.undo_fork(call.host, child, None);
            return Err(stop);
        }
    };
    if let Err(fault) = call.memory().write_u32(address, fd.cast_unsigned()) {
        call.kernel.undo_fork(call.host, child, Some(fd));
        return Err(fault.into());
    }
    Ok(fd)
}

/// Sleeps until `child`, which has the caller's memory, has its own or has ended. Only SIGKILL (and SIGSTOP) ends that.
fn wait_for_memory(call: &mut Call<'_>, child: Pid) -> SyscallResult {
    if call.kernel.processes.lends_memory(child) {
        return Err(Stop::Block(Wait { mask: Some(u64::MAX), ..Wait::default() }));
    }
    Ok(u64::from(child.cast_unsigned()))
}
