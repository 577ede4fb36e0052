//! Warm-up requests: sent through the program's real listening socket before it is frozen.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};
use warmfork_linux::gate::OwnClient;
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
    /// Where `socket` is bound; nothing for a kind of socket that has no address to connect to.
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

/// What came of the warm-up.
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
/// [`EngineError::WarmUp`] when a request fails, and what [`Machine::run`] says.
pub fn warm_up(
    machine: &mut Machine,
    address: &Address,
    count: u32,
    path: &str,
    deadline: Option<u64>,
) -> Result<WarmUp, EngineError> {
    let client = Arc::new(Client { own: machine.admit_own(), ..Client::default() });
    let (target, request) = (address.clone(), request(address, path));
    converse(machine, &client, deadline, move |client| (0..count).try_for_each(|_| client.fetch(&target, &request)))
}

/// Has `client` make `requests`, on a thread of its own, while `machine` runs; see [`warm_up`].
fn converse(
    machine: &mut Machine,
    client: &Arc<Client>,
    deadline: Option<u64>,
    requests: impl FnOnce(&Client) -> std::io::Result<()> + Send + 'static,
) -> Result<WarmUp, EngineError> {
    let done = Done(Arc::clone(client), machine.handle());
    let thread =
        std::thread::Builder::new().name("warmfork-warm-up".into()).spawn(move || requests(&done.0).map_err(explain));
    let thread = thread.map_err(EngineError::host("starting the warm-up"))?;
    let limits = RunLimits { deadline, ..RunLimits::default() };
    let outcome = machine.run(Goal::Flag(&client.finished), limits);
    if !matches!(outcome, Ok(Outcome::Flagged)) {
        // Nobody waits for the thread: it ends at once, unless it is connecting, which it may do until the machine is
        // gone.
        client.give_up();
        return outcome.map(WarmUp::Stopped);
    }
    thread.join().map_err(|_| EngineError::Ended)?.map_err(EngineError::WarmUp)?;
    match machine.run(Goal::Ready, limits)? {
        Outcome::Ready => Ok(WarmUp::Ready),
        outcome => Ok(WarmUp::Stopped(outcome)),
    }
}

/// A connection of our own to a program, over which nothing has been said yet.
pub(super) struct Silent {
    client: Arc<Client>,
    stream: Box<dyn Duplex>,
}

impl Silent {
    /// Connects to `machine`, which accepts nobody else from now on.
    ///
    /// # Errors
    /// [`EngineError::WarmUp`] when that fails.
    pub fn to(machine: &mut Machine, address: &Address) -> Result<Self, EngineError> {
        Self::of(Client { own: machine.admit_own(), ..Client::default() }, address)
    }

    /// Connects to a listening socket, whoever accepts from it.
    ///
    /// # Errors
    /// As [`Silent::to`].
    pub fn alone(address: &Address) -> Result<Self, EngineError> {
        Self::of(Client::default(), address)
    }

    fn of(client: Client, address: &Address) -> Result<Self, EngineError> {
        let stream = client.open(address).map_err(explain).map_err(EngineError::WarmUp)?;
        Ok(Self { client: Arc::new(client), stream })
    }

    /// Whether `connection`, which was accepted, is the other end.
    pub fn is_peer(&self, connection: &Arc<HostFile>) -> bool {
        self.client.own.made(connection)
    }

    /// Requests `path` over it, and returns when `machine` is ready again, as [`warm_up`].
    ///
    /// # Errors
    /// As [`warm_up`].
    pub fn request(self, machine: &mut Machine, address: &Address, path: &str) -> Result<WarmUp, EngineError> {
        let (request, stream) = (request(address, path), self.stream);
        converse(machine, &self.client, None, move |client| {
            talk(stream, &request)?;
            client.take_line(Line::Free)
        })
    }

    /// Hangs up, having said nothing, and returns when `machine` has done so too (or does not within `patience`) and is ready
    /// again.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn hang_up(self, machine: &mut Machine, patience: Duration) -> Result<WarmUp, EngineError> {
        let stream = self.stream;
        // They fail where the program has ended the connection already.
        let _ = rustix::net::sockopt::set_socket_timeout(&*stream, Timeout::Recv, Some(patience));
        let _ = rustix::net::shutdown(&*stream, Shutdown::Write);
        converse(machine, &self.client, None, move |_| {
            // It may end by a reset, or not in time: it is over in any case.
            let _ = std::io::copy(&mut { stream }, &mut std::io::sink());
            Ok(())
        })
    }

    /// Sends a request for `path`, and has a thread of its own read the answer.
    ///
    /// # Errors
    /// The host's refusals.
    pub fn ask(mut self, address: &Address, path: &str) -> std::io::Result<JoinHandle<std::io::Result<()>>> {
        self.stream.write_all(request(address, path).as_bytes())?;
        std::thread::Builder::new().name("warmfork-warm-up".into()).spawn(move || listen(self.stream).map_err(explain))
    }
}

