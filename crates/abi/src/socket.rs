//! Sockets: families, types, message flags, options (socket(2), socket(7), ip(7), tcp(7), unix(7)).

/// Unspecified address family.
pub const AF_UNSPEC: u16 = 0;
/// Local sockets.
pub const AF_UNIX: u16 = 1;
/// IPv4.
pub const AF_INET: u16 = 2;
/// IPv6.
pub const AF_INET6: u16 = 10;
/// Netlink.
pub const AF_NETLINK: u16 = 16;
/// Packet sockets.
pub const AF_PACKET: u16 = 17;

/// Byte stream.
pub const SOCK_STREAM: u32 = 1;
/// Datagrams.
pub const SOCK_DGRAM: u32 = 2;
/// Raw protocol access.
pub const SOCK_RAW: u32 = 3;
/// Datagrams over a connection, in order.
pub const SOCK_SEQPACKET: u32 = 5;
/// Flag of socket and accept4: O_NONBLOCK.
pub const SOCK_NONBLOCK: u32 = 0o4000;
/// Flag of socket and accept4: FD_CLOEXEC.
pub const SOCK_CLOEXEC: u32 = 0o2_000_000;

/// Size of `sockaddr_in`.
pub const SOCKADDR_IN_SIZE: usize = 16;
/// Size of `sockaddr_in6`.
pub const SOCKADDR_IN6_SIZE: usize = 28;
/// Size of `sockaddr_un`.
pub const SOCKADDR_UN_SIZE: usize = 110;
/// Size of `sockaddr_storage`, the longest address a call takes.
pub const SOCKADDR_STORAGE_SIZE: usize = 128;

/// Out-of-band data.
pub const MSG_OOB: u32 = 0x1;
/// Leave the data in the queue.
pub const MSG_PEEK: u32 = 0x2;
/// Do not use a gateway.
pub const MSG_DONTROUTE: u32 = 0x4;
/// Control data was cut off.
pub const MSG_CTRUNC: u32 = 0x8;
/// Data was cut off; as an argument: return the whole length.
pub const MSG_TRUNC: u32 = 0x20;
/// Do not block.
pub const MSG_DONTWAIT: u32 = 0x40;
/// End of a record.
pub const MSG_EOR: u32 = 0x80;
/// Wait for all of it.
pub const MSG_WAITALL: u32 = 0x100;
/// Confirm that the path is valid.
pub const MSG_CONFIRM: u32 = 0x800;
/// Read from the error queue.
pub const MSG_ERRQUEUE: u32 = 0x2000;
/// No SIGPIPE.
pub const MSG_NOSIGNAL: u32 = 0x4000;
/// More will follow.
pub const MSG_MORE: u32 = 0x8000;
/// recvmmsg: block for the first message only.
pub const MSG_WAITFORONE: u32 = 0x10000;
/// Send without copying.
pub const MSG_ZEROCOPY: u32 = 0x0400_0000;
/// Data in the SYN.
pub const MSG_FASTOPEN: u32 = 0x2000_0000;
/// Received descriptors get FD_CLOEXEC.
pub const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;

/// Most buffers in one vector (UIO_MAXIOV).
pub const IOV_MAX: u64 = 1024;
/// Size of `struct msghdr`.
pub const MSGHDR_SIZE: usize = 56;
/// Size of `struct mmsghdr`.
pub const MMSGHDR_SIZE: u64 = 64;
/// Size of `struct cmsghdr`.
pub const CMSGHDR_SIZE: usize = 16;
/// Control message: descriptors.
pub const SCM_RIGHTS: u32 = 1;
/// Control message: `struct ucred`.
pub const SCM_CREDENTIALS: u32 = 2;
/// Most descriptors in one message (SCM_MAX_FD).
pub const SCM_MAX_FD: usize = 253;

/// shutdown(2): no more receiving.
pub const SHUT_RD: u32 = 0;
/// shutdown(2): no more sending.
pub const SHUT_WR: u32 = 1;
/// shutdown(2): neither.
pub const SHUT_RDWR: u32 = 2;

/// Option level: the socket itself.
pub const SOL_SOCKET: u32 = 1;
/// Option level: IPv4.
pub const SOL_IP: u32 = 0;
/// Option level: TCP.
pub const SOL_TCP: u32 = 6;
/// Option level: UDP.
pub const SOL_UDP: u32 = 17;
/// Option level: UDP-Lite.
pub const SOL_UDPLITE: u32 = 136;
/// Option level: IPv6.
pub const SOL_IPV6: u32 = 41;

