//! Small pieces leave together, and never later than the guest's next call.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;

use rustix::net::SendFlags;
use warmfork_abi::Errno;
use warmfork_abi::numbers::{ACCEPT4, GETPID, SHUTDOWN, WRITE};
use warmfork_abi::socket::{
    MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, SHUT_WR, SO_ERROR, SO_SNDBUF, SOL_SOCKET, SOL_TCP, TCP_CORK,
};

use super::socket_tests::BUFFER;
use crate::coalesce::LARGE;
use crate::dispatch::Entered;
use crate::objects::Object;
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

/// Ends the stream: what `client` has not got yet is `rest`, and then the end.
fn assert_ends(bench: &mut Bench, connection: u64, client: &mut TcpStream, rest: &[u8]) {
    assert_eq!(bench.call(SHUTDOWN, &[connection, SHUT_WR.into()]), Ok(0));
    assert_eq!(arrived(client), Some(rest.to_vec()));
    assert_eq!(arrived(client), Some(Vec::new()));
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
    assert_ends(&mut bench, connection, &mut client, b"last");
}

#[test]
fn pieces_leave_when_the_machine_looks_up() {
    let (mut bench, connection, mut client) = connected();
    assert_eq!(bench.send(connection, b"piece", 0), Ok(5));
    bench.kernel.push(&mut bench.host);
    assert_eq!(arrived(&mut client), Some(b"piece".to_vec()));
}

/// Sends pieces, two of which the host takes: the second is the first that others are expected after.
fn begin(bench: &mut Bench, connection: u64) {
    for piece in [b"one ", b"two "] {
        assert_eq!(bench.send(connection, piece, 0), Ok(4));
    }
}

#[test]
fn many_pieces_leave_together_and_in_order() {
    let (mut bench, connection, mut client) = connected();
    begin(&mut bench, connection);
    assert_eq!(bench.send(connection, b"three ", 0), Ok(6));
    assert_eq!(bench.send(connection, b"four ", MSG_NOSIGNAL), Ok(5));
    assert_eq!(arrived(&mut client), None);
    // These are not gathered, and so the host gets those before them first.
    assert_eq!(bench.send(connection, b"five ", MSG_MORE), Ok(5));
    assert_eq!(bench.send(connection, b"six", 0), Ok(3));
    bench.call(GETPID, &[]).unwrap();
    assert_eq!(arrived(&mut client), Some(b"one two three four five six".to_vec()));
}

#[test]
fn gathered_pieces_leave_with_the_end_of_the_stream() {
    let (mut bench, connection, mut client) = connected();
    begin(&mut bench, connection);
    assert_eq!(bench.send(connection, b"three", 0), Ok(5));
    assert_ends(&mut bench, connection, &mut client, b"one two three");
}

#[test]
fn more_than_a_packet_is_not_gathered() {
    let (mut bench, connection, mut client) = connected();
    begin(&mut bench, connection);
    let mut expected = b"one two ".to_vec();
    for letter in b'a'..=b'z' {
        assert_eq!(bench.send(connection, &[letter; 100], 0), Ok(100));
        expected.extend([letter; 100]);
    }
    assert_eq!(bench.send(connection, &[b'!'; LARGE], 0), Ok(LARGE as u64));
    expected.extend([b'!'; LARGE]);
    bench.call(GETPID, &[]).unwrap();
    client.set_nonblocking(false).unwrap();
    let mut got = vec![0; expected.len()];
    client.read_exact(&mut got).unwrap();
    assert_eq!(got, expected);
}

#[test]
fn a_connection_that_breaks_meanwhile_is_broken_at_the_next_call() {
    let (mut bench, connection, client) = connected();
    begin(&mut bench, connection);
    bench.kernel.push(&mut bench.host);
    begin(&mut bench, connection);
    // Closed with bytes unread: a reset.
    drop(client);
    assert_eq!(bench.send(connection, b"three", 0), Ok(5));
    assert_eq!(bench.option(connection, SOL_SOCKET, SO_ERROR), Ok(Errno::ECONNRESET.0.cast_unsigned()));
    assert_eq!(bench.option(connection, SOL_SOCKET, SO_ERROR), Ok(0));
    assert_eq!(bench.send(connection, b"four", MSG_NOSIGNAL), Err(Errno::EPIPE));
}

#[test]
fn a_connection_whose_room_is_gone_is_reset_and_not_cut_short() {
    let (mut bench, connection, mut client) = connected();
    begin(&mut bench, connection);
    assert_eq!(bench.send(connection, b"three", 0), Ok(5));
    let id = bench.kernel.process().descriptors.lookup(i32::try_from(connection).unwrap()).unwrap();
    let Object::Socket(socket) = &bench.kernel.files.description(id).object else { panic!("a socket") };
    while rustix::net::send(socket.handle(), &[7; 100_000], SendFlags::empty()).is_ok() {}
    assert_eq!(bench.option(connection, SOL_SOCKET, SO_ERROR), Ok(Errno::ECONNRESET.0.cast_unsigned()));
    client.set_nonblocking(false).unwrap();
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_guest_is_offered_to_gather_by_itself_until_its_next_other_call() {
    let (mut bench, connection, mut client) = connected();
    let pid = bench.kernel.process().pid;
    assert_eq!(bench.host.coalescer.offered(pid), None);
    begin(&mut bench, connection);
    let (fd, room) = bench.host.coalescer.offered(pid).unwrap();
    assert_eq!((u64::try_from(fd).unwrap(), room), (connection, LARGE));
    assert_eq!(bench.host.coalescer.offered(pid + 1), None);
    bench.host.coalescer.gathered(b"three four", 2);
    assert_eq!(bench.host.coalescer.offered(pid), Some((fd, LARGE - 10)));
    assert_eq!(arrived(&mut client), None);
    bench.call(GETPID, &[]).unwrap();
    assert_eq!(bench.host.coalescer.offered(pid), None);
    assert_eq!(arrived(&mut client), Some(b"one two three four".to_vec()));
    // The last answer came in pieces: the first of the next is followed by others.
    assert_eq!(bench.send(connection, b"one", 0), Ok(3));
    assert_eq!(bench.host.coalescer.offered(pid), Some((fd, LARGE)));
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
    assert_eq!(bench.set_option(connection, SOL_SOCKET, SO_SNDBUF, &(64_u32 << 10).to_le_bytes()), Ok(0));
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
