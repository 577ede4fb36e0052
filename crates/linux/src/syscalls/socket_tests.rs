//! Sockets from the system calls' side: on the host's loopback network, and pairs.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use warmfork_abi::numbers::{
    ACCEPT4, BIND, CLOSE, CONNECT, EPOLL_CREATE1, EPOLL_CTL, EPOLL_WAIT, GETPEERNAME, GETSOCKNAME, GETSOCKOPT, LISTEN,
    POLL, RECVFROM, RECVMSG, SENDMSG, SENDTO, SETSOCKOPT, SHUTDOWN, SOCKET, SOCKETPAIR,
};
use warmfork_abi::signals::{SIGPIPE, signal_bit};
use warmfork_abi::socket::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, MSG_TRUNC, MSG_WAITALL, SHUT_WR, SO_BROADCAST, SO_ERROR, SO_LINGER,
    SO_PEERCRED, SO_PRIORITY, SO_TYPE, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, SOL_IP,
    SOL_SOCKET, SOL_TCP, TCP_CONGESTION, TCP_NODELAY,
};
use warmfork_abi::{Errno, epoll};
use warmfork_memory::HostFile;

use crate::dispatch::Entered;
use crate::gate::{Gate, Offer};
use crate::ids::Tid;
use crate::objects::Object;
use crate::objects::address::Address;
use crate::policy::{HostPattern, Policy, Rule, Rules};
use crate::task::State;
use crate::testing::{Bench, DATA, result};

pub(super) const AT: u64 = DATA.start;
pub(super) const LENGTH: u64 = DATA.start + 0x80;
pub(super) const BUFFER: u64 = DATA.start + 0x1000;
pub(super) const OTHER: u64 = DATA.start + 0x2000;
pub(super) const HEADER: u64 = DATA.start + 0x3000;
pub(super) const VECTOR: u64 = DATA.start + 0x3100;
pub(super) const CONTROL: u64 = DATA.start + 0x3200;

fn connecting(pattern: &str) -> Rules {
    Rules { connect: Rule::Only(vec![pattern.parse::<HostPattern>().unwrap()]), ..Rules::default() }
}

fn listening(pattern: &str) -> Rules {
    Rules { listen: Rule::Only(vec![pattern.parse::<HostPattern>().unwrap()]), ..Rules::default() }
}

impl Bench {
    pub(super) fn allowed(rules: Rules) -> Self {
        let mut bench = Self::new();
        bench.kernel.policy = Arc::new(Policy::new(rules).unwrap());
        bench
    }

    pub(super) fn put(&mut self, address: u64, bytes: &[u8]) {
        for (at, byte) in (address..).zip(bytes) {
            let word = self.read(at & !7);
            let shift = at % 8 * 8;
            self.write(at & !7, &[word & !(0xff << shift) | u64::from(*byte) << shift]);
        }
    }

    pub(super) fn get(&mut self, address: u64, length: u64) -> Vec<u8> {
        (address..address + length)
            .map(|at| self.read(at & !7).to_le_bytes()[usize::try_from(at % 8).unwrap()])
            .collect()
    }

    pub(super) fn socket(&mut self, family: u16, kind: u32) -> u64 {
        self.call(SOCKET, &[family.into(), kind.into(), 0]).unwrap()
    }

    pub(super) fn pair(&mut self, kind: u32) -> (u64, u64) {
        assert_eq!(self.call(SOCKETPAIR, &[AF_UNIX.into(), kind.into(), 0, AT]), Ok(0));
        (self.read_half(AT).into(), self.read_half(AT + 4).into())
    }

    /// A call with a socket address: its result.
    pub(super) fn with_address(&mut self, number: u64, fd: u64, address: &Address) -> Result<u64, Errno> {
        let bytes = address.encode();
        self.put(AT, &bytes);
        self.call(number, &[fd, AT, bytes.len() as u64])
    }

    pub(super) fn bind(&mut self, fd: u64, address: &str) -> Result<u64, Errno> {
        self.with_address(BIND, fd, &Address::Internet(address.parse().unwrap()))
    }