/// Debugging.
pub const SO_DEBUG: u32 = 1;
/// Reuse of local addresses.
pub const SO_REUSEADDR: u32 = 2;
/// Socket type (read only).
pub const SO_TYPE: u32 = 3;
/// Pending error, cleared by reading (read only).
pub const SO_ERROR: u32 = 4;
/// No gateway.
pub const SO_DONTROUTE: u32 = 5;
/// Broadcast allowed.
pub const SO_BROADCAST: u32 = 6;
/// Send buffer size.
pub const SO_SNDBUF: u32 = 7;
/// Receive buffer size.
pub const SO_RCVBUF: u32 = 8;
/// Keep-alive probes.
pub const SO_KEEPALIVE: u32 = 9;
/// Out-of-band data in the stream.
pub const SO_OOBINLINE: u32 = 10;
/// Packet priority.
pub const SO_PRIORITY: u32 = 12;
/// Linger on close.
pub const SO_LINGER: u32 = 13;
/// Several sockets on one port.
pub const SO_REUSEPORT: u32 = 15;
/// Receive SCM_CREDENTIALS.
pub const SO_PASSCRED: u32 = 16;
/// Credentials of the peer (read only).
pub const SO_PEERCRED: u32 = 17;
/// Fewest bytes that make a socket readable.
pub const SO_RCVLOWAT: u32 = 18;
/// Fewest bytes of room that make a socket writable.
pub const SO_SNDLOWAT: u32 = 19;
/// Timeout of receiving calls.
pub const SO_RCVTIMEO: u32 = 20;
/// Timeout of sending calls.
pub const SO_SNDTIMEO: u32 = 21;
/// Timestamps of packets.
pub const SO_TIMESTAMP: u32 = 29;
/// Whether the socket listens (read only).
pub const SO_ACCEPTCONN: u32 = 30;
/// Protocol (read only).
pub const SO_PROTOCOL: u32 = 38;
/// Address family (read only).
pub const SO_DOMAIN: u32 = 39;
/// Busy polling.
pub const SO_BUSY_POLL: u32 = 46;
/// CPU that handles the socket.
pub const SO_INCOMING_CPU: u32 = 49;
/// The socket's use of memory, as nine numbers (read only).
pub const SO_MEMINFO: u32 = 55;
/// Receive queue of the network card (read only).
pub const SO_INCOMING_NAPI_ID: u32 = 56;
/// Unique number of the socket (read only).
pub const SO_COOKIE: u32 = 57;

/// Type of service.
pub const IP_TOS: u32 = 1;
/// Time to live.
pub const IP_TTL: u32 = 2;
/// Path MTU discovery.
pub const IP_MTU_DISCOVER: u32 = 10;
/// Queue of errors.
pub const IP_RECVERR: u32 = 11;
/// Received datagrams tell their time to live.
pub const IP_RECVTTL: u32 = 12;
/// Received datagrams tell their type of service.
pub const IP_RECVTOS: u32 = 13;
/// Path MTU (read only).
pub const IP_MTU: u32 = 14;
/// Binding to addresses that are not there.
pub const IP_FREEBIND: u32 = 15;
/// No port at bind.
pub const IP_BIND_ADDRESS_NO_PORT: u32 = 24;
/// First multicast option, by number.
pub const IP_MULTICAST_IF: u32 = 32;
/// Multicast time to live.
pub const IP_MULTICAST_TTL: u32 = 33;
/// Multicast loops back.
pub const IP_MULTICAST_LOOP: u32 = 34;
/// Local port range.
pub const IP_LOCAL_PORT_RANGE: u32 = 51;

/// Hop limit.
pub const IPV6_UNICAST_HOPS: u32 = 16;
/// Multicast hop limit.
pub const IPV6_MULTICAST_HOPS: u32 = 18;
/// Multicast loops back.
pub const IPV6_MULTICAST_LOOP: u32 = 19;
/// Path MTU discovery.
pub const IPV6_MTU_DISCOVER: u32 = 23;
/// MTU.
pub const IPV6_MTU: u32 = 24;
/// Queue of errors.
pub const IPV6_RECVERR: u32 = 25;
/// No IPv4 on this socket.
pub const IPV6_V6ONLY: u32 = 26;
/// Received datagrams tell their hop limit.
pub const IPV6_RECVHOPLIMIT: u32 = 51;
/// Control message: the hop limit.
pub const IPV6_HOPLIMIT: u32 = 52;
/// No fragments.
pub const IPV6_DONTFRAG: u32 = 62;
/// Received datagrams tell their traffic class.
pub const IPV6_RECVTCLASS: u32 = 66;
/// Traffic class.
pub const IPV6_TCLASS: u32 = 67;
/// Automatic flow labels.
pub const IPV6_AUTOFLOWLABEL: u32 = 70;
/// Preferences for source addresses.
pub const IPV6_ADDR_PREFERENCES: u32 = 72;

/// No delay for small segments.
pub const TCP_NODELAY: u32 = 1;
/// Maximum segment size.
pub const TCP_MAXSEG: u32 = 2;
/// Only full segments.
pub const TCP_CORK: u32 = 3;
/// Seconds before keep-alive probes.
pub const TCP_KEEPIDLE: u32 = 4;
/// Seconds between probes.
pub const TCP_KEEPINTVL: u32 = 5;
/// Number of probes.
pub const TCP_KEEPCNT: u32 = 6;
/// SYN retransmissions.
pub const TCP_SYNCNT: u32 = 7;
/// Seconds in FIN-WAIT-2.
pub const TCP_LINGER2: u32 = 8;
/// accept waits for data.
pub const TCP_DEFER_ACCEPT: u32 = 9;
/// Window limit.
pub const TCP_WINDOW_CLAMP: u32 = 10;
/// Statistics (read only).
pub const TCP_INFO: u32 = 11;
/// Quick acknowledgements.
pub const TCP_QUICKACK: u32 = 12;
/// Congestion control, by name.
pub const TCP_CONGESTION: u32 = 13;
/// Milliseconds without acknowledgement.
pub const TCP_USER_TIMEOUT: u32 = 18;
/// Fast open, on listening sockets.
pub const TCP_FASTOPEN: u32 = 23;
/// Timestamp offset.
pub const TCP_TIMESTAMP: u32 = 24;
/// Unsent bytes that still leave a socket writable.
pub const TCP_NOTSENT_LOWAT: u32 = 25;
/// Fast open for connect.
pub const TCP_FASTOPEN_CONNECT: u32 = 30;

/// Collect sends into one datagram.
pub const UDP_CORK: u32 = 1;
/// Segment size of one large send.
pub const UDP_SEGMENT: u32 = 103;

/// Bytes that the checksum of a sent UDP-Lite datagram covers.
pub const UDPLITE_SEND_CSCOV: u32 = 10;
/// Bytes that the checksum of a received UDP-Lite datagram covers at least.
pub const UDPLITE_RECV_CSCOV: u32 = 11;
