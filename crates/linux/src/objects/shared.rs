//! State that several objects share, by id: the tables below the objects.

use std::sync::Arc;

use crate::events::DescriptionId;
use crate::locks::Locks;
use crate::objects::address::LocalName;
use crate::objects::channel::Channels;
use crate::objects::fifos::Fifos;
use crate::objects::frozen_names::FrozenNames;
use crate::objects::mailbox::Mailboxes;
use crate::objects::pipes::Pipes;
use crate::objects::shared_memory::SharedMemory;
use crate::objects::tcp::connection::Connections;
use crate::objects::terminal::terminals::Terminals;
use crate::objects::timerfds::TimerFds;
use crate::wait_queues::Queue;

/// State that several objects share, by id.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Shared {
    /// Pipes, which two or more ends share.
    pub pipes: Pipes,
    /// FIFOs that are open or were opened lately.
    pub fifos: Fifos,
    /// Socket pairs.
    pub pairs: Channels,
    /// TCP connections without the host.
    pub connections: Connections,
    /// Datagrams for named Unix sockets.
    pub mailboxes: Mailboxes,
    /// Names of Unix sockets that a fork has from its snapshot and has closed: the host's are open still.
    pub closed_names: Vec<LocalName>,
    /// The names of the sockets that a fork has from its snapshot, also of those that it has closed.
    pub frozen_names: Arc<FrozenNames>,
    /// The armed timerfds.
    pub timers: TimerFds,
    /// Pseudo-terminals.
    pub terminals: Terminals,
    /// How many process descriptors are open.
    pub pidfds: usize,
    /// References to descriptions that an object gave up (in-flight SCM_RIGHTS that nobody will receive).
    /// [`crate::Kernel`] releases them after each operation, so that it is empty between calls.
    pub orphans: Vec<DescriptionId>,
    /// File locks.
    pub locks: Locks,
    /// The files in /dev/shm.
    pub memory: SharedMemory,
}

impl Shared {
    /// Takes the news of all tables: `changed` is told the queue of everything that may have changed. Whether anything may have.
    pub fn take_news(&mut self, mut changed: impl FnMut(Queue)) -> bool {
        let tables = [
            self.pipes.news().take(|id| changed(Queue::Pipe(id))),
            self.pairs.news().take(|id| changed(Queue::Pair(id))),
            self.connections.news().take(|id| changed(Queue::Connection(id))),
            self.mailboxes.news().take(|id| changed(Queue::Mailbox(id))),
            self.terminals.news.take(|number| changed(Queue::Terminal(number))),
        ];
        tables.contains(&true)
    }
}
