//! Several processes over one fake memory: the parts that the kernel alone decides.

use warmfork_abi::process::{P_ALL, P_PID, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WUNTRACED};
use warmfork_abi::signals::{
    CLD_EXITED, SA_NOCLDWAIT, SIG_IGN, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1, signal_bit,
};
use warmfork_abi::threads::CLONE_VM;
use warmfork_abi::{Errno, numbers::*};

use super::Executed;
use crate::dispatch::Entered;
use crate::ids::Pid;
use crate::process::Ending;
use crate::schedule::Turn;
use crate::signal::{Delivery, SignalInfo, Target};
use crate::task::State;
use crate::testing::{Bench, CODE, DATA, STACK, id, vector_state};

const SCRATCH: u64 = DATA.start;

/// Forks the current process, as the engine does, and stays in the parent.
fn fork(bench: &mut Bench) -> Pid {
    let pid = bench.pid();
    let Entered::Forked(forked) = bench.start(pid, FORK, &[]) else { panic!("no fork") };
    forked.pid
}

fn run(bench: &mut Bench, pid: Pid) {
    bench.kernel.run_process(&mut bench.host, pid);
    assert_eq!(bench.pid(), pid);
}

fn exit(bench: &mut Bench, pid: Pid, status: u64) {
    run(bench, pid);
    assert_eq!(bench.start(pid, EXIT_GROUP, &[status]), Entered::ProcessEnded);
}

fn act(bench: &mut Bench, signal: u32, handler: u64, flags: u64) {
    bench.write(SCRATCH, &[handler, flags, 0, 0]);
    bench.call(RT_SIGACTION, &[signal.into(), SCRATCH, 0, 8]).unwrap();
}

#[test]
fn a_child_takes_over_what_fork_says() {
    let mut bench = Bench::new();
    let parent = bench.pid();
    act(&mut bench, SIGUSR1, 0x1234, 0);
    bench.call(PIPE, &[SCRATCH]).unwrap();
    bench.kernel.processes.send_signal(parent, Target::Process, SignalInfo::sent(SIGUSR1, 0, 1, 0)).unwrap();
    let child = fork(&mut bench);
    assert_ne!(child, parent);
    let (files, descriptors) = (bench.kernel.files.clone(), bench.kernel.process().descriptors.clone());
    run(&mut bench, child);
    assert_eq!(bench.registers(child).rax, 0);
    assert_eq!(bench.call(GETPID, &[]), Ok(id(child)));
    assert_eq!(bench.call(GETPPID, &[]), Ok(id(parent)));
    assert_eq!((&bench.kernel.files, &bench.kernel.process().descriptors), (&files, &descriptors));
    assert_eq!(bench.kernel.process().signals.action(SIGUSR1).handler, 0x1234);
    assert_eq!(bench.kernel.process().pending_signals(child), 0);
    // Closing here leaves the parent's descriptor open.
    bench.call(CLOSE, &[0]).unwrap();
    run(&mut bench, parent);
    assert_eq!(bench.call(FCNTL, &[0, 1]), Ok(0));
    assert_ne!(bench.kernel.process().pending_signals(parent), 0);
}

#[test]
fn a_child_that_has_ended_is_waited_for_once() {
    let mut bench = Bench::new();
    let parent = bench.pid();
    assert_eq!(bench.call(WAIT4, &[u64::MAX, 0, 0, 0]), Err(Errno::ECHILD));
    let child = fork(&mut bench);
    assert_eq!(bench.call(WAIT4, &[u64::MAX, SCRATCH, WNOHANG.into(), 0]), Ok(0));
    assert_eq!(bench.start(parent, WAIT4, &[id(child), SCRATCH, 0, SCRATCH + 64]), Entered::Blocked);
    exit(&mut bench, child, 0x107);
    assert_eq!(bench.pid(), parent);
    assert_eq!(bench.enter(parent), Entered::Continue);
    assert_eq!(bench.registers(parent).rax, id(child));
    assert_eq!(bench.read_half(SCRATCH), 7 << 8);
    assert_eq!(bench.call(WAIT4, &[u64::MAX, 0, 0, 0]), Err(Errno::ECHILD));
    assert_eq!(bench.call(KILL, &[id(child), 0]), Err(Errno::ESRCH));
    assert!(bench.kernel.processes.len() == 1 && bench.kernel.processes.spaces().count() == 1);
}

