//! pidfd_open and the other calls with process descriptors.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_RDWR;
use warmfork_abi::process::{
    PIDFD_NONBLOCK, PIDFD_SIGNAL_PROCESS_GROUP, PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_THREAD,
};
use warmfork_abi::signals::{SI_TKILL, SI_USER};

use crate::call::{Call, Stop, SyscallResult};
use crate::events::DescriptionId;
use crate::files::Description;
use crate::guest_path;
use crate::ids::Pid;
use crate::objects::Object;
use crate::objects::pidfd::{PidFd, ProcessState};
use crate::process::Process;
use crate::signal::information::SIGINFO_SIZE;
use crate::signal::{SignalInfo, Target};
use crate::syscalls::signals::{checked, forge_check, send_to_all};

/// Opens a descriptor of `named` with status `flags`; the descriptor.
///
/// # Errors
/// EMFILE when none is free.
pub(super) fn open(call: &mut Call<'_>, named: PidFd, flags: u32) -> Result<i32, Stop> {
    let id = call.kernel.files.insert(Description::new(Object::PidFd(named), O_RDWR | flags));
    call.kernel.shared.pidfds += 1;
    let limit = call.kernel.process().file_limit();
    call.kernel.process_mut().descriptors.install(id, 0, limit, true).map_err(|error| {
        call.kernel.release(call.host, id);
        error.into()
    })
}

/// pidfd_open(2)
pub fn pidfd_open(call: &mut Call<'_>) -> SyscallResult {
    let (id, flags) = (call.int(0), call.uint(1));
    if flags & !(PIDFD_NONBLOCK | PIDFD_THREAD) != 0 || id <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let named = PidFd { id, thread: flags & PIDFD_THREAD != 0 };
    if call.kernel.process_state(named) == ProcessState::Gone {
        let thread = call.kernel.processes.find_task(id).is_some();
        return Err(if thread { Errno::ENOENT } else { Errno::ESRCH }.into());
    }
    let fd = open(call, named, flags & PIDFD_NONBLOCK)?;
    Ok(u64::from(fd.unsigned_abs()))
}

/// The process that the descriptor behind `id` names: a process descriptor, or a process's directory in /proc.
fn named(call: &Call<'_>, id: DescriptionId) -> Result<PidFd, Errno> {
    if let Some(pidfd) = call.kernel.pidfd(id) {
        return Ok(pidfd);
    }
    let path = call.kernel.files.description(id).object.directory_path();
    let Some((b"/proc", name)) = path.and_then(guest_path::split) else { return Err(Errno::EBADF) };
    let id = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or(Errno::EBADF)?;
    Ok(PidFd { id, thread: false })
}

/// pidfd_send_signal(2)
pub fn pidfd_send_signal(call: &mut Call<'_>) -> SyscallResult {
    let (fd, signal, address, flags) = (call.int(0), call.int(1), call.args[2], call.uint(3));
    let scopes = [0, PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_SIGNAL_PROCESS_GROUP];
    if !scopes.contains(&flags) {
        return Err(Errno::EINVAL.into());
    }
    let id = call.description_id(fd)?;
    let named = named(call, id)?;
    let given: Option<[u8; SIGINFO_SIZE]> = match address {
        0 => None,
        address => Some(call.memory().read_array(address)?),
    };
    let to_thread = flags == PIDFD_SIGNAL_THREAD || flags == 0 && named.thread;
    let code = if to_thread { SI_TKILL } else { SI_USER };
    let Process { pid, uid, .. } = *call.kernel.process();
    let info = match &given {
        None => SignalInfo::sent(checked(signal)?, code, pid, uid),
        Some(bytes) if bytes[..4] != signal.to_le_bytes() => return Err(Errno::EINVAL.into()),
        Some(bytes) => {
            forge_check(call, named.id, bytes)?;
            SignalInfo::from_bytes(checked(signal)?, bytes)
        }
    };
    let targets = match call.kernel.process_state(named) {
        ProcessState::Gone => return Err(Errno::ESRCH.into()),
        ProcessState::Ended => return Ok(0),
        ProcessState::Alive => targets(call, named, flags)?,
    };
    if info.signal == 0 {
        return Ok(0);
    }
    if to_thread {
        let owner = owner(call, named)?.pid;
        call.kernel.processes.send_signal(owner, Target::Thread(named.id), info)?;
    } else {
        send_to_all(call, &targets, info)?;
    }
    Ok(0)
}

/// The processes that a signal is for.
fn targets(call: &Call<'_>, named: PidFd, flags: u32) -> Result<Vec<Pid>, Errno> {
    let owner = owner(call, named)?;
    if flags != PIDFD_SIGNAL_PROCESS_GROUP {
        return Ok(vec![owner.pid]);
    }
    Ok(call.kernel.processes.signalled(-owner.group).0)
}

/// The living process that a descriptor names, or that has the thread that it names.
fn owner<'a>(call: &'a Call<'_>, named: PidFd) -> Result<&'a Process, Errno> {
    call.kernel.processes.owner(named.id).ok_or(Errno::ESRCH)
}

/// pidfd_getfd(2)
pub fn pidfd_getfd(call: &mut Call<'_>) -> SyscallResult {
    let (fd, wanted, flags) = (call.int(0), call.int(1), call.uint(2));
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let id = call.description_id(fd)?;
    let named = call.kernel.pidfd(id).ok_or(Errno::EBADF)?;
    let owner = match call.kernel.process_state(named) {
        ProcessState::Alive => owner(call, named)?,
        ProcessState::Ended | ProcessState::Gone => return Err(Errno::ESRCH.into()),
    };
    let own = call.kernel.process().pid;
    // As ptrace(2) asks: not of a process that has made itself private.
    if owner.pid != own && owner.dumpable != 1 {
        return Err(Errno::EPERM.into());
    }
    let found = owner.descriptors.lookup(wanted)?;
    let limit = call.kernel.process().file_limit();
    let taken = call.kernel.process_mut().descriptors.install(found, 0, limit, true)?;
    call.kernel.files.retain(found);
    Ok(u64::from(taken.unsigned_abs()))
}

/// The process that waitid(2) waits for with a descriptor, and whether it does so without sleeping.
///
/// # Errors
/// EINVAL for a number that none can have, EBADF for another kind of descriptor.
pub(super) fn waited_for(call: &Call<'_>, fd: i32) -> Result<(Pid, bool), Errno> {
    if fd < 0 {
        return Err(Errno::EINVAL);
    }
    let id = call.description_id(fd)?;
    let named = call.kernel.pidfd(id).ok_or(Errno::EBADF)?;
    Ok((named.id, call.kernel.files.description(id).nonblocking()))
}
