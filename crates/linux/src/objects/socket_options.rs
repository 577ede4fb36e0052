//! Options of the host's sockets: those that reach the host (`options.rs` has the list), and those that are answered here.

use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_UNIX, SO_ACCEPTCONN, SO_ERROR, SO_LINGER, SO_PASSCRED, SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET, SOL_TCP, TCP_CORK,
};

use crate::objects::Context;
use crate::objects::option_values::{int, linger_bytes, read_int, read_linger, read_timeout, timeout_bytes};
use crate::objects::options::Name;
use crate::objects::socket::Socket;

impl Socket {
    /// Its option `name`, of at most `room` bytes: getsockopt(2).
    ///
    /// # Errors
    /// The host's; ENOPROTOOPT for an option that guests cannot read.
    pub fn option(&mut self, context: &mut Context<'_>, name: Name, room: usize) -> Result<Vec<u8>, Errno> {
        match (name.level, name.name) {
            (SOL_SOCKET, SO_RCVTIMEO) => Ok(timeout_bytes(self.receive_timeout)),
            (SOL_SOCKET, SO_SNDTIMEO) => Ok(timeout_bytes(self.send_timeout)),
            (SOL_SOCKET, SO_PASSCRED) if self.family == AF_UNIX => Ok(int(u32::from(self.pass_credentials))),
            (SOL_SOCKET, SO_LINGER) => Ok(linger_bytes(self.linger)),
            (SOL_SOCKET, SO_ACCEPTCONN) => Ok(int(u32::from(self.listening()))),
            (SOL_SOCKET, SO_ERROR) if self.error.is_some() => Ok(int(self.error.take().map_or(0, |error| error.0))),
            _ => {
                if self.inherited.as_ref().is_some_and(|own| own.options.get(name).is_some()) {
                    return name.on_host(self.like()?.handle(), room);
                }
                let value = name.on_host(self.handle(), room)?;
                if (name.level, name.name) == (SOL_SOCKET, SO_ERROR) {
                    context.host.changed(self.handle());
                }
                Ok(value)
            }
        }
    }

    /// setsockopt(2)
    ///
    /// # Errors
    /// The host's; ENOPROTOOPT for an option that guests cannot set, EPERM for a value that needs privileges.
    pub fn set_option(&mut self, context: &mut Context<'_>, name: Name, value: &[u8]) -> Result<(), Errno> {
        match (name.level, name.name) {
            (SOL_SOCKET, SO_RCVTIMEO) => self.receive_timeout = read_timeout(value)?,
            (SOL_SOCKET, SO_SNDTIMEO) => self.send_timeout = read_timeout(value)?,
            (SOL_SOCKET, SO_LINGER) => return self.set_linger(value),
            (SOL_SOCKET, SO_PASSCRED) if self.family == AF_UNIX => self.pass_credentials = read_int(value)? != 0,
            _ => {
                let value = name.checked(value)?;
                self.own()?;
                self.corked |= (name.level, name.name) == (SOL_TCP, TCP_CORK);
                let like = if self.inherited.is_some() { Some(self.like()?) } else { None };
                name.set_on_host(like.as_ref().unwrap_or(self).handle(), value)?;
                match &mut self.inherited {
                    Some(inherited) => inherited.options.record(name, value.to_vec()),
                    None => context.host.changed(self.handle()),
                }
                self.options.record(name, value.to_vec());
            }
        }
        Ok(())
    }

    /// Closing a host socket that lingers would block the machine: the host gets to know only of lingering for no time,
    /// which resets the connection. Otherwise it closes in the background, as without the option.
    fn set_linger(&mut self, value: &[u8]) -> Result<(), Errno> {
        let (on, seconds) = read_linger(value)?;
        let resets = [u32::from(on && seconds == 0), 0];
        let bytes: Vec<u8> = resets.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.own()?;
        if self.inherited.is_none() {
            warmfork_host::set_socket_option(self.handle(), SOL_SOCKET.cast_signed(), SO_LINGER.cast_signed(), &bytes)?;
        }
        self.linger = (on, seconds);
        Ok(())
    }
}