#[test]
fn waitid_leaves_or_takes() {
    let mut bench = Bench::new();
    let child = fork(&mut bench);
    exit(&mut bench, child, 3);
    for options in [WEXITED | WNOWAIT, WEXITED] {
        bench.write(SCRATCH, &[u64::MAX; 4]);
        let arguments = [id(P_PID), id(child), SCRATCH, options.into(), 0];
        assert_eq!(bench.call(WAITID, &arguments), Ok(0));
        assert_eq!(bench.read_half(SCRATCH), SIGCHLD);
        assert_eq!(bench.read_half(SCRATCH + 8), CLD_EXITED.cast_unsigned());
        assert_eq!((bench.read_half(SCRATCH + 16), bench.read_half(SCRATCH + 24)), (child.cast_unsigned(), 3));
    }
    assert_eq!(bench.call(WAITID, &[id(P_ALL), 0, SCRATCH, WEXITED.into(), 0]), Err(Errno::ECHILD));
    assert_eq!(bench.call(WAITID, &[id(P_ALL), 0, SCRATCH, WNOHANG.into(), 0]), Err(Errno::EINVAL));
}

#[test]
fn the_parent_is_told_unless_it_does_not_care() {
    let mut bench = Bench::new();
    let parent = bench.pid();
    act(&mut bench, SIGCHLD, 0x5000, 0);
    let child = fork(&mut bench);
    exit(&mut bench, child, 0);
    assert_eq!(bench.kernel.process().pending_signals(parent), signal_bit(SIGCHLD));
    bench.kernel.process_mut().take_signal(parent, signal_bit(SIGCHLD), &bench.host).unwrap();
    act(&mut bench, SIGCHLD, 0x5000, SA_NOCLDWAIT);
    let child = fork(&mut bench);
    exit(&mut bench, child, 0);
    assert_eq!(
        bench.kernel.process_mut().take_signal(parent, signal_bit(SIGCHLD), &bench.host).unwrap().fields[0] & 0xffff,
        id(child)
    );
    assert_eq!(bench.kernel.processes.zombies().count(), 1, "the first one only");
    act(&mut bench, SIGCHLD, SIG_IGN, 0);
    let child = fork(&mut bench);
    assert_eq!(bench.start(parent, WAIT4, &[id(child), 0, 0, 0]), Entered::Blocked);
    exit(&mut bench, child, 0);
    assert_eq!(bench.enter(parent), Entered::Continue);
    assert_eq!(bench.registers(parent).rax, Errno::ECHILD.as_result());
    assert_eq!(bench.kernel.process().pending_signals(parent), 0);
}

#[test]
fn orphans_go_to_init_or_to_who_asked_for_them() {
    let mut bench = Bench::new();
    let first = bench.pid();
    let middle = fork(&mut bench);
    run(&mut bench, middle);
    let orphan = fork(&mut bench);
    exit(&mut bench, middle, 0);
    assert_eq!(bench.kernel.processes.find(orphan).unwrap().parent, 1);
    exit(&mut bench, orphan, 0);
    assert!(bench.kernel.processes.zombie(orphan).is_none() && bench.kernel.processes.zombie(middle).is_some());
    bench.kernel.process_mut().attributes.subreaper = true;
    let middle = fork(&mut bench);
    run(&mut bench, middle);
    let orphan = fork(&mut bench);
    exit(&mut bench, middle, 0);
    assert_eq!(bench.kernel.processes.find(orphan).unwrap().parent, first);
}

#[test]
fn signals_reach_other_processes_and_groups() {
    let mut bench = Bench::new();
    let first = bench.pid();
    let (one, other) = (fork(&mut bench), fork(&mut bench));
    assert_eq!(bench.call(SETPGID, &[id(other), id(other)]), Ok(0));
    assert_eq!(bench.call(GETPGID, &[id(other)]), Ok(id(other)));
    bench.call(KILL, &[id(-other), SIGTERM.into()]).unwrap();
    for (pid, reached) in [(first, false), (one, false), (other, true)] {
        run(&mut bench, pid);
        assert_eq!(bench.kernel.process().signal_due(pid, None), reached, "process {pid}");
    }
    run(&mut bench, other);
    assert_eq!(bench.deliver(other), Delivery::End(Ending::Signaled(SIGTERM)));
    let (guest, host) = (&mut bench.guest, &mut bench.host);
    let memory = crate::call::Guest::memory(guest);
    assert_eq!(bench.kernel.end_process(host, memory, Ending::Signaled(SIGTERM)), Entered::ProcessEnded);
    assert_eq!(bench.call(WAIT4, &[id(-other), SCRATCH, 0, 0]), Ok(id(other)));
    assert_eq!(bench.read_half(SCRATCH), SIGTERM);
}

