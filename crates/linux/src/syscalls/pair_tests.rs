//! Socket pairs from the system calls' side: streams, messages, descriptors and credentials.

use warmfork_abi::Errno;
use warmfork_abi::numbers::{CLOSE, READ, RECVFROM, RECVMMSG, RECVMSG, SENDMMSG, SENDMSG, SENDTO, SHUTDOWN, WRITE};
use warmfork_abi::signals::{SIGPIPE, signal_bit};
use warmfork_abi::socket::{
    AF_INET, MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, MSG_WAITALL, SHUT_WR, SO_PASSCRED, SO_PEERCRED,
    SO_RCVTIMEO, SO_SNDBUF, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET,
};

use super::socket_tests::{BUFFER, CONTROL, HEADER, OTHER, VECTOR};
use crate::dispatch::Entered;
use crate::task::State;
use crate::testing::{Bench, DATA, result};

#[test]
fn a_receive_timeout_is_kept() {
    let mut bench = Bench::new();
    let (one, _other) = bench.pair(SOCK_STREAM);
    assert_eq!(bench.set_option(one, SOL_SOCKET, SO_RCVTIMEO, &[[0_u8; 8], 2000_u64.to_le_bytes()].concat()), Ok(0));
    let tid = bench.pid();
    assert_eq!(bench.start(tid, RECVFROM, &[one, OTHER, 1, 0, 0, 0]), Entered::Blocked);
    assert_eq!(bench.await_call(tid), Err(Errno::EAGAIN));
    assert_eq!(
        bench.set_option(one, SOL_SOCKET, SO_RCVTIMEO, &[[0_u8; 8], 2_000_000_u64.to_le_bytes()].concat()),
        Err(Errno::EDOM)
    );
}

#[test]
fn a_pair_carries_bytes_both_ways() {
    let mut bench = Bench::new();
    let (one, other) = bench.pair(SOCK_STREAM);
    assert_eq!(bench.send(one, b"to and", 0), Ok(6));
    assert_eq!(bench.send(other, b"fro", 0), Ok(3));
    assert_eq!(bench.receive(other, 16, MSG_PEEK), Ok(b"to and".to_vec()));
    assert_eq!(bench.receive(other, 16, 0), Ok(b"to and".to_vec()));
    assert_eq!(bench.receive(one, 16, 0), Ok(b"fro".to_vec()));
    assert_eq!(bench.receive(one, 16, MSG_DONTWAIT), Err(Errno::EAGAIN));
    bench.put(BUFFER, b"plain");
    assert_eq!(bench.call(WRITE, &[one, BUFFER, 5]), Ok(5));
    assert_eq!(bench.call(READ, &[other, OTHER, 16]), Ok(5));
    assert_eq!(bench.call(CLOSE, &[other]), Ok(0));
    assert_eq!(bench.receive(one, 16, 0), Ok(Vec::new()));
    assert_eq!(bench.send(one, b"x", MSG_NOSIGNAL), Err(Errno::EPIPE));
    assert_eq!(bench.kernel.process().pending_signals(bench.pid()), 0);
}

#[test]
fn a_blocking_send_goes_on_until_all_is_sent() {
    let mut bench = Bench::new();
    let (one, other) = bench.pair(SOCK_STREAM);
    assert_eq!(bench.set_option(one, SOL_SOCKET, SO_SNDBUF, &4096_u32.to_le_bytes()), Ok(0));
    assert_eq!(bench.option(one, SOL_SOCKET, SO_SNDBUF), Ok(8192));
    let tid = bench.pid();
    assert_eq!(bench.start(tid, SENDTO, &[one, BUFFER, 20_000, 0, 0, 0]), Entered::Blocked);
    let reader = bench.spawn();
    let mut total = 0;
    while total < 20_000 {
        total += bench.call_by(reader, RECVFROM, &[other, DATA.end - 0x8000, 20_000, 0, 0, 0]).unwrap();
        bench.kernel.wake(&mut bench.host);
        if matches!(bench.kernel.process().tasks.get(tid).state(), State::Retry(_)) {
            bench.enter(tid);
        }
    }
    assert_eq!((total, result(bench.registers(tid).rax)), (20_000, Ok(20_000)));
}

#[test]
fn waiting_for_all_collects_the_parts() {
    let mut bench = Bench::new();
    let (one, other) = bench.pair(SOCK_STREAM);
    let waiter = bench.spawn();
    bench.send(one, b"abc", 0).unwrap();
    assert_eq!(bench.start(waiter, RECVFROM, &[other, OTHER, 6, MSG_WAITALL.into(), 0, 0]), Entered::Blocked);
    bench.send(one, b"defgh", 0).unwrap();
    assert_eq!(bench.await_call(waiter), Ok(6));
    assert_eq!(bench.get(OTHER, 6), b"abcdef");
    bench.send(one, b"i", 0).unwrap();
    assert_eq!(bench.call(SHUTDOWN, &[one, SHUT_WR.into()]), Ok(0));
    assert_eq!(bench.receive(other, 6, MSG_WAITALL), Ok(b"ghi".to_vec()));
}

