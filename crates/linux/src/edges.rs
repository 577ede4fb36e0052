//! Edge numbers of host files over a freeze. Each machine has a host side with numbers of its own. Yet a fork must not report
//! an edge again that the program was told of before the freeze, unless something has come since.
//!
//! ```text
//!   machine             the host side's number
//!   fork, until news    the number at the freeze
//!   fork, from then on  its own host side's number
//! ```

use std::sync::Arc;

use warmfork_memory::HostFile;

use crate::events::Events;
use crate::host::Host;

/// The edge number of one host file.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostEdges {
    /// The number at the freeze, and the readiness of the file then.
    frozen: Option<(u64, Events)>,
    /// This host side's number before any news; 0 when there was some already. Not compared: each fork's is its own.
    still: Option<u64>,
}

impl PartialEq for HostEdges {
    fn eq(&self, other: &Self) -> bool {
        self.frozen == other.frozen
    }
}

impl HostEdges {
    /// The number for `handle`, which changes with each edge.
    pub fn number(&mut self, host: &mut Host, handle: &Arc<HostFile>) -> u64 {
        let number = host.edges(handle);
        let Some((frozen, ready)) = self.frozen else { return number };
        let still = match self.still {
            Some(still) => still,
            // Whether more can be read than at the freeze does not show: that counts as news. Whether it can be written to
            // does.
            None if (host.poll(handle, Events::all()) - (ready & WRITABLE)).is_empty() => number,
            None => 0,
        };
        self.still = Some(still);
        if number == still { frozen } else { number }
    }

    /// The number for a file that the host has no more.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.frozen.map_or(0, |(number, _)| number)
    }

    /// Notes the number for `handle` in a machine that is frozen now.
    pub fn freeze(&mut self, host: &mut Host, handle: &Arc<HostFile>) {
        let number = self.number(host, handle);
        *self = Self { frozen: Some((number, host.poll(handle, Events::all()))), still: None };
    }

    /// A fork begins anew: every edge from now on is news.
    pub fn forget(&mut self) {
        self.still = None;
    }
}

const WRITABLE: Events = Events::OUT.union(Events::WRNORM).union(Events::WRBAND);

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    fn pipe() -> (Arc<HostFile>, OwnedFd) {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        (HostFile::socket(reader), writer)
    }

    #[test]
    fn a_fork_is_told_of_what_came_after_the_freeze_alone() {
        let (reader, writer) = pipe();
        let (mut host, mut edges) = (Host::new().unwrap(), HostEdges::default());
        edges.freeze(&mut host, &reader);
        let seen = edges.last();
        let (mut host, mut fork) = (Host::new().unwrap(), edges);
        assert_eq!(fork.number(&mut host, &reader), seen);
        rustix::io::write(&writer, b"x").unwrap();
        host.guest_ran();
        assert_ne!(fork.number(&mut host, &reader), seen);
        assert_eq!(fork, edges);
        // A fork that begins later sees it too.
        let mut late = edges;
        assert_ne!(late.number(&mut Host::new().unwrap(), &reader), seen);
    }

    #[test]
    fn what_was_writable_is_no_news() {
        let (reader, writer) = pipe();
        let writer = HostFile::socket(writer);
        let mut edges = HostEdges::default();
        edges.freeze(&mut Host::new().unwrap(), &writer);
        let mut fork = edges;
        assert_eq!(fork.number(&mut Host::new().unwrap(), &writer), edges.last());
        drop(reader);
        let mut fork = edges;
        assert_ne!(fork.number(&mut Host::new().unwrap(), &writer), edges.last());
    }
}