#[test]
fn a_stopped_process_does_not_run_until_it_is_continued() {
    let mut bench = Bench::new();
    let parent = bench.pid();
    let child = fork(&mut bench);
    bench.call(KILL, &[id(child), SIGSTOP.into()]).unwrap();
    run(&mut bench, child);
    assert_eq!(bench.deliver(child), Delivery::Run);
    assert!(bench.kernel.process().tasks.stopped && !bench.kernel.process().tasks.runnable(child));
    run(&mut bench, parent);
    assert_eq!(bench.call(WAIT4, &[u64::MAX, SCRATCH, (WNOHANG | WUNTRACED).into(), 0]), Ok(id(child)));
    assert_eq!(bench.read_half(SCRATCH), SIGSTOP << 8 | 0x7f);
    assert_eq!(bench.call(WAIT4, &[u64::MAX, SCRATCH, (WNOHANG | WUNTRACED).into(), 0]), Ok(0));
    bench.call(KILL, &[id(child), SIGCONT.into()]).unwrap();
    assert_eq!(bench.call(WAIT4, &[u64::MAX, SCRATCH, (WNOHANG | WCONTINUED).into(), 0]), Ok(id(child)));
    assert_eq!(bench.read_half(SCRATCH), 0xffff);
    bench.call(KILL, &[id(child), SIGSTOP.into()]).unwrap();
    run(&mut bench, child);
    bench.deliver(child);
    run(&mut bench, parent);
    bench.call(KILL, &[id(child), SIGKILL.into()]).unwrap();
    run(&mut bench, child);
    assert_eq!(bench.deliver(child), Delivery::End(Ending::Signaled(SIGKILL)));
}

#[test]
fn vfork_lends_its_memory() {
    let mut bench = Bench::new();
    let parent = bench.pid();
    assert_eq!(bench.start(parent, VFORK, &[]), Entered::Blocked);
    let child = bench.kernel.processes.pids()[1];
    assert_eq!(bench.kernel.processes.find(child).unwrap().space, bench.kernel.process().space);
    run(&mut bench, child);
    // Its parent has its mappings.
    let mapped = bench.call(MMAP, &[0, 4096, 3, 0x22, u64::MAX, 0]).unwrap();
    run(&mut bench, parent);
    assert!(bench.kernel.space().areas().find(mapped).is_some());
    assert!(matches!(bench.kernel.process().tasks.get(parent).state(), State::Blocked(_)));
    run(&mut bench, child);
    let program = executed(&bench);
    let memory = crate::call::Guest::memory(&mut bench.guest);
    bench.kernel.execute(&mut bench.host, memory, child, program);
    assert!(bench.kernel.space().areas().is_empty());
    run(&mut bench, parent);
    assert!(!bench.kernel.space().areas().is_empty());
    assert_eq!(bench.enter(parent), Entered::Continue);
    assert_eq!(bench.registers(parent).rax, id(child));
    assert_eq!(bench.call(CLONE, &[CLONE_VM | u64::from(SIGCHLD), 0]), Err(Errno::EINVAL));
}

fn executed(bench: &Bench) -> Executed {
    let space =
        warmfork_memory::AddressSpace::new(bench.kernel.space().layout().clone(), bench.kernel.space().limits());
    Executed {
        space,
        registers: warmfork_abi::Registers::at_entry(CODE, STACK),
        executable: b"/bin/other".to_vec(),
        name: b"other".to_vec(),
        arguments: vec![b"other".to_vec()],
        environment: Vec::new(),
        auxiliary_vector: Vec::new(),
    }
}

#[test]
fn a_new_program_keeps_what_execve_says() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    let other = bench.spawn();
    bench.kernel.process_mut().tasks.get_mut(other).fpu = Some(vector_state());
    act(&mut bench, SIGUSR1, 0x1234, 0);
    act(&mut bench, SIGTERM, SIG_IGN, 0);
    bench.call(PIPE2, &[SCRATCH, 0o2_000_000]).unwrap();
    bench.call(DUP, &[0]).unwrap();
    bench.kernel.process_mut().tasks.get_mut(other).signals.mask = 5;
    let program = executed(&bench);
    let memory = crate::call::Guest::memory(&mut bench.guest);
    let before = bench.kernel.process().space;
    let space = bench.kernel.execute(&mut bench.host, memory, other, program);
    assert_ne!(space, before);
    assert_eq!(bench.kernel.process().tasks.iter().map(|task| task.tid).collect::<Vec<_>>(), [pid]);
    assert_eq!(bench.kernel.process().tasks.get(pid).signals.mask, 5);
    assert_eq!(bench.kernel.process().signals.action(SIGUSR1).handler, 0);
    assert_eq!(bench.kernel.process().signals.action(SIGTERM).handler, SIG_IGN);
    assert_eq!(bench.kernel.process().descriptors.iter().map(|(fd, _)| fd).collect::<Vec<_>>(), [2]);
    assert_eq!(bench.kernel.process().executable, b"/bin/other");
}