#[test]
fn descriptors_travel_and_are_given_up() {
    let mut bench = Bench::new();
    let _zero = bench.socket(AF_INET, SOCK_DGRAM);
    let (one, other) = bench.pair(SOCK_STREAM);
    let (third, fourth) = bench.pair(SOCK_DGRAM);
    assert_eq!(bench.send_rights(one, &[third, 99]), Err(Errno::EBADF));
    assert_eq!(bench.send_rights(one, &[third, fourth]), Ok(1));
    assert_eq!(bench.call(CLOSE, &[third]), Ok(0));
    let (fds, flags) = bench.receive_rights(other, 64).unwrap();
    assert_eq!((fds.len(), flags), (2, 0));
    assert_eq!(bench.send(fds[0], b"still there", 0), Ok(11));
    assert_eq!(bench.receive(fourth, 16, 0), Ok(b"still there".to_vec()));

    assert_eq!(bench.send_rights(one, &[fourth, fourth]), Ok(1));
    let (fds, flags) = bench.receive_rights(other, 20).unwrap();
    assert_eq!((fds.len(), flags), (1, MSG_CTRUNC));

    let before = bench.kernel.files.descriptions().count();
    assert_eq!(bench.send_rights(one, &[fourth]), Ok(1));
    assert_eq!(bench.receive(other, 16, 0), Ok(b"x".to_vec()), "a plain read gives descriptors up");
    assert_eq!(bench.send_rights(one, &[one]), Ok(1));
    assert_eq!(bench.call(CLOSE, &[other]), Ok(0));
    assert_eq!(bench.kernel.files.descriptions().count(), before - 1);
    assert_eq!(bench.kernel.shared.pairs.in_flight(), 0);
    assert_eq!(bench.kernel.shared.orphans, []);
}

#[test]
fn credentials_are_the_guests_own() {
    let mut bench = Bench::new();
    let (one, other) = bench.pair(SOCK_SEQPACKET);
    assert_eq!(bench.set_option(other, SOL_SOCKET, SO_PASSCRED, &1_u32.to_le_bytes()), Ok(0));
    assert_eq!(bench.option(other, SOL_SOCKET, SO_PEERCRED), Ok(bench.pid().unsigned_abs()));
    bench.send(one, b"x", 0).unwrap();
    bench.header(OTHER, 16, 64);
    assert_eq!(bench.call(RECVMSG, &[other, HEADER, 0]), Ok(1));
    assert_eq!(bench.read(HEADER + 40), 32);
    assert_eq!([bench.read_half(CONTROL), bench.read_half(CONTROL + 12)], [28, 2]);
    assert_eq!(bench.read_half(CONTROL + 16), bench.pid().unsigned_abs());
    bench.write(CONTROL, &[28, u64::from(SOL_SOCKET) | 2 << 32, 1, 0]);
    bench.header(BUFFER, 1, 28);
    assert_eq!(bench.call(SENDMSG, &[one, HEADER, 0]), Err(Errno::EPERM));
}

#[test]
fn many_messages_go_in_one_call() {
    let mut bench = Bench::new();
    let (one, other) = bench.pair(SOCK_DGRAM);
    bench.put(BUFFER, b"abcdef");
    for index in 0..2 {
        bench.write(VECTOR + index * 16, &[BUFFER + index * 3, 3]);
        bench.write(HEADER + index * 64, &[0, 0, VECTOR + index * 16, 1, 0, 0, 0, 0]);
    }
    assert_eq!(bench.call(SENDMMSG, &[one, HEADER, 2, 0]), Ok(2));
    assert_eq!(bench.read_half(HEADER + 64 + 56), 3);
    for index in 0..2 {
        bench.write(VECTOR + index * 16, &[OTHER + index * 8, 8]);
    }
    assert_eq!(bench.call(RECVMMSG, &[other, HEADER, 2, 0, 0]), Ok(2));
    assert_eq!(bench.get(OTHER, 11), b"abc\0\0\0\0\0def");
    assert_eq!(bench.call(RECVMMSG, &[other, HEADER, 2, MSG_DONTWAIT.into(), 0]), Err(Errno::EAGAIN));
}

#[test]
fn only_streams_raise_sigpipe() {
    let mut bench = Bench::new();
    for (kind, raised) in [(SOCK_SEQPACKET, 0), (SOCK_STREAM, signal_bit(SIGPIPE))] {
        let (one, other) = bench.pair(kind);
        assert_eq!(bench.call(CLOSE, &[other]), Ok(0));
        assert_eq!(bench.call(WRITE, &[one, BUFFER, 5]), Err(Errno::EPIPE));
        assert_eq!(bench.kernel.process().pending_signals(bench.pid()), raised);
    }
}
