//! Who is taken for the client that warms a program up.

use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::{ClientName, OwnClient};
use warmfork_memory::HostFile;

/// A TCP client at `from`, connected to `listener`, and what was accepted.
fn connected(listener: &TcpListener, from: &str) -> (TcpStream, Arc<HostFile>) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    rustix::net::bind(&socket, &from.parse::<std::net::SocketAddr>().unwrap()).unwrap();
    rustix::net::connect(&socket, &listener.local_addr().unwrap()).unwrap();
    (socket.into(), HostFile::socket(listener.accept().unwrap().0.into()))
}

#[test]
fn a_client_is_known_by_both_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (client, connection) = connected(&listener, "127.0.0.1:0");
    let from = client.local_addr().unwrap();
    let own = OwnClient::default();
    assert!(!own.made(&connection), "nobody has connected");
    own.connects(|| Ok(ClientName::Internet { from, to: client.peer_addr().unwrap() })).unwrap();
    assert!(own.made(&connection));
    let (_stranger, other) = connected(&listener, &format!("127.0.0.2:{}", from.port()));
    assert!(!own.made(&other), "another address with its port");
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_same, other) = connected(&elsewhere, &from.to_string());
    assert!(!own.made(&other), "the same address, connected elsewhere");
    own.is_gone();
    assert!(!own.made(&connection));
}

#[test]
fn addresses_are_compared_as_they_are_without_mapping() {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let own = OwnClient::default();
    let name = ClientName::Internet { from: client.local_addr().unwrap(), to: client.peer_addr().unwrap() };
    own.connects(|| Ok(name)).unwrap();
    assert!(own.made(&HostFile::socket(listener.accept().unwrap().0.into())));
}

#[test]
fn a_unix_client_is_known_by_its_name() {
    let name = format!("warmfork-gate-{}", std::process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let accept = || HostFile::socket(listener.accept().unwrap().0.into());
    let own = OwnClient::default();
    let client = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&client, &SocketAddrUnix::new_unnamed()).unwrap();
    own.connects(|| Ok(ClientName::unix(&client)?)).unwrap();
    rustix::net::connect(&client, &SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()).unwrap();
    assert!(own.made(&accept()));
    let _stranger = UnixStream::connect_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    assert!(!own.made(&accept()), "another socket of the same process");
}
