//! Threads, futexes, timers and identity from the system calls' side.

use warmfork_abi::numbers::{
    ARCH_PRCTL, CLOCK_GETTIME, CLONE, CLONE3, EXIT, EXIT_GROUP, FUTEX, GETPID, GETRANDOM, GETTID, KILL, PRCTL,
    PRLIMIT64, RT_SIGACTION, SCHED_YIELD, SET_ROBUST_LIST, SET_TID_ADDRESS, SETITIMER, TIMER_CREATE, TIMER_DELETE,
    TIMER_GETOVERRUN, TIMER_GETTIME, TIMER_SETTIME, UNAME,
};
use warmfork_abi::process::{PR_GET_NAME, PR_SET_NAME};
use warmfork_abi::signals::{SA_RESTORER, SA_SIGINFO, SIGALRM, SIGEV_SIGNAL, SIGUSR1, SIGUSR2};
use warmfork_abi::threads::{
    ARCH_GET_FS, ARCH_SET_FS, CLONE_CHILD_CLEARTID, CLONE_FILES, CLONE_FS, CLONE_PARENT_SETTID, CLONE_SETTLS,
    CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM, FUTEX_CMP_REQUEUE, FUTEX_LOCK_PI, FUTEX_OWNER_DIED,
    FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAITERS, FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP,
};
use warmfork_abi::time::CLOCK_MONOTONIC;
use warmfork_abi::{Errno, USER_END};

use crate::dispatch::Entered;
use crate::ids::Tid;
use crate::process::Ending;
use crate::signal::Delivery;
use crate::task::State;
use crate::testing::{Bench, DATA, id, result};

const WORD: u64 = DATA.start;
const OTHER: u64 = DATA.start + 8;
const SCRATCH: u64 = DATA.start + 256;
const HANDLER: u64 = 0x40_2000;
const THREAD: u64 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

fn waits(bench: &Bench, tid: Tid) -> bool {
    matches!(bench.kernel.process().tasks.get(tid).state(), State::Blocked(_))
}

/// The result of the call of `tid`, whose waits are over.
fn finish(bench: &mut Bench, tid: Tid) -> Result<u64, Errno> {
    assert!(matches!(bench.kernel.process().tasks.get(tid).state(), State::Retry(_)));
    assert_eq!(bench.enter(tid), Entered::Continue);
    result(bench.registers(tid).rax)
}

fn wait_on(bench: &mut Bench, tid: Tid, address: u64) {
    assert_eq!(bench.start(tid, FUTEX, &[address, FUTEX_WAIT.into(), 0, 0]), Entered::Blocked);
}

#[test]
fn futex_waiters_are_woken_in_order() {
    let mut bench = Bench::new();
    let waiters = [bench.spawn(), bench.spawn(), bench.spawn()];
    for tid in [waiters[2], waiters[0], waiters[1]] {
        wait_on(&mut bench, tid, WORD);
    }
    assert_eq!(bench.call(FUTEX, &[OTHER, FUTEX_WAKE.into(), 1]), Ok(0));
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAKE.into(), 2]), Ok(2));
    assert_eq!(finish(&mut bench, waiters[2]), Ok(0));
    assert_eq!(finish(&mut bench, waiters[0]), Ok(0));
    assert!(waits(&bench, waiters[1]));
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAKE.into(), i32::MAX.unsigned_abs().into()]), Ok(1));
    assert_eq!(finish(&mut bench, waiters[1]), Ok(0));
}

#[test]
fn futex_wait_checks_first() {
    let mut bench = Bench::new();
    bench.write_half(WORD, 1);
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAIT.into(), 0, 0]), Err(Errno::EAGAIN));
    assert_eq!(bench.call(FUTEX, &[WORD + 1, FUTEX_WAIT.into(), 0, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(FUTEX, &[DATA.end, FUTEX_WAIT.into(), 0, 0]), Err(Errno::EFAULT));
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAIT_BITSET.into(), 1, 0, 0, 0]), Err(Errno::EINVAL));
    bench.write(SCRATCH, &[0, 1_000_000_000]);
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAIT.into(), 1, SCRATCH]), Err(Errno::EINVAL));
    bench.write(SCRATCH, &[0, 0]);
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAIT.into(), 1, SCRATCH]), Err(Errno::ETIMEDOUT));
    assert_eq!(bench.call(FUTEX, &[WORD, 77, 0, 0]), Err(Errno::ENOSYS));
}

