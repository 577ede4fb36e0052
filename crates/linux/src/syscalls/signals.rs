//! rt_sigaction and its relatives.

use warmfork_abi::Errno;
use warmfork_abi::signals::{
    MINSIGSTKSZ, SA_KNOWN, SI_TKILL, SI_USER, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGMAX, SIGSEGV, SS_AUTODISARM,
    SS_DISABLE, SS_ONSTACK, UNBLOCKABLE, signal_bit,
};

use crate::call::{Call, Stop, SyscallResult};
use crate::ids::{Pid, Tid};
use crate::process::Process;
use crate::signal::information::SIGINFO_SIZE;
use crate::signal::{Action, AlternateStack, SignalInfo, Target, frame, vector};
use crate::syscalls::time::read_timespec;
use crate::wait::Wait;

/// Bytes of the kernel's signal sets.
const SET_SIZE: u64 = 8;

fn check_set_size(size: u64) -> Result<(), Errno> {
    if size == SET_SIZE { Ok(()) } else { Err(Errno::EINVAL) }
}

/// rt_sigaction(2)
pub fn rt_sigaction(call: &mut Call<'_>) -> SyscallResult {
    let [_, new, old, size, ..] = call.args;
    let signal = call.uint(0);
    check_set_size(size)?;
    let wanted: Option<[u8; 32]> = if new == 0 { None } else { Some(call.memory().read_array(new)?) };
    let bit = signal_bit(signal);
    if bit == 0 || wanted.is_some() && bit & UNBLOCKABLE != 0 {
        return Err(Errno::EINVAL.into());
    }
    let current = call.kernel.process().signals.action(signal);
    if let Some(bytes) = wanted {
        let [handler, flags, restorer, mask] = words(&bytes);
        let action = Action { handler, flags: flags & SA_KNOWN, restorer, mask: mask & !UNBLOCKABLE };
        call.kernel.process_mut().signals.set_action(signal, action);
        if action.ignores(bit) {
            call.kernel.process_mut().discard_pending(bit);
        }
    }
    if old != 0 {
        let fields = [current.handler, current.flags, current.restorer, current.mask];
        call.memory().write(old, &fields.map(u64::to_le_bytes).concat())?;
    }
    Ok(0)
}

/// rt_sigprocmask(2)
pub fn rt_sigprocmask(call: &mut Call<'_>) -> SyscallResult {
    let [_, new, old, size, ..] = call.args;
    check_set_size(size)?;
    let current = call.task().signals.mask;
    if new != 0 {
        let set = call.memory().read_u64(new)?;
        let mask = match call.int(0) {
            SIG_BLOCK => current | set,
            SIG_UNBLOCK => current & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL.into()),
        };
        call.task().signals.set_mask(mask);
    }
    if old != 0 {
        call.memory().write_u64(old, current)?;
    }
    Ok(0)
}

/// rt_sigpending(2)
pub fn rt_sigpending(call: &mut Call<'_>) -> SyscallResult {
    let [address, size, ..] = call.args;
    let size = usize::try_from(size).ok().filter(|&size| size <= 8).ok_or(Errno::EINVAL)?;
    let set = call.kernel.process().pending_signals(call.tid) & call.task().signals.mask;
    call.memory().write(address, &set.to_le_bytes()[..size])?;
    Ok(0)
}

/// rt_sigsuspend(2)
pub fn rt_sigsuspend(call: &mut Call<'_>) -> SyscallResult {
    let [address, size, ..] = call.args;
    check_set_size(size)?;
    let mask = call.memory().read_u64(address)? & !UNBLOCKABLE;
    Err(Stop::Block(Wait { mask: Some(mask), ..Wait::default() }))
}

/// pause(2)
pub fn pause(_call: &mut Call<'_>) -> SyscallResult {
    Err(Stop::Block(Wait::until(None)))
}

/// rt_sigtimedwait(2)
pub fn rt_sigtimedwait(call: &mut Call<'_>) -> SyscallResult {
    let [set, info, timeout, size, ..] = call.args;
    check_set_size(size)?;
    let wanted = call.memory().read_u64(set)? & !UNBLOCKABLE;
    let timeout = if timeout == 0 { None } else { Some(read_timespec(call.memory(), timeout)?) };
    let deadline = timeout.map(|timeout| call.deadline_after(timeout));
    let now = call.host.monotonic();
    if let Some(taken) = call.kernel.process_mut().take_signal(call.tid, wanted, call.host) {
        if info != 0 {
            call.memory().write(info, &taken.to_bytes())?;
        }
        return Ok(u64::from(taken.signal));
    }
    if deadline.is_some_and(|at| at <= now) {
        return Err(Errno::EAGAIN.into());
    }
    Err(Stop::Block(Wait { signals: wanted, deadline, ..Wait::default() }))
}

