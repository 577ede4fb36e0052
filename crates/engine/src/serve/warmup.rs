//! Warm-up requests: sent through the program's real listening socket before it is frozen.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::EngineError;
use crate::machine::{Handle, Machine, Outcome, Until};

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
    pub fn of(socket: impl std::os::fd::AsFd) -> Option<Self> {
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
/// the program is ready again.
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
    let handle = machine.handle();
    let (target, request) = (address.clone(), request(address, path));
    let client = std::thread::Builder::new().name("warmfork-warm-up".into()).spawn(move || {
        let _done = Done(handle);
        (0..count).try_for_each(|_| fetch(&target, &request).map_err(explain))
    });
    let client = client.map_err(EngineError::host("starting the warm-up"))?;
    let outcome = machine.run(&Until { deadline, ..Until::default() })?;
    if outcome != Outcome::Interrupted {
        // The client ends by itself: its connections break with the machine, or run into their own time limit.
        return Ok(WarmUp::Stopped(outcome));
    }
    client.join().map_err(|_| EngineError::Ended)?.map_err(EngineError::WarmUp)?;
    match machine.run(&Until { ready: true, deadline, ..Until::default() })? {
        Outcome::Ready => Ok(WarmUp::Ready),
        outcome => Ok(WarmUp::Stopped(outcome)),
    }
}

/// Stops the machine when the client is done, however it ended.
struct Done(Handle);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.interrupt();
    }
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

fn fetch(address: &Address, request: &str) -> std::io::Result<()> {
    match address {
        Address::Internet(address) => {
            let mut address = *address;
            if address.ip().is_unspecified() {
                address.set_ip(match address {
                    SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                    SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                });
            }
            let stream = TcpStream::connect_timeout(&address, SILENCE)?;
            stream.set_read_timeout(Some(SILENCE))?;
            talk(stream, request)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(SILENCE))?;
            talk(stream, request)
        }
    }
}

/// Sends `request` and reads the answer: as long as it says that it is, else until the program closes the connection.
fn talk(mut stream: impl Read + Write, request: &str) -> std::io::Result<()> {
    stream.write_all(request.as_bytes())?;
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
