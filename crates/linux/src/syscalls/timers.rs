//! alarm, setitimer, timer_create and their relatives.

use warmfork_abi::Errno;
use warmfork_abi::signals::{SIGALRM, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, SIGMAX};
use warmfork_abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_TAI,
    ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, NANOSECONDS_PER_SECOND, TIMER_ABSTIME,
};

use crate::call::{Call, SyscallResult};
use crate::clock::Clock;
use crate::durations::{timespec_bytes, timeval_bytes};
use crate::process::RLIMIT_SIGPENDING;
use crate::syscalls::time::{read_timespec, read_timeval};
use crate::timers::{Countdown, Counter, Notify, PosixTimer};

/// Replaces an interval timer; its value and interval before.
fn exchange(call: &mut Call<'_>, which: i32, value: u64, interval: u64) -> Result<(u64, u64), Errno> {
    let (now, before) = read_interval_timer(call, which)?;
    let deadline = if value == 0 { None } else { Some(now.saturating_add(value)) };
    let countdown = Countdown { deadline, interval };
    call.host.move_deadlines();
    match which {
        ITIMER_REAL => call.kernel.process_mut().timers.set_real(countdown),
        ITIMER_VIRTUAL => call.kernel.process_mut().timers.cpu[0] = countdown,
        _ => call.kernel.process_mut().timers.cpu[1] = countdown,
    }
    Ok(before)
}

/// The counter of an interval timer, and its remaining time and interval.
fn read_interval_timer(call: &Call<'_>, which: i32) -> Result<(u64, (u64, u64)), Errno> {
    let timers = &call.kernel.process().timers;
    let (now, countdown) = match which {
        ITIMER_REAL => (call.host.monotonic(), timers.real),
        ITIMER_VIRTUAL => (call.kernel.cpu_time(call.host), timers.cpu[0]),
        ITIMER_PROF => (call.kernel.cpu_time(call.host), timers.cpu[1]),
        _ => return Err(Errno::EINVAL),
    };
    let remaining = countdown.remaining(now);
    // Armed timers never show zero, which would mean "not armed".
    let shown = if remaining == 0 { 0 } else { remaining.max(1000) };
    Ok((now, (shown, countdown.interval)))
}

fn write_interval_timer(call: &mut Call<'_>, address: u64, (value, interval): (u64, u64)) -> Result<(), Errno> {
    call.memory().write(address, &[timeval_bytes(interval), timeval_bytes(value)].concat())?;
    Ok(())
}

/// getitimer(2)
pub fn getitimer(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[1];
    let (_, shown) = read_interval_timer(call, call.int(0))?;
    write_interval_timer(call, address, shown)?;
    Ok(0)
}

/// setitimer(2)
pub fn setitimer(call: &mut Call<'_>) -> SyscallResult {
    let which = call.int(0);
    let [_, new, old, ..] = call.args;
    let (mut value, mut interval) = (0, 0);
    if new != 0 {
        interval = read_timeval(call.memory(), new)?;
        value = read_timeval(call.memory(), new.checked_add(16).ok_or(Errno::EFAULT)?)?;
    }
    let before = exchange(call, which, value, interval)?;
    if old != 0 {
        write_interval_timer(call, old, before)?;
    }
    Ok(0)
}

/// alarm(2)
pub fn alarm(call: &mut Call<'_>) -> SyscallResult {
    let value = u64::from(call.uint(0)) * NANOSECONDS_PER_SECOND;
    let (before, _) = exchange(call, ITIMER_REAL, value, 0)?;
    let (seconds, rest) = (before / NANOSECONDS_PER_SECOND, before % NANOSECONDS_PER_SECOND);
    let up = rest >= NANOSECONDS_PER_SECOND / 2 || seconds == 0 && rest > 0;
    Ok(seconds + u64::from(up))
}

/// The counter for timers on clock `id`.
fn counter(call: &Call<'_>, id: i32) -> Result<Counter, Errno> {
    match id {
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_TAI => return Ok(Counter::Monotonic),
        CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM => return Err(Errno::EPERM),
        _ => {}
    }
    match Clock::from_id(call.kernel, call.tid, id)? {
        Clock::Process => Ok(Counter::Process),
        Clock::Thread(tid) => Ok(Counter::Thread(tid)),
        Clock::Host(_) | Clock::Tai => Err(Errno::EOPNOTSUPP),
    }
}

