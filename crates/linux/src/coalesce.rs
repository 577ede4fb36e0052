//! Small pieces that a program sends one after the other leave together, as one segment: each would wake the receiver,
//! which costs more than all the rest of the call. Called by sockets and the dispatcher.
//!
//! ```text
//!   send "HTTP/1.1 200 OK\r\n"    MSG_MORE: the host keeps it
//!   send "Content-Length: 5\r\n"  MSG_MORE
//!   send "hello"                  MSG_MORE
//!   any other call, the end of a time slice or of a run: pushed
//! ```
//!
//! Pieces that fill a packet by themselves leave at once, with what came before: the receiver has work with them already.
//!
//! A program can't tell: whatever it does next that could show the difference, a call, comes after the push. One that
//! goes on computing without a call has its bytes pushed at the next tick.

use std::sync::Arc;

use warmfork_memory::HostFile;

use crate::host::Host;

/// From this size on, in bytes, a piece leaves at once: what TCP puts into one packet of most networks.
pub const LARGE: usize = 1448;

impl Host {
    /// What was held back for `handle`, if anything, has left.
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

    /// Lets out what was held back.
    pub fn push(&mut self) {
        if let Some(held) = self.held.take() {
            // Clearing TCP_CORK, which is clear, pushes. It fails for a connection that is gone, and its bytes with it.
            let _ = rustix::net::sockopt::set_tcp_cork(&held, false);
        }
    }
}
