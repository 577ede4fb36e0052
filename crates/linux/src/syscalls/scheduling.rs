//! Scheduling: one CPU, threads in turn, no priorities.

use warmfork_abi::Errno;
use warmfork_abi::process::{
    SCHED_ATTR_SIZE_VER0, SCHED_BATCH, SCHED_DEADLINE, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL, SCHED_RESET_ON_FORK,
    SCHED_RR,
};
use warmfork_abi::{PAGE, time::NANOSECONDS_PER_SECOND};

use crate::call::{Call, Stop, SyscallResult};
use crate::durations::timespec_bytes;
use crate::task::Task;

/// Bytes of the kernel's CPU masks here.
const CPU_MASK_SIZE: u64 = 8;
/// The time of a thread before others have their turn.
const TIME_SLICE: u64 = NANOSECONDS_PER_SECOND / 100;

/// sched_yield(2)
pub fn sched_yield(_call: &mut Call<'_>) -> SyscallResult {
    Err(Stop::Yield)
}

/// The thread in argument 0, where 0 stands for the caller.
fn thread<'a>(call: &'a mut Call<'_>) -> Result<&'a mut Task, Errno> {
    match call.int(0) {
        0 => Ok(call.task()),
        tid @ 1.. => call.kernel.processes.find_task_mut(tid).ok_or(Errno::ESRCH),
        _ => Err(Errno::EINVAL),
    }
}

/// As [`thread`], for the calls that say ESRCH of a negative id too.
fn any_thread(call: &mut Call<'_>) -> Result<(), Errno> {
    thread(call).map(drop).map_err(|_| Errno::ESRCH)
}

/// sched_getaffinity(2)
pub fn sched_getaffinity(call: &mut Call<'_>) -> SyscallResult {
    let (length, address) = (call.uint(1), call.args[2]);
    if length == 0 || length % 8 != 0 {
        return Err(Errno::EINVAL.into());
    }
    any_thread(call)?;
    call.memory().write_u64(address, 1)?;
    Ok(CPU_MASK_SIZE)
}

/// sched_setaffinity(2)
pub fn sched_setaffinity(call: &mut Call<'_>) -> SyscallResult {
    let (length, address) = (call.uint(1), call.args[2]);
    let mut mask = [0; 8];
    let length = usize::try_from(length).map_or(8, |length| length.min(8));
    call.memory().read(address, &mut mask[..length])?;
    any_thread(call)?;
    if mask[0] & 1 == 0 { Err(Errno::EINVAL.into()) } else { Ok(0) }
}

/// getcpu(2)
pub fn getcpu(call: &mut Call<'_>) -> SyscallResult {
    let [cpu, node, ..] = call.args;
    for address in [cpu, node] {
        if address != 0 {
            call.memory().write_u32(address, 0)?;
        }
    }
    Ok(0)
}

/// Whether a thread may have `policy` with real-time priority `priority`.
fn check_policy(policy: i32, priority: u32) -> Result<(), Errno> {
    match policy & !SCHED_RESET_ON_FORK {
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE if priority == 0 => Ok(()),
        SCHED_FIFO | SCHED_RR if (1..=99).contains(&priority) => Err(Errno::EPERM),
        SCHED_DEADLINE => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_setscheduler(2)
pub fn sched_setscheduler(call: &mut Call<'_>) -> SyscallResult {
    let (policy, address) = (call.int(1), call.args[2]);
    if policy < 0 || address == 0 {
        return Err(Errno::EINVAL.into());
    }
    let priority = call.memory().read_u32(address)?;
    thread(call)?;
    check_policy(policy, priority)?;
    thread(call)?.policy = policy;
    Ok(0)
}

/// sched_getscheduler(2)
pub fn sched_getscheduler(call: &mut Call<'_>) -> SyscallResult {
    Ok(u64::from(thread(call)?.policy.cast_unsigned()))
}

/// sched_setparam(2)
pub fn sched_setparam(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[1];
    if address == 0 {
        return Err(Errno::EINVAL.into());
    }
    let priority = call.memory().read_u32(address)?;
    let policy = thread(call)?.policy;
    check_policy(policy, priority)?;
    Ok(0)
}

/// sched_getparam(2)
pub fn sched_getparam(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[1];
    if address == 0 {
        return Err(Errno::EINVAL.into());
    }
    thread(call)?;
    call.memory().write_u32(address, 0)?;
    Ok(0)
}

/// sched_get_priority_max(2)
pub fn sched_get_priority_max(call: &mut Call<'_>) -> SyscallResult {
    priority_bound(call.int(0), 99)
}

/// sched_get_priority_min(2)
pub fn sched_get_priority_min(call: &mut Call<'_>) -> SyscallResult {
    priority_bound(call.int(0), 1)
}

fn priority_bound(policy: i32, bound: u64) -> SyscallResult {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok(bound),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// sched_rr_get_interval(2)
pub fn sched_rr_get_interval(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[1];
    thread(call)?;
    call.memory().write(address, &timespec_bytes(TIME_SLICE))?;
    Ok(0)
}

/// sched_getattr(2)
pub fn sched_getattr(call: &mut Call<'_>) -> SyscallResult {
    let (address, size, flags) = (call.args[1], call.uint(2), call.uint(3));
    if address == 0 || flags != 0 || size < SCHED_ATTR_SIZE_VER0 || u64::from(size) > PAGE {
        return Err(Errno::EINVAL.into());
    }
    let policy = thread(call)?.policy;
    let nice = call.kernel.process().attributes.nice;
    let mut bytes = [0; 48];
    bytes[..4].copy_from_slice(&SCHED_ATTR_SIZE_VER0.to_le_bytes());
    bytes[4..8].copy_from_slice(&policy.to_le_bytes());
    bytes[16..20].copy_from_slice(&nice.to_le_bytes());
    call.memory().write(address, &bytes)?;
    Ok(0)
}

/// sched_setattr(2)
pub fn sched_setattr(call: &mut Call<'_>) -> SyscallResult {
    let (address, flags) = (call.args[1], call.uint(2));
    if address == 0 || call.int(0) < 0 || flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let size = call.memory().read_u32(address)?;
    if size != 0 && (size < SCHED_ATTR_SIZE_VER0 || u64::from(size) > PAGE) {
        return Err(Errno::E2BIG.into());
    }
    let bytes: [u8; 48] = call.memory().read_array(address)?;
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (policy, priority) = (word(4).cast_signed(), word(20));
    thread(call)?;
    check_policy(policy, priority)?;
    thread(call)?.policy = policy;
    Ok(0)
}
