//! The targets of made-up paths.

use warmfork_abi::stat::Metadata;
use warmfork_memory::AddressSpace;

use crate::events::DescriptionId;
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::objects::device::Device;
use crate::process::Process;

/// The target of a made-up path.
#[derive(Clone, Debug)]
pub enum Node {
    /// A directory.
    Directory,
    /// A file with text.
    Text(Text),
    /// A symlink.
    Link(Vec<u8>),
    /// A link to what a descriptor has open.
    Descriptor(DescriptionId),
    /// A device.
    Device(Device),
    /// /dev/tty
    Terminal,
    /// A name in /dev/shm.
    Memory(Box<Metadata>),
    /// /dev/ptmx
    Multiplexer,
    /// The slave of a pseudo-terminal.
    Slave(u32),
}

/// The state that a text may show.
pub struct Scope<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// The host side.
    pub host: &'a Host,
    /// The process whose directory it is in; the reader where it is in none.
    pub process: &'a Process,
    /// The thread (or process) whose directory it is in.
    pub tid: Tid,
    /// The descriptor it is about (fdinfo).
    pub fd: i32,
}

impl Scope<'_> {
    /// The memory of the process.
    pub(super) fn space(&self) -> &AddressSpace {
        self.kernel.processes.space_of(self.process)
    }
}

/// Makes the bytes of a file.
pub(super) type Generator = fn(&Scope<'_>) -> Vec<u8>;

/// A file whose bytes are made when it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    pub(super) generator: Generator,
    pub(super) permissions: u32,
    pub(super) tid: Tid,
    pub(super) fd: i32,
}

impl Text {
    /// Whether the guest may open it for writing.
    #[must_use]
    pub fn writable(&self) -> bool {
        self.permissions & 0o222 != 0
    }

    /// Permission bits.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        self.permissions
    }
}
