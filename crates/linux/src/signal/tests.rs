//! Signals from the system calls' side: actions, masks, queues, frames and the way back.

use warmfork_abi::Errno;
use warmfork_abi::numbers::{
    KILL, NANOSLEEP, PAUSE, RT_SIGACTION, RT_SIGPENDING, RT_SIGPROCMASK, RT_SIGQUEUEINFO, RT_SIGRETURN, RT_SIGSUSPEND,
    RT_SIGTIMEDWAIT, SIGALTSTACK, TGKILL,
};
use warmfork_abi::registers::{RFLAGS_AT_ENTRY, USER_CS, USER_SS};
use warmfork_abi::signals::{
    SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_RESTORER, SA_SIGINFO, SEGV_MAPERR, SI_KERNEL, SI_QUEUE,
    SI_TKILL, SI_USER, SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK, SIGCHLD, SIGKILL, SIGRTMIN, SIGSEGV, SIGSTOP,
    SIGTERM, SIGUSR1, SIGUSR2, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, signal_bit,
};

use super::{Delivery, SignalInfo, Target, Trap};
use crate::dispatch::Entered;
use crate::ids::Tid;
use crate::process::{Ending, RLIMIT_SIGPENDING};
use crate::task::State;
use crate::testing::{Bench, CODE, DATA, id};

pub(super) const HANDLER: u64 = 0x40_2000;
const RESTORER: u64 = 0x40_3000;
const SCRATCH: u64 = DATA.start;
const PAGE_FAULT: Trap = Trap { number: 14, error: 6, address: 0xdead };

pub(super) fn act(bench: &mut Bench, signal: u32, handler: u64, flags: u64, mask: u64) {
    bench.write(SCRATCH, &[handler, flags | SA_RESTORER, RESTORER, mask]);
    bench.call(RT_SIGACTION, &[u64::from(signal), SCRATCH, 0, 8]).unwrap();
}

fn block(bench: &mut Bench, set: u64) {
    bench.write(SCRATCH, &[set]);
    bench.call(RT_SIGPROCMASK, &[id(SIG_BLOCK), SCRATCH, 0, 8]).unwrap();
}

fn unblock(bench: &mut Bench, set: u64) {
    bench.write(SCRATCH, &[set]);
    bench.call(RT_SIGPROCMASK, &[id(SIG_UNBLOCK), SCRATCH, 0, 8]).unwrap();
}

pub(super) fn raise(bench: &mut Bench, signal: u32) {
    let pid = id(bench.pid());
    bench.call(TGKILL, &[pid, pid, u64::from(signal)]).unwrap();
}

/// The handler returns: its `ret` pops the restorer's address, and the restorer calls rt_sigreturn.
pub(super) fn leave_handler(bench: &mut Bench, tid: Tid) -> Entered {
    let registers = bench.registers(tid);
    registers.rsp += 8;
    registers.rip = RESTORER;
    bench.start(tid, RT_SIGRETURN, &[])
}

#[test]
fn actions_are_kept_and_checked() {
    let mut bench = Bench::new();
    act(&mut bench, SIGUSR1, HANDLER, SA_RESTART | 1 << 40, u64::MAX);
    bench.call(RT_SIGACTION, &[u64::from(SIGUSR1), 0, SCRATCH + 64, 8]).unwrap();
    let expected = [HANDLER, SA_RESTART | SA_RESTORER, RESTORER, !(signal_bit(SIGKILL) | signal_bit(SIGSTOP))];
    for (index, value) in expected.into_iter().enumerate() {
        assert_eq!(bench.read(SCRATCH + 64 + index as u64 * 8), value);
    }
    for signal in [0, u64::from(SIGKILL), u64::from(SIGSTOP), 65, u64::MAX] {
        assert_eq!(bench.call(RT_SIGACTION, &[signal, SCRATCH, 0, 8]), Err(Errno::EINVAL));
    }
    assert_eq!(bench.call(RT_SIGACTION, &[u64::from(SIGKILL), 0, SCRATCH, 8]), Ok(0));
    assert_eq!(bench.call(RT_SIGACTION, &[u64::from(SIGUSR1), 0, 0, 16]), Err(Errno::EINVAL));
    assert_eq!(bench.call(RT_SIGACTION, &[u64::from(SIGUSR1), 8, 0, 8]), Err(Errno::EFAULT));
}

