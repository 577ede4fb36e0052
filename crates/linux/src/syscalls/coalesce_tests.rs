//! Small pieces leave together, and never later than the guest's next call.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;

use warmfork_abi::Errno;
use warmfork_abi::numbers::{ACCEPT4, GETPID, SHUTDOWN, WRITE};
use warmfork_abi::socket::{MSG_DONTWAIT, SHUT_WR, SOL_TCP, TCP_CORK};

use super::socket_tests::BUFFER;
use crate::coalesce::LARGE;
use crate::dispatch::Entered;
use crate::policy::{Rule, Rules};
use crate::testing::{Bench, result};

/// A machine with a connection (its descriptor), and the client's end of that.
fn connected() -> (Bench, u64, TcpStream) {
    let mut bench =
        Bench::allowed(Rules { listen: Rule::Only(vec!["127.0.0.1".parse().unwrap()]), ..Rules::default() });
    let (listener, address) = bench.listener();
    let client = TcpStream::connect(address).unwrap();
    client.set_nonblocking(true).unwrap();
    let tid = bench.pid();
    let connection = match bench.start(tid, ACCEPT4, &[listener, 0, 0, 0]) {
        Entered::Blocked => bench.await_call(tid).unwrap(),
        _ => result(bench.registers(tid).rax).unwrap(),
    };
    (bench, connection, client)
}

/// The bytes that have come to `client` already; `None` when none have.
fn arrived(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = [0; 100];
    match client.read(&mut bytes) {
        Ok(count) => Some(bytes[..count].to_vec()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn pieces_leave_together_at_the_next_call() {
    let (mut bench, connection, mut client) = connected();
    assert_eq!(bench.send(connection, b"one ", 0), Ok(4));
    bench.put(BUFFER, b"two");
    assert_eq!(bench.call(WRITE, &[connection, BUFFER, 3]), Ok(3));
    assert_eq!(arrived(&mut client), None);
    bench.call(GETPID, &[]).unwrap();
    assert_eq!(arrived(&mut client), Some(b"one two".to_vec()));
}

#[test]
fn pieces_leave_with_the_end_of_the_stream() {
    let (mut bench, connection, mut client) = connected();
    assert_eq!(bench.send(connection, b"last", 0), Ok(4));
    assert_eq!(bench.call(SHUTDOWN, &[connection, SHUT_WR.into()]), Ok(0));
    assert_eq!(arrived(&mut client), Some(b"last".to_vec()));
    assert_eq!(arrived(&mut client), Some(Vec::new()));
}

#[test]
fn pieces_leave_when_the_machine_looks_up() {
    let (mut bench, connection, mut client) = connected();
    assert_eq!(bench.send(connection, b"piece", 0), Ok(5));
    bench.host.push();
    assert_eq!(arrived(&mut client), Some(b"piece".to_vec()));
}

#[test]
fn a_large_piece_leaves_at_once_and_takes_along_what_came_before() {
    let (mut bench, connection, mut client) = connected();
    assert_eq!(bench.send(connection, b"head ", 0), Ok(5));
    assert_eq!(arrived(&mut client), None);
    assert_eq!(bench.send(connection, &[b'x'; LARGE], 0), Ok(LARGE as u64));
    let head: Vec<u8> = b"head ".iter().copied().chain([b'x'; 95]).collect();
    assert_eq!(arrived(&mut client), Some(head));
}

#[test]
fn what_is_sent_elsewhere_comes_after_what_was_held_back() {
    let (mut bench, connection, mut client) = connected();
    let (one, _other) = bench.pair(warmfork_abi::socket::SOCK_STREAM);
    assert_eq!(bench.send(connection, b"first", 0), Ok(5));
    assert_eq!(bench.send(one, b"second", 0), Ok(6));
    assert_eq!(arrived(&mut client), Some(b"first".to_vec()));
}

#[test]
fn a_stream_that_is_full_does_not_hold_its_bytes_back() {
    let (mut bench, connection, mut client) = connected();
    let mut sent = 0;
    loop {
        match bench.send(connection, &[7; 1000], MSG_DONTWAIT) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error, Errno::EAGAIN);
                break;
            }
        }
    }
    bench.call(GETPID, &[]).unwrap();
    client.set_nonblocking(false).unwrap();
    let mut got = vec![0; usize::try_from(sent).unwrap()];
    client.read_exact(&mut got).unwrap();
    assert!(got.iter().all(|&byte| byte == 7));
}

#[test]
fn a_guest_that_corks_decides_itself() {
    let (mut bench, connection, mut client) = connected();
    assert_eq!(bench.set_option(connection, SOL_TCP, TCP_CORK, &1_u32.to_le_bytes()), Ok(0));
    assert_eq!(bench.send(connection, b"corked", 0), Ok(6));
    bench.call(GETPID, &[]).unwrap();
    assert_eq!(arrived(&mut client), None);
    assert_eq!(bench.option(connection, SOL_TCP, TCP_CORK), Ok(1));
    assert_eq!(bench.set_option(connection, SOL_TCP, TCP_CORK, &0_u32.to_le_bytes()), Ok(0));
    assert_eq!(arrived(&mut client), Some(b"corked".to_vec()));
    assert_eq!(bench.send(connection, b"free", 0), Ok(4));
    assert_eq!(arrived(&mut client), Some(b"free".to_vec()));
}