#[test]
fn a_futex_wake_that_comes_with_the_timeout_is_not_lost() {
    let mut bench = Bench::new();
    let waiter = bench.spawn();
    bench.write(SCRATCH, &[1000, 0]);
    let wait = [WORD, FUTEX_WAIT.into(), 0, SCRATCH];
    assert_eq!(bench.start(waiter, FUTEX, &wait), Entered::Blocked);
    bench.kernel.process_mut().tasks.wake(waiter); // as when its time is up
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAKE.into(), 1]), Ok(1));
    assert_eq!(finish(&mut bench, waiter), Ok(0));
    // And it is in the queue no longer.
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAKE.into(), 1]), Ok(0));
}

#[test]
fn futex_bits_choose_waiters() {
    let mut bench = Bench::new();
    let waiters = [bench.spawn(), bench.spawn()];
    for (tid, bits) in waiters.into_iter().zip([1, 2]) {
        let wait = [WORD, FUTEX_WAIT_BITSET.into(), 0, 0, 0, bits];
        assert_eq!(bench.start(tid, FUTEX, &wait), Entered::Blocked);
    }
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAKE_BITSET.into(), 9, 0, 0, 2]), Ok(1));
    assert!(waits(&bench, waiters[0]) && !waits(&bench, waiters[1]));
}

#[test]
fn futex_waiters_move_to_another_word() {
    let mut bench = Bench::new();
    let waiters = [bench.spawn(), bench.spawn(), bench.spawn()];
    for tid in waiters {
        wait_on(&mut bench, tid, WORD);
    }
    let requeue = |expected| [WORD, FUTEX_CMP_REQUEUE.into(), 1, 1, OTHER, expected];
    assert_eq!(bench.call(FUTEX, &requeue(1)), Err(Errno::EAGAIN));
    assert_eq!(bench.call(FUTEX, &requeue(0)), Ok(2));
    assert_eq!(finish(&mut bench, waiters[0]), Ok(0));
    assert_eq!(bench.call(FUTEX, &[OTHER, FUTEX_WAKE.into(), 9]), Ok(1));
    assert_eq!(finish(&mut bench, waiters[1]), Ok(0));
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_WAKE.into(), 9]), Ok(1));
}

#[test]
fn futex_wake_op_changes_the_second_word() {
    let mut bench = Bench::new();
    let waiters = [bench.spawn(), bench.spawn()];
    wait_on(&mut bench, waiters[0], WORD);
    wait_on(&mut bench, waiters[1], OTHER);
    let add_five_if_less_than_one = 1 << 28 | 2 << 24 | 5 << 12 | 1;
    let wake = [WORD, FUTEX_WAKE_OP.into(), 1, 1, OTHER, add_five_if_less_than_one];
    assert_eq!(bench.call(FUTEX, &wake), Ok(2));
    assert_eq!(bench.read_half(OTHER), 5);
    assert_eq!(bench.call(FUTEX, &wake), Ok(0));
    assert_eq!(bench.read_half(OTHER), 10);
}

#[test]
fn priority_inheritance_locks_are_handed_over() {
    let mut bench = Bench::new();
    let (owner, waiter) = (bench.pid(), bench.spawn());
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_LOCK_PI.into(), 0, 0]), Ok(0));
    assert_eq!(bench.read_half(WORD), owner.cast_unsigned());
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_LOCK_PI.into(), 0, 0]), Err(Errno::EDEADLK));
    assert_eq!(bench.start(waiter, FUTEX, &[WORD, FUTEX_LOCK_PI.into(), 0, 0]), Entered::Blocked);
    assert_eq!(bench.read_half(WORD), owner.cast_unsigned() | FUTEX_WAITERS);
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_UNLOCK_PI.into()]), Ok(0));
    assert_eq!(bench.read_half(WORD), waiter.cast_unsigned());
    assert_eq!(finish(&mut bench, waiter), Ok(0));
    assert_eq!(bench.call(FUTEX, &[WORD, FUTEX_UNLOCK_PI.into()]), Err(Errno::EPERM));
}

