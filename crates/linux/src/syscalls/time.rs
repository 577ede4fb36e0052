//! Clocks and sleeping.

use rustix::time::ClockId;
use warmfork_abi::Errno;
use warmfork_abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_REALTIME_COARSE, CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID, CLOCK_TICKS_PER_SECOND, NANOSECONDS_PER_SECOND, TIMER_ABSTIME,
};
use warmfork_memory::{Fault, GuestMemory};

use crate::call::{Call, Stop, SyscallResult};
use crate::clock::Clock;
use crate::durations::{combine, timespec_bytes, timeval_bytes};
use crate::wait::Wait;

/// Reads a `struct timespec` as nanoseconds.
///
/// # Errors
/// EFAULT; EINVAL for a negative time or nanoseconds beyond a second. Times too large to count saturate.
pub fn read_timespec(memory: &dyn GuestMemory, address: u64) -> Result<u64, Errno> {
    let (seconds, nanoseconds) = read_pair(memory, address)?;
    combine(seconds, nanoseconds, 1)
}

/// Reads a `struct timeval` as nanoseconds.
///
/// # Errors
/// EFAULT; EINVAL for a negative time or microseconds beyond a second. Times too large to count saturate.
pub fn read_timeval(memory: &dyn GuestMemory, address: u64) -> Result<u64, Errno> {
    let (seconds, microseconds) = read_pair(memory, address)?;
    combine(seconds, microseconds, 1000)
}

fn read_pair(memory: &dyn GuestMemory, address: u64) -> Result<(i64, i64), Fault> {
    let bytes: [u8; 16] = memory.read_array(address)?;
    let (seconds, fraction) = bytes.split_at(8);
    let word = |half: &[u8]| half.try_into().map_or(0, i64::from_le_bytes);
    Ok((word(seconds), word(fraction)))
}

/// clock_gettime(2)
pub fn clock_gettime(call: &mut Call<'_>) -> SyscallResult {
    let (clock, address) = (call.int(0), call.args[1]);
    let clock = Clock::from_id(call.kernel, call.tid, clock)?;
    let now = call.kernel.clock(call.host, clock);
    call.memory().write(address, &timespec_bytes(now))?;
    Ok(0)
}

/// clock_getres(2)
pub fn clock_getres(call: &mut Call<'_>) -> SyscallResult {
    let (clock, address) = (call.int(0), call.args[1]);
    Clock::from_id(call.kernel, call.tid, clock)?;
    let coarse = matches!(clock, CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE);
    let resolution = if coarse { rustix::time::clock_getres(ClockId::MonotonicCoarse).tv_nsec } else { 1 };
    if address != 0 {
        call.memory().write(address, &timespec_bytes(u64::try_from(resolution).unwrap_or(1)))?;
    }
    Ok(0)
}

/// gettimeofday(2)
pub fn gettimeofday(call: &mut Call<'_>) -> SyscallResult {
    let [time, zone, ..] = call.args;
    if time != 0 {
        let now = call.host.realtime();
        call.memory().write(time, &timeval_bytes(now))?;
    }
    if zone != 0 {
        call.memory().write(zone, &[0; 8])?;
    }
    Ok(0)
}

/// time(2)
pub fn time(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[0];
    let now = call.host.realtime() / NANOSECONDS_PER_SECOND;
    if address != 0 {
        call.memory().write_u64(address, now)?;
    }
    Ok(now)
}

/// times(2): all CPU time counts as the user's.
pub fn times(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[0];
    let tick = NANOSECONDS_PER_SECOND / CLOCK_TICKS_PER_SECOND;
    if address != 0 {
        let used = call.kernel.cpu_time(call.host) / tick;
        call.memory().write(address, &[used, 0, 0, 0].map(u64::to_le_bytes).concat())?;
    }
    Ok(call.host.monotonic() / tick)
}

/// nanosleep(2)
pub fn nanosleep(call: &mut Call<'_>) -> SyscallResult {
    let [request, remaining, ..] = call.args;
    let time = read_timespec(call.memory(), request)?;
    let deadline = call.deadline_after(time);
    sleep(call, deadline, remaining)
}

/// clock_nanosleep(2)
pub fn clock_nanosleep(call: &mut Call<'_>) -> SyscallResult {
    let (clock, flags) = (call.int(0), call.int(1));
    let [_, _, request, remaining, ..] = call.args;
    match clock {
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_TAI => {}
        CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM => return Err(Errno::EPERM.into()),
        CLOCK_MONOTONIC_RAW | CLOCK_MONOTONIC_COARSE | CLOCK_REALTIME_COARSE | CLOCK_PROCESS_CPUTIME_ID => {
            return Err(Errno::EOPNOTSUPP.into());
        }
        CLOCK_THREAD_CPUTIME_ID => return Err(Errno::EINVAL.into()),
        _ => {
            Clock::from_id(call.kernel, call.tid, clock)?;
            return Err(Errno::EOPNOTSUPP.into());
        }
    }
    let time = read_timespec(call.memory(), request)?;
    if flags & TIMER_ABSTIME == 0 {
        let deadline = call.deadline_after(time);
        return sleep(call, deadline, remaining);
    }
    let clock = Clock::from_id(call.kernel, call.tid, clock)?;
    let ahead = time.saturating_sub(call.kernel.clock(call.host, clock));
    let deadline = call.deadline_after(ahead);
    sleep(call, deadline, 0)
}

/// Sleeps until `deadline`. When a signal is about to end that, the rest of the time goes to `remaining`.
fn sleep(call: &mut Call<'_>, deadline: u64, remaining: u64) -> SyscallResult {
    let now = call.host.monotonic();
    if deadline <= now {
        return Ok(0);
    }
    if remaining != 0 && call.kernel.process().signal_due(call.tid, None) {
        call.memory().write(remaining, &timespec_bytes(deadline - now))?;
    }
    Err(Stop::Block(Wait::until(Some(deadline))))
}

/// clock_settime(2), settimeofday(2) and adjtimex(2) with something to set; the host's clocks are not the guest's.
pub fn clock_settime(call: &mut Call<'_>) -> SyscallResult {
    match call.int(0) {
        CLOCK_REALTIME => Err(Errno::EPERM.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}
