//! Which threads are asked after which call. No test waits for the round in which all are.

use warmfork_abi::numbers::{
    CLOSE, DUP, EPOLL_CREATE1, EPOLL_CTL, EPOLL_WAIT, EVENTFD2, FUTEX, NANOSLEEP, PIPE2, POLL, READ, SIGNALFD4,
    SOCKETPAIR, TGKILL, TIMERFD_CREATE, TIMERFD_SETTIME, WRITE,
};
use warmfork_abi::signals::{SIGUSR1, signal_bit};

use super::*;
use crate::dispatch::Entered;
use crate::ids::Pid;
use crate::task::State;
use crate::testing::{Bench, DATA, id};

const AT: u64 = DATA.start + 0x100;
const EVENTS: u64 = DATA.start + 0x1000;
const ADD: u64 = 1;

/// A machine, and the threads that wait in it, each for something else.
struct Crowd {
    bench: Bench,
    waiting: Vec<Tid>,
}

impl Crowd {
    /// Threads that wait for other things than those of the test: each test's thread is to be found among them.
    fn new() -> Self {
        let mut crowd = Self { bench: Bench::new(), waiting: Vec::new() };
        let (reader, _) = crowd.pipe();
        crowd.start(READ, &[reader, EVENTS, 1]);
        crowd.start(FUTEX, &[AT, 0, 0, 0]);
        let counter = crowd.call(EVENTFD2, &[0, 0]);
        let set = crowd.set_of(counter);
        crowd.start(EPOLL_WAIT, &[set, EVENTS, 1, u64::MAX]);
        crowd.bench.write(AT + 0x40, &[1000, 0]);
        crowd.start(NANOSLEEP, &[AT + 0x40, 0]);
        crowd
    }

    fn call(&mut self, number: u64, arguments: &[u64]) -> u64 {
        self.bench.call(number, arguments).unwrap()
    }

    fn pipe(&mut self) -> (u64, u64) {
        self.call(PIPE2, &[AT, 0]);
        let ends = self.bench.read(AT);
        (ends & 0xffff_ffff, ends >> 32)
    }

    /// An epoll set that watches `fd` for input.
    fn set_of(&mut self, fd: u64) -> u64 {
        let set = self.call(EPOLL_CREATE1, &[0]);
        self.bench.write(AT, &[1, 0]);
        self.call(EPOLL_CTL, &[set, ADD, fd, AT]);
        set
    }

    /// A thread that waits in a call.
    fn start(&mut self, number: u64, arguments: &[u64]) -> Tid {
        let tid = self.bench.spawn();
        assert_eq!(self.bench.start(tid, number, arguments), Entered::Blocked);
        self.waiting.push(tid);
        tid
    }

    /// A thread that polls `fd` for input.
    fn poll(&mut self, fd: u64) -> Tid {
        self.bench.write(AT, &[fd | 1 << 32]);
        self.start(POLL, &[AT, 1, u64::MAX])
    }

    /// Asks all, then has `change` happen; the threads that are to be asked now.
    fn due_after(&mut self, change: impl FnOnce(&mut Self)) -> Vec<Tid> {
        self.bench.kernel.wake_all(&mut self.bench.host);
        let blocked = |tid: &Tid| matches!(self.bench.kernel.process().tasks.get(*tid).state(), State::Blocked(_));
        assert!(self.waiting.iter().all(blocked), "none can go on yet");
        assert_eq!(self.due(), [] as [Tid; 0], "asking is no news");
        change(self);
        self.due()
    }

    /// The threads that would be asked, if it were not for the rounds in which all are.
    fn due(&mut self) -> Vec<Tid> {
        let mut due = Vec::new();
        self.bench.kernel.find_due(&mut self.bench.host, false, &mut due);
        due
    }
}

#[test]
fn the_reader_of_a_pipe_is_asked_after_a_write_and_after_the_end() {
    let mut crowd = Crowd::new();
    let (reader, writer) = crowd.pipe();
    let tid = crowd.start(READ, &[reader, EVENTS, 1]);
    let second = crowd.call(DUP, &[writer]);
    assert_eq!(crowd.due_after(|crowd| _ = crowd.call(CLOSE, &[second])), [] as [Tid; 0]);
    assert_eq!(crowd.due_after(|crowd| _ = crowd.call(CLOSE, &[writer])), [tid]);
    let (reader, writer) = crowd.pipe();
    crowd.bench.kernel.wake(&mut crowd.bench.host);
    crowd.waiting.retain(|one| *one != tid);
    let tid = crowd.start(READ, &[reader, EVENTS, 1]);
    assert_eq!(crowd.due_after(|crowd| _ = crowd.call(WRITE, &[writer, DATA.start, 1])), [tid]);
}

