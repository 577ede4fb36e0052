//! prctl, arch_prctl, personality: attributes that a process sets and reads back.

use warmfork_abi::process::{
    ANON_VMA_NAME_MAX_LEN, CAP_LAST_CAP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_CAP_AMBIENT_IS_SET,
    PR_CAP_AMBIENT_LOWER, PR_CAP_AMBIENT_RAISE, PR_CAPBSET_DROP, PR_CAPBSET_READ, PR_GET_CHILD_SUBREAPER,
    PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_NAME, PR_GET_NO_NEW_PRIVS, PR_GET_PDEATHSIG, PR_GET_SECCOMP,
    PR_GET_SECUREBITS, PR_GET_THP_DISABLE, PR_GET_TID_ADDRESS, PR_GET_TIMERSLACK, PR_GET_TIMING, PR_GET_TSC,
    PR_MCE_KILL_GET, PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NAME, PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_SECUREBITS, PR_SET_THP_DISABLE, PR_SET_TIMERSLACK, PR_SET_TIMING,
    PR_SET_TSC, PR_SET_VMA, PR_SET_VMA_ANON_NAME, PR_TSC_ENABLE, TASK_COMM_LEN,
};
use warmfork_abi::signals::SIGMAX;
use warmfork_abi::threads::{ARCH_GET_CPUID, ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_CPUID, ARCH_SET_FS, ARCH_SET_GS};
use warmfork_abi::{Errno, PAGE, USER_END};

use crate::call::{Call, SyscallResult};
use crate::process::DEFAULT_TIMER_SLACK;

