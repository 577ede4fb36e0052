//! Files that warmfork makes up: /proc, /dev and /sys, as far as programs look there. Nothing of the host's own is
//! shown but facts that a program may know of any machine (CPU model, time since boot).
//!
//! ```text
//!   resolve.rs -> find(path) -> Node        a static tree (tree.rs) with a few names that depend on the kernel's state
//!   open       -> text(node) -> bytes       generated once, when it is opened (process.rs, system.rs)
//! ```

mod node;
mod process;
pub(crate) mod system;
mod tree;

use warmfork_abi::stat::{Metadata, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG};

use crate::guest_path;
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::metadata::made_up;
use crate::objects::device::device_metadata;
use crate::objects::directory::directory_metadata;
use crate::objects::terminal::end::{multiplexer_metadata, slave_metadata};
use crate::process::Process;

pub use node::{Node, Scope, Text};
use tree::Kind;

/// The target of the plain path `path`, if it is there.
#[must_use]
pub fn find(kernel: &Kernel, path: &[u8]) -> Option<Node> {
    let Place { kind, process, tid, fd } = locate(kernel, path)?;
    Some(match kind {
        Kind::Text(generator, permissions) => Node::Text(Text { generator, permissions, tid, fd }),
        Kind::Link(target) => Node::Link(target(process)),
        Kind::Descriptor => Node::Descriptor(process.descriptors.lookup(fd).ok()?),
        Kind::Device(device) => Node::Device(device),
        Kind::Terminal => Node::Terminal,
        Kind::Multiplexer => Node::Multiplexer,
        Kind::Slave => Node::Slave(fd.unsigned_abs()),
        Kind::Memory => {
            let name = guest_path::split(path).map_or(&b""[..], |(_, name)| name);
            Node::Memory(Box::new(kernel.shared.memory.metadata(name)?))
        }
        _ => Node::Directory,
    })
}

/// The names in the directory `path`, with the type bits of their modes.
#[must_use]
pub fn list(kernel: &Kernel, path: &[u8]) -> Vec<(Vec<u8>, u32)> {
    let numbers = |numbers: &mut dyn Iterator<Item = i32>, mode: u32| {
        numbers.map(|number| (number.to_string().into_bytes(), mode)).collect::<Vec<_>>()
    };
    let items = |items: &[tree::Item]| {
        items.iter().map(|(name, kind)| (name.as_bytes().to_vec(), type_of(*kind))).collect::<Vec<_>>()
    };
    let place = locate(kernel, path);
    let process = place.as_ref().map_or(kernel.process(), |place| place.process);
    match place.map(|place| place.kind) {
        Some(Kind::Directory(entries)) => items(entries),
        Some(Kind::Processes) => {
            let mut all = items(tree::SYSTEM);
            let zombies = kernel.processes.zombies().map(|(pid, _)| pid);
            all.extend(numbers(&mut kernel.processes.pids().into_iter().chain(zombies), S_IFDIR));
            all
        }
        Some(Kind::SharedMemory) => kernel.shared.memory.names().map(|name| (name.to_vec(), S_IFREG)).collect(),
        Some(Kind::Slaves) => numbers(&mut kernel.shared.terminals.numbers().map(u32::cast_signed), S_IFCHR),
        Some(Kind::Tasks) => numbers(&mut process.tasks.iter().map(|task| task.tid), S_IFDIR),
        Some(Kind::Descriptors) => numbers(&mut process.descriptors.iter().map(|(fd, _)| fd), S_IFLNK),
        Some(Kind::DescriptorInfos) => numbers(&mut process.descriptors.iter().map(|(fd, _)| fd), S_IFREG),
        // A directory that is there only for the volumes beneath it.
        _ => kernel.policy.names_towards_volumes(path).into_iter().map(|name| (name, S_IFDIR)).collect(),
    }
}

/// The bytes of a file, as they are now.
#[must_use]
pub fn text(kernel: &Kernel, host: &Host, text: &Text) -> Vec<u8> {
    let process = kernel.processes.owner(text.tid).unwrap_or(kernel.process());
    (text.generator)(&Scope { kernel, host, process, tid: text.tid, fd: text.fd })
}

