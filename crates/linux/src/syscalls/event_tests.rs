//! Pipes, counters, timers, epoll, poll and select from the system calls' side.

use warmfork_abi::Errno;
use warmfork_abi::epoll::{
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, TFD_TIMER_ABSTIME,
};
use warmfork_abi::numbers::{
    EPOLL_CREATE, EPOLL_CREATE1, EPOLL_CTL, EPOLL_PWAIT, EPOLL_WAIT, EVENTFD2, PIPE2, POLL, PPOLL, PSELECT6,
    RT_SIGPROCMASK, SELECT, SIGNALFD4, TGKILL, TIMERFD_CREATE, TIMERFD_GETTIME, TIMERFD_SETTIME,
};
use warmfork_abi::signals::{SIG_BLOCK, SIGUSR1, signal_bit};
use warmfork_abi::time::CLOCK_MONOTONIC;

use crate::dispatch::Entered;
use crate::host::Woken;
use crate::ids::Tid;
use crate::readiness::signalfd;
use crate::task::State;
use crate::testing::{Bench, DATA, id, result};

const AT: u64 = DATA.start;
const SETS: u64 = DATA.start + 0x100;
const EVENTS: u64 = DATA.start + 0x200;
const BAD: u64 = 0x1000;
const FOREVER: u64 = u64::MAX;

const IN: u32 = 1;
const OUT: u32 = 4;
const ERR: u32 = 8;
const HUP: u32 = 16;
const NVAL: u32 = 32;

impl Bench {
    fn pipe(&mut self) -> (u64, u64) {
        assert_eq!(self.call(PIPE2, &[AT, 0]), Ok(0));
        (self.read_half(AT).into(), self.read_half(AT + 4).into())
    }

    fn counter(&mut self) -> u64 {
        self.call(EVENTFD2, &[0, 0]).unwrap()
    }

    fn write_to(&mut self, fd: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let id = self.kernel.process().descriptors.lookup(i32::try_from(fd).unwrap())?;
        self.kernel.with_object(&mut self.host, id, |object, context| object.write(context, bytes, None))
    }

    fn read_from(&mut self, fd: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let id = self.kernel.process().descriptors.lookup(i32::try_from(fd).unwrap())?;
        self.kernel.with_object(&mut self.host, id, |object, context| object.read(context, bytes, None))
    }

    fn signal(&mut self, fd: u64) {
        assert_eq!(self.write_to(fd, &1_u64.to_le_bytes()), Ok(8));
    }

    fn close(&mut self, fd: u64) {
        self.kernel.close(&mut self.host, i32::try_from(fd).unwrap()).unwrap();
    }

    /// poll of one descriptor: its result, and revents.
    fn poll_one(&mut self, fd: u64, events: u32) -> (u64, u32) {
        self.write(AT, &[fd | u64::from(events) << 32]);
        let count = self.call(POLL, &[AT, 1, 0]).unwrap();
        (count, self.read_half(AT + 4) >> 16)
    }

    fn epoll(&mut self) -> u64 {
        self.call(EPOLL_CREATE1, &[0]).unwrap()
    }

    fn control(&mut self, set: u64, operation: u32, fd: u64, events: u32) -> Result<u64, Errno> {
        self.write_half(AT, events);
        self.write_half(AT + 4, u32::try_from(fd).unwrap());
        self.write_half(AT + 8, 7);
        self.call(EPOLL_CTL, &[set, operation.into(), fd, AT])
    }

    fn add(&mut self, set: u64, fd: u64, events: u32) {
        assert_eq!(self.control(set, EPOLL_CTL_ADD, fd, events), Ok(0));
    }

    /// Events of the set that are there now, as (events, descriptor).
    fn ready(&mut self, set: u64, most: u64) -> Vec<(u32, u32)> {
        let count = self.call(EPOLL_WAIT, &[set, EVENTS, most, 0]).unwrap();
        (0..count).map(|index| EVENTS + index * 12).map(|at| (self.read_half(at), self.read_half(at + 4))).collect()
    }

    fn blocked(&self, tid: Tid) -> bool {
        matches!(self.kernel.process().tasks.get(tid).state(), State::Blocked(_))
    }

    /// Wakes whoever can go on, and lets `tid` do so.
    fn resume(&mut self, tid: Tid) -> Result<u64, Errno> {
        self.kernel.wake(&mut self.host);
        assert!(!self.blocked(tid));
        assert_eq!(self.enter(tid), Entered::Continue);
        result(self.registers(tid).rax)
    }
}