/// A signal number that kill takes, 0 included.
pub(super) fn checked(signal: i32) -> Result<u32, Errno> {
    u32::try_from(signal).ok().filter(|&signal| signal <= SIGMAX).ok_or(Errno::EINVAL)
}

/// Sends `info` to the processes in `targets`; succeeds when it reached one of them.
pub(super) fn send_to_all(call: &mut Call<'_>, targets: &[Pid], info: SignalInfo) -> Result<(), Errno> {
    let mut result = Ok(());
    let mut reached = false;
    for &pid in targets {
        match call.kernel.processes.send_signal(pid, Target::Process, info) {
            Ok(()) => reached = true,
            Err(error) => result = Err(error),
        }
    }
    if reached { Ok(()) } else { result }
}

/// kill(2)
pub fn kill(call: &mut Call<'_>) -> SyscallResult {
    let (pid, signal) = (call.int(0), checked(call.int(1)));
    if pid == i32::MIN {
        return Err(Errno::ESRCH.into());
    }
    let (targets, any) = call.kernel.processes.signalled(pid);
    let signal = signal?;
    if !any {
        return Err(Errno::ESRCH.into());
    }
    if signal != 0 {
        let Process { pid, uid, .. } = *call.kernel.process();
        let info = SignalInfo::sent(signal, SI_USER, pid, uid);
        send_to_all(call, &targets, info)?;
    }
    Ok(0)
}

/// Sends a signal (0 only asks whether it could be sent) to thread `tid` of any process.
fn send_to_thread(call: &mut Call<'_>, tid: Tid, signal: i32, info: impl FnOnce(u32) -> SignalInfo) -> SyscallResult {
    let signal = checked(signal)?;
    let owner =
        call.kernel.processes.owner(tid).filter(|owner| owner.tasks.lookup(tid).is_some()).ok_or(Errno::ESRCH)?;
    if signal != 0 {
        let owner = owner.pid;
        call.kernel.processes.send_signal(owner, Target::Thread(tid), info(signal))?;
    }
    Ok(0)
}

/// tkill and tgkill say who sent the signal.
fn directed(call: &Call<'_>) -> impl FnOnce(u32) -> SignalInfo + use<> {
    let Process { pid, uid, .. } = *call.kernel.process();
    move |signal| SignalInfo::sent(signal, SI_TKILL, pid, uid)
}

/// tkill(2)
pub fn tkill(call: &mut Call<'_>) -> SyscallResult {
    let tid = call.int(0);
    if tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let info = directed(call);
    send_to_thread(call, tid, call.int(1), info)
}

/// tgkill(2)
pub fn tgkill(call: &mut Call<'_>) -> SyscallResult {
    let (group, tid) = (call.int(0), call.int(1));
    if group <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    if call.kernel.processes.owner(tid).is_none_or(|owner| owner.pid != group) {
        return Err(Errno::ESRCH.into());
    }
    let info = directed(call);
    send_to_thread(call, tid, call.int(2), info)
}

/// rt_sigqueueinfo(2)
pub fn rt_sigqueueinfo(call: &mut Call<'_>) -> SyscallResult {
    let (pid, signal, address) = (call.int(0), call.int(1), call.args[2]);
    let bytes: [u8; SIGINFO_SIZE] = call.memory().read_array(address)?;
    let owner = call.kernel.processes.owner(pid).filter(|_| pid > 0).ok_or(Errno::ESRCH)?.pid;
    let signal = checked(signal)?;
    if signal != 0 {
        forge_check(call, owner, &bytes)?;
        let info = SignalInfo::from_bytes(signal, &bytes);
        call.kernel.processes.send_signal(owner, Target::Process, info)?;
    }
    Ok(0)
}

