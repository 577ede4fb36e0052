//! pidfd_open and what is done with process descriptors.

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
use crate::objects::pidfd::{Life, PidFd};
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
    let limit = call.kernel.process.file_limit();
    call.kernel.files.install(id, 0, limit, true).map_err(|error| {
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
    if call.kernel.life(named) == Life::Gone {
        let thread = call.kernel.any_task(id).is_some();
        return Err(if thread { Errno::ENOENT } else { Errno::ESRCH }.into());
    }
    let fd = open(call, named, flags & PIDFD_NONBLOCK)?;
    Ok(u64::from(fd.unsigned_abs()))
}

/// What the descriptor behind `id` names: a process descriptor, or the process's directory in /proc.
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
    let (pid, uid) = (call.kernel.process.pid, call.kernel.process.uid);
    let info = match &given {
        None => SignalInfo::sent(checked(signal)?, code, pid, uid),
        Some(bytes) if bytes[..4] != signal.to_le_bytes() => return Err(Errno::EINVAL.into()),
        Some(bytes) => {
            forge_check(call, named.id, bytes)?;
            SignalInfo::from_bytes(checked(signal)?, bytes)
        }
    };
    let targets = match call.kernel.life(named) {
        Life::Gone => return Err(Errno::ESRCH.into()),
        Life::Ended => return Ok(0),
        Life::Living => targets(call, named, flags)?,
    };
    if info.signal == 0 {
        return Ok(0);
    }
    if to_thread {
        let owner = call.kernel.process_of(named.id).ok_or(Errno::ESRCH)?;
        let sent = call.kernel.with_process(owner, |kernel| kernel.send_signal(Target::Thread(named.id), info));
        sent.unwrap_or(Err(Errno::ESRCH))?;
    } else {
        send_to_all(call, &targets, info)?;
    }
    Ok(0)
}

/// The processes that a signal is for.
fn targets(call: &Call<'_>, named: PidFd, flags: u32) -> Result<Vec<Pid>, Errno> {
    let owner = call.kernel.process_of(named.id).ok_or(Errno::ESRCH)?;
    if flags != PIDFD_SIGNAL_PROCESS_GROUP {
        return Ok(vec![owner]);
    }
    let group = call.kernel.find_process(owner).map_or(owner, |process| process.group);
    Ok(call.kernel.signalled(-group).0)
}

/// pidfd_getfd(2)
pub fn pidfd_getfd(call: &mut Call<'_>) -> SyscallResult {
    let (fd, wanted, flags) = (call.int(0), call.int(1), call.uint(2));
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let id = call.description_id(fd)?;
    let named = call.kernel.pidfd(id).ok_or(Errno::EBADF)?;
    let owner = match call.kernel.life(named) {
        Life::Living => call.kernel.process_of(named.id).ok_or(Errno::ESRCH)?,
        Life::Ended | Life::Gone => return Err(Errno::ESRCH.into()),
    };
    let own = call.kernel.process.pid;
    // As ptrace(2) asks: not of a process that has made itself private.
    let hidden = |dumpable: u32| owner != own && dumpable != 1;
    if call.kernel.find_process(owner).is_none_or(|process| hidden(process.dumpable)) {
        return Err(Errno::EPERM.into());
    }
    let found = call.kernel.with_process(owner, |kernel| kernel.files.lookup(wanted));
    let found = found.unwrap_or(Err(Errno::ESRCH))?;
    let limit = call.kernel.process.file_limit();
    let taken = call.kernel.files.install(found, 0, limit, true)?;
    call.kernel.files.retain(found);
    Ok(u64::from(taken.unsigned_abs()))
}

/// The process that waitid(2) waits for with a descriptor, and whether it does so without sleeping.
///
/// # Errors
/// EINVAL for a number that none can have, EBADF for what is no process descriptor.
pub(super) fn waited_for(call: &Call<'_>, fd: i32) -> Result<(Pid, bool), Errno> {
    if fd < 0 {
        return Err(Errno::EINVAL);
    }
    let id = call.description_id(fd)?;
    let named = call.kernel.pidfd(id).ok_or(Errno::EBADF)?;
    Ok((named.id, call.kernel.files.description(id).nonblocking()))
}