#[test]
fn pipes_open_two_descriptors_or_none() {
    let mut bench = Bench::new();
    assert_eq!(bench.call(PIPE2, &[AT, 1]), Err(Errno::EINVAL));
    assert_eq!(bench.call(PIPE2, &[BAD, 0]), Err(Errno::EFAULT));
    let before = bench.kernel.clone();
    bench.kernel.process_mut().limits[crate::process::RLIMIT_NOFILE].soft = 1;
    assert_eq!(bench.call(PIPE2, &[AT, 0]), Err(Errno::EMFILE));
    assert_eq!(bench.kernel.process().descriptors.iter().count(), 0);
    assert_eq!(bench.kernel.files.descriptions().count(), 0);
    assert_eq!(before.process().descriptors.iter().count(), 0);
    bench.kernel.process_mut().limits = before.process().limits;
    assert_eq!(bench.pipe(), (0, 1));
}

#[test]
fn a_pipe_polls_as_its_ends_are() {
    let mut bench = Bench::new();
    let (reader, writer) = bench.pipe();
    assert_eq!(bench.poll_one(reader, IN), (0, 0));
    assert_eq!(bench.poll_one(writer, OUT), (1, OUT));
    bench.write_to(writer, b"x").unwrap();
    assert_eq!(bench.poll_one(reader, IN), (1, IN));
    bench.close(writer);
    assert_eq!(bench.poll_one(reader, IN), (1, IN | HUP));
    assert_eq!(bench.poll_one(reader, 0), (1, HUP));
    assert_eq!(bench.poll_one(writer, OUT), (1, NVAL));
    let (reader, writer) = bench.pipe();
    bench.close(reader);
    assert_eq!(bench.poll_one(writer, OUT), (1, OUT | ERR));
}

#[test]
fn poll_checks_what_it_is_given() {
    let mut bench = Bench::new();
    assert_eq!(bench.call(POLL, &[BAD, 1, 0]), Err(Errno::EFAULT));
    assert_eq!(bench.call(POLL, &[AT, 1 << 30, 0]), Err(Errno::EINVAL));
    bench.write(AT, &[u64::from(u32::MAX) | 1 << 32]);
    assert_eq!(bench.call(POLL, &[AT, 1, 0]), Ok(0));
    bench.write(SETS, &[0, 1_000_000_000]);
    assert_eq!(bench.call(PPOLL, &[AT, 0, SETS, 0, 0]), Err(Errno::EINVAL));
    bench.write(SETS, &[0, 0]);
    assert_eq!(bench.call(PPOLL, &[AT, 0, SETS, SETS, 4]), Err(Errno::EINVAL));
}

#[test]
fn a_blocked_poll_ends_with_its_event() {
    let mut bench = Bench::new();
    let (reader, writer) = bench.pipe();
    let waiter = bench.spawn();
    bench.write(SETS, &[reader | 1 << 32]);
    assert_eq!(bench.start(waiter, POLL, &[SETS, 1, FOREVER]), Entered::Blocked);
    bench.kernel.wake(&mut bench.host);
    assert!(bench.blocked(waiter));
    bench.write_to(writer, b"x").unwrap();
    assert_eq!(bench.resume(waiter), Ok(1));
    assert_eq!(bench.read_half(SETS + 4) >> 16, IN);
}

#[test]
fn a_blocked_poll_ends_with_its_time() {
    let mut bench = Bench::new();
    let waiter = bench.spawn();
    assert_eq!(bench.start(waiter, POLL, &[SETS, 0, 1]), Entered::Blocked);
    let deadline = bench.kernel.next_deadline();
    assert!(deadline.is_some());
    assert_eq!(bench.host.wait(deadline), Woken::Events);
    assert_eq!(bench.resume(waiter), Ok(0));
}

#[test]
fn a_mask_lets_a_signal_end_the_wait() {
    let mut bench = Bench::new();
    let tid = bench.pid();
    bench.write(AT, &[signal_bit(SIGUSR1)]);
    bench.call(RT_SIGPROCMASK, &[SIG_BLOCK.unsigned_abs().into(), AT, 0, 8]).unwrap();
    bench.call(TGKILL, &[id(tid), id(tid), SIGUSR1.into()]).unwrap();
    bench.write(SETS, &[0, 0]);
    assert_eq!(bench.call(PPOLL, &[AT, 0, 0, SETS, 8]), Err(Errno::EINTR));
    assert_eq!(bench.start(tid, PPOLL, &[AT, 0, 0, 0, 0]), Entered::Blocked);
}

