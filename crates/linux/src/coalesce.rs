//! Small pieces that a program sends one after the other leave together, as one segment: a segment for each would wake the
//! receiver each time, which costs more than all the rest of the call. Called by sockets and the dispatcher.
//!
//! ```text
//!   send "HTTP/1.1 200 OK\r\n"    MSG_MORE: the host keeps it
//!   send "Content-Length: 5\r\n"  gathered: no call of the host's, and on kvm the guest does not even stop
//!   send "\r\nhello"               gathered
//!   any other call, the end of a time slice or of a run: one call sends the gathered bytes, and pushes
//! ```
//!
//! A piece that fills a packet by itself leaves at once, with the pieces before it: the receiver can begin with it.
//!
//! A program can't tell: only its next call could show the difference, and the push comes before that call. The bytes of a
//! program that computes without a call are pushed at the next tick. Bytes are gathered only after a piece that the host has
//! taken, and only as many as the host has room for, so it takes them later as well. When the connection breaks in between, it is
//! to the program as if it had broken after the last piece: its next call on the socket says so.

use std::sync::Arc;

use log::warn;
use rustix::net::SendFlags;
use warmfork_abi::Errno;
use warmfork_abi::socket::{SO_MEMINFO, SOL_SOCKET};
use warmfork_memory::HostFile;

use crate::ids::Pid;

/// From this size on, in bytes, a piece leaves at once: the payload of one TCP packet in most networks. Most bytes that are
/// gathered.
pub const LARGE: usize = 1448;

/// The bytes for which a connection's send buffer must have room at least, before pieces are gathered for it: the host counts
/// more for a packet than its payload.
const SPARE: u32 = 32 << 10;

/// What one machine's sockets hold back: at most one of them does.
#[derive(Debug, Default)]
pub struct Coalescer {
    held: Option<Held>,
    /// Whether the last bytes that were pushed had come in several pieces.
    several: bool,
    /// Empty, for the next socket.
    spare: Vec<u8>,
}

/// The bytes that one socket holds back.
#[derive(Debug)]
struct Held {
    /// The socket.
    handle: Arc<HostFile>,
    /// Those that the host has not been given.
    gathered: Vec<u8>,
    /// How many more may be gathered.
    room: usize,
    /// Pieces so far.
    pieces: usize,
    /// The process and the descriptor of the last call that added to them, if the guest may answer the next one by itself.
    descriptor: Option<(Pid, i32)>,
}

impl Coalescer {
    /// Whether anything is held back.
    pub(crate) fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Whether the bytes that are held back are those of `handle`.
    pub(crate) fn holds(&self, handle: &Arc<HostFile>) -> bool {
        self.held.as_ref().is_some_and(|held| held.handle == *handle)
    }

    /// The host has taken a piece for `handle`, a TCP socket without TCP_CORK, and holds it back.
    pub(crate) fn hold(&mut self, handle: &Arc<HostFile>) {
        if self.held.as_ref().is_some_and(|held| held.handle != *handle) {
            // One call that sent to two sockets: the second is the one that may go on.
            self.push();
        }
        let held = self.held.get_or_insert_with(|| Held {
            handle: handle.clone(),
            gathered: std::mem::take(&mut self.spare),
            room: 0,
            pieces: 0,
            descriptor: None,
        });
        held.pieces += 1;
        // A program mostly sends its answers in as many pieces each time: after a single one, no second is prepared for.
        if held.room == 0 && (self.several || held.pieces > 1) && has_room(handle) {
            held.room = LARGE;
        }
    }

    /// Adds `piece` to the bytes held back for `handle`; `false` if that has none, or they may not be gathered.
    pub(crate) fn gather(&mut self, handle: &Arc<HostFile>, piece: &[u8]) -> bool {
        let held = self.held.as_mut().filter(|held| held.handle == *handle && piece.len() <= held.room);
        held.map(|held| held.add(piece, 1)).is_some()
    }

    /// Gives the bytes that were gathered for `handle`, if any, to the host, which holds them back: others follow.
    ///
    /// # Errors
    /// That of a broken connection; its bytes are gone.
    pub(crate) fn hand_over(&mut self, handle: &Arc<HostFile>) -> Result<(), Errno> {
        match self.held.as_mut().filter(|held| held.handle == *handle) {
            Some(held) => held.send(SendFlags::MORE),
            None => Ok(()),
        }
    }

