//! Sockets that a fork has from its snapshot. The host has them once, for all forks: what a guest does to one must not
//! reach it, for a reset could not undo it and other forks would notice.
//!
//! ```text
//!   neither bound nor connected   the fork opens one of its own when it first uses it
//!   listening                     options and shutdown(2) are written down here, listen(2) has happened already
//!   connected, or a bound port    likewise; bytes and datagrams go to and come from the one that there is
//! ```

use warmfork_abi::Errno;
use warmfork_abi::socket::{SHUT_RD, SHUT_WR};

use crate::files::Events;
use crate::objects::address::Address;
use crate::objects::options::Options;
use crate::objects::socket::Socket;

/// What a fork did to an inherited socket.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inherited {
    /// The host's socket is as new: neither bound nor connected.
    fresh: bool,
    /// The options that it set.
    pub options: Options,
    /// It receives no more.
    pub no_receive: bool,
    /// It sends no more.
    pub no_send: bool,
}

impl Inherited {
    /// shutdown(2)
    pub fn shut(&mut self, how: u32) {
        self.no_receive |= how != SHUT_WR;
        self.no_send |= how != SHUT_RD;
    }

    /// What poll(2) says in addition to what the host's socket is ready for.
    #[must_use]
    pub fn events(&self) -> Events {
        let mut events = Events::empty();
        events.set(Events::IN | Events::RDNORM | Events::RDHUP, self.no_receive);
        events.set(Events::HUP, self.no_receive && self.no_send);
        events
    }
}

impl Socket {
    /// From now on the socket is one that forks share.
    pub fn share(&mut self) {
        self.inherited = Some(Inherited { fresh: self.is_fresh(), ..Inherited::default() });
    }

    fn is_fresh(&self) -> bool {
        let unbound = match self.name() {
            Ok(Address::Internet(address)) => address.port() == 0,
            Ok(Address::Unnamed) => true,
            _ => false,
        };
        unbound && !self.listening() && self.peer() == Err(Errno::ENOTCONN)
    }

    /// Gives the fork a host socket of its own in the place of one that it inherited, if that was not in use yet.
    ///
    /// # Errors
    /// The host's refusal of a socket.
    pub(crate) fn own(&mut self) -> Result<(), Errno> {
        if self.inherited.as_ref().is_none_or(|inherited| !inherited.fresh) {
            return Ok(());
        }
        let own = Self::open(self.family, self.kind, self.protocol)?;
        self.options.apply(own.handle());
        self.continue_with(own.handle().clone());
        self.inherited = None;
        Ok(())
    }
}