#[test]
fn select_reports_each_set() {
    let mut bench = Bench::new();
    let (reader, writer) = bench.pipe();
    let both = 1 << reader | 1 << writer;
    bench.write(SETS, &[1 << reader, both, both]);
    bench.write_to(writer, b"x").unwrap();
    bench.write(SETS + 64, &[0, 0]);
    assert_eq!(bench.call(SELECT, &[64, SETS, SETS + 8, SETS + 16, SETS + 64]), Ok(2));
    assert_eq!([bench.read(SETS), bench.read(SETS + 8), bench.read(SETS + 16)], [1 << reader, 1 << writer, 0]);
    bench.write(SETS, &[1 << 9]);
    assert_eq!(bench.call(SELECT, &[10, SETS, 0, 0, SETS + 64]), Err(Errno::EBADF));
    assert_eq!(bench.call(SELECT, &[9, SETS, 0, 0, SETS + 64]), Ok(0));
    assert_eq!(bench.call(SELECT, &[u64::MAX, SETS, 0, 0, SETS + 64]), Err(Errno::EINVAL));
}

#[test]
fn select_waits_for_its_own_events_only() {
    let mut bench = Bench::new();
    let (reader, writer) = bench.pipe();
    bench.close(writer);
    let waiter = bench.spawn();
    bench.write(SETS, &[1 << reader]);
    assert_eq!(bench.start(waiter, SELECT, &[10, 0, 0, SETS, 0]), Entered::Blocked);
    bench.kernel.wake(&mut bench.host);
    assert!(bench.blocked(waiter), "a hang-up is no exception to select");
}

#[test]
fn select_tells_what_is_left_of_its_time() {
    let mut bench = Bench::new();
    let (reader, writer) = bench.pipe();
    let waiter = bench.spawn();
    bench.write(SETS, &[1 << reader]);
    bench.write(SETS + 64, &[100, 0]);
    assert_eq!(bench.start(waiter, SELECT, &[10, SETS, 0, 0, SETS + 64]), Entered::Blocked);
    bench.write_to(writer, b"x").unwrap();
    assert_eq!(bench.resume(waiter), Ok(1));
    assert_eq!(bench.read(SETS + 64), 99);
    bench.write(SETS + 64, &[5, 0]);
    bench.write(SETS + 80, &[0, 0]);
    assert_eq!(bench.call(PSELECT6, &[10, SETS, 0, 0, SETS + 64, SETS + 80]), Ok(1));
    assert_eq!(bench.read(SETS + 64), 4);
}

#[test]
fn epoll_reports_levels_until_they_are_gone() {
    let mut bench = Bench::new();
    let (set, counter) = (bench.epoll(), bench.counter());
    bench.add(set, counter, IN);
    assert_eq!(bench.ready(set, 8), []);
    bench.signal(counter);
    let fd = u32::try_from(counter).unwrap();
    assert_eq!(bench.ready(set, 8), [(IN, fd)]);
    assert_eq!(bench.ready(set, 8), [(IN, fd)]);
    bench.read_from(counter, &mut [0; 8]).unwrap();
    assert_eq!(bench.ready(set, 8), []);
}

#[test]
fn epoll_reports_edges_once() {
    let mut bench = Bench::new();
    let (set, counter) = (bench.epoll(), bench.counter());
    let fd = u32::try_from(counter).unwrap();
    bench.signal(counter);
    bench.add(set, counter, IN | EPOLLET);
    assert_eq!(bench.ready(set, 8), [(IN, fd)]);
    assert_eq!(bench.ready(set, 8), []);
    bench.signal(counter);
    assert_eq!(bench.ready(set, 8), [(IN, fd)]);
    bench.read_from(counter, &mut [0; 8]).unwrap();
    assert_eq!(bench.ready(set, 8), []);
    bench.signal(counter);
    assert_eq!(bench.ready(set, 8), [(IN, fd)]);
    assert_eq!(bench.control(set, EPOLL_CTL_MOD, counter, IN | EPOLLET), Ok(0));
    assert_eq!(bench.ready(set, 8), [(IN, fd)]);
}

