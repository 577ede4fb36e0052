//! Calls that a program may make with a connection that it accepts early; and a fork gets its own connection.

use std::io::Write as _;
use std::net::TcpStream;

use warmfork_abi::Errno;
use warmfork_abi::fcntl::F_GETFL;
use warmfork_abi::ioctl::{FIONBIO, FIONREAD};
use warmfork_abi::numbers::{
    ACCEPT4, CLOCK_GETTIME, CLOSE, FCNTL, GETPEERNAME, GETRANDOM, GETSOCKNAME, GETSOCKOPT, IOCTL, OPEN, READ, RECVFROM,
    SETSOCKOPT, SHUTDOWN, WRITE,
};
use warmfork_abi::socket::{AF_INET, SOCK_STREAM, SOL_SOCKET, SOL_TCP, TCP_NODELAY};
use warmfork_memory::HostFile;

use super::socket_tests::{AT, BUFFER};
use crate::gate::Offer;
use crate::objects::options::Name;
use crate::outside::OutsideRules;
use crate::policy::{Rule, Rules};
use crate::testing::Bench;

/// A server that has accepted a silent connection while it was watched: its listening socket, the connection and its
/// client.
fn watched() -> (Bench, u64, u64, TcpStream) {
    let mut bench = Bench::allowed(Rules { listen: Rule::Everything, ..Rules::default() });
    let (listener, address) = bench.listener();
    bench.host.gate.watch_early_accept();
    let client = TcpStream::connect(address).unwrap();
    let connection = bench.call(ACCEPT4, &[listener, 0, 0, 0o4000]).unwrap();
    assert!(!bench.host.gate.is_disqualified());
    (bench, listener, connection, client)
}

#[test]
fn what_is_the_same_for_all_may_be_done_early() {
    let (mut bench, listener, connection, client) = watched();
    let peer = client.local_addr().unwrap();
    bench.write_half(AT, 1);
    assert_eq!(bench.call(SETSOCKOPT, &[connection, SOL_TCP.into(), TCP_NODELAY.into(), AT, 4]), Ok(0));
    assert_eq!(bench.call(READ, &[connection, BUFFER, 8]), Err(Errno::EAGAIN));
    bench.write_half(AT, 1);
    assert_eq!(bench.call(IOCTL, &[connection, FIONBIO.into(), AT]), Ok(0));
    assert_eq!(bench.call(FCNTL, &[connection, F_GETFL.into(), 0]), Ok(0o4002));
    assert_eq!(bench.call(CLOCK_GETTIME, &[1, AT]), Ok(0));
    let tid = bench.pid();
    let _ = bench.start(tid, RECVFROM, &[connection, BUFFER, 8, 0, 0, 0]);
    let accepted = bench.kernel.take_early_accept(&mut bench.host).unwrap();
    let nodelay = Name { level: SOL_TCP, name: TCP_NODELAY };
    assert_eq!(accepted.options, [(nodelay, vec![1, 0, 0, 0])]);

    let (mut fork, _) = bench.kernel.freeze(&OutsideRules::default(), Some(accepted.id)).unwrap();
    fork.hang_up(&accepted).unwrap();
    let mut other = TcpStream::connect(bench.name(GETSOCKNAME, listener).unwrap()).unwrap();
    let come = rustix::net::accept(&accepted.listener).unwrap();
    let offer = Offer { listener: accepted.listener.clone(), connection: HostFile::socket(come), peer: None };
    let elsewhere = Offer { listener: offer.connection.clone(), ..offer.clone() };
    bench.kernel = fork;
    assert_eq!(bench.call(READ, &[connection, BUFFER, 8]), Ok(0));
    assert!(!bench.kernel.connect_accepted(&mut bench.host, &accepted, &elsewhere));
    assert!(bench.kernel.connect_accepted(&mut bench.host, &accepted, &offer));
    assert_eq!(bench.name(GETPEERNAME, connection), Ok(other.local_addr().unwrap()));
    assert_ne!(other.local_addr().unwrap(), peer);
    assert_eq!(bench.option(connection, SOL_TCP, TCP_NODELAY), Ok(1));
    other.write_all(b"request").unwrap();
    assert_eq!(bench.call(READ, &[connection, BUFFER, 8]), Ok(7));
}

#[test]
fn what_depends_on_the_connection_or_shows_may_not() {
    let (mut bench, _, connection, _client) = watched();
    let other = bench.socket(AF_INET, SOCK_STREAM);
    bench.write_half(AT, 1);
    let calls: [(u64, [u64; 5]); 12] = [
        (WRITE, [connection, BUFFER, 1, 0, 0]),
        (READ, [other, BUFFER, 1, 0, 0]),
        (SETSOCKOPT, [other, SOL_SOCKET.into(), 9, AT, 4]),
        (GETSOCKOPT, [connection, SOL_SOCKET.into(), 9, BUFFER, AT]),
        (GETPEERNAME, [connection, BUFFER, AT, 0, 0]),
        (ACCEPT4, [connection, BUFFER, AT, 0, 0]),
        (IOCTL, [connection, FIONREAD.into(), BUFFER, 0, 0]),
        (CLOCK_GETTIME, [0, BUFFER, 0, 0, 0]),
        (GETRANDOM, [BUFFER, 8, 0, 0, 0]),
        (OPEN, [BUFFER, 0, 0, 0, 0]),
        (SHUTDOWN, [connection, 1, 0, 0, 0]),
        (CLOSE, [connection, 0, 0, 0, 0]),
    ];
    for (number, arguments) in calls {
        bench.host.gate.watch_early_accept();
        let _ = bench.call(number, &arguments);
        assert!(bench.host.gate.is_disqualified(), "system call {number}");
        assert_eq!(bench.kernel.take_early_accept(&mut bench.host), None);
        assert!(!bench.host.gate.is_disqualified());
    }
}
