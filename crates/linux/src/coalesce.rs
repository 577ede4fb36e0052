//! Small pieces that a program sends one after the other leave together, as one segment: a segment for each would wake the
//! receiver each time, which costs more than all the rest of the call. Called by sockets and the dispatcher.
//!
//! ```text
//!   send "HTTP/1.1 200 OK\r\n"    MSG_MORE: the host keeps it
//!   send "Content-Length: 5\r\n"  MSG_MORE
//!   send "hello"                  MSG_MORE
//!   any other call, the end of a time slice or of a run: pushed
//! ```
//!
//! A piece that fills a packet by itself leaves at once, with the pieces before it: the receiver can begin with it.
//!
//! A program can't tell: only its next call could show the difference, and the push comes before that call. The bytes of a
//! program that computes without a call are pushed at the next tick.

use std::sync::Arc;

use warmfork_memory::HostFile;

use crate::host::Host;

/// From this size on, in bytes, a piece leaves at once: the payload of one TCP packet in most networks.
pub const LARGE: usize = 1448;

impl Host {
    /// The bytes that were held back for `handle`, if any, have left.
    pub(crate) fn let_go(&mut self, handle: &Arc<HostFile>) {
        if self.held.as_ref() == Some(handle) {
            self.held = None;
        }
    }

    /// The next bytes for `handle`, a TCP socket without TCP_CORK, may be held back.
    pub(crate) fn hold(&mut self, handle: &Arc<HostFile>) {
        if self.held.as_ref() != Some(handle) {
            self.push();
            self.held = Some(handle.clone());
        }
    }

    /// Whether anything is held back.
    pub(crate) fn holds_back(&self) -> bool {
        self.held.is_some()
    }

    /// Sends the bytes that were held back.
    pub fn push(&mut self) {
        if let Some(held) = self.held.take() {
            // Clearing TCP_CORK, which is clear, pushes. It fails for a connection that is gone, and its bytes with it.
            let _ = rustix::net::sockopt::set_tcp_cork(&held, false);
        }
    }
}