    pub(super) fn name(&mut self, number: u64, fd: u64) -> Result<SocketAddr, Errno> {
        self.write_half(LENGTH, 128);
        self.call(number, &[fd, AT, LENGTH])?;
        let length = self.read_half(LENGTH);
        match Address::decode(&self.get(AT, length.into())) {
            Ok(Address::Internet(address)) => Ok(address),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn listener(&mut self) -> (u64, SocketAddr) {
        let fd = self.socket(AF_INET, SOCK_STREAM);
        assert_eq!(self.bind(fd, "127.0.0.1:0"), Ok(0));
        assert_eq!(self.call(LISTEN, &[fd, 8]), Ok(0));
        let address = self.name(GETSOCKNAME, fd).unwrap();
        (fd, address)
    }

    pub(super) fn send(&mut self, fd: u64, bytes: &[u8], flags: u32) -> Result<u64, Errno> {
        self.put(BUFFER, bytes);
        self.call(SENDTO, &[fd, BUFFER, bytes.len() as u64, flags.into(), 0, 0])
    }

    pub(super) fn receive(&mut self, fd: u64, most: u64, flags: u32) -> Result<Vec<u8>, Errno> {
        let count = self.call(RECVFROM, &[fd, OTHER, most, flags.into(), 0, 0])?;
        Ok(self.get(OTHER, count.min(most)))
    }

    pub(super) fn option(&mut self, fd: u64, level: u32, name: u32) -> Result<u32, Errno> {
        self.write_half(LENGTH, 4);
        self.write_half(AT, 0xdead);
        self.call(GETSOCKOPT, &[fd, level.into(), name.into(), AT, LENGTH])?;
        Ok(self.read_half(AT))
    }

    pub(super) fn set_option(&mut self, fd: u64, level: u32, name: u32, value: &[u8]) -> Result<u64, Errno> {
        self.put(AT, value);
        self.call(SETSOCKOPT, &[fd, level.into(), name.into(), AT, value.len() as u64])
    }

    /// Waits for whatever the blocked thread waits for, and lets it go on.
    pub(super) fn await_call(&mut self, tid: Tid) -> Result<u64, Errno> {
        loop {
            self.kernel.wake(&mut self.host);
            if !matches!(self.kernel.process().tasks.get(tid).state(), State::Blocked(_)) {
                match self.enter(tid) {
                    Entered::Continue => return result(self.registers(tid).rax),
                    Entered::Blocked => {}
                    other => panic!("{other:?}"),
                }
            }
            let deadline = self.kernel.next_deadline();
            self.host.wait(deadline);
        }
    }

    /// A message header for one buffer, with `control` bytes of room or data.
    pub(super) fn header(&mut self, buffer: u64, length: u64, control: u64) {
        self.write(VECTOR, &[buffer, length]);
        self.write(HEADER, &[0, 0, VECTOR, 1, CONTROL, control, 0]);
    }

    pub(super) fn send_rights(&mut self, fd: u64, rights: &[u64]) -> Result<u64, Errno> {
        self.put(BUFFER, b"x");
        let length = 16 + rights.len() as u64 * 4;
        self.write(CONTROL, &[length, u64::from(SOL_SOCKET) | 1 << 32]);
        for (at, fd) in (CONTROL + 16..).step_by(4).zip(rights) {
            self.write_half(at, u32::try_from(*fd).unwrap());
        }
        self.header(BUFFER, 1, length);
        self.call(SENDMSG, &[fd, HEADER, 0])
    }

    /// recvmsg with `room` for control data: the descriptors that came, and the flags.
    pub(super) fn receive_rights(&mut self, fd: u64, room: u64) -> Result<(Vec<u64>, u32), Errno> {
        self.header(OTHER, 16, room);
        self.call(RECVMSG, &[fd, HEADER, 0])?;
        let length = self.read(HEADER + 40);
        let count = length.saturating_sub(16) / 4;
        let fds =
            (0..count).map(|index| self.read_half(CONTROL + 16 + index * 4).into()).take(usize::from(length > 16) * 64);
        let fds: Vec<u64> = fds.filter(|fd| *fd != 0).collect();
        Ok((fds, self.read_half(HEADER + 48)))
    }
}

#[test]
fn only_what_the_policy_understands_can_be_opened() {
    let mut bench = Bench::new();
    let mut open = |family: u16, kind: u32, protocol: u64| bench.call(SOCKET, &[family.into(), kind.into(), protocol]);
    assert_eq!(open(AF_INET, SOCK_RAW, 0), Err(Errno::EPERM));
    assert_eq!(open(AF_NETLINK, SOCK_DGRAM, 0), Err(Errno::EAFNOSUPPORT));
    assert_eq!(open(AF_INET, SOCK_STREAM, 132), Err(Errno::EPROTONOSUPPORT));
    assert_eq!(open(AF_INET, SOCK_DGRAM, 1), Err(Errno::EPROTONOSUPPORT));
    assert_eq!(open(AF_INET, SOCK_SEQPACKET, 0), Err(Errno::ESOCKTNOSUPPORT));
    assert_eq!(open(AF_INET, 77, 0), Err(Errno::EINVAL));
    assert!(open(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 17).is_ok());
}

#[test]
fn nothing_is_allowed_without_a_rule() {
    let mut bench = Bench::new();
    let stream = bench.socket(AF_INET, SOCK_STREAM);
    let there = Address::Internet("127.0.0.1:9".parse().unwrap());
    assert_eq!(bench.with_address(CONNECT, stream, &there), Err(Errno::EACCES));
    assert_eq!(bench.bind(stream, "127.0.0.1:9"), Err(Errno::EACCES));
    assert_eq!(bench.call(LISTEN, &[stream, 1]), Err(Errno::EACCES));
    assert_eq!(bench.bind(stream, "127.0.0.1:0"), Ok(0));
    assert_eq!(bench.call(LISTEN, &[stream, 1]), Err(Errno::EACCES));
    let datagram = bench.socket(AF_INET, SOCK_DGRAM);
    assert_eq!(bench.bind(datagram, "127.0.0.1:0"), Err(Errno::EACCES));
    let bytes = there.encode();
    bench.put(AT, &bytes);
    assert_eq!(bench.call(SENDTO, &[datagram, BUFFER, 1, 0, AT, 16]), Err(Errno::EACCES));
    let unix = bench.socket(AF_UNIX, SOCK_STREAM);
    assert_eq!(bench.with_address(CONNECT, unix, &Address::Path(b"/run/x".to_vec())), Err(Errno::EACCES));
    assert_eq!(bench.with_address(BIND, unix, &Address::Path(b"/run/x".to_vec())), Err(Errno::EACCES));
    assert_eq!(bench.with_address(CONNECT, unix, &Address::Abstract(b"x".to_vec())), Err(Errno::EACCES));
    assert_eq!(bench.with_address(BIND, unix, &Address::Abstract(b"x".to_vec())), Err(Errno::EACCES));
}

#[test]
fn a_rule_for_one_host_allows_no_other() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = server.local_addr().unwrap();
    let mut bench = Bench::allowed(connecting(&there.to_string()));
    let client = bench.socket(AF_INET, SOCK_STREAM);
    let other = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), there.port()));
    assert_eq!(bench.with_address(CONNECT, client, &Address::Internet(other)), Err(Errno::EACCES));
    let tid = bench.pid();
    let bytes = Address::Internet(there).encode();
    bench.put(AT, &bytes);
    let connected = match bench.start(tid, CONNECT, &[client, AT, 16]) {
        Entered::Blocked => bench.await_call(tid),
        _ => result(bench.registers(tid).rax),
    };
    assert_eq!(connected, Ok(0));
    assert_eq!(bench.name(GETPEERNAME, client), Ok(there));
    let (mut peer, _) = server.accept().unwrap();
    peer.write_all(b"hello").unwrap();
    assert_eq!(bench.receive(client, 5, MSG_WAITALL), Ok(b"hello".to_vec()));
}

