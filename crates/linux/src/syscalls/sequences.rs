//! rseq and membarrier.

use warmfork_abi::signals::SIGSEGV;
use warmfork_abi::threads::{
    MEMBARRIER_CMD_FLAG_CPU, MEMBARRIER_CMD_GLOBAL, MEMBARRIER_CMD_GLOBAL_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, MEMBARRIER_CMD_QUERY,
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
    RSEQ_AREA_SIZE, RSEQ_FLAG_UNREGISTER,
};
use warmfork_abi::{Errno, USER_END};

use crate::call::{Call, SyscallResult};
use crate::sequences::Sequences;
use crate::signal::SignalInfo;

/// membarrier(2): one thread runs at a time, and was told if it was in a restartable sequence; so every barrier has
/// already happened. Only the permission to ask for one is left to check.
pub fn membarrier(call: &mut Call<'_>) -> SyscallResult {
    let (command, flags) = (call.int(0), call.uint(1));
    let known = if command == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ { MEMBARRIER_CMD_FLAG_CPU } else { 0 };
    if flags & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    let registered = call.kernel.process().attributes.barriers;
    match command {
        MEMBARRIER_CMD_QUERY => Ok(u64::from(BARRIERS.cast_unsigned())),
        MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED => Ok(0),
        MEMBARRIER_CMD_PRIVATE_EXPEDITED
        | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
        | MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ => {
            // The registration's bit is the next one.
            if registered & command << 1 != 0 { Ok(0) } else { Err(Errno::EPERM.into()) }
        }
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
        | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
        | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
        | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ => {
            call.kernel.process_mut().attributes.barriers = registered | command;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

/// The commands of membarrier(2).
const BARRIERS: i32 = MEMBARRIER_CMD_GLOBAL
    | MEMBARRIER_CMD_GLOBAL_EXPEDITED
    | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
    | MEMBARRIER_CMD_PRIVATE_EXPEDITED
    | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
    | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
    | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
    | MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
    | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ;

/// rseq(2)
pub fn rseq(call: &mut Call<'_>) -> SyscallResult {
    let (area, length, flags, signature) = (call.args[0], call.uint(1), call.uint(2), call.uint(3));
    let wanted = Sequences { area, signature };
    let right_length = usize::try_from(length) == Ok(RSEQ_AREA_SIZE);
    if let Some(present) = call.task().sequences {
        if flags & !RSEQ_FLAG_UNREGISTER != 0 || area != present.area || !right_length {
            return Err(Errno::EINVAL.into());
        }
        if signature != present.signature {
            return Err(Errno::EPERM.into());
        }
        if flags == 0 {
            return Err(Errno::EBUSY.into());
        }
        present.withdraw(call.memory())?;
        call.task().sequences = None;
        return Ok(0);
    }
    if flags != 0 || !right_length || !area.is_multiple_of(RSEQ_AREA_SIZE as u64) {
        return Err(Errno::EINVAL.into());
    }
    if area.checked_add(u64::from(length)).is_none_or(|end| end > USER_END) {
        return Err(Errno::EFAULT.into());
    }
    call.task().sequences = Some(wanted);
    if wanted.announce(call.memory()).is_err() {
        // Linux sees it on the way back to the program.
        call.kernel.process_mut().force(call.tid, SignalInfo::kernel(SIGSEGV));
    }
    Ok(0)
}
