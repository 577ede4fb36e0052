//! futex and its relatives.

use warmfork_abi::Errno;
use warmfork_abi::threads::{
    FUTEX_BITSET_MATCH_ANY, FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_PRIVATE_FLAG,
    FUTEX_REQUEUE, FUTEX_TID_MASK, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAIT_BITSET,
    FUTEX_WAIT_REQUEUE_PI, FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP, ROBUST_LIST_HEAD_SIZE,
};

use crate::call::{Call, Stop, SyscallResult};
use crate::syscalls::time::read_timespec;
use crate::task::{Queued, Word};
use crate::wait::Wait;

/// Which clock a futex timeout is given in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timeout {
    Relative,
    Monotonic,
    Realtime,
}

/// futex(2)
pub fn futex(call: &mut Call<'_>) -> SyscallResult {
    let operation = call.uint(1) & !FUTEX_PRIVATE_FLAG;
    let realtime = operation & FUTEX_CLOCK_REALTIME != 0;
    let command = operation & !FUTEX_CLOCK_REALTIME;
    if call.args[3] != 0 && has_timeout(command) {
        let address = call.args[3];
        read_timespec(call.memory(), address)?;
    }
    if realtime && !matches!(command, FUTEX_WAIT_BITSET | FUTEX_LOCK_PI2) {
        return Err(Errno::ENOSYS.into());
    }
    let absolute = if realtime { Timeout::Realtime } else { Timeout::Monotonic };
    let word = check_address(call, call.args[0])?;
    let bitset = call.uint(5);
    match command {
        FUTEX_WAIT => wait(call, word, FUTEX_BITSET_MATCH_ANY, Timeout::Relative),
        FUTEX_WAIT_BITSET => wait(call, word, bitset, absolute),
        FUTEX_WAKE => wake(call, word, FUTEX_BITSET_MATCH_ANY),
        FUTEX_WAKE_BITSET => wake(call, word, bitset),
        FUTEX_REQUEUE => requeue(call, word, None),
        FUTEX_CMP_REQUEUE => requeue(call, word, Some(bitset)),
        FUTEX_WAKE_OP => wake_operation(call, word),
        FUTEX_LOCK_PI => lock(call, word, Timeout::Realtime),
        FUTEX_LOCK_PI2 => lock(call, word, absolute),
        FUTEX_TRYLOCK_PI => try_lock(call, word),
        FUTEX_UNLOCK_PI => unlock(call, word),
        _ => Err(Errno::ENOSYS.into()),
    }
}

/// Whether argument 3 is a timeout; Linux looks at it before anything else.
fn has_timeout(command: u32) -> bool {
    matches!(command, FUTEX_WAIT | FUTEX_WAIT_BITSET | FUTEX_LOCK_PI | FUTEX_LOCK_PI2 | FUTEX_WAIT_REQUEUE_PI)
}

/// The futex word at `address`.
fn check_address(call: &Call<'_>, address: u64) -> Result<Word, Errno> {
    match address {
        _ if !address.is_multiple_of(4) => Err(Errno::EINVAL),
        warmfork_abi::USER_END.. => Err(Errno::EFAULT),
        _ => Ok(call.kernel.futex_word(address, call.uint(1) & FUTEX_PRIVATE_FLAG != 0)),
    }
}

/// The instant at which the timeout in argument 3 ends, if there is one.
fn deadline(call: &mut Call<'_>, kind: Timeout) -> Result<Option<u64>, Errno> {
    let address = call.args[3];
    if address == 0 {
        return Ok(None);
    }
    let time = read_timespec(call.memory(), address)?;
    let ahead = match kind {
        Timeout::Relative => time,
        Timeout::Monotonic => time.saturating_sub(call.host.monotonic()),
        Timeout::Realtime => time.saturating_sub(call.host.realtime()),
    };
    Ok(Some(call.deadline_after(ahead)))
}

/// How a thread that already queues goes on: woken, out of time, or back to sleep.
fn go_on(call: &mut Call<'_>, queued: Queued, always_restarts: bool) -> SyscallResult {
    let deadline = call.task().restart.deadline;
    if queued.woken {
        return Ok(0);
    }
    if deadline.is_some_and(|at| at <= call.host.monotonic()) {
        return Err(Errno::ETIMEDOUT.into());
    }
    Err(Stop::Block(Wait { deadline, restartable: deadline.is_none(), always_restarts, ..Wait::default() }))
}

/// Puts the caller into the queue of `word` and to sleep.
fn queue(call: &mut Call<'_>, word: Word, bitset: u32, lock: bool) -> SyscallResult {
    let place = call.kernel.futex_place(word, bitset, lock);
    call.task().queue(place);
    go_on(call, place, lock)
}

fn wait(call: &mut Call<'_>, word: Word, bitset: u32, timeout: Timeout) -> SyscallResult {
    if let Some(queued) = call.task().queued() {
        return go_on(call, queued, false);
    }
    if bitset == 0 {
        return Err(Errno::EINVAL.into());
    }
    deadline(call, timeout)?;
    let expected = call.uint(2);
    if call.memory().read_u32(word.address)? != expected {
        return Err(Errno::EAGAIN.into());
    }
    queue(call, word, bitset, false)
}