/// A socket that is read from and written to.
trait Duplex: Read + Write + AsFd + Send {}

impl<T: Read + Write + AsFd + Send> Duplex for T {}

/// Who makes the requests, on a thread of its own.
#[derive(Default)]
struct Client {
    finished: AtomicBool,
    /// By what the machine knows it.
    own: OwnClient,
    /// Locked for moments only, with no other lock.
    line: Mutex<Line>,
}

/// The client's connection, for whoever wants to end it.
#[derive(Default)]
enum Line {
    /// There is none just now.
    #[default]
    Free,
    Busy(OwnedFd),
    /// There shall be none any more.
    Cut,
}

/// Stops the machine when the client is done, however it ended.
struct Done(Arc<Client>, Handle);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.own.is_gone();
        self.0.finished.store(true, Ordering::SeqCst);
        self.1.look();
    }
}

impl Client {
    /// Sends `request` to `address` and reads the answer.
    fn fetch(&self, address: &Address, request: &str) -> std::io::Result<()> {
        talk(self.open(address)?, request)?;
        self.take_line(Line::Free)
    }

    /// Connects to `address`.
    fn open(&self, address: &Address) -> std::io::Result<Box<dyn Duplex>> {
        match address {
            Address::Internet(address) => {
                let stream = self.connect(reachable(*address))?;
                stream.set_read_timeout(Some(SILENCE))?;
                self.take_line(Line::Busy(stream.as_fd().try_clone_to_owned()?))?;
                Ok(Box::new(stream))
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(SILENCE))?;
                self.take_line(Line::Busy(stream.as_fd().try_clone_to_owned()?))?;
                Ok(Box::new(stream))
            }
        }
    }

    /// Connects, and tells the machine from which port: it accepts nobody else. Binding the socket before would be simpler,
    /// but finds no port where many connections have ended lately, to whomever they led.
    fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        self.own.connects(|| {
            match rustix::net::connect(&socket, &address) {
                Ok(()) | Err(Errno::INPROGRESS) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(SocketAddr::try_from(rustix::net::getsockname(&socket)?)?.port())
        })?;
        let patience = Timespec { tv_sec: SILENCE.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: 0 };
        let mut set = [PollFd::new(&socket, PollFlags::OUT)];
        if retry_on_intr(|| rustix::event::poll(&mut set, Some(&patience)))? == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        rustix::net::sockopt::socket_error(&socket)??;
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(SILENCE))?;
        Ok(stream)
    }

    fn take_line(&self, line: Line) -> std::io::Result<()> {
        let mut held = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, Line::Cut) {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        *held = line;
        Ok(())
    }

    /// Breaks the connection, and has it make no other.
    fn give_up(&self) {
        let mut held = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Line::Busy(connection) = std::mem::replace(&mut *held, Line::Cut) {
            // It fails when the program has closed the connection already.
            let _ = rustix::net::shutdown(connection, Shutdown::Both);
        }
    }
}

/// Where to connect to for a socket that is bound to `address`.
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

/// What a socket calls EAGAIN is here the end of our patience.
fn explain(error: std::io::Error) -> std::io::Error {
    if error.kind() == ErrorKind::WouldBlock {
        return std::io::Error::new(ErrorKind::TimedOut, format!("nothing came for {} s", SILENCE.as_secs()));
    }
    error
}

/// The longest that a warm-up request may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Sends `request` and reads the answer: as long as it says that it is, else until the program closes the connection.
fn talk(mut stream: impl Read + Write, request: &str) -> std::io::Result<()> {
    stream.write_all(request.as_bytes())?;
    listen(stream)
}

/// Reads an answer, as [`talk`] does.
fn listen(stream: impl Read) -> std::io::Result<()> {
    let mut answer = BufReader::new(stream);
    let mut length = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = answer.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 || line == b"\r\n" || line == b"\n" {
            break;
        }
        length = length.or_else(|| content_length(&line));
    }
    std::io::copy(&mut answer.take(length.unwrap_or(u64::MAX)), &mut std::io::sink()).map(drop)
}

/// Header lines are read in pieces of this many bytes.
const LONGEST_LINE: u64 = 1 << 16;

fn content_length(line: &[u8]) -> Option<u64> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use super::talk;

    /// A server that has said `answer`, and then fails whoever reads on.
    struct Said<'a>(&'a [u8]);

    impl Read for Said<'_> {
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

    impl Write for Said<'_> {
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
            assert!(talk(Said(answer.as_bytes()), "GET /").is_ok(), "{answer}");
        }
        for answer in ["HTTP/1.1 200 OK\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody", "HTTP/1.1"] {
            assert!(talk(Said(answer.as_bytes()), "GET /").is_err(), "{answer}");
        }
    }
}