#[test]
fn masks_never_hold_what_cannot_be_blocked() {
    let mut bench = Bench::new();
    bench.write(SCRATCH, &[u64::MAX]);
    bench.call(RT_SIGPROCMASK, &[id(SIG_SETMASK), SCRATCH, 0, 8]).unwrap();
    bench.call(RT_SIGPROCMASK, &[0, 0, SCRATCH, 8]).unwrap();
    assert_eq!(bench.read(SCRATCH), !(signal_bit(SIGKILL) | signal_bit(SIGSTOP)));
    assert_eq!(bench.call(RT_SIGPROCMASK, &[3, SCRATCH, 0, 8]), Err(Errno::EINVAL));
}

#[test]
fn a_handler_runs_and_returns_to_where_it_was() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    act(&mut bench, SIGUSR1, HANDLER, SA_SIGINFO, signal_bit(SIGUSR2));
    raise(&mut bench, SIGUSR1);
    bench.registers(pid).rbx = 0x1234;
    bench.registers(pid).rflags = RFLAGS_AT_ENTRY | 0x400 | 1; // DF and CF
    let before = *bench.registers(pid);
    let vectors_before = bench.guest.fpu.clone();
    assert_eq!(bench.deliver(pid), Delivery::Run);

    let inside = *bench.registers(pid);
    assert_eq!((inside.rip, inside.rdi, inside.rax), (HANDLER, u64::from(SIGUSR1), 0));
    assert_eq!(inside.rsp % 16, 8);
    assert!(inside.rsp < before.rsp - 128);
    assert_eq!(inside.rflags, RFLAGS_AT_ENTRY | 1);
    assert_eq!(bench.read(inside.rsp), RESTORER);
    assert_eq!(inside.rdx, inside.rsp + 8);
    let siginfo = inside.rsi;
    assert_eq!(bench.read_half(siginfo), SIGUSR1);
    assert_eq!(bench.read_half(siginfo + 8).cast_signed(), SI_TKILL);
    assert_eq!(bench.read_half(siginfo + 16).cast_signed(), pid);
    assert_eq!(bench.read(inside.rdx), 7); // uc_flags
    assert_eq!(bench.read(inside.rdx + 40 + 15 * 8), before.rsp);
    assert_eq!(bench.read(inside.rdx + 40 + 16 * 8), before.rip);
    assert_eq!(bench.read(inside.rdx + 296), 0); // uc_sigmask
    let mask = bench.kernel.process().tasks.get(pid).signals.mask;
    assert_eq!(mask, signal_bit(SIGUSR1) | signal_bit(SIGUSR2));
    // The handler begins with a fresh vector state.
    assert_eq!(bench.guest.fpu[160..176], [0; 16]);
    assert_eq!(u64::from_le_bytes(bench.guest.fpu[512..520].try_into().unwrap()), 3);

    // It may change the place that it returns to.
    bench.write(inside.rdx + 40 + 11 * 8, &[0x5678]); // rbx
    assert_eq!(leave_handler(&mut bench, pid), Entered::Continue);
    let after = *bench.registers(pid);
    assert_eq!(after.rbx, 0x5678);
    assert_eq!((after.rip, after.rsp, after.rflags), (before.rip, before.rsp, before.rflags));
    assert_eq!((after.cs, after.ss, after.orig_rax), (USER_CS, USER_SS, u64::MAX));
    assert_eq!(bench.kernel.process().tasks.get(pid).signals.mask, 0);
    assert_eq!(bench.guest.fpu, vectors_before);
}