#[test]
fn there_are_only_so_many_processes() {
    let mut bench = Bench::new();
    let pid = bench.pid();
    bench.kernel.processes.max_processes = 3;
    let child = fork(&mut bench);
    fork(&mut bench);
    let before = bench.kernel.files.clone();
    assert_eq!(bench.start(pid, FORK, &[]), Entered::Continue);
    assert_eq!(bench.registers(pid).rax, Errno::EAGAIN.as_result());
    assert_eq!(bench.kernel.files, before);
    // A zombie counts until it is waited for.
    exit(&mut bench, child, 0);
    assert_eq!(bench.start(pid, FORK, &[]), Entered::Continue);
    bench.call(WAIT4, &[id(child), 0, 0, 0]).unwrap();
    fork(&mut bench);
}

#[test]
fn a_fork_without_memory_is_undone() {
    let mut bench = Bench::new();
    bench.call(PIPE, &[SCRATCH]).unwrap();
    let (files, spaces) = (bench.kernel.files.clone(), bench.kernel.processes.spaces().count());
    let child = fork(&mut bench);
    bench.kernel.undo_fork(&mut bench.host, child, None);
    assert_eq!(bench.kernel.files, files);
    assert_eq!(bench.kernel.processes.spaces().count(), spaces);
    assert!(bench.kernel.processes.len() == 1);
}

#[test]
fn threads_of_all_processes_have_their_turn() {
    let mut bench = Bench::new();
    let first = bench.pid();
    let thread = bench.spawn();
    let child = fork(&mut bench);
    assert_eq!(bench.kernel.next_thread(Turn::Lasts), Some((first, first)));
    assert_eq!(bench.kernel.next_thread(Turn::Over), Some((first, thread)));
    bench.kernel.process_mut().tasks.current = thread;
    assert_eq!(bench.kernel.next_thread(Turn::Over), Some((child, child)));
    run(&mut bench, child);
    assert_eq!(bench.kernel.next_thread(Turn::Over), Some((first, first)));
}

#[test]
fn a_table_is_what_it_is_assigned_whoever_has_come_and_gone() {
    let mut bench = Bench::new();
    let first = bench.pid();
    let (one, other) = (fork(&mut bench), fork(&mut bench));
    bench.kernel.processes.spaces_mut().for_each(warmfork_memory::AddressSpace::mark);
    let before = bench.kernel.processes.clone();
    bench.call(MMAP, &[0, 4096, 3, 0x22, u64::MAX, 0]).unwrap();
    fork(&mut bench);
    exit(&mut bench, one, 0);
    run(&mut bench, other);
    bench.kernel.process_mut().limits[0].soft = 7;
    bench.call(PIPE, &[SCRATCH]).unwrap();
    assert_eq!(bench.kernel.processes.pids(), [first, other, other + 1]);
    assert_ne!(bench.kernel.processes, before);
    bench.kernel.processes.assign(&before);
    assert_eq!(bench.kernel.processes, before);
    assert_eq!((bench.pid(), bench.kernel.processes.pids()), (first, vec![first, one, other]));
}

#[test]
fn the_current_process_stays_so_when_others_come_and_go() {
    let mut bench = Bench::new();
    let first = bench.pid();
    let (one, other) = (fork(&mut bench), fork(&mut bench));
    exit(&mut bench, one, 0);
    run(&mut bench, other);
    bench.kernel.processes.next_id = one;
    assert_eq!(bench.kernel.processes.zombie(one).map(|zombie| zombie.parent), Some(first));
    bench.kernel.processes.zombies.clear();
    assert_eq!(fork(&mut bench), one, "before the current one in the table");
    assert_eq!(bench.pid(), other);
    bench.kernel.undo_fork(&mut bench.host, one, None);
    assert_eq!((bench.pid(), bench.kernel.processes.pids()), (other, vec![first, other]));
}

#[test]
fn proc_shows_each_process_its_own() {
    let mut bench = Bench::new();
    let child = fork(&mut bench);
    bench.call(PIPE, &[SCRATCH]).unwrap();
    bench.kernel.processes.find_mut(child).unwrap().executable = b"/bin/child".to_vec();
    let list = |bench: &Bench, path: String| crate::proc::list(&bench.kernel, path.as_bytes()).len();
    assert_eq!(list(&bench, format!("/proc/{child}/fd")), 0);
    assert_eq!(list(&bench, format!("/proc/{}/fd", bench.pid())), 2);
    let link = |path: String| match crate::proc::find(&bench.kernel, path.as_bytes()) {
        Some(crate::proc::Node::Link(target)) => target,
        found => panic!("{found:?}"),
    };
    assert_eq!(link(format!("/proc/{child}/exe")), b"/bin/child");
    assert_eq!(link(format!("/proc/{}/exe", bench.pid())), b"/program");
    assert!(crate::proc::find(&bench.kernel, format!("/proc/{child}/task/{}", bench.pid()).as_bytes()).is_none());
}