/// Reads a `struct sigevent`. The default is SIGALRM to the process, with the timer's id as its value.
fn read_event(call: &mut Call<'_>, address: u64) -> Result<Notify, Errno> {
    let bytes: [u8; 20] = call.memory().read_array(address)?;
    let half = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let value = u64::from(half(0).cast_unsigned()) | u64::from(half(4).cast_unsigned()) << 32;
    let signal = u32::try_from(half(8)).ok().filter(|signal| (1..=SIGMAX).contains(signal));
    let signal = |thread| Ok(Notify::Signal { signal: signal.ok_or(Errno::EINVAL)?, value, thread });
    match half(12) {
        SIGEV_NONE => Ok(Notify::Nothing),
        SIGEV_SIGNAL | SIGEV_THREAD => signal(None),
        SIGEV_THREAD_ID => {
            let tid = half(16);
            call.kernel.process().tasks.lookup(tid).ok_or(Errno::EINVAL)?;
            signal(Some(tid))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// timer_create(2)
pub fn timer_create(call: &mut Call<'_>) -> SyscallResult {
    let (clock, event, address) = (call.int(0), call.args[1], call.args[2]);
    let counter = counter(call, clock)?;
    let process = call.kernel.process();
    if process.timers.posix.len() as u64 >= process.limits[RLIMIT_SIGPENDING].soft {
        return Err(Errno::EAGAIN.into());
    }
    let notify = match event {
        0 => Notify::Signal { signal: SIGALRM, value: 0, thread: None },
        _ => read_event(call, event)?,
    };
    let countdown = Countdown::default();
    let timer = PosixTimer { clock, counter, notify, countdown, queued: false, missed: 0, overrun: 0 };
    let id = call.kernel.process_mut().timers.insert(timer);
    if let (0, Some(timer)) = (event, call.kernel.process_mut().timers.posix.get_mut(&id)) {
        let value = u64::from(id.cast_unsigned());
        timer.notify = Notify::Signal { signal: SIGALRM, value, thread: None };
    }
    if let Err(fault) = call.memory().write_u32(address, id.cast_unsigned()) {
        call.kernel.process_mut().timers.posix.remove(&id);
        return Err(fault.into());
    }
    Ok(0)
}

/// A copy of the timer in argument 0, the present value of its counter, and its id.
fn timer(call: &Call<'_>) -> Result<(i32, PosixTimer, u64), Errno> {
    let id = call.int(0);
    let timer = call.kernel.process().timers.posix.get(&id).ok_or(Errno::EINVAL)?.clone();
    let cpu = call.kernel.cpu_time(call.host);
    let now = call.kernel.process().counted(timer.counter, call.host.monotonic(), cpu);
    Ok((id, timer, now))
}

/// The answer of timer_gettime. A timer that is only read stops at zero.
fn shown(timer: &PosixTimer, now: u64) -> (u64, u64) {
    let countdown = timer.countdown;
    let over = countdown.deadline.is_some_and(|deadline| deadline <= now);
    let read_only = timer.notify == Notify::Nothing && over && countdown.interval == 0;
    (if read_only { 0 } else { countdown.remaining(now) }, countdown.interval)
}

fn write_timer(call: &mut Call<'_>, address: u64, (value, interval): (u64, u64)) -> Result<(), Errno> {
    call.memory().write(address, &[timespec_bytes(interval), timespec_bytes(value)].concat())?;
    Ok(())
}

/// timer_settime(2)
pub fn timer_settime(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.int(1);
    let [_, _, new, old, ..] = call.args;
    if new == 0 {
        return Err(Errno::EINVAL.into());
    }
    let interval = read_timespec(call.memory(), new)?;
    let value = read_timespec(call.memory(), new.checked_add(16).ok_or(Errno::EFAULT)?)?;
    let (id, timer, now) = timer(call)?;
    let ahead = if flags & TIMER_ABSTIME != 0 && value != 0 {
        let clock = Clock::from_id(call.kernel, call.tid, timer.clock)?;
        value.saturating_sub(call.kernel.clock(call.host, clock))
    } else {
        value
    };
    let deadline = if value == 0 { None } else { Some(now.saturating_add(ahead)) };
    call.kernel.process_mut().forget_timer_signal(id);
    call.host.move_deadlines();
    if let Some(timer) = call.kernel.process_mut().timers.posix.get_mut(&id) {
        timer.countdown = Countdown { deadline, interval };
        timer.overrun = 0;
    }
    if old != 0 {
        write_timer(call, old, shown(&timer, now))?;
    }
    Ok(0)
}

/// timer_gettime(2)
pub fn timer_gettime(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[1];
    let (_, timer, now) = timer(call)?;
    write_timer(call, address, shown(&timer, now))?;
    Ok(0)
}

/// timer_getoverrun(2)
pub fn timer_getoverrun(call: &mut Call<'_>) -> SyscallResult {
    let (_, timer, _) = timer(call)?;
    Ok(u64::from(timer.overrun.cast_unsigned()))
}

/// timer_delete(2)
pub fn timer_delete(call: &mut Call<'_>) -> SyscallResult {
    let id = call.int(0);
    if !call.kernel.process().timers.posix.contains_key(&id) {
        return Err(Errno::EINVAL.into());
    }
    call.kernel.process_mut().forget_timer_signal(id);
    call.kernel.process_mut().timers.posix.remove(&id);
    Ok(0)
}
