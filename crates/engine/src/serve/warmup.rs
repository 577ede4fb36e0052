//! Warm-up requests: sent through the program's real listening socket before it is frozen.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType};
use warmfork_linux::gate::{ClientName, OwnClient};
use warmfork_memory::HostFile;

use crate::error::EngineError;
use crate::goal::{Goal, Outcome, RunLimits};
use crate::machine::{Handle, Machine};

/// Where a program listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// TCP.
    Internet(SocketAddr),
    /// A Unix socket of the host.
    Unix(PathBuf),
}

impl Address {
    /// The address that `socket` is bound to. `None` for a kind of socket that has no address to connect to.
    pub fn of(socket: impl AsFd) -> Option<Self> {
        let bound = rustix::net::getsockname(socket).ok()?;
        if let Ok(address) = SocketAddr::try_from(bound.clone()) {
            return Some(Self::Internet(address));
        }
        let address = rustix::net::SocketAddrUnix::try_from(bound).ok()?;
        let path = address.path_bytes()?;
        Some(Self::Unix(PathBuf::from(std::ffi::OsStr::from_bytes(path))))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Internet(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The result of a warm-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WarmUp {
    /// The program is ready again.
    Ready,
    /// It stopped for this reason.
    Stopped(Outcome),
}

/// Sends `count` HTTP requests for `path` to `address`, one connection each, while `machine` runs, and returns when
/// the program is ready again, or at once when the machine is interrupted.
///
/// # Errors
/// [`EngineError::WarmUp`] when a request fails; as [`Machine::run`].
pub fn warm_up(
    machine: &mut Machine,
    address: &Address,
    count: u32,
    path: &str,
    deadline: Option<u64>,
) -> Result<WarmUp, EngineError> {
    let client = Arc::new(Client { own: machine.admit_own(), ..Client::default() });
    let (target, request) = (address.clone(), request(address, path));
    run_with_client(machine, &client, deadline, move |client| {
        (0..count).try_for_each(|_| client.fetch(&target, &request))
    })
}

/// Runs `machine` while `client` makes `requests` on a thread of its own; see [`warm_up`].
fn run_with_client(
    machine: &mut Machine,
    client: &Arc<Client>,
    deadline: Option<u64>,
    requests: impl FnOnce(&Client) -> std::io::Result<()> + Send + 'static,
) -> Result<WarmUp, EngineError> {
    let finish = FinishOnDrop(Arc::clone(client), machine.handle());
    let thread =
        std::thread::Builder::new().name("warmfork-warm-up".into()).spawn(move || requests(&finish.0).map_err(explain));
    let thread = thread.map_err(EngineError::host("starting the warm-up"))?;
    let limits = RunLimits { deadline, ..RunLimits::default() };
    let outcome = machine.run(Goal::Flag(&client.finished), limits);
    if !matches!(outcome, Ok(Outcome::Flagged)) {
        // This thread does not wait for the client's: that ends at once, unless it is connecting, which it may do until the
        // machine is gone.
        client.give_up();
        return outcome.map(WarmUp::Stopped);
    }
    thread.join().map_err(|_| EngineError::Ended)?.map_err(EngineError::WarmUp)?;
    match machine.run(Goal::Ready, limits)? {
        Outcome::Ready => Ok(WarmUp::Ready),
        outcome => Ok(WarmUp::Stopped(outcome)),
    }
}

/// A client of our own that is connected to a program and has sent nothing yet.
pub(super) struct IdleClient {
    client: Arc<Client>,
    stream: Box<dyn Duplex>,
}

impl IdleClient {
    /// Connects to `machine`, which accepts no other client from now on.
    ///
    /// # Errors
    /// [`EngineError::WarmUp`] when that fails.
    pub fn connect_to(machine: &mut Machine, address: &Address) -> Result<Self, EngineError> {
        Self::of(Client { own: machine.admit_own(), ..Client::default() }, address)
    }

    /// Connects to a listening socket; other clients are accepted too.
    ///
    /// # Errors
    /// As [`IdleClient::connect_to`].
    pub fn connect(address: &Address) -> Result<Self, EngineError> {
        Self::of(Client::default(), address)
    }

    fn of(client: Client, address: &Address) -> Result<Self, EngineError> {
        let stream = client.open(address).map_err(explain).map_err(EngineError::WarmUp)?;
        Ok(Self { client: Arc::new(client), stream })
    }

    /// Whether `connection`, which was accepted, is the other end of this client's.
    pub fn is_peer(&self, connection: &Arc<HostFile>) -> bool {
        self.client.own.made(connection)
    }

    /// Requests `path` and returns when `machine` is ready again, as [`warm_up`].
    ///
    /// # Errors
    /// As [`warm_up`].
    pub fn request(self, machine: &mut Machine, address: &Address, path: &str) -> Result<WarmUp, EngineError> {
        let (request, stream) = (request(address, path), self.stream);
        run_with_client(machine, &self.client, None, move |client| {
            exchange(stream, &request)?;
            client.set_connection(ConnectionSlot::Empty)
        })
    }

    /// Hangs up and returns when `machine` is ready again, having closed its end or let `timeout` pass.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn hang_up(self, machine: &mut Machine, timeout: Duration) -> Result<WarmUp, EngineError> {
        let stream = self.stream;
        // These calls fail where the program has ended the connection already.
        let _ = rustix::net::sockopt::set_socket_timeout(&*stream, Timeout::Recv, Some(timeout));
        let _ = rustix::net::shutdown(&*stream, Shutdown::Write);
        run_with_client(machine, &self.client, None, move |_| {
            // The connection may end by a reset, or not in time: it is over in any case.
            let _ = std::io::copy(&mut { stream }, &mut std::io::sink());
            Ok(())
        })
    }

    /// Sends a request for `path` and reads the answer on a thread of its own.
    ///
    /// # Errors
    /// The host's refusals.
    pub fn ask(mut self, address: &Address, path: &str) -> std::io::Result<JoinHandle<std::io::Result<()>>> {
        self.stream.write_all(request(address, path).as_bytes())?;
        std::thread::Builder::new()
            .name("warmfork-warm-up".into())
            .spawn(move || read_answer(self.stream).map_err(explain))
    }
}

/// A socket that is read from and written to.
trait Duplex: Read + Write + AsFd + Send {}

impl<T: Read + Write + AsFd + Send> Duplex for T {}

/// A client that makes requests, on a thread of its own.
#[derive(Default)]
struct Client {
    finished: AtomicBool,
    /// The identity by which the machine recognises it.
    own: OwnClient,
    /// Locked briefly, with no other lock.
    slot: Mutex<ConnectionSlot>,
}

/// The client's connection, which another thread may end.
#[derive(Default)]
enum ConnectionSlot {
    /// There is no connection at present.
    #[default]
    Empty,
    Connected(OwnedFd),
    /// No further connection may be made.
    Closed,
}

/// Stops the machine when the client's thread ends, for whatever reason.
struct FinishOnDrop(Arc<Client>, Handle);

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.0.own.is_gone();
        self.0.finished.store(true, Ordering::SeqCst);
        self.1.notify();
    }
}

