//! A connection that a program accepts early: before it is frozen, and before anybody's bytes have come over it.
//!
//! Whatever a server does from accept(2) to the wait for a request it would do in each fork. So it is offered a connection
//! that says nothing, and frozen when it waits for its first bytes; each fork gets its own connection in the place of that
//! one. This is right only as long as nothing that the program did with the silent one depends on who connects, on when,
//! or can be noticed outside: every call that it makes meanwhile must be one of those below, or it is not frozen there.
//!
//! ```text
//!   watch_early_accept -> accept, setsockopt, epoll_ctl, epoll_wait ... all as below -> take_early_accept: freeze here
//!                      -> getpeername, write, open, the time of day ...              -> is_disqualified: freeze elsewhere
//!   fork:  connect_accepted -> the description has the fork's own connection, with the options that were set
//! ```

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL};
use warmfork_abi::ioctl::FIONBIO;
use warmfork_abi::mman::MapFlags;
use warmfork_abi::numbers::{
    ACCEPT, ACCEPT4, BRK, CLOCK_GETRES, CLOCK_GETTIME, CLONE, CLONE3, DUP, EPOLL_CREATE, EPOLL_CREATE1, EPOLL_CTL,
    EPOLL_PWAIT, EPOLL_PWAIT2, EPOLL_WAIT, EVENTFD2, EXIT, FCNTL, FUTEX, GETPID, GETTID, IOCTL, MADVISE, MEMBARRIER,
    MMAP, MPROTECT, MREMAP, MUNMAP, POLL, PPOLL, PRCTL, PSELECT6, READ, READV, RECVFROM, RECVMSG, RSEQ, RT_SIGPROCMASK,
    SCHED_YIELD, SELECT, SET_ROBUST_LIST, SETSOCKOPT, SIGALTSTACK, WRITE, WRITEV,
};
use warmfork_memory::HostFile;

use crate::clock;
use crate::gate::{Accepted, Offer};
use crate::host::{Host, errno};
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::options::defers_accepting;
use crate::table;

impl Kernel {
    /// Whether it can be watched accepting a silent connection: not where several processes may, or where the host keeps
    /// connections back until their first bytes have come.
    #[must_use]
    pub fn may_be_watched(&self) -> bool {
        self.family.is_empty() && !self.listeners().iter().any(|listener| defers_accepting(listener))
    }

    /// The program is not watched any more. The connection that it accepted meanwhile, if all that it did is the same for
    /// whoever connects, whenever that is.
    pub fn take_early_accept(&self, host: &mut Host) -> Option<Accepted> {
        let accepted = host.gate.take_early_accept().filter(|_| self.family.is_empty())?;
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
            // It was taken once: what fails now fails because the peer is gone, which the program is told elsewhere.
            let _ = socket.set_option(&mut context, *name, value);
        }
        true
    }

    /// Looks at the call that the program is about to make, if it is watched.
    pub(crate) fn watch_call(&mut self, host: &mut Host, number: u64, arguments: [u64; 6]) {
        if host.gate.is_watching() && !self.may_be_early(host, number, arguments) {
            let name = table::find(number).map_or("unknown", |entry| entry.name);
            let why = if matches!(number, ACCEPT | ACCEPT4) { " for the client's address" } else { "" };
            log::info!("each fork accepts by itself: the program calls {name}{why} before it waits for a request");
            host.gate.disqualify();
        }
    }

    /// Whether a call is the same for whoever connects and whenever, and shows nobody outside that it was made.
    fn may_be_early(&self, host: &Host, number: u64, arguments: [u64; 6]) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "Linux takes the low half of the register")]
        let low = |argument: usize| arguments[argument] as u32;
        let behind = || {
            let id = self.files.lookup(low(0).cast_signed()).ok()?;
            Some((id, &self.files.find(id)?.object))
        };
        match number {
            // The peer's address is not asked for.
            ACCEPT | ACCEPT4 => arguments[1] == 0,
            // Recorded, and done again; on another socket it would disqualify the program.
            SETSOCKOPT => true,
            // Nothing has come over it; other objects must be the machine's own.
            READ | READV | RECVFROM | RECVMSG => {
                behind().is_some_and(|(id, object)| host.gate.is_accepted_early(id) || is_own(object))
            }
            WRITE | WRITEV => behind().is_some_and(|(_, object)| is_own(object)),
            IOCTL => low(1) == FIONBIO,
            FCNTL => matches!(low(1), F_DUPFD | F_DUPFD_CLOEXEC | F_GETFD | F_SETFD | F_GETFL | F_SETFL),
            MMAP => MapFlags::from_bits_retain(arguments[3]).contains(MapFlags::ANONYMOUS),
            CLOCK_GETTIME => clock::stands_still(low(0).cast_signed()),
            // Of threads; a process is noticed when it is made.
            CLONE | CLONE3 => true,
            BRK | CLOCK_GETRES | DUP | EPOLL_CREATE | EPOLL_CREATE1 | EPOLL_CTL | EPOLL_PWAIT | EPOLL_PWAIT2
            | EPOLL_WAIT | EVENTFD2 | EXIT | FUTEX | GETPID | GETTID | MADVISE | MEMBARRIER | MPROTECT | MREMAP
            | MUNMAP | POLL | PPOLL | PRCTL | PSELECT6 | RSEQ | RT_SIGPROCMASK | SCHED_YIELD | SELECT
            | SET_ROBUST_LIST | SIGALTSTACK => true,
            _ => false,
        }
    }

    /// Whether it has accepted a connection since it is watched, every thread is blocked, and one of them waits for the first
    /// bytes of that, or for another.
    #[must_use]
    pub fn awaits_request(&self, host: &Host) -> bool {
        host.gate.has_accepted_early()
            && self.awaits(&|kernel, id| host.gate.is_accepted_early(id) || kernel.listens(id))
    }
}

/// Whether an object is between the program's own threads.
fn is_own(object: &Object) -> bool {
    matches!(object, Object::EventFd(_) | Object::Pipe(_) | Object::Pair(_) | Object::Tcp(_))
}