/// A process must not send another one a signal that claims to come from kill(2) or the kernel.
pub(super) fn forge_check(call: &Call<'_>, owner: Pid, bytes: &[u8; SIGINFO_SIZE]) -> Result<(), Errno> {
    let code = i32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    if (code >= 0 || code == SI_TKILL) && owner != call.kernel.process().pid { Err(Errno::EPERM) } else { Ok(()) }
}

/// rt_tgsigqueueinfo(2)
pub fn rt_tgsigqueueinfo(call: &mut Call<'_>) -> SyscallResult {
    let (group, tid, signal, address) = (call.int(0), call.int(1), call.int(2), call.args[3]);
    let bytes: [u8; SIGINFO_SIZE] = call.memory().read_array(address)?;
    if group <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    if call.kernel.processes.owner(tid).is_none_or(|owner| owner.pid != group) {
        return Err(Errno::ESRCH.into());
    }
    forge_check(call, group, &bytes)?;
    send_to_thread(call, tid, signal, |signal| SignalInfo::from_bytes(signal, &bytes))
}

/// sigaltstack(2)
pub fn sigaltstack(call: &mut Call<'_>) -> SyscallResult {
    let [new, old, ..] = call.args;
    let stack_pointer = call.registers.rsp;
    let wanted: Option<[u8; 24]> = if new == 0 { None } else { Some(call.memory().read_array(new)?) };
    let current = call.task().signals.stack;
    if let Some(bytes) = wanted {
        let [start, flags, size] = words(&bytes);
        #[expect(clippy::cast_possible_truncation, reason = "ss_flags is the low half")]
        let stack = AlternateStack { start, size, flags: flags as u32 };
        call.task().signals.stack = change_stack(current, stack, stack_pointer)?;
    }
    if old != 0 {
        let flags = u64::from(current.reported_flags(stack_pointer));
        call.memory().write(old, &[current.start, flags, current.size].map(u64::to_le_bytes).concat())?;
    }
    Ok(0)
}

/// The alternate stack when a thread at `stack_pointer` wants `wanted`.
fn change_stack(current: AlternateStack, wanted: AlternateStack, stack_pointer: u64) -> Result<AlternateStack, Errno> {
    if current.in_use(stack_pointer) {
        return Err(Errno::EPERM);
    }
    match wanted.flags & !SS_AUTODISARM {
        SS_DISABLE => Ok(AlternateStack { start: 0, size: 0, flags: wanted.flags }),
        0 | SS_ONSTACK if wanted.size < MINSIGSTKSZ => Err(Errno::ENOMEM),
        0 | SS_ONSTACK => Ok(wanted),
        _ => Err(Errno::EINVAL),
    }
}

/// rt_sigreturn(2): back to the code that the handler interrupted. An impossible frame is a SIGSEGV.
pub fn rt_sigreturn(call: &mut Call<'_>) -> SyscallResult {
    let current = call.kernel.vector_state(call.guest, call.tid)?;
    let Ok(restored) = frame::read(call.guest.memory(), call.registers, &current) else {
        bad_frame(call);
        return Ok(0);
    };
    // In Linux's order, which shows when the vector state is refused.
    *call.registers = restored.registers;
    call.task().signals.set_mask(restored.mask);
    let loaded = match restored.vector_state {
        Some(state) => call.kernel.set_vector_state(call.guest, call.tid, state),
        None => Err(Errno::EINVAL),
    };
    match loaded {
        Err(Errno::EINVAL) => {
            call.kernel.set_vector_state(call.guest, call.tid, vector::initial(&current))?;
            bad_frame(call);
            return Ok(0);
        }
        other => other?,
    }
    let signals = &mut call.task().signals;
    // As Linux, which takes no notice of a stack that it would refuse.
    if let Ok(stack) = change_stack(signals.stack, restored.stack, restored.registers.rsp) {
        signals.stack = stack;
    }
    Err(Stop::Resumed)
}

fn bad_frame(call: &mut Call<'_>) {
    log::debug!("bad signal frame at {:#x} of thread {}", call.registers.rsp, call.tid);
    call.kernel.process_mut().force(call.tid, SignalInfo::kernel(SIGSEGV));
}

/// restart_syscall(2): warmfork restarts calls by itself.
pub fn restart_syscall(_call: &mut Call<'_>) -> SyscallResult {
    Err(Errno::EINTR.into())
}

/// Little-endian words of a structure.
fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut value = [0; 8];
        value.copy_from_slice(chunk);
        *word = u64::from_le_bytes(value);
    }
    words
}