impl Client {
    /// Sends `request` to `address` and reads the answer.
    fn fetch(&self, address: &Address, request: &str) -> std::io::Result<()> {
        exchange(self.open(address)?, request)?;
        self.set_connection(ConnectionSlot::Empty)
    }

    /// Connects to `address`.
    fn open(&self, address: &Address) -> std::io::Result<Box<dyn Duplex>> {
        match address {
            Address::Internet(address) => {
                let stream = self.connect(reachable(*address))?;
                stream.set_read_timeout(Some(READ_TIMEOUT))?;
                self.set_connection(ConnectionSlot::Connected(stream.as_fd().try_clone_to_owned()?))?;
                Ok(Box::new(stream))
            }
            Address::Unix(path) => {
                let stream = self.connect_unix(path)?;
                stream.set_read_timeout(Some(READ_TIMEOUT))?;
                self.set_connection(ConnectionSlot::Connected(stream.as_fd().try_clone_to_owned()?))?;
                Ok(Box::new(stream))
            }
        }
    }

    /// Connects, and tells the machine the name by which it knows the client, which Linux chooses.
    fn connect_unix(&self, path: &Path) -> std::io::Result<UnixStream> {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed())?;
        self.own.connects(|| Ok(ClientName::unix(&socket)?))?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket.into())
    }

    /// Connects, and tells the machine both ends' addresses: the machine accepts no other client. Binding the socket before
    /// would be simpler, but finds no port where many connections, to any address, have ended lately.
    fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        self.own.connects(|| {
            match rustix::net::connect(&socket, &address) {
                Ok(()) | Err(Errno::INPROGRESS) => {}
                Err(error) => return Err(error.into()),
            }
            let from = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
            Ok(ClientName::Internet { from, to: address })
        })?;
        let timeout = Timespec { tv_sec: READ_TIMEOUT.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: 0 };
        let mut set = [PollFd::new(&socket, PollFlags::OUT)];
        if retry_on_intr(|| rustix::event::poll(&mut set, Some(&timeout)))? == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        rustix::net::sockopt::socket_error(&socket)??;
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(READ_TIMEOUT))?;
        Ok(stream)
    }

    fn set_connection(&self, connection: ConnectionSlot) -> std::io::Result<()> {
        let mut held = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, ConnectionSlot::Closed) {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        *held = connection;
        Ok(())
    }

    /// Ends the connection, and lets the client make no other.
    fn give_up(&self) {
        let mut held = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let ConnectionSlot::Connected(connection) = std::mem::replace(&mut *held, ConnectionSlot::Closed) {
            // The call fails when the program has closed the connection already.
            let _ = rustix::net::shutdown(connection, Shutdown::Both);
        }
    }
}

