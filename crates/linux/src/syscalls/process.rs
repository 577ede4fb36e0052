//! Ending a thread or the process; waiting for children.

use warmfork_abi::Errno;
use warmfork_abi::process::{
    P_ALL, P_PGID, P_PID, P_PIDFD, WAIT_KINDS, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WUNTRACED,
};
use warmfork_abi::signals::{CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SIGCHLD, SIGCONT};

use crate::call::{Call, Stop, SyscallResult};
use crate::process::Ending;
use crate::processes::{Change, Reaped, Selector, WaitRequest};
use crate::signal::SignalInfo;
use crate::syscalls::limits::usage_bytes;
use crate::syscalls::pidfd::waited_for;
use crate::wait::Wait;

/// exit(2): ends the calling thread, and the process with the last one. The process's status is then the first
/// thread's.
pub fn exit(call: &mut Call<'_>) -> SyscallResult {
    let status = call.int(0) & 0xff;
    let process = call.kernel.process_mut();
    if call.tid == process.pid {
        process.leader_status = Some(status);
    }
    if process.tasks.len() > 1 {
        return Err(Stop::ExitThread);
    }
    let status = process.leader_status.unwrap_or(status);
    Err(Stop::ExitProgram(Ending::Exited(status)))
}

/// exit_group(2)
pub fn exit_group(call: &mut Call<'_>) -> SyscallResult {
    Err(Stop::ExitProgram(Ending::Exited(call.int(0) & 0xff)))
}

/// Takes news of a child, or sleeps until there are some; `None` with WNOHANG.
fn wait(call: &mut Call<'_>, request: &WaitRequest, options: u32) -> Result<Option<Reaped>, Stop> {
    match call.kernel.processes.wait_for_child(request)? {
        None if options & WNOHANG == 0 => {
            Err(Stop::Block(Wait { children: true, restartable: true, ..Wait::default() }))
        }
        found => Ok(found),
    }
}

/// wait4(2)
pub fn wait4(call: &mut Call<'_>) -> SyscallResult {
    let (pid, options) = (call.int(0), call.uint(2));
    let [_, status, _, usage, ..] = call.args;
    if options & !(WNOHANG | WUNTRACED | WCONTINUED | WAIT_KINDS) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let selector = match pid {
        i32::MIN => return Err(Errno::ESRCH.into()),
        -1 => Selector::Any,
        0 => Selector::Group(call.kernel.process().group),
        1.. => Selector::Process(pid),
        _ => Selector::Group(-pid),
    };
    let request = WaitRequest {
        selector,
        ended: true,
        stopped: options & WUNTRACED != 0,
        continued: options & WCONTINUED != 0,
        kinds: options & WAIT_KINDS,
        leave: false,
    };
    let Some(found) = wait(call, &request, options)? else { return Ok(0) };
    if status != 0 {
        call.memory().write_u32(status, status_word(found.change))?;
    }
    if usage != 0 {
        call.memory().write(usage, &usage_bytes(found.cpu_time, found.resident))?;
    }
    Ok(u64::from(found.pid.cast_unsigned()))
}

/// The status word of wait(2).
fn status_word(change: Change) -> u32 {
    match change {
        Change::Ended(Ending::Exited(status)) => (status.cast_unsigned() & 0xff) << 8,
        Change::Ended(Ending::Signaled(signal)) => signal & 0x7f,
        Change::Stopped(signal) => signal << 8 | 0x7f,
        Change::Continued => 0xffff,
    }
}

/// waitid(2)
pub fn waitid(call: &mut Call<'_>) -> SyscallResult {
    const EVENTS: u32 = WEXITED | WUNTRACED | WCONTINUED;
    let (kind, id, options) = (call.int(0), call.int(1), call.uint(3));
    let [_, _, info, _, usage, _] = call.args;
    if options & !(EVENTS | WNOHANG | WNOWAIT | WAIT_KINDS) != 0 || options & EVENTS == 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut impatient = false;
    let selector = match kind {
        P_PIDFD => {
            let (pid, nonblocking) = waited_for(call, id)?;
            impatient = nonblocking && options & WNOHANG == 0;
            Selector::Process(pid)
        }
        P_ALL => Selector::Any,
        P_PID if id > 0 => Selector::Process(id),
        P_PGID if id > 0 => Selector::Group(id),
        P_PGID if id == 0 => Selector::Group(call.kernel.process().group),
        _ => return Err(Errno::EINVAL.into()),
    };
    let request = WaitRequest {
        selector,
        ended: options & WEXITED != 0,
        stopped: options & WUNTRACED != 0,
        continued: options & WCONTINUED != 0,
        kinds: options & WAIT_KINDS,
        leave: options & WNOWAIT != 0,
    };
    let found = match wait(call, &request, options) {
        Err(Stop::Block(_)) if impatient => return Err(Errno::EAGAIN.into()),
        found => found?,
    };
    if let Some(found) = found
        && usage != 0
    {
        call.memory().write(usage, &usage_bytes(found.cpu_time, found.resident))?;
    }
    if info != 0 {
        let details = found.map(|found| details(&found)).unwrap_or_default();
        // The bytes behind the details stay as they were, as on Linux.
        for (at, value) in details.into_iter().enumerate() {
            let at = [0, 4, 8, 16, 20, 24][at];
            call.memory().write_u32(info.wrapping_add(at), value)?;
        }
    }
    Ok(0)
}

/// The fields of `siginfo_t` that waitid fills in: number, error, code, pid, uid, status.
fn details(found: &Reaped) -> [u32; 6] {
    let (code, status) = match found.change {
        Change::Ended(Ending::Exited(status)) => (CLD_EXITED, status),
        Change::Ended(Ending::Signaled(signal)) => (CLD_KILLED, signal.cast_signed()),
        Change::Stopped(signal) => (CLD_STOPPED, signal.cast_signed()),
        Change::Continued => (CLD_CONTINUED, SIGCONT.cast_signed()),
    };
    let info = SignalInfo::child(SIGCHLD, code, found.pid, found.uid, status, 0);
    [info.signal, 0, code.cast_unsigned(), found.pid.cast_unsigned(), found.uid, status.cast_unsigned()]
}