#[test]
fn standard_signals_collapse_and_real_time_ones_queue() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    let rt = SIGRTMIN + 3;
    block(&mut bench, u64::MAX);
    for value in 1..=3 {
        raise(&mut bench, SIGUSR1);
        bench.write(SCRATCH, &[0, SI_QUEUE.cast_unsigned().into(), 0, value]);
        bench.call(RT_SIGQUEUEINFO, &[id(pid), u64::from(rt), SCRATCH]).unwrap();
    }
    bench.call(RT_SIGPENDING, &[SCRATCH, 8]).unwrap();
    assert_eq!(bench.read(SCRATCH), signal_bit(SIGUSR1) | signal_bit(rt));
    bench.write(SCRATCH, &[u64::MAX, 0, 0]);
    let wait = [SCRATCH, SCRATCH + 64, SCRATCH + 8, 8];
    assert_eq!(bench.call(RT_SIGTIMEDWAIT, &wait), Ok(u64::from(SIGUSR1)));
    for value in 1..=3 {
        assert_eq!(bench.call(RT_SIGTIMEDWAIT, &wait), Ok(u64::from(rt)));
        assert_eq!(bench.read(SCRATCH + 64 + 24), value);
    }
    assert_eq!(bench.call(RT_SIGTIMEDWAIT, &wait), Err(Errno::EAGAIN));
}

#[test]
fn the_queue_of_real_time_signals_is_limited() {
    let mut bench = Bench::new();
    let pid = id(bench.pid());
    bench.kernel.process_mut().limits[RLIMIT_SIGPENDING].soft = 2;
    block(&mut bench, u64::MAX);
    bench.write(SCRATCH, &[0, SI_QUEUE.cast_unsigned().into(), 0, 0]);
    let queue = [pid, u64::from(SIGRTMIN), SCRATCH];
    assert_eq!(bench.call(RT_SIGQUEUEINFO, &queue), Ok(0));
    assert_eq!(bench.call(RT_SIGQUEUEINFO, &queue), Ok(0));
    assert_eq!(bench.call(RT_SIGQUEUEINFO, &queue), Err(Errno::EAGAIN));
    // kill always gets through, if only as a number; so do standard signals.
    assert_eq!(bench.call(KILL, &[pid, u64::from(SIGRTMIN) + 1]), Ok(0));
    assert_eq!(bench.call(KILL, &[pid, u64::from(SIGTERM)]), Ok(0));
    assert_eq!(bench.kernel.process().signals.pending.len(), 4);
    for _ in 0..100 {
        assert_eq!(bench.call(KILL, &[pid, u64::from(SIGRTMIN) + 1]), Ok(0));
    }
    assert_eq!(bench.kernel.process().signals.pending.len(), 4);
}

#[test]
fn lower_numbers_come_first_and_faults_before_all() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    block(&mut bench, u64::MAX);
    for signal in [SIGRTMIN, SIGUSR2, SIGUSR1] {
        act(&mut bench, signal, HANDLER + u64::from(signal), SA_NODEFER, 0);
        raise(&mut bench, signal);
    }
    act(&mut bench, SIGSEGV, HANDLER + u64::from(SIGSEGV), SA_SIGINFO | SA_NODEFER, 0);
    unblock(&mut bench, u64::MAX);
    bench.kernel.process_mut().force_signal(pid, SignalInfo::fault(SIGSEGV, SEGV_MAPERR, 0xdead), PAGE_FAULT);
    let rip = bench.registers(pid).rip;
    assert_eq!(bench.deliver(pid), Delivery::Run);
    // The last frame is on top; each handler returns into the one that was to run after it.
    let mut order = Vec::new();
    while bench.registers(pid).rip != rip {
        order.push(bench.registers(pid).rip - HANDLER);
        leave_handler(&mut bench, pid);
    }
    order.reverse();
    assert_eq!(order, [SIGSEGV, SIGUSR1, SIGUSR2, SIGRTMIN].map(u64::from));
}

#[test]
fn a_fault_tells_its_handler_where_and_why() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    act(&mut bench, SIGSEGV, HANDLER, SA_SIGINFO, 0);
    bench.kernel.process_mut().force_signal(pid, SignalInfo::fault(SIGSEGV, SEGV_MAPERR, 0xdead), PAGE_FAULT);
    bench.deliver(pid);
    let (siginfo, context) = (bench.registers(pid).rsi, bench.registers(pid).rdx);
    assert_eq!(bench.read_half(siginfo + 8).cast_signed(), SEGV_MAPERR);
    assert_eq!(bench.read(siginfo + 16), 0xdead);
    assert_eq!(bench.read(context + 40 + 152), 6); // err
    assert_eq!(bench.read(context + 40 + 160), 14); // trapno
    assert_eq!(bench.read(context + 40 + 176), 0xdead); // cr2
}