/// The metadata of a node.
#[must_use]
pub fn metadata(path: &[u8], node: &Node) -> Metadata {
    let blank = made_up(path);
    match node {
        Node::Directory => directory_metadata(path),
        Node::Text(text) => Metadata { mode: S_IFREG | text.permissions, ..blank },
        Node::Link(_) => Metadata { mode: S_IFLNK | 0o777, ..blank },
        Node::Descriptor(_) => Metadata { mode: S_IFLNK | 0o700, size: 64, ..blank },
        Node::Device(device) => device_metadata(*device),
        Node::Memory(metadata) => **metadata,
        Node::Multiplexer => multiplexer_metadata(),
        Node::Slave(number) => slave_metadata(*number),
        Node::Terminal => Metadata { mode: S_IFCHR | 0o666, represents: (5, 0), ..blank },
    }
}

fn type_of(kind: Kind) -> u32 {
    match kind {
        Kind::Text(..) | Kind::Memory => S_IFREG,
        Kind::Link(_) | Kind::Descriptor => S_IFLNK,
        Kind::Device(_) | Kind::Terminal | Kind::Multiplexer | Kind::Slave => S_IFCHR,
        Kind::Directory(_)
        | Kind::Processes
        | Kind::Tasks
        | Kind::Descriptors
        | Kind::DescriptorInfos
        | Kind::SharedMemory
        | Kind::Slaves => S_IFDIR,
    }
}

/// The file that a path names.
struct Place<'a> {
    kind: Kind,
    /// The process whose directory it is in; the reader where it is in none.
    process: &'a Process,
    /// The thread (or process) whose directory it is in.
    tid: Tid,
    /// The descriptor, or the number of the terminal.
    fd: i32,
}

/// Follows a plain path through the tree.
fn locate<'a>(kernel: &'a Kernel, path: &[u8]) -> Option<Place<'a>> {
    let process = kernel.process();
    let mut place = Place { kind: Kind::Directory(tree::ROOT), process, tid: process.pid, fd: -1 };
    for name in guest_path::components(path) {
        place.enter(kernel, std::str::from_utf8(name).ok()?)?;
    }
    Some(place)
}

impl<'a> Place<'a> {
    /// Goes on to `name` in this directory; `None` when it is not there.
    fn enter(&mut self, kernel: &'a Kernel, name: &str) -> Option<()> {
        let among = |items: &[tree::Item]| items.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        self.kind = match self.kind {
            Kind::Directory(items) => among(items)?,
            Kind::Processes => match among(tree::SYSTEM) {
                Some(kind) => kind,
                None => {
                    self.tid = number(name)?;
                    match kernel.processes.owner(self.tid) {
                        Some(owner) => {
                            self.process = owner;
                            Kind::Directory(tree::PROCESS)
                        }
                        None => kernel.processes.zombie(self.tid).map(|_| Kind::Directory(tree::ZOMBIE))?,
                    }
                }
            },
            Kind::Tasks => {
                self.tid = number(name).filter(|&tid| self.process.has(tid))?;
                Kind::Directory(tree::TASK)
            }
            Kind::Descriptors => {
                self.fd = self.descriptor(name)?;
                Kind::Descriptor
            }
            Kind::DescriptorInfos => {
                self.fd = self.descriptor(name)?;
                Kind::Text(process::descriptor_info, 0o400)
            }
            Kind::SharedMemory => Kind::Memory,
            Kind::Slaves => {
                self.fd = number(name)?;
                kernel.shared.terminals.numbers().find(|number| number.cast_signed() == self.fd)?;
                Kind::Slave
            }
            Kind::Text(..)
            | Kind::Link(_)
            | Kind::Descriptor
            | Kind::Device(_)
            | Kind::Terminal
            | Kind::Memory
            | Kind::Multiplexer
            | Kind::Slave => return None,
        };
        Some(())
    }

    fn descriptor(&self, name: &str) -> Option<i32> {
        number(name).filter(|&fd| self.process.descriptors.get(fd).is_ok())
    }
}

/// A number as the kernel prints it: no sign, no leading zero.
fn number(name: &str) -> Option<i32> {
    let number: i32 = name.parse().ok()?;
    (number.to_string() == name).then_some(number)
}

/// Takes the bytes that the guest writes to a made-up file.
///
/// # Errors
/// EINVAL for bytes that the file does not take.
pub fn write(kernel: &mut Kernel, path: &[u8], bytes: &[u8]) -> Result<(), warmfork_abi::Errno> {
    process::write(kernel, path, bytes)
}
