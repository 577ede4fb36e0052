//! eventfd, signalfd, timerfd, and the making and changing of epoll sets.

use warmfork_abi::Errno;
use warmfork_abi::epoll::{
    EFD_SEMAPHORE, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET,
};
use warmfork_abi::fcntl::{O_CLOEXEC, O_NONBLOCK, O_RDWR};
use warmfork_abi::time::{CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM};

use crate::call::{Call, SyscallResult};
use crate::durations::timespec_bytes;
use crate::events::DescriptionId;
use crate::host::Host;
use crate::objects::epoll::{Change, Epoll};
use crate::objects::eventfd::EventFd;
use crate::objects::signalfd::SignalFd;
use crate::objects::timerfd::{Clock, Remaining, TimerFd};
use crate::objects::{Context, Object};
use crate::readiness::nesting;
use crate::syscalls::time::read_timespec;

/// eventfd(2) as of Linux 2.6.22: without flags.
pub fn eventfd(call: &mut Call<'_>) -> SyscallResult {
    open_eventfd(call, 0)
}

/// eventfd(2)
pub fn eventfd2(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(1);
    open_eventfd(call, flags)
}

fn open_eventfd(call: &mut Call<'_>, flags: u32) -> SyscallResult {
    if flags & !(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let counter = EventFd::new(call.uint(0), flags & EFD_SEMAPHORE != 0);
    call.open(Object::EventFd(counter), O_RDWR | flags & O_NONBLOCK, flags & O_CLOEXEC != 0)
}

/// signalfd(2) as of Linux 2.6.22: without flags.
pub fn signalfd(call: &mut Call<'_>) -> SyscallResult {
    open_signalfd(call, 0)
}

/// signalfd(2)
pub fn signalfd4(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(3);
    open_signalfd(call, flags)
}

fn open_signalfd(call: &mut Call<'_>, flags: u32) -> SyscallResult {
    let (fd, mask, size) = (call.int(0), call.args[1], call.args[2]);
    if size != 8 || flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mask = call.memory().read_u64(mask)?;
    if fd == -1 {
        let signals = Object::SignalFd(SignalFd::new(mask));
        return call.open(signals, O_RDWR | flags & O_NONBLOCK, flags & O_CLOEXEC != 0);
    }
    let id = call.description_id(fd)?;
    match call.object(id).0 {
        Object::SignalFd(signals) => signals.set_mask(mask),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(u64::from(fd.unsigned_abs()))
}

/// timerfd_create(2)
pub fn timerfd_create(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(1);
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let clock = match call.int(0) {
        CLOCK_REALTIME => Clock::Realtime,
        CLOCK_MONOTONIC => Clock::Monotonic,
        CLOCK_BOOTTIME => Clock::Boottime,
        // They need CAP_WAKE_ALARM.
        CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM => return Err(Errno::EPERM.into()),
        _ => return Err(Errno::EINVAL.into()),
    };
    call.open(Object::TimerFd(TimerFd::new(clock)), O_RDWR | flags & O_NONBLOCK, flags & O_CLOEXEC != 0)
}

/// The timer behind `id`.
fn timer<'a>(call: &'a mut Call<'_>, id: DescriptionId) -> Result<(&'a mut TimerFd, Context<'a>), Errno> {
    match call.object(id) {
        (Object::TimerFd(timer), context) => Ok((timer, context)),
        _ => Err(Errno::EINVAL),
    }
}

/// timerfd_settime(2). Setting the clock cancels nothing: a guest cannot set it.
pub fn timerfd_settime(call: &mut Call<'_>) -> SyscallResult {
    let (flags, new, old) = (call.uint(1), call.args[2], call.args[3]);
    let interval = read_timespec(call.memory(), new)?;
    let value = read_timespec(call.memory(), new.wrapping_add(16))?;
    if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let id = call.description_id(call.int(0))?;
    let (timer, mut context) = timer(call, id)?;
    let next = (value > 0).then(|| expiry(context.host, timer.clock(), value, flags & TFD_TIMER_ABSTIME != 0));
    let before = timer.arm(&mut context, next, interval);
    context.host.move_deadlines();
    if old != 0 {
        write_remaining(call, old, before)?;
    }
    Ok(0)
}

/// The instant `value` of `clock`, or `value` nanoseconds from now, on the monotonic clock.
fn expiry(host: &Host, clock: Clock, value: u64, absolute: bool) -> u64 {
    let now = host.monotonic();
    let passed = match (absolute, clock) {
        (false, _) => 0,
        (true, Clock::Monotonic) => now,
        (true, Clock::Realtime) => host.realtime(),
        (true, Clock::Boottime) => host.boottime(),
    };
    now.saturating_add(value.saturating_sub(passed))
}

/// timerfd_gettime(2)
pub fn timerfd_gettime(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (timer, mut context) = timer(call, id)?;
    let remaining = timer.time_left(&mut context);
    let into = call.args[1];
    write_remaining(call, into, remaining)?;
    Ok(0)
}

fn write_remaining(call: &mut Call<'_>, address: u64, remaining: Remaining) -> Result<(), Errno> {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&timespec_bytes(remaining.interval));
    bytes[16..].copy_from_slice(&timespec_bytes(remaining.value));
    Ok(call.memory().write(address, &bytes)?)
}

/// epoll_create(2): the size only has to be positive.
pub fn epoll_create(call: &mut Call<'_>) -> SyscallResult {
    if call.int(0) <= 0 {
        return Err(Errno::EINVAL.into());
    }
    call.open(Object::Epoll(Epoll::default()), O_RDWR, false)
}

/// epoll_create1(2)
pub fn epoll_create1(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(0);
    if flags & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    call.open(Object::Epoll(Epoll::default()), O_RDWR, flags & O_CLOEXEC != 0)
}

/// epoll_ctl(2)
pub fn epoll_ctl(call: &mut Call<'_>) -> SyscallResult {
    let (operation, fd, address) = (call.uint(1), call.int(2), call.args[3]);
    let mut event = || -> Result<(u32, u64), Errno> {
        let [a, b, c, d, data @ ..] = call.memory().read_array::<12>(address)?;
        Ok((u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(data)))
    };
    let change = match operation {
        EPOLL_CTL_ADD => event().map(|(events, data)| Change::Add(events, data))?,
        EPOLL_CTL_MOD => event().map(|(events, data)| Change::Modify(events, data))?,
        EPOLL_CTL_DEL => Change::Remove,
        _ => event().map(|_| Change::Unknown)?,
    };
    let id = call.description_id(call.int(0))?;
    let target = call.description_id(fd)?;
    nesting::control(call.kernel, id, fd, target, change)?;
    Ok(0)
}
