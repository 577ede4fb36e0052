//! Files that warmfork makes up: /proc, /dev and /sys, as far as programs look there. Nothing of the host's own is
//! shown but what a program may know of any machine (CPU model, time since boot).
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
use crate::ids::{Pid, Tid};
use crate::kernel::Kernel;
use crate::metadata::made_up;
use crate::objects::device::device_metadata;
use crate::objects::directory::directory_metadata;
use crate::objects::terminal::end::{multiplexer_metadata, slave_metadata};

pub use node::{Node, Scope, Text};
use tree::Kind;

/// What the plain path `path` leads to, if it is there.
#[must_use]
pub fn find(kernel: &Kernel, path: &[u8]) -> Option<Node> {
    if let Some(other) = other_process(kernel, path) {
        let kernel = kernel.seen_as(other);
        return Some(match find(&kernel, path)? {
            // The descriptor is another process's: only where it leads is to be seen.
            Node::Descriptor(fd) => Node::Link(descriptor_text(&kernel, fd)?),
            node => node,
        });
    }
    let (kind, tid, fd) = locate(kernel, path)?;
    Some(match kind {
        Kind::Text(generator, permissions) => Node::Text(Text { generator, permissions, tid, fd }),
        Kind::Link(target) => Node::Link(target(kernel, tid)),
        Kind::Descriptor => Node::Descriptor(fd),
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
    if let Some(other) = other_process(kernel, path) {
        return list(&kernel.seen_as(other), path);
    }
    let numbers = |numbers: &mut dyn Iterator<Item = i32>, mode: u32| {
        numbers.map(|number| (number.to_string().into_bytes(), mode)).collect::<Vec<_>>()
    };
    let items = |items: &[tree::Item]| {
        items.iter().map(|(name, kind)| (name.as_bytes().to_vec(), type_of(*kind))).collect::<Vec<_>>()
    };
    match locate(kernel, path).map(|(kind, ..)| kind) {
        Some(Kind::Directory(entries)) => items(entries),
        Some(Kind::Processes) => {
            let mut all = items(tree::SYSTEM);
            let zombies = kernel.family.zombies().map(|(pid, _)| pid);
            all.extend(numbers(&mut kernel.pids().into_iter().chain(zombies), S_IFDIR));
            all
        }
        Some(Kind::SharedMemory) => kernel.shared.memory.names().map(|name| (name.to_vec(), S_IFREG)).collect(),
        Some(Kind::Slaves) => numbers(&mut kernel.shared.terminals.numbers().map(u32::cast_signed), S_IFCHR),
        Some(Kind::Tasks) => numbers(&mut kernel.tasks.iter().map(|task| task.tid), S_IFDIR),
        Some(Kind::Descriptors) => numbers(&mut kernel.files.descriptors().map(|(fd, _)| fd), S_IFLNK),
        Some(Kind::DescriptorInfos) => numbers(&mut kernel.files.descriptors().map(|(fd, _)| fd), S_IFREG),
        // A directory that is there only for the volumes beneath it.
        _ => kernel.policy.names_towards_volumes(path).into_iter().map(|name| (name, S_IFDIR)).collect(),
    }
}

/// The bytes of a file, as they are now.
#[must_use]
pub fn text(kernel: &Kernel, host: &Host, text: &Text) -> Vec<u8> {
    if let Some(other) = kernel.process_of(text.tid).filter(|&owner| owner != kernel.process.pid) {
        return self::text(&kernel.seen_as(other), host, text);
    }
    (text.generator)(&Scope { kernel, host, tid: text.tid, fd: text.fd })
}

/// What stat shows of a node.
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

/// Follows a plain path through the tree; also the thread and the descriptor that it names.
fn locate(kernel: &Kernel, path: &[u8]) -> Option<(Kind, Tid, i32)> {
    let (mut kind, mut tid, mut fd) = (Kind::Directory(tree::ROOT), kernel.process.pid, -1);
    for name in guest_path::components(path) {
        let name = std::str::from_utf8(name).ok()?;
        let among = |items: &[tree::Item]| items.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        kind = match kind {
            Kind::Directory(items) => among(items)?,
            Kind::Processes => match among(tree::SYSTEM) {
                Some(kind) => kind,
                None => match live(kernel, name) {
                    Some(live) => {
                        tid = live;
                        Kind::Directory(tree::PROCESS)
                    }
                    None => {
                        tid = number(name).filter(|&pid| kernel.family.zombie(pid).is_some())?;
                        Kind::Directory(tree::ZOMBIE)
                    }
                },
            },
            Kind::Tasks => {
                tid = live(kernel, name)?;
                Kind::Directory(tree::TASK)
            }
            Kind::Descriptors => {
                fd = open(kernel, name)?;
                Kind::Descriptor
            }
            Kind::DescriptorInfos => {
                fd = open(kernel, name)?;
                Kind::Text(process::descriptor_info, 0o400)
            }
            Kind::SharedMemory => Kind::Memory,
            Kind::Slaves => {
                fd = number(name)?;
                kernel.shared.terminals.numbers().find(|number| number.cast_signed() == fd)?;
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
    }
    Some((kind, tid, fd))
}

/// The process that `path`, below /proc, is about, when that is not the current one.
fn other_process(kernel: &Kernel, path: &[u8]) -> Option<Pid> {
    if kernel.family.is_empty() {
        return None;
    }
    let mut names = guest_path::components(path);
    let number =
        names.next().filter(|name| *name == b"proc").and_then(|_| number(std::str::from_utf8(names.next()?).ok()?));
    kernel.process_of(number?).filter(|&owner| owner != kernel.process.pid)
}

/// What the link of descriptor `fd` says.
fn descriptor_text(kernel: &Kernel, fd: i32) -> Option<Vec<u8>> {
    let id = kernel.files.lookup(fd).ok()?;
    Some(kernel.files.description(id).object.view().link_text())
}

/// A number as the kernel prints it: no sign, no leading zero.
fn number(name: &str) -> Option<i32> {
    let number: i32 = name.parse().ok()?;
    (number.to_string() == name).then_some(number)
}

fn live(kernel: &Kernel, name: &str) -> Option<Tid> {
    let tid = number(name)?;
    // The process stays when its first thread has ended before the others.
    (tid == kernel.process.pid || kernel.tasks.lookup(tid).is_some()).then_some(tid)
}

fn open(kernel: &Kernel, name: &str) -> Option<i32> {
    let fd = number(name)?;
    kernel.files.descriptor(fd).ok().map(|_| fd)
}

/// Takes what the guest writes to a made-up file.
///
/// # Errors
/// EINVAL for what the file does not take.
pub fn write(kernel: &mut Kernel, path: &[u8], bytes: &[u8]) -> Result<(), warmfork_abi::Errno> {
    process::write(kernel, path, bytes)
}