#[test]
fn a_blocked_or_ignored_fault_kills() {
    for ignored in [true, false] {
        let mut bench = Bench::new();
        let pid = bench.pid();
        act(&mut bench, SIGSEGV, if ignored { SIG_IGN } else { HANDLER }, 0, 0);
        if !ignored {
            block(&mut bench, signal_bit(SIGSEGV));
        }
        bench.kernel.process_mut().force_signal(pid, SignalInfo::fault(SIGSEGV, SEGV_MAPERR, 0), Trap::default());
        assert_eq!(bench.deliver(pid), Delivery::End(Ending::Signaled(SIGSEGV)));
    }
}

#[test]
fn default_actions() {
    let cases = [(SIGTERM, true), (SIGKILL, true), (SIGCHLD, false), (SIGSTOP, false), (SIGRTMIN, true)];
    for (signal, kills) in cases {
        let mut bench = Bench::new();
        let pid = bench.pid();
        raise(&mut bench, signal);
        let expected = if kills { Delivery::End(Ending::Signaled(signal)) } else { Delivery::Run };
        assert_eq!(bench.deliver(pid), expected);
    }
}

#[test]
fn ignoring_a_signal_drops_it_even_when_pending() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    block(&mut bench, signal_bit(SIGTERM));
    raise(&mut bench, SIGTERM);
    act(&mut bench, SIGTERM, SIG_IGN, 0, 0);
    assert_eq!(bench.kernel.process().pending_signals(pid), 0);
    raise(&mut bench, SIGTERM);
    // Blocked, so a handler may yet be set: it stays.
    assert_eq!(bench.kernel.process().pending_signals(pid), signal_bit(SIGTERM));
    unblock(&mut bench, signal_bit(SIGTERM));
    assert_eq!(bench.deliver(pid), Delivery::Run);
}

#[test]
fn a_handler_that_resets_runs_once() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    act(&mut bench, SIGUSR1, HANDLER, SA_RESETHAND | SA_NODEFER, 0);
    raise(&mut bench, SIGUSR1);
    assert_eq!(bench.deliver(pid), Delivery::Run);
    assert_eq!(bench.registers(pid).rip, HANDLER);
    raise(&mut bench, SIGUSR1);
    assert_eq!(bench.deliver(pid), Delivery::End(Ending::Signaled(SIGUSR1)));
}

#[test]
fn the_alternate_stack_is_used_once_and_guarded() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    let (start, size) = (DATA.start + 0x4000, 0x4000);
    bench.write(SCRATCH + 64, &[start, 0, 1024]);
    assert_eq!(bench.call(SIGALTSTACK, &[SCRATCH + 64, 0]), Err(Errno::ENOMEM));
    bench.write(SCRATCH + 64, &[start, 5, size]);
    assert_eq!(bench.call(SIGALTSTACK, &[SCRATCH + 64, 0]), Err(Errno::EINVAL));
    bench.write(SCRATCH + 64, &[start, 0, size]);
    bench.call(SIGALTSTACK, &[SCRATCH + 64, SCRATCH + 128]).unwrap();
    assert_eq!(bench.read_half(SCRATCH + 136), SS_DISABLE);
    act(&mut bench, SIGUSR1, HANDLER, SA_ONSTACK | SA_NODEFER, 0);
    raise(&mut bench, SIGUSR1);
    bench.deliver(pid);
    let first = bench.registers(pid).rsp;
    assert!((start..start + size).contains(&first));
    assert_eq!(bench.call(SIGALTSTACK, &[SCRATCH + 64, 0]), Err(Errno::EPERM));
    bench.call(SIGALTSTACK, &[0, SCRATCH + 128]).unwrap();
    assert_eq!(bench.read_half(SCRATCH + 136), SS_ONSTACK);
    // A signal inside goes on below the first frame, until the stack is full: then it is over.
    let mut last = first;
    let ending = loop {
        raise(&mut bench, SIGUSR1);
        match bench.deliver(pid) {
            Delivery::Run => assert!(bench.registers(pid).rsp < last && bench.registers(pid).rsp > start),
            ended => break ended,
        }
        last = bench.registers(pid).rsp;
    };
    assert_eq!(ending, Delivery::End(Ending::Signaled(SIGSEGV)));
}