#[test]
fn a_refused_connection_is_told_through_the_socket() {
    let there = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut bench = Bench::allowed(connecting("127.0.0.1"));
    let client = bench.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    match bench.with_address(CONNECT, client, &Address::Internet(there)) {
        Err(Errno::ECONNREFUSED) => {}
        Err(Errno::EINPROGRESS) => {
            bench.write(AT, &[client | 4 << 32]);
            let tid = bench.pid();
            if bench.start(tid, POLL, &[AT, 1, u64::MAX]) == Entered::Blocked {
                assert_eq!(bench.await_call(tid), Ok(1));
            }
            assert_eq!(bench.option(client, SOL_SOCKET, SO_ERROR), Ok(Errno::ECONNREFUSED.0.unsigned_abs()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_accepts_answers_and_ends() {
    let mut bench = Bench::allowed(listening("127.0.0.1"));
    let (listener, address) = bench.listener();
    let tid = bench.pid();
    bench.write_half(LENGTH, 128);
    assert_eq!(bench.start(tid, ACCEPT4, &[listener, AT, LENGTH, 0]), Entered::Blocked);
    assert!(bench.kernel.awaits_connection());
    let mut client = TcpStream::connect(address).unwrap();
    let connection = bench.await_call(tid).unwrap();
    assert_eq!(bench.read_half(LENGTH), 16);
    assert_eq!(bench.name(GETPEERNAME, connection).unwrap(), client.local_addr().unwrap());
    client.write_all(b"request").unwrap();
    assert_eq!(bench.start(tid, RECVFROM, &[connection, OTHER, 7, MSG_WAITALL.into(), 0, 0]), Entered::Continue);
    assert_eq!(bench.send(connection, b"answer", 0), Ok(6));
    assert_eq!(bench.call(SHUTDOWN, &[connection, SHUT_WR.into()]), Ok(0));
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
    assert_eq!(bench.send(connection, b"more", 0), Err(Errno::EPIPE));
    assert_eq!(bench.kernel.process().pending_signals(tid), signal_bit(SIGPIPE));
}

/// A bench that serves behind a gate: its listener, and an offered connection's other end.
fn gated(bench: &mut Bench) -> (u64, TcpStream) {
    let (listener, address) = bench.listener();
    bench.host.gate = Gate::open(Arc::new(bench.kernel.listeners()), Vec::new());
    bench.host.gate.shut();
    let client = TcpStream::connect(address).unwrap();
    (listener, client)
}

fn offer(bench: &mut Bench, listener: u64) {
    let id = bench.kernel.process().descriptors.lookup(i32::try_from(listener).unwrap()).unwrap();
    let Object::Socket(socket) = &bench.kernel.files.description(id).object else { panic!("not a socket") };
    let handle = socket.handle().clone();
    let connection = loop {
        match rustix::net::accept(&handle) {
            Ok(connection) => break connection,
            Err(rustix::io::Errno::AGAIN) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    rustix::io::ioctl_fionbio(&connection, true).unwrap();
    let listeners = Arc::new(bench.kernel.listeners());
    bench.host.gate =
        Gate::offering(listeners, Offer { listener: handle, connection: HostFile::socket(connection), peer: None });
}

#[test]
fn a_gate_shows_offers_only() {
    let mut bench = Bench::allowed(listening("127.0.0.1"));
    let (listener, client) = gated(&mut bench);
    bench.write(AT, &[listener | 1 << 32]);
    assert_eq!(bench.call(POLL, &[AT, 1, 0]), Ok(0), "the connection waits in the host's queue, unseen");
    offer(&mut bench, listener);
    bench.write(AT, &[listener | 1 << 32]);
    assert_eq!(bench.call(POLL, &[AT, 1, 0]), Ok(1));
    bench.write_half(LENGTH, 128);
    let connection = bench.call(ACCEPT4, &[listener, AT, LENGTH, SOCK_NONBLOCK.into()]).unwrap();
    assert_eq!(bench.name(GETPEERNAME, connection).unwrap(), client.local_addr().unwrap());
    bench.write(AT, &[listener | 1 << 32]);
    assert_eq!(bench.call(POLL, &[AT, 1, 0]), Ok(0));
    assert!(!bench.host.gate.finished());
    assert_eq!(bench.call(CLOSE, &[connection]), Ok(0));
    assert!(bench.host.gate.finished());
}

#[test]
fn a_gate_stands_before_its_own_listeners_only() {
    let mut bench = Bench::allowed(listening("127.0.0.1"));
    let (_, client) = gated(&mut bench);
    let (own, address) = bench.listener();
    let _friend = TcpStream::connect(address).unwrap();
    let tid = bench.pid();
    if bench.start(tid, ACCEPT4, &[own, 0, 0, 0]) == Entered::Blocked {
        assert!(bench.await_call(tid).is_ok(), "what it listens on since then is its own affair");
    }
    assert_eq!(bench.host.gate.counts(), (0, 0));
    drop(client);
}

#[test]
fn an_open_gate_counts_until_it_is_shut() {
    let mut bench = Bench::allowed(listening("127.0.0.1"));
    let (listener, address) = bench.listener();
    bench.host.gate = Gate::open(Arc::new(bench.kernel.listeners()), Vec::new());
    let tid = bench.pid();
    let _clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
    let connections = [(); 2].map(|()| match bench.start(tid, ACCEPT4, &[listener, 0, 0, 0]) {
        Entered::Blocked => bench.await_call(tid).unwrap(),
        _ => result(bench.registers(tid).rax).unwrap(),
    });
    assert_eq!(bench.call(CLOSE, &[connections[0]]), Ok(0));
    assert_eq!(bench.host.gate.counts(), (2, 1));
    bench.host.gate.shut();
    assert!(!bench.host.gate.finished(), "one connection is left");
    let _late = TcpStream::connect(address).unwrap();
    bench.write(AT, &[listener | 1 << 32]);
    assert_eq!(bench.call(POLL, &[AT, 1, 0]), Ok(0), "nobody sees the one that comes too late");
    assert_eq!(bench.call(CLOSE, &[connections[1]]), Ok(0));
    assert!(bench.host.gate.finished());
}

#[test]
fn every_offer_is_an_edge() {
    let mut bench = Bench::allowed(listening("127.0.0.1"));
    let (listener, _client) = gated(&mut bench);
    let set = bench.call(EPOLL_CREATE1, &[0]).unwrap();
    bench.write_half(AT, 1 | epoll::EPOLLET);
    assert_eq!(bench.call(EPOLL_CTL, &[set, epoll::EPOLL_CTL_ADD.into(), listener, AT]), Ok(0));
    assert_eq!(bench.call(EPOLL_WAIT, &[set, OTHER, 8, 0]), Ok(0));
    offer(&mut bench, listener);
    let pristine = bench.kernel.clone();
    for _ in 0..2 {
        assert_eq!(bench.call(EPOLL_WAIT, &[set, OTHER, 8, 0]), Ok(1));
        assert_eq!(bench.call(EPOLL_WAIT, &[set, OTHER, 8, 0]), Ok(0));
        bench.kernel = pristine.clone();
    }
}

#[test]
fn datagrams_are_checked_one_by_one() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let there = server.local_addr().unwrap();
    let mut bench = Bench::allowed(connecting(&there.to_string()));
    let client = bench.socket(AF_INET, SOCK_DGRAM);
    bench.put(BUFFER, b"question");
    let bytes = Address::Internet(there).encode();
    bench.put(AT, &bytes);
    assert_eq!(bench.call(SENDTO, &[client, BUFFER, 8, 0, AT, 16]), Ok(8));
    let mut buffer = [0; 16];
    let (count, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..count], b"question");
    server.send_to(b"long answer", from).unwrap();
    bench.write_half(LENGTH, 128);
    let got = bench.call(RECVFROM, &[client, OTHER, 4, MSG_TRUNC.into(), AT, LENGTH]);
    assert_eq!(got, Ok(11));
    assert_eq!(bench.get(OTHER, 8), b"long\0\0\0\0");
    assert_eq!(Address::decode(&bench.get(AT, 16)), Ok(Address::Internet(there)));
    let other = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bytes = Address::Internet(other).encode();
    bench.put(AT, &bytes);
    assert_eq!(bench.call(SENDTO, &[client, BUFFER, 8, 0, AT, 16]), Err(Errno::EACCES));
}

#[test]
fn a_host_socket_takes_no_descriptors() {
    let mut bench = Bench::allowed(listening("127.0.0.1"));
    let (listener, address) = bench.listener();
    let _client = TcpStream::connect(address).unwrap();
    let tid = bench.pid();
    let connection = match bench.start(tid, ACCEPT4, &[listener, 0, 0, 0]) {
        Entered::Blocked => bench.await_call(tid).unwrap(),
        _ => result(bench.registers(tid).rax).unwrap(),
    };
    assert_eq!(bench.send_rights(connection, &[listener]), Err(Errno::EPERM));
}

#[test]
fn options_are_those_of_the_list() {
    let mut bench = Bench::new();
    let stream = bench.socket(AF_INET, SOCK_STREAM);
    assert_eq!(bench.option(stream, SOL_SOCKET, SO_TYPE), Ok(SOCK_STREAM));
    assert_eq!(bench.set_option(stream, SOL_TCP, TCP_NODELAY, &1_u32.to_le_bytes()), Ok(0));
    assert_eq!(bench.option(stream, SOL_TCP, TCP_NODELAY), Ok(1));
    assert_eq!(bench.set_option(stream, SOL_TCP, TCP_NODELAY, &[1]), Err(Errno::EINVAL));
    assert_eq!(bench.set_option(stream, SOL_SOCKET, SO_TYPE, &1_u32.to_le_bytes()), Err(Errno::ENOPROTOOPT));
    const SO_ATTACH_FILTER: u32 = 26;
    assert_eq!(bench.set_option(stream, SOL_SOCKET, SO_ATTACH_FILTER, &[0; 16]), Err(Errno::ENOPROTOOPT));
    const IP_ADD_MEMBERSHIP: u32 = 35;
    assert_eq!(bench.set_option(stream, SOL_IP, IP_ADD_MEMBERSHIP, &[0; 8]), Err(Errno::ENOPROTOOPT));
    assert_eq!(bench.set_option(stream, SOL_SOCKET, SO_PRIORITY, &7_u32.to_le_bytes()), Err(Errno::EPERM));
    assert_eq!(bench.set_option(stream, SOL_TCP, TCP_CONGESTION, b"module"), Err(Errno::EPERM));
    assert_eq!(bench.set_option(stream, SOL_TCP, TCP_CONGESTION, b"cubic"), Ok(0));
    assert_eq!(bench.option(stream, SOL_SOCKET, SO_PEERCRED), Ok(0));
    let (one, _other) = bench.pair(SOCK_DGRAM);
    assert_eq!(bench.option(one, SOL_SOCKET, SO_TYPE), Ok(SOCK_DGRAM));
    assert_eq!(bench.set_option(one, SOL_SOCKET, SO_BROADCAST, &1_u32.to_le_bytes()), Ok(0));
    assert_eq!(bench.option(one, SOL_SOCKET, SO_BROADCAST), Ok(1));
    assert_eq!(bench.option(one, SOL_TCP, TCP_NODELAY), Err(Errno::EOPNOTSUPP));
}

#[test]
fn a_lingering_close_never_reaches_the_host() {
    let mut bench = Bench::new();
    let stream = bench.socket(AF_INET, SOCK_STREAM);
    assert_eq!(bench.set_option(stream, SOL_SOCKET, SO_LINGER, &[1, 0, 0, 0, 60, 0, 0, 0]), Ok(0));
    bench.write_half(LENGTH, 8);
    assert_eq!(bench.call(GETSOCKOPT, &[stream, SOL_SOCKET.into(), SO_LINGER.into(), AT, LENGTH]), Ok(0));
    assert_eq!(bench.get(AT, 8), [1, 0, 0, 0, 60, 0, 0, 0]);
    let id = bench.kernel.process().descriptors.lookup(i32::try_from(stream).unwrap()).unwrap();
    let Object::Socket(socket) = &bench.kernel.files.description(id).object else { panic!("not a socket") };
    assert_eq!(rustix::net::sockopt::socket_linger(socket.handle()), Ok(None));
}

#[test]
fn hostile_arguments_are_refused() {
    let mut bench = Bench::new();
    let (one, _other) = bench.pair(SOCK_STREAM);
    let bad = 0x1000;
    assert_eq!(bench.call(SENDTO, &[one, bad, 8, 0, 0, 0]), Err(Errno::EFAULT));
    assert_eq!(bench.call(SENDTO, &[one, u64::MAX, u64::MAX, 0, 0, 0]), Err(Errno::EFAULT));
    assert_eq!(bench.call(RECVFROM, &[99, bad, 8, 0, 0, 0]), Err(Errno::EBADF));
    assert_eq!(bench.call(SENDMSG, &[one, bad, 0]), Err(Errno::EFAULT));
    bench.write(HEADER, &[0, 0, VECTOR, u64::MAX, 0, 0, 0]);
    assert_eq!(bench.call(SENDMSG, &[one, HEADER, 0]), Err(Errno::EMSGSIZE));
    bench.write(VECTOR, &[BUFFER, u64::MAX]);
    bench.write(HEADER, &[0, 0, VECTOR, 1, 0, 0, 0]);
    assert_eq!(bench.call(SENDMSG, &[one, HEADER, 0]), Err(Errno::EINVAL));
    bench.header(BUFFER, 1, u64::MAX);
    assert_eq!(bench.call(SENDMSG, &[one, HEADER, 0]), Err(Errno::ENOBUFS));
    assert_eq!(bench.call(BIND, &[one, AT, u64::MAX]), Err(Errno::EINVAL));
    assert_eq!(bench.call(SHUTDOWN, &[one, 9]), Err(Errno::EINVAL));
    assert_eq!(bench.call(ACCEPT4, &[one, 0, 0, 1]), Err(Errno::EINVAL));
    bench.write_half(LENGTH, u32::MAX);
    assert_eq!(bench.call(GETSOCKNAME, &[one, AT, LENGTH]), Err(Errno::EINVAL));
    assert_eq!(bench.call(GETSOCKOPT, &[one, 1, 3, AT, LENGTH]), Err(Errno::EINVAL));
}
