//! poll, select and epoll_wait, in all their forms.

use warmfork_abi::Errno;
use warmfork_abi::epoll::{EPOLL_EVENT_SIZE, POLLFD_SIZE};

use crate::call::{Call, Stop, SyscallResult};
use crate::durations::{timespec_bytes, timeval_bytes};
use crate::events::{DescriptionId, Events};
use crate::objects::Object;
use crate::readiness::epoll;
use crate::syscalls::time::read_timespec;
use crate::wait::Wait;

/// Most events that one epoll_wait returns, even if the guest asks for more: bounds the copy.
const MAX_EVENTS: usize = 4096;

/// The ends of a wait beside events: a timeout in nanoseconds (`None` is never) and a temporary signal mask.
#[derive(Clone, Copy, Default)]
struct Limits {
    timeout: Option<u64>,
    mask: Option<u64>,
}

impl Limits {
    /// From a timeout in milliseconds, negative for none.
    fn milliseconds(timeout: i32) -> Self {
        let timeout = u64::try_from(timeout).ok();
        Self { timeout: timeout.map(|milliseconds| milliseconds * 1_000_000), mask: None }
    }

    /// From the addresses of a `struct timespec` and a signal set, 0 for none.
    fn read(call: &mut Call<'_>, timeout: u64, mask: u64, mask_size: u64) -> Result<Self, Errno> {
        let timeout = if timeout == 0 { None } else { Some(read_timespec(call.memory(), timeout)?) };
        Ok(Self { timeout, mask: read_mask(call, mask, mask_size)? })
    }

    /// Blocks for `descriptions`; `Ok` when the time is over already.
    fn block(self, call: &mut Call<'_>, descriptions: Vec<(DescriptionId, Events)>, exact: bool) -> Result<(), Stop> {
        let deadline = match self.timeout {
            Some(0) => return Ok(()),
            Some(timeout) => Some(call.deadline_after(timeout)),
            None => None,
        };
        if deadline.is_some_and(|at| at <= call.host.monotonic()) {
            return Ok(());
        }
        Err(Stop::Block(Wait { descriptions, exact, deadline, mask: self.mask, ..Wait::default() }))
    }

    /// The time that is left of the timeout.
    fn remaining(self, call: &mut Call<'_>) -> Option<u64> {
        let deadline = call.deadline_after(self.timeout?);
        Some(deadline.saturating_sub(call.host.monotonic()))
    }
}

/// A signal set, as far as there is one.
fn read_mask(call: &mut Call<'_>, address: u64, size: u64) -> Result<Option<u64>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    Ok(Some(call.memory().read_u64(address)?))
}

/// poll(2)
pub fn poll(call: &mut Call<'_>) -> SyscallResult {
    let limits = Limits::milliseconds(call.int(2));
    poll_with(call, limits)
}

/// ppoll(2): as the raw call, writes back what is left of the timeout.
pub fn ppoll(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[2];
    let limits = Limits::read(call, address, call.args[3], call.args[4])?;
    let result = poll_with(call, limits);
    write_back(call, address, limits);
    result
}

/// Writes what is left of a timeout to its `struct timespec`; as on Linux, failing to is no error.
fn write_back(call: &mut Call<'_>, address: u64, limits: Limits) {
    if let Some(remaining) = limits.remaining(call) {
        let _ = call.memory().write(address, &timespec_bytes(remaining));
    }
}

fn poll_with(call: &mut Call<'_>, limits: Limits) -> SyscallResult {
    let (address, count) = (call.args[0], call.uint(1) as usize);
    if count > call.kernel.process().file_limit() {
        return Err(Errno::EINVAL.into());
    }
    let mut entries = call.memory().read_vec(address, count * POLLFD_SIZE)?;
    let mut ready = 0;
    for entry in entries.chunks_exact_mut(POLLFD_SIZE) {
        let events = poll_one(call, fd_of(entry), interest_of(entry));
        ready += u64::from(!events.is_empty());
        #[expect(clippy::cast_possible_truncation, reason = "all events that poll knows are in the low half")]
        entry[6..8].copy_from_slice(&(events.bits() as u16).to_le_bytes());
    }
    if ready == 0 {
        let mut waiting = Vec::with_capacity(count);
        for entry in entries.chunks_exact(POLLFD_SIZE) {
            if let Ok(id) = call.description_id(fd_of(entry)) {
                waiting.push((id, interest_of(entry)));
            }
        }
        limits.block(call, waiting, false)?;
    }
    call.memory().write(address, &entries)?;
    Ok(ready)
}

fn fd_of(entry: &[u8]) -> i32 {
    i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]])
}

fn interest_of(entry: &[u8]) -> Events {
    Events::from_bits_truncate(u32::from(u16::from_le_bytes([entry[4], entry[5]]))) - Events::NVAL
}

/// The events that poll(2) reports for `fd`: none for a negative one.
fn poll_one(call: &mut Call<'_>, fd: i32, interest: Events) -> Events {
    if fd < 0 {
        return Events::empty();
    }
    let Ok(id) = call.description_id(fd) else { return Events::NVAL };
    call.kernel.poll_for(call.host, id, interest) & (interest | Events::ERR | Events::HUP)
}

