//! Limits, usage, priorities, and facts about the system.

use warmfork_abi::Errno;
use warmfork_abi::process::{
    IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_SHIFT, IOPRIO_LEVELS,
    IOPRIO_WHO_PGRP, IOPRIO_WHO_PROCESS, IOPRIO_WHO_USER, PRIO_PGRP, PRIO_PROCESS, PRIO_USER, RUSAGE_CHILDREN,
    RUSAGE_SELF, RUSAGE_THREAD,
};
use warmfork_abi::time::NANOSECONDS_PER_SECOND;
use warmfork_memory::ResourceLimits;

use crate::call::{Call, SyscallResult};
use crate::clock::Clock;
use crate::durations::timeval_bytes;
use crate::ids::Pid;
use crate::process::{LIMITS, Limit, RLIMIT_AS, RLIMIT_DATA, RLIMIT_NOFILE};
use crate::processes::ProcessTable;
use crate::syscalls::identity;

/// Most descriptors that a hard limit may allow (fs.nr_open).
const NR_OPEN: u64 = 1 << 20;

fn resource(number: u32) -> Result<usize, Errno> {
    usize::try_from(number).ok().filter(|&number| number < LIMITS).ok_or(Errno::EINVAL)
}

fn read_limit(call: &mut Call<'_>, address: u64) -> Result<Limit, Errno> {
    let bytes: [u8; 16] = call.memory().read_array(address)?;
    let word = |half: &[u8]| half.try_into().map_or(0, u64::from_le_bytes);
    Ok(Limit { soft: word(&bytes[..8]), hard: word(&bytes[8..]) })
}

fn write_limit(call: &mut Call<'_>, address: u64, limit: Limit) -> Result<(), Errno> {
    call.memory().write(address, &[limit.soft, limit.hard].map(u64::to_le_bytes).concat())?;
    Ok(())
}

/// Changes a limit of process `owner`.
fn change_limit(processes: &mut ProcessTable, owner: Pid, resource: usize, wanted: Limit) -> Result<(), Errno> {
    let process = processes.find_mut(owner).ok_or(Errno::ESRCH)?;
    let current = &mut process.limits[resource];
    if wanted.soft > wanted.hard {
        return Err(Errno::EINVAL);
    }
    if wanted.hard > current.hard || resource == RLIMIT_NOFILE && wanted.hard > NR_OPEN {
        return Err(Errno::EPERM);
    }
    *current = wanted;
    let (address_space, data) = (process.limits[RLIMIT_AS].soft, process.limits[RLIMIT_DATA].soft);
    let space = process.space;
    if let Some(space) = processes.find_space_mut(space) {
        space.set_resource_limits(ResourceLimits { address_space, data });
    }
    Ok(())
}

/// getrlimit(2)
pub fn getrlimit(call: &mut Call<'_>) -> SyscallResult {
    let (resource, address) = (resource(call.uint(0))?, call.args[1]);
    write_limit(call, address, call.kernel.process().limits[resource])?;
    Ok(0)
}

/// setrlimit(2)
pub fn setrlimit(call: &mut Call<'_>) -> SyscallResult {
    let (number, address) = (call.uint(0), call.args[1]);
    let wanted = read_limit(call, address)?;
    let pid = call.kernel.process().pid;
    change_limit(&mut call.kernel.processes, pid, resource(number)?, wanted)?;
    Ok(0)
}

/// prlimit64(2)
pub fn prlimit64(call: &mut Call<'_>) -> SyscallResult {
    let (pid, number) = (call.int(0), call.uint(1));
    let [_, _, new, old, ..] = call.args;
    let resource = resource(number)?;
    let wanted = if new == 0 { None } else { Some(read_limit(call, new)?) };
    let owner = identity::named(call, pid)?;
    let (owner, current) = (owner.pid, owner.limits[resource]);
    if let Some(wanted) = wanted {
        change_limit(&mut call.kernel.processes, owner, resource, wanted)?;
    }
    if old != 0 {
        write_limit(call, old, current)?;
    }
    Ok(0)
}

/// getrusage(2): CPU time, and the mapped bytes as an upper bound of the resident ones.
pub fn getrusage(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[1];
    let used = match call.int(0) {
        RUSAGE_SELF => call.kernel.cpu_time(call.host),
        RUSAGE_THREAD => call.kernel.thread_cpu_time(call.host, call.tid),
        RUSAGE_CHILDREN => call.kernel.process().children_cpu_time,
        _ => return Err(Errno::EINVAL.into()),
    };
    let resident = if call.int(0) == RUSAGE_CHILDREN { 0 } else { call.kernel.space().totals().accessible };
    call.memory().write(address, &usage_bytes(used, resident))?;
    Ok(0)
}

