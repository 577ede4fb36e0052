//! How a socket becomes one end of a connection without the host, and that a socket again.

use std::net::SocketAddr;

use warmfork_abi::Errno;
use warmfork_abi::socket::SOCK_STREAM;

use crate::objects::address::in_family;
use crate::objects::socket::Socket;
use crate::objects::tcp::TcpEnd;
use crate::objects::tcp::connection::Connections;

/// Inode numbers of ends that the host has never known begin here, behind those of socket pairs.
const FIRST_INODE: u64 = 2 << 32;

impl TcpEnd {
    /// Both ends of a new connection: of `client`, and of the socket accepted from `listener`, with their names.
    pub fn connect(
        connections: &mut Connections,
        (client, name): (&Socket, SocketAddr),
        (listener, peer): (&Socket, SocketAddr),
    ) -> (Self, Self) {
        let id = connections.create();
        let mut near = Self::new(client, (id, 0), name, peer);
        near.inode = client.inode();
        let far = Self::new(listener, (id, 1), peer, name);
        near.size(connections);
        far.size(connections);
        (near, far)
    }

    /// The end that is left of `socket`, which was connected as `name` to `peer`, after the peer has reset or refused the
    /// connection.
    pub fn reset(connections: &mut Connections, socket: &Socket, name: SocketAddr, peer: SocketAddr) -> Self {
        let id = connections.create_ended(socket.error.unwrap_or(Errno::ECONNRESET));
        Self { inode: socket.inode(), ..Self::new(socket, (id, 0), name, peer) }
    }

    fn new(like: &Socket, (connection, side): (u64, usize), name: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            connection,
            side,
            family: like.family,
            name: in_family(name, like.family),
            peer: in_family(peer, like.family),
            options: like.options.clone(),
            receive_timeout: like.receive_timeout,
            send_timeout: like.send_timeout,
            linger: like.linger,
            connecting: false,
            inode: FIRST_INODE + connection * 2 + side as u64,
        }
    }

    /// A socket in its place that is not connected (connect(2) to AF_UNSPEC), with the same options.
    ///
    /// # Errors
    /// The host's refusal of a socket.
    pub fn disconnect(&self, connections: &mut Connections) -> Result<Socket, Errno> {
        let mut socket = self.like()?;
        socket.receive_timeout = self.receive_timeout;
        socket.send_timeout = self.send_timeout;
        socket.linger = self.linger;
        connections.close(self.connection, self.side, true);
        Ok(socket)
    }

    /// A socket of the host with the same options: the host knows their values, and which may be set.
    pub(super) fn like(&self) -> Result<Socket, Errno> {
        Socket::with_options(self.family, SOCK_STREAM, 0, &self.options)
    }
}
