//! Ids: processes, users, groups, capabilities, names of the system. They never change, so setting succeeds only for
//! the present values.

use warmfork_abi::Errno;
use warmfork_abi::process::{
    LINUX_CAPABILITY_VERSION_1, LINUX_CAPABILITY_VERSION_2, LINUX_CAPABILITY_VERSION_3, UTSNAME_LENGTH,
};

use crate::call::{Call, SyscallResult};
use crate::ids::Pid;
use crate::proc::system::{NODE, RELEASE, VERSION};
use crate::process::Process;

/// The name of the system.
const SYSTEM: &str = "Linux";

/// An id as a result.
fn id(value: i32) -> SyscallResult {
    Ok(u64::from(value.cast_unsigned()))
}

fn permit(allowed: bool) -> SyscallResult {
    if allowed { Ok(0) } else { Err(Errno::EPERM.into()) }
}

/// getpid(2)
pub fn getpid(call: &mut Call<'_>) -> SyscallResult {
    id(call.kernel.process().pid)
}

/// gettid(2)
pub fn gettid(call: &mut Call<'_>) -> SyscallResult {
    id(call.tid)
}

/// getppid(2)
pub fn getppid(call: &mut Call<'_>) -> SyscallResult {
    id(call.kernel.process().parent)
}

/// The process that `pid` (which may be a thread's id, or 0 for the caller) names.
pub(super) fn named<'a>(call: &'a Call<'_>, pid: i32) -> Result<&'a Process, Errno> {
    if pid == 0 { Ok(call.kernel.process()) } else { call.kernel.processes.owner(pid).ok_or(Errno::ESRCH) }
}

/// The id of the process that `pid` names, as [`named`] has it.
pub(super) fn named_process(call: &Call<'_>, pid: i32) -> Result<Pid, Errno> {
    named(call, pid).map(|process| process.pid)
}

/// getpgrp(2)
pub fn getpgrp(call: &mut Call<'_>) -> SyscallResult {
    id(call.kernel.process().group)
}

/// getpgid(2)
pub fn getpgid(call: &mut Call<'_>) -> SyscallResult {
    let pid = call.int(0);
    if let Some(zombie) = call.kernel.processes.zombie(pid) {
        return id(zombie.group);
    }
    id(named(call, pid)?.group)
}

/// getsid(2)
pub fn getsid(call: &mut Call<'_>) -> SyscallResult {
    let pid = call.int(0);
    if let Some(zombie) = call.kernel.processes.zombie(pid) {
        return id(zombie.session);
    }
    id(named(call, pid)?.session)
}

/// setpgid(2)
pub fn setpgid(call: &mut Call<'_>) -> SyscallResult {
    let (pid, group) = (call.int(0), call.int(1));
    if group < 0 {
        return Err(Errno::EINVAL.into());
    }
    let pid = if pid == 0 { call.kernel.process().pid } else { pid };
    call.kernel.processes.set_group(pid, if group == 0 { pid } else { group })?;
    Ok(0)
}

/// setsid(2)
pub fn setsid(call: &mut Call<'_>) -> SyscallResult {
    if call.kernel.processes.group_exists(call.kernel.process().pid) {
        return Err(Errno::EPERM.into());
    }
    let process = call.kernel.process_mut();
    process.group = process.pid;
    process.session = process.pid;
    id(process.pid)
}

/// getuid(2), geteuid(2)
pub fn getuid(call: &mut Call<'_>) -> SyscallResult {
    Ok(u64::from(call.kernel.process().uid))
}

/// getgid(2), getegid(2)
pub fn getgid(call: &mut Call<'_>) -> SyscallResult {
    Ok(u64::from(call.kernel.process().gid))
}

/// Whether the first `count` arguments are all `current` or -1 ("leave it").
fn unchanged(call: &Call<'_>, count: usize, current: u32) -> SyscallResult {
    permit((0..count).all(|index| matches!(call.uint(index), value if value == current || value == u32::MAX)))
}

/// setuid(2)
pub fn setuid(call: &mut Call<'_>) -> SyscallResult {
    match call.uint(0) {
        u32::MAX => Err(Errno::EINVAL.into()),
        uid => permit(uid == call.kernel.process().uid),
    }
}

/// setgid(2)
pub fn setgid(call: &mut Call<'_>) -> SyscallResult {
    match call.uint(0) {
        u32::MAX => Err(Errno::EINVAL.into()),
        gid => permit(gid == call.kernel.process().gid),
    }
}