#[test]
fn an_alternate_stack_that_disarms_is_back_after_the_handler() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    let flags = u64::from(SS_AUTODISARM);
    bench.write(SCRATCH + 64, &[DATA.start + 0x4000, flags, 0x4000]);
    bench.call(SIGALTSTACK, &[SCRATCH + 64, 0]).unwrap();
    let set = bench.kernel.process().tasks.get(pid).signals.stack;
    act(&mut bench, SIGUSR1, HANDLER, SA_ONSTACK, 0);
    raise(&mut bench, SIGUSR1);
    bench.deliver(pid);
    bench.call(SIGALTSTACK, &[0, SCRATCH + 128]).unwrap();
    assert_eq!(bench.read_half(SCRATCH + 136), SS_DISABLE);
    leave_handler(&mut bench, pid);
    assert_eq!(bench.kernel.process().tasks.get(pid).signals.stack, set);
}

#[test]
fn no_room_for_a_frame_is_death() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    act(&mut bench, SIGUSR1, HANDLER, 0, 0);
    act(&mut bench, SIGSEGV, HANDLER, 0, 0);
    raise(&mut bench, SIGUSR1);
    bench.registers(pid).rsp = DATA.start + 64;
    assert_eq!(bench.deliver(pid), Delivery::End(Ending::Signaled(SIGSEGV)));
}

fn send(bench: &mut Bench, tid: Tid, signal: u32) {
    let pid = bench.pid();
    bench.kernel.processes.send_signal(pid, Target::Thread(tid), SignalInfo::sent(signal, SI_USER, 1, 0)).unwrap();
}

#[test]
fn suspend_takes_its_mask_and_gives_the_old_one_back() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    act(&mut bench, SIGUSR1, HANDLER, 0, 0);
    block(&mut bench, signal_bit(SIGUSR1) | signal_bit(SIGUSR2));
    bench.write(SCRATCH, &[signal_bit(SIGTERM)]);
    assert_eq!(bench.start(pid, RT_SIGSUSPEND, &[SCRATCH, 8]), Entered::Blocked);
    send(&mut bench, pid, SIGTERM);
    assert!(matches!(bench.kernel.process().tasks.get(pid).state(), State::Blocked(_)));
    send(&mut bench, pid, SIGUSR1);
    assert!(matches!(bench.kernel.process().tasks.get(pid).state(), State::Retry(_)));
    assert_eq!(bench.enter(pid), Entered::Continue);
    assert_eq!(bench.deliver(pid), Delivery::Run);
    assert_eq!(bench.registers(pid).rip, HANDLER);
    let signals = &bench.kernel.process().tasks.get(pid).signals;
    assert_eq!(signals.mask, signal_bit(SIGTERM) | signal_bit(SIGUSR1));
    leave_handler(&mut bench, pid);
    assert_eq!(bench.registers(pid).rax, Errno::EINTR.as_result());
    assert_eq!(bench.kernel.process().tasks.get(pid).signals.mask, signal_bit(SIGUSR1) | signal_bit(SIGUSR2));
}

#[test]
fn a_signal_without_a_handler_does_not_end_a_wait() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    assert_eq!(bench.start(pid, PAUSE, &[]), Entered::Blocked);
    send(&mut bench, pid, SIGCHLD);
    assert!(matches!(bench.kernel.process().tasks.get(pid).state(), State::Blocked(_)));
    // One that would stop the process is acted on, and then the wait goes on.
    send(&mut bench, pid, SIGSTOP);
    assert_eq!(bench.enter(pid), Entered::Continue);
    assert_eq!(bench.deliver(pid), Delivery::Run);
    assert!(matches!(bench.kernel.process().tasks.get(pid).state(), State::Retry(_)));
    assert_eq!(bench.enter(pid), Entered::Blocked);
}

