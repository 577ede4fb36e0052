//! The names that a wait for an open file description uses: its id, and the events to wait for.

bitflags::bitflags! {
    /// Readiness, with the values of poll(2) and epoll_ctl(2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
    pub struct Events: u32 {
        /// POLLIN
        const IN = 0x001;
        /// POLLPRI
        const PRI = 0x002;
        /// POLLOUT
        const OUT = 0x004;
        /// POLLERR
        const ERR = 0x008;
        /// POLLHUP
        const HUP = 0x010;
        /// POLLNVAL
        const NVAL = 0x020;
        /// POLLRDNORM
        const RDNORM = 0x040;
        /// POLLRDBAND
        const RDBAND = 0x080;
        /// POLLWRNORM
        const WRNORM = 0x100;
        /// POLLWRBAND
        const WRBAND = 0x200;
        /// POLLRDHUP
        const RDHUP = 0x2000;
    }
}

/// Names an open file description of one kernel; never reused while anything refers to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DescriptionId(pub u64);