/// The address to connect to for a socket that is bound to `address`.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn request(address: &Address, path: &str) -> String {
    let host = match address {
        Address::Internet(address) => address.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: warmfork-warm-up\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
}

/// Turns EAGAIN, by which a socket says that its timeout is over, into an error that says so.
fn explain(error: std::io::Error) -> std::io::Error {
    if error.kind() == ErrorKind::WouldBlock {
        return std::io::Error::new(ErrorKind::TimedOut, format!("nothing came for {} s", READ_TIMEOUT.as_secs()));
    }
    error
}

/// The longest time that an answer to a warm-up request may take to begin or to go on.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends `request` and reads the answer: up to its content length, or else until the program closes the connection.
fn exchange(mut stream: impl Read + Write, request: &str) -> std::io::Result<()> {
    stream.write_all(request.as_bytes())?;
    read_answer(stream)
}

/// Reads an answer, as [`exchange`] does.
fn read_answer(stream: impl Read) -> std::io::Result<()> {
    let mut answer = BufReader::new(stream);
    let mut length = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = answer.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 || line == b"\r\n" || line == b"\n" {
            break;
        }
        length = length.or_else(|| content_length(&line));
    }
    std::io::copy(&mut answer.take(length.unwrap_or(u64::MAX)), &mut std::io::sink()).map(drop)
}

/// Header lines are read in pieces of this many bytes.
const MAX_LINE: u64 = 1 << 16;

fn content_length(line: &[u8]) -> Option<u64> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use super::exchange;

    /// A server that has sent these bytes; reading on fails.
    struct Sent<'a>(&'a [u8]);

    impl Read for Sent<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = self.0.len().min(into.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    impl Write for Sent<'_> {
        fn write(&mut self, from: &[u8]) -> io::Result<usize> {
            Ok(from.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_ends_where_it_says() {
        for answer in ["HTTP/1.1 200 OK\r\ncontent-LENGTH: 4\r\n\r\nbody", "HTTP/1.0 204 No\nContent-Length: 0\n\n"] {
            assert!(exchange(Sent(answer.as_bytes()), "GET /").is_ok(), "{answer}");
        }
        for answer in ["HTTP/1.1 200 OK\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody", "HTTP/1.1"] {
            assert!(exchange(Sent(answer.as_bytes()), "GET /").is_err(), "{answer}");
        }
    }
}