#[test]
fn a_dying_thread_leaves_its_robust_locks() {
    let mut bench = Bench::new();
    let (dying, waiter) = (bench.spawn(), bench.spawn());
    let (head, lock, own, foreign) = (SCRATCH, SCRATCH + 64, SCRATCH + 80, SCRATCH + 96);
    // head -> lock -> foreign -> head; the futex word is 8 bytes after each entry.
    bench.write(head, &[lock, 8, 0]);
    bench.write(lock, &[foreign]);
    bench.write(foreign, &[head]);
    bench.write_half(lock + 8, dying.cast_unsigned() | FUTEX_WAITERS);
    bench.write_half(foreign + 8, 4242);
    bench.write_half(own, 1);
    let wait = [lock + 8, FUTEX_WAIT.into(), u64::from(dying.cast_unsigned() | FUTEX_WAITERS), 0];
    assert_eq!(bench.start(waiter, FUTEX, &wait), Entered::Blocked);
    assert_eq!(bench.call_by(dying, SET_ROBUST_LIST, &[head, 8]), Err(Errno::EINVAL));
    bench.call_by(dying, SET_ROBUST_LIST, &[head, 24]).unwrap();
    bench.call_by(dying, SET_TID_ADDRESS, &[own]).unwrap();
    assert_eq!(bench.start(dying, EXIT, &[0]), Entered::ThreadEnded);
    assert_eq!(bench.read_half(lock + 8), FUTEX_OWNER_DIED | FUTEX_WAITERS);
    assert_eq!(bench.read_half(foreign + 8), 4242);
    assert_eq!(bench.read_half(own), 0);
    assert_eq!(finish(&mut bench, waiter), Ok(0));
    assert!(bench.kernel.process().tasks.lookup(dying).is_none());
}

#[test]
fn a_robust_list_without_an_end_ends() {
    let mut bench = Bench::new();
    let dying = bench.spawn();
    bench.write(SCRATCH, &[SCRATCH + 64, 8, 0]);
    bench.write(SCRATCH + 64, &[SCRATCH + 64]);
    bench.call_by(dying, SET_ROBUST_LIST, &[SCRATCH, 24]).unwrap();
    assert_eq!(bench.start(dying, EXIT, &[0]), Entered::ThreadEnded);
}

#[test]
fn a_thread_starts_as_its_maker_asked() {
    let mut bench = Bench::new();
    let flags = THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    let pid = bench.pid();
    bench.registers(pid).rbx = 77;
    let tid = bench.call(CLONE, &[flags, DATA.start + 0x8000, SCRATCH, SCRATCH + 8, 0x1234_5000]).unwrap();
    let tid = i32::try_from(tid).unwrap();
    assert_eq!(bench.read_half(SCRATCH).cast_signed(), tid);
    let parent_rip = bench.registers(pid).rip;
    let task = bench.kernel.process().tasks.get(tid);
    let registers = task.registers;
    assert_eq!((registers.rax, registers.rsp, registers.fs_base), (0, DATA.start + 0x8000, 0x1234_5000));
    assert_eq!((registers.rbx, registers.rip), (77, parent_rip));
    assert_eq!(task.clear_child_tid, SCRATCH + 8);
    assert_eq!(task.fpu.as_ref(), Some(&bench.guest.fpu));
    assert_eq!(bench.call_by(tid, GETTID, &[]), Ok(id(tid)));
    assert_eq!(bench.call_by(tid, GETPID, &[]), Ok(id(pid)));
}

#[test]
fn clone3_checks_its_arguments() {
    let mut bench = Bench::new();
    let arguments = |flags, stack, size| [flags, 0, SCRATCH + 200, SCRATCH + 208, 0, stack, size, 0, 0, 0, 0];
    bench.write(SCRATCH, &arguments(THREAD | CLONE_PARENT_SETTID, DATA.start + 0x4000, 0x4000));
    let tid = bench.call(CLONE3, &[SCRATCH, 88]).unwrap();
    assert_eq!(bench.read(SCRATCH + 208), tid);
    assert_eq!(bench.kernel.process().tasks.get(i32::try_from(tid).unwrap()).registers.rsp, DATA.start + 0x8000);
    assert_eq!(bench.call(CLONE3, &[SCRATCH, 56]), Err(Errno::EINVAL));
    assert_eq!(bench.call(CLONE3, &[SCRATCH, 1 << 40]), Err(Errno::E2BIG));
    bench.write(SCRATCH + 88, &[1]);
    assert_eq!(bench.call(CLONE3, &[SCRATCH, 96]), Err(Errno::E2BIG));
    bench.write(SCRATCH, &arguments(THREAD, DATA.start + 0x4000, 0));
    assert_eq!(bench.call(CLONE3, &[SCRATCH, 88]), Err(Errno::EINVAL));
    bench.write(SCRATCH, &arguments(THREAD & !CLONE_SIGHAND, DATA.start, 0x4000));
    assert_eq!(bench.call(CLONE3, &[SCRATCH, 88]), Err(Errno::EINVAL));
    bench.write(SCRATCH, &arguments(0, 0, 0));
    bench.kernel.processes.max_threads = 2;
    assert_eq!(bench.call(CLONE, &[THREAD, DATA.start + 0x8000]), Err(Errno::EAGAIN));
}

