//! Options of socketpairs and of Unix sockets connected within the machine.

use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_UNIX, SO_ACCEPTCONN, SO_BROADCAST, SO_DOMAIN, SO_DONTROUTE, SO_ERROR, SO_KEEPALIVE, SO_LINGER, SO_OOBINLINE,
    SO_PASSCRED, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVLOWAT, SO_RCVTIMEO, SO_REUSEADDR, SO_REUSEPORT, SO_SNDBUF,
    SO_SNDLOWAT, SO_SNDTIMEO, SO_TYPE, SOL_SOCKET,
};

use crate::objects::Context;
use crate::objects::channel::{DEFAULT_BUFFER, SMALLEST_BUFFER};
use crate::objects::option_values::{int, read_int, read_timeout, timeout_bytes};
use crate::objects::options::Name;
use crate::objects::pair::PairEnd;

impl PairEnd {
    /// Its option `name`: getsockopt(2).
    ///
    /// # Errors
    /// EOPNOTSUPP for another level than the socket's, ENOPROTOOPT for an option that it has not.
    pub fn option(&mut self, context: &mut Context<'_>, name: Name) -> Result<Vec<u8>, Errno> {
        if name.level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let channels = &mut context.shared.pairs;
        Ok(match name.name {
            SO_TYPE => int(self.kind),
            SO_DOMAIN => int(AF_UNIX),
            SO_PROTOCOL | SO_ACCEPTCONN | SO_PRIORITY => int(0),
            SO_ERROR => int(self.take_error(channels).map_or(0, |error| error.0)),
            SO_SNDBUF => int(self.send_buffer(channels)),
            SO_RCVBUF => int(self.receive_buffer),
            SO_RCVLOWAT | SO_SNDLOWAT => int(1),
            SO_PASSCRED => int(u32::from(self.pass_credentials)),
            SO_RCVTIMEO => timeout_bytes(self.receive_timeout),
            SO_SNDTIMEO => timeout_bytes(self.send_timeout),
            SO_LINGER => vec![0; 8],
            switch if is_switch(switch) => int(u32::from(self.switches & 1 << switch != 0)),
            _ => return Err(Errno::ENOPROTOOPT),
        })
    }

    /// setsockopt(2)
    ///
    /// # Errors
    /// As [`PairEnd::option`]; EINVAL for a value that is too short, EDOM for a timeout that is none.
    pub fn set_option(&mut self, context: &mut Context<'_>, name: Name, value: &[u8]) -> Result<(), Errno> {
        if name.level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        match name.name {
            SO_RCVTIMEO => self.receive_timeout = read_timeout(value)?,
            SO_SNDTIMEO => self.send_timeout = read_timeout(value)?,
            SO_PASSCRED => self.pass_credentials = read_int(value)? != 0,
            SO_SNDBUF => self.set_send_buffer(&mut context.shared.pairs, buffer_size(read_int(value)?)),
            SO_RCVBUF => self.receive_buffer = buffer_size(read_int(value)?),
            switch if is_switch(switch) => {
                let on = u32::from(read_int(value)? != 0);
                self.switches = self.switches & !(1 << switch) | on << switch;
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }
}

/// Whether the option is a mere switch of a socketpair: kept, and without effect as on Linux.
fn is_switch(name: u32) -> bool {
    matches!(name, SO_REUSEADDR | SO_DONTROUTE | SO_BROADCAST | SO_KEEPALIVE | SO_OOBINLINE | SO_REUSEPORT)
}

/// As Linux: twice what was asked for, within its limits.
fn buffer_size(asked: i32) -> usize {
    let asked = usize::try_from(asked).unwrap_or(usize::MAX).min(DEFAULT_BUFFER);
    (asked * 2).max(SMALLEST_BUFFER)
}
