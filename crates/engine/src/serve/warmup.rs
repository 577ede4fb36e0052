//! Warm-up requests: sent through the program's real listening socket before it is frozen.

use std::io::{Read, Write};
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
        (0..count).try_for_each(|_| fetch(&target, &request))
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

fn talk(mut stream: impl Read + Write, request: &str) -> std::io::Result<()> {
    stream.write_all(request.as_bytes())?;
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}
