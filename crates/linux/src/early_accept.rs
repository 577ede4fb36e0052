//! A connection that a program accepts early: before the freeze, and before any bytes have come over it.
//!
//! Between accept(2) and the wait for a request, a server does work that every fork would repeat. So it is offered a
//! connection that sends nothing, and is frozen while it waits for the first bytes. Each fork gets its own connection in
//! place of that one. This is right only if nothing that the program did with the silent one depends on the client or the
//! time, or shows outside. So the system call table has for each call an [`Early`]: a call that it does not allow keeps the
//! program from being frozen there.
//!
//! ```text
//!   watch_early_accept -> accept, setsockopt, epoll_ctl, epoll_wait ... all of them early -> take_early_accept: freeze here
//!                      -> getpeername, write, open, the time of day ...                 -> is_disqualified: freeze elsewhere
//!   fork:  connect_accepted -> the description has the fork's own connection, with the options that were set
//! ```

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL};
use warmfork_abi::ioctl::FIONBIO;
use warmfork_abi::mman::MapFlags;
use warmfork_memory::HostFile;

use crate::call::low;
use crate::clock;
use crate::events::DescriptionId;
use crate::gate::{Accepted, Offer};
use crate::host::{Host, errno};
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::options::defers_accepting;

/// Says of a call with these arguments whether it is the same for every client at any time, and shows nobody outside
/// that it was made.
pub type Condition = fn(&Kernel, &Host, [u64; 6]) -> bool;

/// Whether a program may make a system call between an early accept and the freeze.
#[derive(Clone, Copy, Debug)]
pub enum Early {
    /// It is not the same for everybody, or shows.
    Never,
    /// It is the same for everybody, or its effect is noticed elsewhere: options are noted and set again, a process is
    /// noticed when it is made.
    Always,
    /// It depends on the arguments.
    If(Condition),
}

impl Early {
    /// Whether it may be made with these arguments.
    #[must_use]
    pub fn allows(self, kernel: &Kernel, host: &Host, arguments: [u64; 6]) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::If(condition) => condition(kernel, host, arguments),
        }
    }
}

/// The kind of object that a descriptor leads to.
fn behind(kernel: &Kernel, fd: u64) -> Option<(DescriptionId, &Object)> {
    let id = kernel.process().descriptors.lookup(low(fd).cast_signed()).ok()?;
    Some((id, &kernel.files.find(id)?.object))
}

/// accept(2), without the peer's address.
pub(crate) fn unnamed_peer(_: &Kernel, _: &Host, arguments: [u64; 6]) -> bool {
    arguments[1] == 0
}

/// Input: nothing has come over the silent connection; other objects must be the machine's own.
pub(crate) fn own_input(kernel: &Kernel, host: &Host, arguments: [u64; 6]) -> bool {
    behind(kernel, arguments[0]).is_some_and(|(id, object)| host.gate.is_accepted_early(id) || is_own(object))
}

/// Output to objects of the machine's own.
pub(crate) fn own_output(kernel: &Kernel, _: &Host, arguments: [u64; 6]) -> bool {
    behind(kernel, arguments[0]).is_some_and(|(_, object)| is_own(object))
}

/// ioctl(2) that says whether a descriptor blocks.
pub(crate) fn sets_blocking(_: &Kernel, _: &Host, arguments: [u64; 6]) -> bool {
    low(arguments[1]) == FIONBIO
}

/// fcntl(2) of descriptors and their flags.
pub(crate) fn own_flags(_: &Kernel, _: &Host, arguments: [u64; 6]) -> bool {
    matches!(low(arguments[1]), F_DUPFD | F_DUPFD_CLOEXEC | F_GETFD | F_SETFD | F_GETFL | F_SETFL)
}

/// mmap(2) of no file.
pub(crate) fn anonymous(_: &Kernel, _: &Host, arguments: [u64; 6]) -> bool {
    MapFlags::from_bits_retain(arguments[3]).contains(MapFlags::ANONYMOUS)
}

/// clock_gettime(2) of a clock that stands still while a machine is frozen.
pub(crate) fn stands_still(_: &Kernel, _: &Host, arguments: [u64; 6]) -> bool {
    clock::stands_still(low(arguments[0]).cast_signed())
}

/// Whether an object is between the program's own threads.
fn is_own(object: &Object) -> bool {
    matches!(object, Object::EventFd(_) | Object::Pipe(_) | Object::Pair(_) | Object::Tcp(_))
}

impl Kernel {
    /// Whether it can be watched accepting a silent connection: not where several processes may, or where the host keeps
    /// connections back until their first bytes have come.
    #[must_use]
    pub fn may_be_watched(&self) -> bool {
        self.processes.len() == 1 && !self.listeners().iter().any(|listener| defers_accepting(listener))
    }

    /// The program is not watched any more. The connection that it accepted meanwhile, if all that it did is the same for
    /// whoever connects, whenever that is.
    pub fn take_early_accept(&self, host: &mut Host) -> Option<Accepted> {
        let accepted = host.gate.take_early_accept().filter(|_| self.processes.len() == 1)?;
        self.files.find(accepted.id).is_some().then_some(accepted)
    }

    /// Lets go of the host's connection that was accepted early: it goes on elsewhere. To this kernel's forks, as long as they
    /// have no other in its place, it is one whose client has hung up.
    ///
    /// # Errors
    /// The host's refusal of a socket.
    pub fn hang_up(&mut self, accepted: &Accepted) -> Result<(), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (end, _) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(errno)?;
        if let Object::Socket(socket) = &mut self.files.description_mut(accepted.id).object {
            socket.continue_with(HostFile::socket(end));
        }
        Ok(())
    }

    /// Puts the connection of `offer` in the place of the one that was accepted early, with the options that were set on
    /// that. `false` when it came to another listening socket.
    pub fn connect_accepted(&mut self, host: &mut Host, accepted: &Accepted, offer: &Offer) -> bool {
        if accepted.listener != offer.listener || self.files.find(accepted.id).is_none() {
            return false;
        }
        let (Object::Socket(socket), mut context) = self.object(host, accepted.id) else { return false };
        socket.continue_with(offer.connection.clone());
        socket.inherited = None;
        for (name, value) in &accepted.options {
            // The host took the option once: it refuses it now because the peer is gone, which the program learns elsewhere.
            let _ = socket.set_option(&mut context, *name, value);
        }
        true
    }

    /// Whether it has accepted a connection since it is watched, every thread is blocked, and one of them waits for the first
    /// bytes of that, or for another.
    #[must_use]
    pub fn awaits_request(&self, host: &Host) -> bool {
        host.gate.has_accepted_early()
            && self.awaits(&|kernel, id| host.gate.is_accepted_early(id) || kernel.listens(id))
    }
}