/// The three sets of select(2): the events that put a descriptor into each.
const SETS: [Events; 3] = [
    Events::IN.union(Events::RDNORM).union(Events::RDBAND).union(Events::HUP).union(Events::ERR),
    Events::OUT.union(Events::WRNORM).union(Events::WRBAND).union(Events::ERR),
    Events::PRI,
];

/// select(2): writes back what is left of the timeout.
pub fn select(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[4];
    let timeout = if address == 0 { None } else { Some(read_timeval(call, address)?) };
    let limits = Limits { timeout, mask: None };
    let result = select_with(call, limits);
    if let Some(remaining) = limits.remaining(call) {
        // As on Linux, failing to write it is no error.
        let _ = call.memory().write(address, &timeval_bytes(remaining));
    }
    result
}

/// A `struct timeval` of select(2) in nanoseconds: microseconds may be more than a second's.
fn read_timeval(call: &mut Call<'_>, address: u64) -> Result<u64, Errno> {
    let seconds = call.memory().read_u64(address)?.cast_signed();
    let microseconds = call.memory().read_u64(address.wrapping_add(8))?.cast_signed();
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let microseconds = u64::try_from(microseconds).map_err(|_| Errno::EINVAL)?;
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(microseconds.saturating_mul(1000)))
}

/// pselect6(2): as the raw call, writes back what is left of the timeout.
pub fn pselect6(call: &mut Call<'_>) -> SyscallResult {
    let (address, masks) = (call.args[4], call.args[5]);
    let (mask, size) = match masks {
        0 => (0, 0),
        _ => (call.memory().read_u64(masks)?, call.memory().read_u64(masks.wrapping_add(8))?),
    };
    let limits = Limits::read(call, address, mask, size)?;
    let result = select_with(call, limits);
    write_back(call, address, limits);
    result
}

fn select_with(call: &mut Call<'_>, limits: Limits) -> SyscallResult {
    let count = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    let count = count.min(call.kernel.process().file_limit());
    let size = count.div_ceil(64) * 8;
    let addresses = [call.args[1], call.args[2], call.args[3]];
    let mut wanted = [const { Vec::new() }; 3];
    for (set, address) in wanted.iter_mut().zip(addresses).filter(|(_, address)| *address != 0) {
        *set = call.memory().read_vec(address, size)?;
    }
    let (mut found, mut ready) = ([(); 3].map(|()| vec![0; size]), 0);
    let mut waiting = Vec::new();
    for fd in 0..count {
        let interest = (0..3).filter(|&index| has(&wanted[index], fd)).map(|index| SETS[index]);
        let interest = interest.fold(Events::empty(), Events::union);
        if interest.is_empty() {
            continue;
        }
        let id = call.description_id(i32::try_from(fd).map_err(|_| Errno::EBADF)?)?;
        let events = call.kernel.poll_for(call.host, id, interest);
        for index in (0..3).filter(|&index| has(&wanted[index], fd) && events.intersects(SETS[index])) {
            found[index][fd / 8] |= 1_u8 << (fd % 8);
            ready += 1;
        }
        waiting.push((id, interest));
    }
    if ready == 0 {
        limits.block(call, waiting, true)?;
    }
    for (set, address) in found.iter().zip(addresses).filter(|(_, address)| *address != 0) {
        call.memory().write(address, set)?;
    }
    Ok(ready)
}

/// Whether the bit of `fd` is set.
fn has(set: &[u8], fd: usize) -> bool {
    set.get(fd / 8).is_some_and(|byte| byte & 1 << (fd % 8) != 0)
}

/// epoll_wait(2)
pub fn epoll_wait(call: &mut Call<'_>) -> SyscallResult {
    let limits = Limits::milliseconds(call.int(3));
    wait_with(call, limits)
}

/// epoll_pwait(2)
pub fn epoll_pwait(call: &mut Call<'_>) -> SyscallResult {
    let mask = read_mask(call, call.args[4], call.args[5])?;
    let limits = Limits { mask, ..Limits::milliseconds(call.int(3)) };
    wait_with(call, limits)
}

/// epoll_pwait2(2): with a timeout in nanoseconds.
pub fn epoll_pwait2(call: &mut Call<'_>) -> SyscallResult {
    let limits = Limits::read(call, call.args[3], call.args[4], call.args[5])?;
    wait_with(call, limits)
}

fn wait_with(call: &mut Call<'_>, limits: Limits) -> SyscallResult {
    let (address, most) = (call.args[1], call.int(2));
    let most = usize::try_from(most).ok().filter(|most| (1..=i32::MAX as usize / EPOLL_EVENT_SIZE).contains(most));
    let most = most.ok_or(Errno::EINVAL)?.min(MAX_EVENTS);
    let id = call.description_id(call.int(0))?;
    if !matches!(call.kernel.files.description(id).object, Object::Epoll(_)) {
        return Err(Errno::EINVAL.into());
    }
    let found = epoll::collect(call.kernel, call.host, id, most);
    if found.is_empty() {
        limits.block(call, vec![(id, Events::IN)], false)?;
        return Ok(0);
    }
    let mut bytes = Vec::with_capacity(found.len() * EPOLL_EVENT_SIZE);
    for ready in &found {
        bytes.extend(ready.events.to_le_bytes());
        bytes.extend(ready.data.to_le_bytes());
    }
    call.memory().write(address, &bytes)?;
    Ok(found.len() as u64)
}