#[test]
fn one_shot_members_rest_until_they_are_armed_again() {
    let mut bench = Bench::new();
    let (set, counter) = (bench.epoll(), bench.counter());
    let fd = u32::try_from(counter).unwrap();
    bench.add(set, counter, IN | EPOLLONESHOT);
    bench.signal(counter);
    assert_eq!(bench.ready(set, 8), [(IN, fd)]);
    assert_eq!(bench.ready(set, 8), []);
    assert_eq!(bench.control(set, EPOLL_CTL_MOD, counter, IN | EPOLLONESHOT), Ok(0));
    assert_eq!(bench.ready(set, 8), [(IN, fd)]);
}

#[test]
fn epoll_ctl_refuses_as_linux_does() {
    let mut bench = Bench::new();
    let (set, counter) = (bench.epoll(), bench.counter());
    assert_eq!(bench.call(EPOLL_CREATE, &[0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(EPOLL_CREATE1, &[1]), Err(Errno::EINVAL));
    assert_eq!(bench.control(set, EPOLL_CTL_MOD, counter, IN), Err(Errno::ENOENT));
    assert_eq!(bench.control(set, EPOLL_CTL_DEL, counter, IN), Err(Errno::ENOENT));
    bench.add(set, counter, IN);
    assert_eq!(bench.control(set, EPOLL_CTL_ADD, counter, IN), Err(Errno::EEXIST));
    assert_eq!(bench.control(set, EPOLL_CTL_ADD, set, IN), Err(Errno::EINVAL));
    assert_eq!(bench.control(counter, EPOLL_CTL_ADD, set, IN), Err(Errno::EINVAL));
    assert_eq!(bench.control(set, 9, counter, IN), Err(Errno::EINVAL));
    assert_eq!(bench.control(set, EPOLL_CTL_ADD, 77, IN), Err(Errno::EBADF));
    assert_eq!(bench.call(EPOLL_CTL, &[set, EPOLL_CTL_MOD.into(), counter, BAD]), Err(Errno::EFAULT));
    assert_eq!(bench.control(set, EPOLL_CTL_MOD, counter, IN | EPOLLEXCLUSIVE), Err(Errno::EINVAL));
    assert_eq!(bench.call(EPOLL_CTL, &[set, EPOLL_CTL_DEL.into(), counter, 0]), Ok(0));
    assert_eq!(bench.control(set, EPOLL_CTL_ADD, counter, IN | EPOLLEXCLUSIVE | EPOLLONESHOT), Err(Errno::EINVAL));
    bench.add(set, counter, IN | EPOLLEXCLUSIVE);
    assert_eq!(bench.control(set, EPOLL_CTL_MOD, counter, IN), Err(Errno::EINVAL));
}

#[test]
fn epoll_wait_checks_its_arguments() {
    let mut bench = Bench::new();
    let (set, counter) = (bench.epoll(), bench.counter());
    assert_eq!(bench.call(EPOLL_WAIT, &[set, EVENTS, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(EPOLL_WAIT, &[set, EVENTS, u64::MAX, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(EPOLL_WAIT, &[counter, EVENTS, 1, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(EPOLL_WAIT, &[99, EVENTS, 1, 0]), Err(Errno::EBADF));
    assert_eq!(bench.call(EPOLL_PWAIT, &[set, EVENTS, 1, 0, EVENTS, 4]), Err(Errno::EINVAL));
    bench.signal(counter);
    bench.add(set, counter, IN);
    assert_eq!(bench.call(EPOLL_WAIT, &[set, BAD, 1, 0]), Err(Errno::EFAULT));
}

#[test]
fn sets_in_sets_report_and_are_bounded() {
    let mut bench = Bench::new();
    let counter = bench.counter();
    let sets: Vec<u64> = (0..6).map(|_| bench.epoll()).collect();
    bench.add(sets[0], counter, IN);
    for pair in sets[..5].windows(2) {
        bench.add(pair[1], pair[0], IN);
    }
    assert_eq!(bench.control(sets[5], EPOLL_CTL_ADD, sets[4], IN), Err(Errno::ELOOP));
    assert_eq!(bench.control(sets[0], EPOLL_CTL_ADD, sets[4], IN), Err(Errno::ELOOP));
    assert_eq!(bench.ready(sets[4], 8), []);
    bench.signal(counter);
    assert_eq!(bench.ready(sets[4], 8), [(IN, u32::try_from(sets[3]).unwrap())]);
    assert_eq!(bench.poll_one(sets[4], IN), (1, IN));
}

#[test]
fn sets_cannot_multiply_their_members() {
    let mut bench = Bench::new();
    bench.kernel.process_mut().limits[crate::process::RLIMIT_NOFILE].soft = 100;
    let counters: Vec<u64> = (0..10).map(|_| bench.counter()).collect();
    let mut below = counters;
    let mut refused = false;
    for _ in 0..4 {
        let level: Vec<u64> = (0..10).map(|_| bench.epoll()).collect();
        for &set in &level {
            for &member in &below {
                let added = bench.control(set, EPOLL_CTL_ADD, member, IN);
                assert!(matches!(added, Ok(0) | Err(Errno::EINVAL)), "{added:?}");
                refused |= added.is_err();
            }
        }
        below = level;
    }
    assert!(refused);
    assert_eq!(bench.ready(below[0], 8), []);
}

#[test]
fn a_set_that_was_refused_is_as_before() {
    let mut bench = Bench::new();
    bench.kernel.process_mut().limits[crate::process::RLIMIT_NOFILE].soft = 10;
    let (outer, inner, counter) = (bench.epoll(), bench.epoll(), bench.counter());
    bench.add(outer, inner, IN);
    let mut added = 0;
    let fds: Vec<u64> = (0..6).map(|_| bench.counter()).collect();
    for id in fds
        .iter()
        .map(|fd| bench.kernel.process().descriptors.lookup(i32::try_from(*fd).unwrap()).unwrap())
        .collect::<Vec<_>>()
    {
        for fd in 100..110 {
            let change = crate::objects::epoll::Change::Add(IN, 0);
            let set = bench.kernel.process().descriptors.lookup(i32::try_from(inner).unwrap()).unwrap();
            match crate::readiness::nesting::control(&mut bench.kernel, set, fd, id, change) {
                Ok(()) => added += 1,
                Err(error) => assert_eq!(error, Errno::EINVAL),
            }
        }
    }
    assert_eq!(added, 19, "twice the descriptors, less the inner set itself");
    assert_eq!(bench.control(inner, EPOLL_CTL_DEL, counter, IN), Err(Errno::ENOENT));
}

#[test]
fn an_edge_of_a_nested_set_is_seen() {
    let mut bench = Bench::new();
    let (outer, inner, counter) = (bench.epoll(), bench.epoll(), bench.counter());
    bench.add(inner, counter, IN);
    bench.add(outer, inner, IN | EPOLLET);
    bench.signal(counter);
    assert_eq!(bench.ready(outer, 8).len(), 1);
    assert_eq!(bench.ready(outer, 8).len(), 0);
    bench.signal(counter);
    assert_eq!(bench.ready(outer, 8).len(), 1);
}

#[test]
fn every_ready_member_gets_its_turn() {
    let mut bench = Bench::new();
    let set = bench.epoll();
    let counters: Vec<u64> = (0..5).map(|_| bench.counter()).collect();
    for &counter in &counters {
        bench.signal(counter);
        bench.add(set, counter, IN);
    }
    let mut seen: Vec<u32> = (0..3).flat_map(|_| bench.ready(set, 2)).map(|(_, fd)| fd).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[test]
fn a_member_lives_as_long_as_its_description() {
    let mut bench = Bench::new();
    let (set, counter) = (bench.epoll(), bench.counter());
    bench.add(set, counter, IN);
    bench.signal(counter);
    let description = bench.kernel.process().descriptors.lookup(i32::try_from(counter).unwrap()).unwrap();
    bench.kernel.files.retain(description);
    bench.close(counter);
    assert_eq!(bench.ready(set, 8).len(), 1);
    bench.kernel.release(&mut bench.host, description);
    assert_eq!(bench.ready(set, 8).len(), 0);
    let again = bench.counter();
    assert_eq!(again, counter);
    bench.add(set, again, IN);
}

#[test]
fn a_blocked_epoll_wait_ends_with_its_event() {
    let mut bench = Bench::new();
    let (set, counter) = (bench.epoll(), bench.counter());
    bench.add(set, counter, IN | EPOLLET);
    let waiter = bench.spawn();
    assert_eq!(bench.start(waiter, EPOLL_WAIT, &[set, EVENTS, 8, FOREVER]), Entered::Blocked);
    bench.signal(counter);
    assert_eq!(bench.resume(waiter), Ok(1));
}

#[test]
fn a_timer_runs_out_when_it_should() {
    let mut bench = Bench::new();
    let timer = bench.call(TIMERFD_CREATE, &[CLOCK_MONOTONIC.unsigned_abs().into(), 0]).unwrap();
    assert_eq!(bench.call(TIMERFD_CREATE, &[77, 0]), Err(Errno::EINVAL));
    bench.write(SETS, &[0, 0, 0, 1_000_000]);
    assert_eq!(bench.call(TIMERFD_SETTIME, &[timer, 0, SETS, 0]), Ok(0));
    assert_eq!(bench.poll_one(timer, IN), (0, 0));
    let deadline = bench.kernel.next_deadline();
    assert!(deadline.is_some());
    bench.host.wait(deadline);
    assert_eq!(bench.poll_one(timer, IN), (1, IN));
    let mut bytes = [0; 8];
    assert_eq!(bench.read_from(timer, &mut bytes), Ok(8));
    assert_eq!(u64::from_le_bytes(bytes), 1);
    assert_eq!(bench.read_from(timer, &mut bytes), Err(Errno::EAGAIN));
    assert_eq!(bench.kernel.next_deadline(), None);
    bench.close(timer);
    assert_eq!(bench.kernel.shared.timers.next(), None);
}

#[test]
fn a_timer_tells_what_is_left() {
    let mut bench = Bench::new();
    let timer = bench.call(TIMERFD_CREATE, &[CLOCK_MONOTONIC.unsigned_abs().into(), 0]).unwrap();
    bench.write(SETS, &[7, 0, 100, 0]);
    assert_eq!(bench.call(TIMERFD_SETTIME, &[timer, 0, SETS, 0]), Ok(0));
    assert_eq!(bench.call(TIMERFD_GETTIME, &[timer, EVENTS]), Ok(0));
    assert_eq!([bench.read(EVENTS), bench.read(EVENTS + 16)], [7, 99]);
    bench.write(SETS, &[0, 0, 0, 1]);
    assert_eq!(bench.call(TIMERFD_SETTIME, &[timer, TFD_TIMER_ABSTIME.into(), SETS, EVENTS]), Ok(0));
    assert_eq!([bench.read(EVENTS), bench.read(EVENTS + 16)], [7, 99]);
    assert_eq!(bench.poll_one(timer, IN), (1, IN));
    bench.write(SETS, &[0, 0, 0, 1_000_000_000]);
    assert_eq!(bench.call(TIMERFD_SETTIME, &[timer, 0, SETS, 0]), Err(Errno::EINVAL));
    assert_eq!(bench.call(TIMERFD_SETTIME, &[timer, 8, EVENTS, 0]), Err(Errno::EINVAL));
}

#[test]
fn an_unread_periodic_timer_does_not_keep_the_machine_awake() {
    let mut bench = Bench::new();
    let timer = bench.call(TIMERFD_CREATE, &[CLOCK_MONOTONIC.unsigned_abs().into(), 0]).unwrap();
    bench.write(SETS, &[0, 1, 0, 1]);
    assert_eq!(bench.call(TIMERFD_SETTIME, &[timer, 0, SETS, 0]), Ok(0));
    bench.kernel.wake(&mut bench.host);
    assert!(bench.kernel.next_deadline().is_some_and(|at| at > bench.host.monotonic() + 100_000));
}

#[test]
fn signals_are_read() {
    let mut bench = Bench::new();
    let tid = bench.pid();
    bench.write(AT, &[signal_bit(SIGUSR1)]);
    bench.call(RT_SIGPROCMASK, &[SIG_BLOCK.unsigned_abs().into(), AT, 0, 8]).unwrap();
    assert_eq!(bench.call(SIGNALFD4, &[u64::MAX, AT, 4, 0]), Err(Errno::EINVAL));
    let fd = bench.call(SIGNALFD4, &[u64::MAX, AT, 8, 0]).unwrap();
    assert_eq!(bench.poll_one(fd, IN), (0, 0));
    bench.call(TGKILL, &[id(tid), id(tid), SIGUSR1.into()]).unwrap();
    assert_eq!(bench.poll_one(fd, IN), (1, IN));
    let description = bench.kernel.process().descriptors.lookup(i32::try_from(fd).unwrap()).unwrap();
    let mut bytes = [0; 300];
    assert_eq!(signalfd::read(&mut bench.kernel, description, tid, &bench.host, &mut bytes[..100]), Err(Errno::EINVAL));
    assert_eq!(signalfd::read(&mut bench.kernel, description, tid, &bench.host, &mut bytes), Ok(128));
    assert_eq!(u32::from(bytes[0]), SIGUSR1);
    assert_eq!(signalfd::read(&mut bench.kernel, description, tid, &bench.host, &mut bytes), Err(Errno::EAGAIN));
    assert_eq!(bench.poll_one(fd, IN), (0, 0));
}