/// setreuid(2)
pub fn setreuid(call: &mut Call<'_>) -> SyscallResult {
    unchanged(call, 2, call.kernel.process().uid)
}

/// setregid(2)
pub fn setregid(call: &mut Call<'_>) -> SyscallResult {
    unchanged(call, 2, call.kernel.process().gid)
}

/// setresuid(2)
pub fn setresuid(call: &mut Call<'_>) -> SyscallResult {
    unchanged(call, 3, call.kernel.process().uid)
}

/// setresgid(2)
pub fn setresgid(call: &mut Call<'_>) -> SyscallResult {
    unchanged(call, 3, call.kernel.process().gid)
}

fn write_three(call: &mut Call<'_>, value: u32) -> SyscallResult {
    for address in [call.args[0], call.args[1], call.args[2]] {
        call.memory().write_u32(address, value)?;
    }
    Ok(0)
}

/// getresuid(2)
pub fn getresuid(call: &mut Call<'_>) -> SyscallResult {
    write_three(call, call.kernel.process().uid)
}

/// getresgid(2)
pub fn getresgid(call: &mut Call<'_>) -> SyscallResult {
    write_three(call, call.kernel.process().gid)
}

/// getgroups(2)
pub fn getgroups(call: &mut Call<'_>) -> SyscallResult {
    let (size, list) = (call.int(0), call.args[1]);
    let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
    let groups = &call.kernel.process().groups;
    let count = groups.len();
    if size != 0 {
        if size < count {
            return Err(Errno::EINVAL.into());
        }
        let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_le_bytes()).collect();
        call.memory().write(list, &bytes)?;
    }
    Ok(count as u64)
}

/// capget(2): a process without capabilities, whatever its user id.
pub fn capget(call: &mut Call<'_>) -> SyscallResult {
    let data = call.args[1];
    let sets = match capability_sets(call) {
        Err(Errno::EINVAL) if data == 0 => return Ok(0),
        other => other?,
    };
    if data != 0 {
        call.memory().write(data, &[0; 24][..sets * 12])?;
    }
    Ok(0)
}

/// capset(2): nothing can be gained.
pub fn capset(call: &mut Call<'_>) -> SyscallResult {
    let sets = capability_sets(call)?;
    let data = call.args[1];
    let wanted = call.memory().read_vec(data, sets * 12)?;
    permit(wanted.iter().all(|&byte| byte == 0))
}

/// Reads the header of capget and capset: how many 32-bit sets of each kind follow.
fn capability_sets(call: &mut Call<'_>) -> Result<usize, Errno> {
    let header = call.args[0];
    let version = call.memory().read_u32(header)?;
    let sets = match version {
        LINUX_CAPABILITY_VERSION_1 => 1,
        LINUX_CAPABILITY_VERSION_2 | LINUX_CAPABILITY_VERSION_3 => 2,
        _ => {
            call.memory().write_u32(header, LINUX_CAPABILITY_VERSION_3)?;
            return Err(Errno::EINVAL);
        }
    };
    let pid = call.memory().read_u32(header.wrapping_add(4))?.cast_signed();
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    named_process(call, pid)?;
    Ok(sets)
}

/// uname(2)
pub fn uname(call: &mut Call<'_>) -> SyscallResult {
    let mut bytes = [0; UTSNAME_LENGTH * 6];
    let texts = [SYSTEM, NODE, RELEASE, VERSION, "x86_64", "(none)"];
    for (place, text) in bytes.chunks_exact_mut(UTSNAME_LENGTH).zip(texts) {
        place[..text.len()].copy_from_slice(text.as_bytes());
    }
    let address = call.args[0];
    call.memory().write(address, &bytes)?;
    Ok(0)
}

/// setgroups(2)
pub fn setgroups(call: &mut Call<'_>) -> SyscallResult {
    let (size, list) = (call.size(0)?, call.args[1]);
    let current = call.kernel.process().groups.clone();
    if size != current.len() {
        return Err(Errno::EPERM.into());
    }
    let bytes = call.memory().read_vec(list, size * 4)?;
    let wanted = bytes.chunks_exact(4).map(|group| u32::from_le_bytes([group[0], group[1], group[2], group[3]]));
    permit(wanted.eq(current))
}