#[test]
fn the_status_of_the_program_is_the_first_threads() {
    let mut bench = Bench::new();
    let (pid, other) = (bench.pid(), bench.spawn());
    assert_eq!(bench.start(pid, EXIT, &[0x107]), Entered::ThreadEnded);
    assert_eq!(bench.call_by(other, GETPID, &[]), Ok(id(pid)));
    assert_eq!(bench.call_by(other, KILL, &[id(pid), 0]), Ok(0));
    assert_eq!(bench.start(other, EXIT, &[3]), Entered::Ended(Ending::Exited(7)));
    assert_eq!(bench.start(other, EXIT_GROUP, &[256 + 9]), Entered::Ended(Ending::Exited(9)));
}

#[test]
fn yielding_succeeds() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    assert_eq!(bench.start(pid, SCHED_YIELD, &[]), Entered::Yielded);
    assert_eq!(bench.registers(pid).rax, 0);
}

#[test]
fn segment_bases_stay_in_user_space() {
    let mut bench = Bench::new();
    assert_eq!(bench.call(ARCH_PRCTL, &[id(ARCH_SET_FS), 0x7000]), Ok(0));
    assert_eq!(bench.call(ARCH_PRCTL, &[id(ARCH_GET_FS), SCRATCH]), Ok(0));
    assert_eq!(bench.read(SCRATCH), 0x7000);
    assert_eq!(bench.call(ARCH_PRCTL, &[id(ARCH_SET_FS), USER_END]), Err(Errno::EPERM));
    assert_eq!(bench.call(ARCH_PRCTL, &[0x3001, 0]), Err(Errno::EINVAL));
}