/// `struct rusage` of `used` nanoseconds of CPU time and `resident` bytes of memory.
pub(super) fn usage_bytes(used: u64, resident: u64) -> [u8; 144] {
    let mut bytes = [0; 144];
    bytes[..16].copy_from_slice(&timeval_bytes(used));
    bytes[32..40].copy_from_slice(&(resident / 1024).to_le_bytes());
    bytes
}

/// sysinfo(2): the machine's memory limit as the system's memory.
pub fn sysinfo(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[0];
    let host = rustix::system::sysinfo();
    let unit = u64::from(host.mem_unit);
    let total = host.totalram.saturating_mul(unit).min(call.kernel.space().limits().accessible_bytes);
    let free = host.freeram.saturating_mul(unit);
    let free = free.min(total.saturating_sub(call.kernel.space().totals().accessible));
    let uptime = call.kernel.clock(call.host, Clock::Host(rustix::time::ClockId::Boottime)) / NANOSECONDS_PER_SECOND;
    let mut bytes = [0; 112];
    for (place, value) in bytes.chunks_exact_mut(8).zip([uptime, 0, 0, 0, total, free]) {
        place.copy_from_slice(&value.to_le_bytes());
    }
    let processes = u16::try_from(call.kernel.processes.thread_count()).unwrap_or(u16::MAX);
    bytes[80..82].copy_from_slice(&processes.to_le_bytes()); // procs: threads, in truth
    bytes[104..108].copy_from_slice(&1_u32.to_le_bytes()); // mem_unit
    call.memory().write(address, &bytes)?;
    Ok(0)
}

/// The processes that `which` and `who` name: one, a group's or a user's.
fn named(call: &Call<'_>, which: i32, who: i32, kinds: [i32; 3]) -> Result<Vec<Pid>, Errno> {
    let process = call.kernel.process();
    let [by_process, by_group, by_user] = kinds;
    let found = match which {
        _ if which == by_process => vec![identity::named(call, who)?.pid],
        _ if which == by_group => {
            call.kernel.processes.signalled(if who == 0 { 0 } else { who.checked_neg().unwrap_or(0) }).0
        }
        _ if which == by_user && (who == 0 || who.cast_unsigned() == process.uid) => call.kernel.processes.pids(),
        _ if which == by_user => Vec::new(),
        _ => return Err(Errno::EINVAL),
    };
    if found.is_empty() { Err(Errno::ESRCH) } else { Ok(found) }
}

/// getpriority(2): of several processes the best.
pub fn getpriority(call: &mut Call<'_>) -> SyscallResult {
    let named = named(call, call.int(0), call.int(1), [PRIO_PROCESS, PRIO_PGRP, PRIO_USER])?;
    let values = named.into_iter().filter_map(|pid| call.kernel.processes.find(pid));
    let nice = values.map(|process| process.attributes.nice).min().ok_or(Errno::ESRCH)?;
    Ok(u64::from((20 - nice).cast_unsigned()))
}

/// setpriority(2): remembered and reported, no more; only downwards, as without privileges.
pub fn setpriority(call: &mut Call<'_>) -> SyscallResult {
    let wanted = call.int(2).clamp(-20, 19);
    for pid in named(call, call.int(0), call.int(1), [PRIO_PROCESS, PRIO_PGRP, PRIO_USER])? {
        let Some(process) = call.kernel.processes.find_mut(pid) else { continue };
        let nice = &mut process.attributes.nice;
        if wanted < *nice {
            return Err(Errno::EACCES.into());
        }
        *nice = wanted;
    }
    Ok(0)
}

/// ioprio_get(2)
pub fn ioprio_get(call: &mut Call<'_>) -> SyscallResult {
    let named = named(call, call.int(0), call.int(1), [IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP, IOPRIO_WHO_USER])?;
    let values = named.into_iter().filter_map(|pid| call.kernel.processes.find(pid));
    let priority = values.map(|process| process.attributes.io_priority).min().ok_or(Errno::ESRCH)?;
    Ok(u64::from(priority))
}

/// ioprio_set(2): remembered and reported, no more.
pub fn ioprio_set(call: &mut Call<'_>) -> SyscallResult {
    let value = call.uint(2);
    let level = value & ((1 << IOPRIO_CLASS_SHIFT) - 1);
    match value >> IOPRIO_CLASS_SHIFT {
        IOPRIO_CLASS_RT => return Err(Errno::EPERM.into()),
        IOPRIO_CLASS_BE if level < IOPRIO_LEVELS => {}
        IOPRIO_CLASS_IDLE => {}
        IOPRIO_CLASS_NONE if level == 0 => {}
        _ => return Err(Errno::EINVAL.into()),
    }
    for pid in named(call, call.int(0), call.int(1), [IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP, IOPRIO_WHO_USER])? {
        if let Some(process) = call.kernel.processes.find_mut(pid) {
            process.attributes.io_priority = value;
        }
    }
    Ok(0)
}