/// arch_prctl(2)
pub fn arch_prctl(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[1];
    match call.int(0) {
        ARCH_SET_FS => call.registers.fs_base = segment_base(address)?,
        ARCH_SET_GS => call.registers.gs_base = segment_base(address)?,
        ARCH_GET_FS => {
            let base = call.registers.fs_base;
            call.memory().write_u64(address, base)?;
        }
        ARCH_GET_GS => {
            let base = call.registers.gs_base;
            call.memory().write_u64(address, base)?;
        }
        ARCH_GET_CPUID => return Ok(1),
        ARCH_SET_CPUID => return Err(Errno::ENODEV.into()),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

/// A base address for FS or GS.
pub(crate) fn segment_base(address: u64) -> Result<u64, Errno> {
    if address < USER_END { Ok(address) } else { Err(Errno::EPERM) }
}

/// personality(2): remembered and reported; only the ADDR_NO_RANDOMIZE kind of flags makes sense and changes nothing.
pub fn personality(call: &mut Call<'_>) -> SyscallResult {
    let wanted = call.uint(0);
    let current = &mut call.kernel.process_mut().attributes.personality;
    let before = *current;
    if wanted != u32::MAX {
        *current = wanted;
    }
    Ok(u64::from(before))
}

/// prctl(2)
pub fn prctl(call: &mut Call<'_>) -> SyscallResult {
    let option = call.int(0);
    match option {
        PR_SET_NAME | PR_GET_NAME | PR_GET_TID_ADDRESS | PR_SET_VMA | PR_GET_TSC | PR_SET_TSC => thread_option(call),
        PR_GET_PDEATHSIG
        | PR_SET_PDEATHSIG
        | PR_GET_CHILD_SUBREAPER
        | PR_SET_CHILD_SUBREAPER
        | PR_GET_DUMPABLE
        | PR_SET_DUMPABLE
        | PR_SET_TIMERSLACK
        | PR_GET_TIMERSLACK
        | PR_SET_THP_DISABLE
        | PR_GET_THP_DISABLE
        | PR_GET_TIMING
        | PR_SET_TIMING
        | PR_MCE_KILL_GET => process_option(call),
        PR_GET_KEEPCAPS | PR_SET_KEEPCAPS | PR_GET_SECCOMP | PR_SET_SECCOMP | PR_CAPBSET_READ | PR_CAPBSET_DROP
        | PR_GET_SECUREBITS | PR_SET_SECUREBITS | PR_GET_NO_NEW_PRIVS | PR_SET_NO_NEW_PRIVS | PR_CAP_AMBIENT => {
            privilege_option(call)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

fn thread_option(call: &mut Call<'_>) -> SyscallResult {
    let argument = call.args[1];
    match call.int(0) {
        PR_SET_NAME => {
            let name = match call.memory().read_cstring(argument, TASK_COMM_LEN - 1) {
                Err(Errno::ENAMETOOLONG) => call.memory().read_vec(argument, TASK_COMM_LEN - 1)?,
                other => other?,
            };
            call.task().name = name;
        }
        PR_GET_NAME => {
            let mut name = [0; TASK_COMM_LEN];
            for (place, byte) in name[..TASK_COMM_LEN - 1].iter_mut().zip(&call.task().name) {
                *place = *byte;
            }
            call.memory().write(argument, &name)?;
        }
        PR_GET_TID_ADDRESS => {
            let address = call.task().clear_child_tid;
            call.memory().write_u64(argument, address)?;
        }
        PR_GET_TSC => call.memory().write_u32(argument, PR_TSC_ENABLE)?,
        PR_SET_TSC if argument == u64::from(PR_TSC_ENABLE) => {}
        PR_SET_VMA => return name_mapping(call),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

/// PR_SET_VMA_ANON_NAME: checked and forgotten.
fn name_mapping(call: &mut Call<'_>) -> SyscallResult {
    let [_, kind, start, length, name, _] = call.args;
    let end = start.checked_add(length).filter(|&end| end <= USER_END).ok_or(Errno::EINVAL)?;
    if kind != PR_SET_VMA_ANON_NAME || start % PAGE != 0 || end < start {
        return Err(Errno::EINVAL.into());
    }
    if name != 0 {
        let name = call.memory().read_cstring(name, ANON_VMA_NAME_MAX_LEN);
        let name = name.map_err(|error| if error == Errno::ENAMETOOLONG { Errno::EINVAL } else { error })?;
        let allowed = |byte: &u8| (0x20..0x7f).contains(byte) && !b"\\`$[]".contains(byte);
        if !name.iter().all(allowed) {
            return Err(Errno::EINVAL.into());
        }
    }
    Ok(0)
}

fn process_option(call: &mut Call<'_>) -> SyscallResult {
    let argument = call.args[1];
    let others_clear = call.args[2..5].iter().all(|&argument| argument == 0);
    let option = call.int(0);
    let attributes = &mut call.kernel.process_mut().attributes;
    match option {
        PR_SET_PDEATHSIG => match u32::try_from(argument) {
            Ok(signal) if signal <= SIGMAX => attributes.parent_death_signal = signal,
            _ => return Err(Errno::EINVAL.into()),
        },
        PR_GET_PDEATHSIG => {
            let signal = attributes.parent_death_signal;
            call.memory().write_u32(argument, signal)?;
        }
        PR_SET_CHILD_SUBREAPER => attributes.subreaper = argument != 0,
        PR_GET_CHILD_SUBREAPER => {
            let subreaper = u32::from(attributes.subreaper);
            call.memory().write_u32(argument, subreaper)?;
        }
        PR_GET_DUMPABLE => return Ok(u64::from(call.kernel.process().dumpable)),
        PR_SET_DUMPABLE => match argument {
            0 => call.kernel.process_mut().dumpable = 0,
            1 => call.kernel.process_mut().dumpable = 1,
            _ => return Err(Errno::EINVAL.into()),
        },
        PR_SET_TIMERSLACK => attributes.timer_slack = if argument == 0 { DEFAULT_TIMER_SLACK } else { argument },
        PR_GET_TIMERSLACK => return Ok(attributes.timer_slack),
        PR_SET_THP_DISABLE if others_clear => attributes.huge_pages_disabled = argument != 0,
        PR_GET_THP_DISABLE if others_clear && argument == 0 => {
            return Ok(u64::from(attributes.huge_pages_disabled));
        }
        PR_GET_TIMING => return Ok(0),
        PR_SET_TIMING if argument == 0 => {}
        PR_MCE_KILL_GET if others_clear && argument == 0 => return Ok(2),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

fn privilege_option(call: &mut Call<'_>) -> SyscallResult {
    let [_, argument, second, third, fourth, _] = call.args;
    let others_clear = second == 0 && third == 0 && fourth == 0;
    let option = call.int(0);
    let attributes = &mut call.kernel.process_mut().attributes;
    match option {
        PR_GET_KEEPCAPS => return Ok(u64::from(attributes.keep_capabilities)),
        PR_SET_KEEPCAPS if argument <= 1 => attributes.keep_capabilities = argument == 1,
        PR_GET_NO_NEW_PRIVS if others_clear && argument == 0 => return Ok(u64::from(attributes.no_new_privileges)),
        PR_SET_NO_NEW_PRIVS if others_clear && argument == 1 => attributes.no_new_privileges = true,
        PR_GET_SECCOMP | PR_GET_SECUREBITS => {}
        PR_CAPBSET_READ if argument <= CAP_LAST_CAP => {}
        PR_CAPBSET_DROP if argument <= CAP_LAST_CAP => return Err(Errno::EPERM.into()),
        PR_SET_SECUREBITS => return Err(Errno::EPERM.into()),
        PR_CAP_AMBIENT if third == 0 && fourth == 0 => return ambient(argument, second),
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

/// PR_CAP_AMBIENT: the set is empty and stays so.
fn ambient(operation: u64, capability: u64) -> SyscallResult {
    match operation {
        PR_CAP_AMBIENT_CLEAR_ALL if capability == 0 => Ok(0),
        PR_CAP_AMBIENT_IS_SET | PR_CAP_AMBIENT_LOWER if capability <= CAP_LAST_CAP => Ok(0),
        PR_CAP_AMBIENT_RAISE if capability <= CAP_LAST_CAP => Err(Errno::EPERM.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}