/// How many threads argument `index` asks to wake: at least one, as Linux has it.
fn count(call: &Call<'_>, index: usize) -> usize {
    usize::try_from(call.int(index)).unwrap_or(1).max(1)
}

fn wake(call: &mut Call<'_>, word: Word, bitset: u32) -> SyscallResult {
    if bitset == 0 {
        return Err(Errno::EINVAL.into());
    }
    let count = count(call, 2);
    Ok(call.kernel.futex_wake(word, count, bitset))
}

fn requeue(call: &mut Call<'_>, from: Word, expected: Option<u32>) -> SyscallResult {
    let to = check_address(call, call.args[4])?;
    let wake = usize::try_from(call.int(2)).map_err(|_| Errno::EINVAL)?;
    let moves = usize::try_from(call.int(3)).map_err(|_| Errno::EINVAL)?;
    if let Some(expected) = expected
        && call.memory().read_u32(from.address)? != expected
    {
        return Err(Errno::EAGAIN.into());
    }
    Ok(call.kernel.futex_requeue(from, to, wake, moves))
}

/// FUTEX_WAKE_OP: changes the second word, wakes waiters of the first, and of the second if its old value matches.
fn wake_operation(call: &mut Call<'_>, first: Word) -> SyscallResult {
    let second = check_address(call, call.args[4])?;
    let encoded = call.uint(5);
    let sign_extend = |value: u32| ((value << 20).cast_signed() >> 20).cast_unsigned();
    let (operand, comparand) = (sign_extend(encoded >> 12 & 0xfff), sign_extend(encoded & 0xfff));
    let operand = if encoded >> 31 != 0 { 1 << (operand & 31) } else { operand };
    let old = call.memory().read_u32(second.address)?;
    let new = match encoded >> 28 & 7 {
        0 => operand,
        1 => old.wrapping_add(operand),
        2 => old | operand,
        3 => old & !operand,
        4 => old ^ operand,
        _ => return Err(Errno::ENOSYS.into()),
    };
    call.memory().write_u32(second.address, new)?;
    let (signed, other) = (old.cast_signed(), comparand.cast_signed());
    let matches = match encoded >> 24 & 15 {
        0 => signed == other,
        1 => signed != other,
        2 => signed < other,
        3 => signed <= other,
        4 => signed > other,
        5 => signed >= other,
        _ => return Err(Errno::ENOSYS.into()),
    };
    let (count_first, count_second) = (count(call, 2), count(call, 3));
    let mut woken = call.kernel.futex_wake(first, count_first, FUTEX_BITSET_MATCH_ANY);
    if matches {
        woken += call.kernel.futex_wake(second, count_second, FUTEX_BITSET_MATCH_ANY);
    }
    Ok(woken)
}

/// FUTEX_LOCK_PI: as a lock without the priorities, of which there are none here.
fn lock(call: &mut Call<'_>, word: Word, timeout: Timeout) -> SyscallResult {
    if let Some(queued) = call.task().queued() {
        return go_on(call, queued, true);
    }
    deadline(call, timeout)?;
    owned_by_caller(call, word)?;
    match call.kernel.futex_lock(call.guest.memory(), word, call.tid, true)? {
        Some(true) => Ok(0),
        Some(false) => queue(call, word, FUTEX_BITSET_MATCH_ANY, true),
        None => Err(Errno::ESRCH.into()),
    }
}

fn try_lock(call: &mut Call<'_>, word: Word) -> SyscallResult {
    owned_by_caller(call, word)?;
    match call.kernel.futex_lock(call.guest.memory(), word, call.tid, false)? {
        Some(true) => Ok(0),
        Some(false) => Err(Errno::EAGAIN.into()),
        None => Err(Errno::ESRCH.into()),
    }
}

fn owned_by_caller(call: &mut Call<'_>, word: Word) -> Result<(), Errno> {
    let word = call.memory().read_u32(word.address)?;
    if word & FUTEX_TID_MASK == call.tid.cast_unsigned() { Err(Errno::EDEADLK) } else { Ok(()) }
}

fn unlock(call: &mut Call<'_>, word: Word) -> SyscallResult {
    if owned_by_caller(call, word) != Err(Errno::EDEADLK) {
        call.memory().read_u32(word.address)?;
        return Err(Errno::EPERM.into());
    }
    call.kernel.futex_hand_over(call.guest.memory(), word, 0)?;
    Ok(0)
}

/// set_robust_list(2)
pub fn set_robust_list(call: &mut Call<'_>) -> SyscallResult {
    let [head, length, ..] = call.args;
    if length != ROBUST_LIST_HEAD_SIZE {
        return Err(Errno::EINVAL.into());
    }
    call.task().robust_list = head;
    Ok(0)
}

/// get_robust_list(2)
pub fn get_robust_list(call: &mut Call<'_>) -> SyscallResult {
    let [_, head, length, ..] = call.args;
    let tid = match call.int(0) {
        0 => call.tid,
        tid => tid,
    };
    let list = call.kernel.processes.find_task(tid).ok_or(Errno::ESRCH)?.robust_list;
    call.memory().write_u64(length, ROBUST_LIST_HEAD_SIZE)?;
    call.memory().write_u64(head, list)?;
    Ok(0)
}