    /// The bytes that were held back for `handle`, if any, have left.
    pub(crate) fn let_go(&mut self, handle: &Arc<HostFile>) {
        if self.holds(handle) {
            self.release();
        }
    }

    /// Sends the bytes that were held back; the socket and its error if that is broken.
    pub(crate) fn push(&mut self) -> Option<(Arc<HostFile>, Errno)> {
        let held = self.held.as_mut()?;
        if held.gathered.is_empty() {
            // Clearing TCP_CORK, which is clear, pushes. It fails for a connection that is gone, and its bytes with it.
            let _ = rustix::net::sockopt::set_tcp_cork(&held.handle, false);
            self.release();
            return None;
        }
        let result = held.send(SendFlags::empty());
        let handle = self.release()?;
        result.err().map(|error| (handle, error))
    }

    fn release(&mut self) -> Option<Arc<HostFile>> {
        let mut held = self.held.take()?;
        self.several = held.pieces > 1;
        held.gathered.clear();
        self.spare = held.gathered;
        Some(held.handle)
    }

    /// The last call may have added to the bytes that are held back, by descriptor `fd` of process `pid`, and the guest may answer
    /// the next one by itself.
    pub(crate) fn offer(&mut self, pid: Pid, fd: i32) {
        if let Some(held) = &mut self.held {
            held.descriptor = Some((pid, fd));
        }
    }

    /// The descriptor of process `pid` for which the guest may gather pieces by itself in its next run, and how many bytes.
    #[must_use]
    pub fn offered(&self, pid: Pid) -> Option<(i32, usize)> {
        let held = self.held.as_ref().filter(|held| held.room > 0)?;
        held.descriptor.filter(|&(owner, _)| owner == pid).map(|(_, fd)| (fd, held.room))
    }

    /// The guest has gathered `bytes` by itself, in `pieces`: no more than it was offered.
    pub fn gathered(&mut self, bytes: &[u8], pieces: usize) {
        if let Some(held) = &mut self.held {
            held.add(bytes, pieces);
        }
    }
}

impl Held {
    fn add(&mut self, bytes: &[u8], pieces: usize) {
        self.gathered.extend_from_slice(bytes);
        self.room = self.room.saturating_sub(bytes.len());
        self.pieces += pieces;
    }

    fn send(&mut self, flags: SendFlags) -> Result<(), Errno> {
        self.room = 0;
        if self.gathered.is_empty() {
            return Ok(());
        }
        let sent = rustix::net::send(&self.handle, &self.gathered, flags | SendFlags::NOSIGNAL);
        let whole = sent == Ok(self.gathered.len());
        self.gathered.clear();
        match sent {
            Ok(_) if whole => Ok(()),
            Err(error) if error != rustix::io::Errno::AGAIN => Err(Errno(error.raw_os_error())),
            _ => {
                warn!("the host has no memory for bytes that a connection had room for: the connection is reset");
                let _ = rustix::net::connect_unspec(&self.handle);
                Err(Errno::ECONNRESET)
            }
        }
    }
}

/// Whether the send buffer of `socket` has room for [`LARGE`] bytes, in packets of any common size.
fn has_room(socket: &HostFile) -> bool {
    /// Places in the value of SO_MEMINFO: SK_MEMINFO_SNDBUF and SK_MEMINFO_WMEM_QUEUED, in bytes.
    const SEND_BUFFER: usize = 3;
    const QUEUED: usize = 5;
    let mut value = [0; 36];
    let filled = warmfork_host::socket_option(socket, SOL_SOCKET.cast_signed(), SO_MEMINFO.cast_signed(), &mut value);
    let number = |index: usize| value.as_chunks::<4>().0.get(index).map(|bytes| u32::from_ne_bytes(*bytes));
    filled.is_ok_and(|length| length > 4 * QUEUED)
        && number(SEND_BUFFER) > number(QUEUED).map(|queued| queued.saturating_add(SPARE))
}