#[test]
fn names_limits_and_the_system() {
    let mut bench = Bench::new();
    bench.write(SCRATCH, &[u64::from_le_bytes(*b"abcdefgh"), u64::from_le_bytes(*b"ijklmnop")]);
    bench.call(PRCTL, &[id(PR_SET_NAME), SCRATCH]).unwrap();
    bench.call(PRCTL, &[id(PR_GET_NAME), SCRATCH + 32]).unwrap();
    assert_eq!(bench.read(SCRATCH + 40), u64::from_le_bytes(*b"ijklmno\0"));
    bench.write(SCRATCH, &[100, 200]);
    assert_eq!(bench.call(PRLIMIT64, &[0, 7, SCRATCH, SCRATCH + 16]), Ok(0));
    assert_eq!(bench.call(PRLIMIT64, &[0, 7, 0, SCRATCH + 16]), Ok(0));
    assert_eq!((bench.read(SCRATCH + 16), bench.read(SCRATCH + 24)), (100, 200));
    bench.write(SCRATCH, &[100, 201]);
    assert_eq!(bench.call(PRLIMIT64, &[0, 7, SCRATCH, 0]), Err(Errno::EPERM));
    bench.write(SCRATCH, &[101, 100]);
    assert_eq!(bench.call(PRLIMIT64, &[0, 7, SCRATCH, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(PRLIMIT64, &[4242, 7, 0, SCRATCH]), Err(Errno::ESRCH));
    assert_eq!(bench.call(UNAME, &[SCRATCH]), Ok(0));
    assert_eq!(bench.read(SCRATCH) & 0xff_ffff_ffff, 0x78_756e_694c); // "Linux"
    assert_eq!(bench.call(GETRANDOM, &[SCRATCH, 16, 8]), Err(Errno::EINVAL));
    assert_eq!(bench.call(GETRANDOM, &[SCRATCH, 16, 0]), Ok(16));
    assert_eq!(bench.call(GETRANDOM, &[DATA.end - 5, 16, 0]), Err(Errno::EFAULT));
}

fn handle(bench: &mut Bench, signal: u32) {
    bench.write(SCRATCH, &[HANDLER, SA_RESTORER | SA_SIGINFO, HANDLER, 0]);
    bench.call(RT_SIGACTION, &[signal.into(), SCRATCH, 0, 8]).unwrap();
}

#[test]
fn an_interval_timer_sends_its_signal() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    handle(&mut bench, SIGALRM);
    bench.write(SCRATCH, &[0, 0, 0, 1]);
    assert_eq!(bench.call(SETITIMER, &[3, SCRATCH, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(SETITIMER, &[0, SCRATCH, 0]), Ok(0));
    if let Some(deadline) = bench.kernel.process().timers.next_deadline() {
        bench.host.wait(Some(deadline));
        bench.kernel.processes.expire_timers(&bench.host, pid);
    }
    assert!(bench.kernel.process().signal_due(pid, None));
    assert_eq!(bench.kernel.process().timers.next_deadline(), None);
    assert_eq!(bench.deliver(pid), Delivery::Run);
    assert_eq!(bench.registers(pid).rdi, SIGALRM.into());
}

#[test]
fn a_posix_timer_counts_what_it_missed() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    handle(&mut bench, SIGUSR1);
    let event = u64::from(SIGUSR1) | id(SIGEV_SIGNAL) << 32;
    bench.write(SCRATCH, &[0xabcd, event, 0]);
    assert_eq!(bench.call(TIMER_CREATE, &[id(CLOCK_MONOTONIC), SCRATCH, SCRATCH + 64]), Ok(0));
    let timer = u64::from(bench.read_half(SCRATCH + 64));
    // 1 ns after, every ns.
    bench.write(SCRATCH, &[0, 1, 0, 1]);
    assert_eq!(bench.call(TIMER_SETTIME, &[timer, 0, SCRATCH, 0]), Ok(0));
    assert_eq!(bench.kernel.process().timers.next_deadline(), None); // until its signal is taken
    assert_eq!(bench.deliver(pid), Delivery::Run);
    let siginfo = bench.registers(pid).rsi;
    assert_eq!(
        bench.read_half(siginfo + 16),
        bench.kernel.process().timers.posix.keys().next().unwrap().cast_unsigned()
    );
    let overrun = bench.read_half(siginfo + 20);
    assert!(overrun > 0);
    assert_eq!(bench.read(siginfo + 24), 0xabcd);
    assert!(bench.kernel.process().timers.next_deadline().is_some());
    assert_eq!(bench.call(TIMER_GETOVERRUN, &[timer]), Ok(overrun.into()));
    assert_eq!(bench.call(TIMER_GETTIME, &[timer, SCRATCH]), Ok(0));
    assert_eq!(bench.read(SCRATCH + 8), 1);
    assert_eq!(bench.call(TIMER_DELETE, &[timer]), Ok(0));
    assert_eq!(bench.call(TIMER_DELETE, &[timer]), Err(Errno::EINVAL));
}

#[test]
fn a_timer_whose_signal_is_ignored_does_not_spin() {
    let mut bench = Bench::new();
    let event = u64::from(SIGUSR2) | id(SIGEV_SIGNAL) << 32;
    bench.write(SCRATCH, &[1, 0, 0, 0]);
    bench.call(RT_SIGACTION, &[SIGUSR2.into(), SCRATCH, 0, 8]).unwrap();
    bench.write(SCRATCH, &[0, event, 0]);
    bench.call(TIMER_CREATE, &[id(CLOCK_MONOTONIC), SCRATCH, SCRATCH + 64]).unwrap();
    bench.write(SCRATCH, &[0, 1, 0, 1]);
    let timer = u64::from(bench.read_half(SCRATCH + 64));
    let now = bench.host.monotonic();
    bench.call(TIMER_SETTIME, &[timer, 0, SCRATCH, 0]).unwrap();
    assert!(bench.kernel.process().timers.next_deadline().unwrap() >= now + 1_000_000);
}

#[test]
fn clocks_that_do_not_exist() {
    let mut bench = Bench::new();
    for clock in [10, 12, 99, 0x7fff_ffff] {
        assert_eq!(bench.call(CLOCK_GETTIME, &[clock, SCRATCH]), Err(Errno::EINVAL));
    }
    for clock in (0..=9).chain([11]) {
        assert_eq!(bench.call(CLOCK_GETTIME, &[clock, SCRATCH]), Ok(0), "clock {clock}");
    }
    let own_thread = u64::from((!bench.pid() << 3 | 6).cast_unsigned());
    assert_eq!(bench.call(CLOCK_GETTIME, &[own_thread, SCRATCH]), Ok(0));
    let other_process = u64::from((!4242 << 3 | 2_i32).cast_unsigned());
    assert_eq!(bench.call(CLOCK_GETTIME, &[other_process, SCRATCH]), Err(Errno::EINVAL));
}