#[test]
fn an_interrupted_sleep_says_what_is_left() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    act(&mut bench, SIGUSR1, HANDLER, SA_RESTART, 0);
    bench.write(SCRATCH, &[1000, 0, 7, 7]);
    assert_eq!(bench.start(pid, NANOSLEEP, &[SCRATCH, SCRATCH + 16]), Entered::Blocked);
    send(&mut bench, pid, SIGUSR1);
    assert_eq!(bench.enter(pid), Entered::Continue);
    bench.deliver(pid);
    assert_eq!(bench.registers(pid).rip, HANDLER);
    leave_handler(&mut bench, pid);
    assert_eq!(bench.registers(pid).rax, Errno::EINTR.as_result());
    assert_eq!(bench.read(SCRATCH + 16), 999);
}

#[test]
fn the_first_thread_gets_the_signals_of_the_process_unless_it_blocks_them() {
    let mut bench = Bench::new();
    let (pid, other) = (bench.pid(), bench.spawn());
    act(&mut bench, SIGUSR1, HANDLER, 0, 0);
    let own = id(pid);
    bench.call_by(other, KILL, &[own, u64::from(SIGUSR1)]).unwrap();
    assert!(bench.kernel.process().signal_due(pid, None) && !bench.kernel.process().signal_due(other, None));
    block(&mut bench, signal_bit(SIGUSR1));
    assert!(!bench.kernel.process().signal_due(pid, None) && bench.kernel.process().signal_due(other, None));
    assert_eq!(bench.deliver(other), Delivery::Run);
    assert_eq!(bench.registers(other).rip, HANDLER);
    // The other thread is not the loaded one: its vectors are in its task.
    assert_eq!(bench.guest.fpu[160..162], [0xaa, 0xaa]);
}

#[test]
fn a_signal_that_ends_the_program_does_not_wait_for_the_first_thread() {
    let mut bench = Bench::new();
    let (pid, other) = (bench.pid(), bench.spawn());
    assert_eq!(bench.start(pid, PAUSE, &[]), Entered::Blocked);
    bench.call_by(other, KILL, &[id(pid), u64::from(SIGTERM)]).unwrap();
    assert_eq!(bench.deliver(other), Delivery::End(Ending::Signaled(SIGTERM)));
}

#[test]
fn waiting_for_a_signal_takes_it_instead_of_its_handler() {
    let mut bench = Bench::new();
    let (pid, other) = (bench.pid(), bench.spawn());
    act(&mut bench, SIGUSR1, HANDLER, 0, 0);
    block(&mut bench, signal_bit(SIGUSR1));
    bench.write(SCRATCH, &[signal_bit(SIGUSR1)]);
    assert_eq!(bench.start(pid, RT_SIGTIMEDWAIT, &[SCRATCH, 0, 0, 8]), Entered::Blocked);
    bench.call_by(other, KILL, &[id(pid), u64::from(SIGUSR1)]).unwrap();
    assert!(!bench.kernel.process().signal_due(other, None));
    assert_eq!(bench.enter(pid), Entered::Continue);
    assert_eq!(bench.registers(pid).rax, u64::from(SIGUSR1));
    assert_eq!(bench.deliver(pid), Delivery::Run);
    assert_eq!(bench.registers(pid).rip, CODE + 2 * 3);
}

#[test]
fn kill_knows_one_process() {
    let mut bench = Bench::new();
    let pid = id(bench.pid());
    assert_eq!(bench.call(KILL, &[pid, 0]), Ok(0));
    assert_eq!(bench.call(KILL, &[0, 0]), Ok(0));
    assert_eq!(bench.call(KILL, &[pid.wrapping_neg(), 0]), Ok(0));
    assert_eq!(bench.call(KILL, &[u64::MAX, 0]), Err(Errno::ESRCH));
    assert_eq!(bench.call(KILL, &[999_999, 0]), Err(Errno::ESRCH));
    assert_eq!(bench.call(KILL, &[0x8000_0000, 0]), Err(Errno::ESRCH));
    assert_eq!(bench.call(KILL, &[pid, 65]), Err(Errno::EINVAL));
    assert_eq!(bench.call(TGKILL, &[pid, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(TGKILL, &[pid, 999_999, 0]), Err(Errno::ESRCH));
    assert_eq!(SignalInfo::kernel(SIGSEGV).code, SI_KERNEL);
}
