//! clone, of threads; set_tid_address.

use warmfork_abi::threads::{
    CLONE_ARGS_SIZE_VER0, CLONE_ARGS_SIZE_VER2, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_DETACHED, CLONE_FILES,
    CLONE_FS, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS,
    CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SETTLS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM, CSIGNAL,
};
use warmfork_abi::{Errno, PAGE, Registers};

use super::attributes::segment_base;
use super::fork::{self, Request};
use crate::call::{Call, SyscallResult};
use crate::task::Task;

/// Flags that ask for namespaces of their own.
const NAMESPACES: u64 =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
/// The flags of things that a thread must share with its maker.
const SHARED: u64 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

/// clone(2)
pub fn clone(call: &mut Call<'_>) -> SyscallResult {
    let [flags, stack_pointer, parent_tid, child_tid, tls, _] = call.args;
    let exit_signal = (flags & CSIGNAL) as u32;
    // Both would be told there.
    if flags & CLONE_PIDFD != 0 && flags & (CLONE_PARENT_SETTID | CLONE_DETACHED) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let flags = flags & !CSIGNAL;
    start(call, &Request { flags, stack_pointer, parent_tid, child_tid, tls, exit_signal, pidfd: parent_tid })
}

/// clone3(2)
pub fn clone3(call: &mut Call<'_>) -> SyscallResult {
    let [address, size, ..] = call.args;
    if size > PAGE {
        return Err(Errno::E2BIG.into());
    }
    let size = usize::try_from(size).map_err(|_| Errno::E2BIG)?;
    if size < CLONE_ARGS_SIZE_VER0 {
        return Err(Errno::EINVAL.into());
    }
    let bytes = call.memory().read_vec(address, size)?;
    if bytes.iter().skip(CLONE_ARGS_SIZE_VER2).any(|&byte| byte != 0) {
        return Err(Errno::E2BIG.into());
    }
    let mut fields = [0; CLONE_ARGS_SIZE_VER2 / 8];
    for (field, chunk) in fields.iter_mut().zip(bytes.chunks_exact(8)) {
        *field = chunk.try_into().map_or(0, u64::from_le_bytes);
    }
    let [flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, _] = fields;
    let bad_stack = (stack == 0) != (stack_size == 0);
    if flags & (CLONE_DETACHED | CSIGNAL) != 0 || bad_stack || flags & CLONE_THREAD != 0 && exit_signal != 0 {
        return Err(Errno::EINVAL.into());
    }
    if set_tid != 0 || set_tid_size != 0 {
        return Err(Errno::EPERM.into());
    }
    let stack_pointer = stack.checked_add(stack_size).ok_or(Errno::EINVAL)?;
    let exit_signal = u32::try_from(exit_signal).map_err(|_| Errno::EINVAL)?;
    start(call, &Request { flags, stack_pointer, parent_tid, child_tid, tls, exit_signal, pidfd })
}

fn start(call: &mut Call<'_>, request: &Request) -> SyscallResult {
    let flags = request.flags;
    let has = |flag: u64| flags & flag != 0;
    if has(CLONE_THREAD) && !has(CLONE_SIGHAND)
        || has(CLONE_SIGHAND) && !has(CLONE_VM)
        || has(CLONE_FS) && has(CLONE_NEWNS | CLONE_NEWUSER)
    {
        return Err(Errno::EINVAL.into());
    }
    if has(NAMESPACES) {
        return Err(Errno::EPERM.into());
    }
    if !has(CLONE_THREAD) {
        return fork::start(call, request);
    }
    if flags & SHARED != SHARED || has(CLONE_PIDFD) {
        log::warn!("clone with flags {flags:#x}: a thread with files or a directory of its own is not supported");
        return Err(Errno::EINVAL.into());
    }
    let mut registers = Registers { rax: 0, orig_rax: u64::MAX, ..*call.registers };
    if request.stack_pointer != 0 {
        registers.rsp = request.stack_pointer;
    }
    if has(CLONE_SETTLS) {
        registers.fs_base = segment_base(request.tls)?;
    }
    let fpu = call.kernel.vector_state(call.guest, call.tid)?;
    let tid = call.kernel.new_id()?;
    let parent = call.task();
    let mut task = Task::new(tid, registers, parent.name.clone());
    task.signals = parent.signals.inherited();
    task.policy = parent.policy;
    task.fair_time = parent.fair_time;
    task.fpu = Some(fpu);
    if has(CLONE_CHILD_CLEARTID) {
        task.clear_child_tid = request.child_tid;
    }
    call.kernel.process_mut().tasks.insert(task);
    call.host.move_deadlines();
    for (flag, address) in [(CLONE_PARENT_SETTID, request.parent_tid), (CLONE_CHILD_SETTID, request.child_tid)] {
        if has(flag) {
            // Linux ignores a bad pointer here too: the thread exists.
            let _ = call.memory().write_u32(address, tid.cast_unsigned());
        }
    }
    Ok(u64::from(tid.cast_unsigned()))
}

/// set_tid_address(2)
pub fn set_tid_address(call: &mut Call<'_>) -> SyscallResult {
    call.task().clear_child_tid = call.args[0];
    Ok(u64::from(call.tid.cast_unsigned()))
}