#[test]
fn the_writer_of_a_full_pipe_is_asked_after_a_read() {
    let mut crowd = Crowd::new();
    let (reader, writer) = crowd.pipe();
    assert_eq!(crowd.call(WRITE, &[writer, DATA.start, 0x1_0000]), 0x1_0000);
    let tid = crowd.start(WRITE, &[writer, DATA.start, 1]);
    assert_eq!(crowd.due_after(|crowd| _ = crowd.call(READ, &[reader, EVENTS, 0x1000])), [tid]);
}

#[test]
fn both_ends_of_a_socket_pair_belong_together() {
    let mut crowd = Crowd::new();
    crowd.call(SOCKETPAIR, &[1, 1, 0, AT]);
    let ends = crowd.bench.read(AT);
    let tid = crowd.poll(ends & 0xffff_ffff);
    assert_eq!(crowd.due_after(|crowd| _ = crowd.call(WRITE, &[ends >> 32, DATA.start, 1])), [tid]);
}

#[test]
fn counters_and_timers_are_asked_about_when_they_change() {
    let mut crowd = Crowd::new();
    let (counter, timer) = (crowd.call(EVENTFD2, &[0, 0]), crowd.call(TIMERFD_CREATE, &[1, 0]));
    let (counts, times) = (crowd.poll(counter), crowd.start(READ, &[timer, EVENTS, 8]));
    crowd.bench.write(AT, &[1]);
    assert_eq!(crowd.due_after(|crowd| _ = crowd.call(WRITE, &[counter, AT, 8])), [counts]);
    crowd.waiting.retain(|tid| *tid != counts);
    crowd.bench.write(AT, &[0, 0, 1000, 0]);
    assert_eq!(crowd.due_after(|crowd| _ = crowd.call(TIMERFD_SETTIME, &[timer, 0, AT, 0])), [times]);
    let at = crowd.bench.kernel.shared.timers.next().unwrap();
    let ended = |crowd: &mut Crowd| crowd.bench.kernel.settle_timerfds(&mut crowd.bench.host, at);
    assert_eq!(crowd.due_after(ended), [times]);
}

#[test]
fn who_waits_for_a_set_is_asked_after_its_members_and_the_set_change() {
    let mut crowd = Crowd::new();
    let (reader, writer) = crowd.pipe();
    let inner = crowd.set_of(reader);
    let outer = crowd.set_of(inner);
    let (one, other) = (crowd.start(EPOLL_WAIT, &[outer, EVENTS, 1, u64::MAX]), crowd.poll(inner));
    assert_eq!(crowd.due_after(|crowd| _ = crowd.call(WRITE, &[writer, DATA.start, 1])), [one, other]);
    crowd.call(READ, &[reader, EVENTS, 1]);
    let counter = crowd.call(EVENTFD2, &[1, 0]);
    crowd.bench.write(AT, &[1, 0]);
    let added = |crowd: &mut Crowd| _ = crowd.call(EPOLL_CTL, &[outer, ADD, counter, AT]);
    assert_eq!(crowd.due_after(added), [one]);
}

#[test]
fn who_waits_for_a_descriptor_is_asked_when_it_is_closed() {
    let mut crowd = Crowd::new();
    let counter = crowd.call(EVENTFD2, &[0, 0]);
    let tid = crowd.poll(counter);
    assert_eq!(crowd.due_after(|crowd| _ = crowd.call(CLOSE, &[counter])), [tid]);
}

#[test]
fn who_polls_for_signals_is_asked_when_one_comes() {
    let mut crowd = Crowd::new();
    let pid: Pid = crowd.bench.pid();
    for tid in crowd.waiting.clone() {
        crowd.bench.kernel.process_mut().tasks.get_mut(tid).signals.set_mask(u64::MAX);
    }
    crowd.bench.kernel.process_mut().tasks.get_mut(pid).signals.set_mask(u64::MAX);
    crowd.bench.write(AT, &[signal_bit(SIGUSR1)]);
    let signals = crowd.call(SIGNALFD4, &[u64::MAX, AT, 8, 0]);
    let tid = crowd.poll(signals);
    crowd.bench.kernel.process_mut().tasks.get_mut(tid).signals.set_mask(u64::MAX);
    let sent = |crowd: &mut Crowd| _ = crowd.call(TGKILL, &[id(pid), id(pid), u64::from(SIGUSR1)]);
    assert_eq!(crowd.due_after(sent), [tid]);
}

#[test]
fn one_that_begins_to_wait_is_asked_once() {
    let mut crowd = Crowd::new();
    let (reader, _) = crowd.pipe();
    let mut begun = 0;
    let due = crowd.due_after(|crowd| begun = crowd.start(READ, &[reader, EVENTS, 1]));
    assert_eq!((due, crowd.due()), (vec![begun], vec![]));
}

#[test]
fn nobody_is_asked_about_time_or_futexes() {
    let mut crowd = Crowd::new();
    let due = crowd.due_after(|crowd| {
        crowd.start(FUTEX, &[AT + 0x20, 0, 0, 0]);
        crowd.start(NANOSLEEP, &[AT + 0x40, 0]);
    });
    assert_eq!(due, [] as [Tid; 0]);
}
