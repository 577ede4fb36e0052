//! From a guest's socket address to one that the host may be given, within the policy; and back.
//!
//! A Unix socket's path is resolved like every path, and the host is told the result as /proc/self/fd/N: so no
//! symlink leads it elsewhere. Abstract names know no directories: they are for guests that may connect and listen
//! everywhere.

use std::fmt::Display;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::net::{SocketAddrAny, SocketAddrUnix};
use warmfork_abi::Errno;
use warmfork_abi::socket::{AF_INET, AF_INET6, AF_UNIX, SOCKADDR_STORAGE_SIZE};

use crate::call::Call;
use crate::guest_path;
use crate::host::errno;
use crate::metadata::host_metadata;
use crate::objects::Object;
use crate::objects::address::{Address, LocalName};
use crate::objects::frozen_names::{FileNumber, SocketFile};
use crate::objects::socket::{Bound, Socket};
use crate::policy::{Access, Rule};
use crate::resolve::{Found, Request};

/// The beginning of the paths of descriptors, by which the host knows a guest's Unix sockets.
const DESCRIPTORS: &str = "/proc/self/fd/";

/// An address that the policy allows, for the host.
#[derive(Debug)]
pub(crate) struct HostAddress {
    /// `None` dissolves an association (AF_UNSPEC).
    pub address: Option<SocketAddrAny>,
    /// The name by which one of the machine's own sockets would be found there.
    pub local: Option<LocalName>,
    /// The directory that the address goes through; open while it is used.
    through: Option<OwnedFd>,
}

impl HostAddress {
    fn plain(address: impl Into<SocketAddrAny>) -> Self {
        Self { address: Some(address.into()), local: None, through: None }
    }

    fn without_file(name: &[u8]) -> Result<Self, Errno> {
        let address = SocketAddrUnix::new_abstract_name(name).map_err(errno)?;
        Ok(Self { local: Some(LocalName::Abstract(name.to_vec())), ..Self::plain(address) })
    }

    /// The file that bind(2) makes at this name, which the guest gives as `path`.
    pub(crate) fn socket_file(&self, call: &Call<'_>, path: &[u8]) -> Option<Box<SocketFile>> {
        let path = guest_path::plain(&[&call.kernel.process().fs.cwd, &b"/"[..], path].concat());
        let name = guest_path::split(&path)?.1.to_vec();
        let directories = directories_above(self.through.as_ref()?).ok()?;
        Some(Box::new(SocketFile { name, directories, path }))
    }

    /// Refuses the name of a socket that this fork has closed, though its snapshot's is there.
    fn unless_closed(self, call: &Call<'_>) -> Result<Self, Errno> {
        let closed = self.local.as_ref().is_some_and(|name| call.kernel.shared.closed_names.contains(name));
        if closed { Err(Errno::ECONNREFUSED) } else { Ok(self) }
    }
}

/// A directory of the host and those above it.
fn directories_above(directory: &OwnedFd) -> Result<Vec<FileNumber>, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let number = |fd: &OwnedFd| host_metadata(fd.as_fd()).map(|metadata| (metadata.device, metadata.inode));
    let mut found = vec![number(directory)?];
    let mut here = rustix::fs::openat(directory, "..", flags, Mode::empty()).map_err(errno)?;
    loop {
        let above = number(&here)?;
        // The root is its own parent.
        if found.last() == Some(&above) {
            return Ok(found);
        }
        found.push(above);
        here = rustix::fs::openat(&here, "..", flags, Mode::empty()).map_err(errno)?;
    }
}

/// A name in a directory, which leads to a file with this number, if to any.
pub(crate) type Named<'a> = (&'a OwnedFd, &'a [u8], Option<FileNumber>);

/// The files of sockets follow a rename, or an exchange of two names.
pub(crate) fn socket_files_renamed(call: &mut Call<'_>, old: Named<'_>, new: Named<'_>) {
    let socket_file = |object: &Object| matches!(object, Object::Socket(Socket { bound: Some(_), .. }));
    if !call.kernel.files.objects().any(socket_file) {
        return;
    }
    // Without them, forks are not kept from the name.
    let (Ok(before), Ok(after)) = (directories_above(old.0), directories_above(new.0)) else { return };
    for (_, description) in call.kernel.files.descriptions_mut() {
        if let Object::Socket(Socket { bound: Some(Bound { file: Some(file), .. }), .. }) = &mut description.object
            && !file.follow((before[0], old.1), old.2, (&after, new.1))
        {
            file.follow((after[0], new.1), new.2, (&before, old.1));
        }
    }
}

/// The address of `length` bytes at `address`.
pub(crate) fn read_address(call: &mut Call<'_>, address: u64, length: i32) -> Result<Address, Errno> {
    let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
    if length > SOCKADDR_STORAGE_SIZE {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; SOCKADDR_STORAGE_SIZE];
    call.memory().read(address, &mut bytes[..length])?;
    Address::decode(&bytes[..length])
}

/// Writes as much of `value` as the buffer of `*length` bytes at `address` takes, and its whole length to `length`.
pub(crate) fn write_address(call: &mut Call<'_>, address: u64, length: u64, value: &Address) -> Result<(), Errno> {
    let memory = call.memory();
    let room = usize::try_from(memory.read_u32(length)?.cast_signed()).map_err(|_| Errno::EINVAL)?;
    let mut bytes = value.encode();
    let whole = u32::try_from(bytes.len()).map_err(|_| Errno::EINVAL)?;
    bytes.truncate(room);
    let parts = [(address, bytes.len()), (length, size_of::<u32>())];
    bytes.extend(whole.to_le_bytes());
    Ok(memory.write_all(&parts, &bytes)?)
}

/// Refuses an access that the policy does not allow, with a line in the log.
fn deny(call: &mut Call<'_>, doing: &str, address: impl Display, flag: &str) -> Errno {
    call.host.deny(&format!("{doing} {address} is denied: {flag}={address} would allow it"));
    Errno::EACCES
}

/// As [`deny`], for an access that only the whole flag allows.
fn deny_abstract(call: &mut Call<'_>, doing: &str, flag: &str) -> Errno {
    call.host.deny(&format!("{doing} an abstract Unix socket is denied: {flag} (without a list) would allow it"));
    Errno::EACCES
}

/// Where to connect or send to from a socket of `family`.
///
/// # Errors
/// EACCES when the policy does not allow it, EAFNOSUPPORT and EINVAL for another family's address; those of a path.
pub(crate) fn destination(call: &mut Call<'_>, family: u16, address: &Address) -> Result<HostAddress, Errno> {
    let internet = matches!(family, AF_INET | AF_INET6);
    match address {
        Address::Unspecified => Ok(HostAddress { address: None, local: None, through: None }),
        Address::Internet(_) if !internet => Err(Errno::EINVAL),
        Address::Internet(address) if !call.kernel.policy.may_connect(address) => {
            Err(deny(call, "connecting to", address, "--allow-connect"))
        }
        Address::Internet(address) => Ok(HostAddress::plain(*address)),
        _ if internet => Err(Errno::EAFNOSUPPORT),
        Address::Unnamed => Err(Errno::EINVAL),
        Address::Abstract(_) if call.kernel.policy.rules().connect != Rule::Everything => {
            Err(deny_abstract(call, "connecting to", "--allow-connect"))
        }
        Address::Abstract(name) => HostAddress::without_file(name)?.unless_closed(call),
        Address::Path(path) => existing(call, path)?.unless_closed(call),
    }
}

/// The socket at `path`, which connecting needs write permission for.
fn existing(call: &mut Call<'_>, path: &[u8]) -> Result<HostAddress, Errno> {
    let base = call.kernel.process().fs.cwd.clone();
    let request = Request { base: &base, path, follow: true, access: Access::WRITE, bounds: 0 };
    let fd = match call.resolver().with(&request, |place| place.open(OFlags::PATH, Mode::empty()))? {
        Found::Host(fd) => fd,
        Found::Descriptor(id) => {
            let handle = call.kernel.files.description(id).object.handle().ok_or(Errno::ECONNREFUSED)?;
            call.host.check_opened(&call.kernel.policy, handle, Access::WRITE)?;
            handle.as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?
        }
        Found::Synthetic(..) => return Err(Errno::ECONNREFUSED),
    };
    let name = format!("{DESCRIPTORS}{}", fd.as_raw_fd());
    let address = SocketAddrUnix::new(name.as_str()).map_err(errno)?;
    let metadata = host_metadata(fd.as_fd())?;
    let local = Some(LocalName::File(metadata.device, metadata.inode));
    Ok(HostAddress { address: Some(address.into()), local, through: Some(fd) })
}

/// Where to bind `socket`; also the host's name of a Unix socket that is bound to a path.
///
/// # Errors
/// As [`destination`].
pub(crate) fn local(call: &mut Call<'_>, socket: &Socket, address: &Address) -> Result<HostAddress, Errno> {
    match address {
        Address::Internet(local) if socket.is_internet() => {
            if !may_bind(call, socket, local) {
                return Err(deny(call, "binding to", local, "--allow-listen"));
            }
            Ok(HostAddress::plain(*local))
        }
        Address::Internet(_) | Address::Unspecified => Err(Errno::EINVAL),
        _ if socket.family != AF_UNIX => Err(Errno::EAFNOSUPPORT),
        Address::Abstract(_) | Address::Unnamed if call.kernel.policy.rules().listen != Rule::Everything => {
            Err(deny_abstract(call, "binding", "--allow-listen"))
        }
        Address::Abstract(name) => HostAddress::without_file(name),
        Address::Unnamed => Ok(HostAddress::plain(SocketAddrUnix::new_unnamed())),
        Address::Path(path) => new_name(call, path),
    }
}

/// A name that is to be made in a directory that the guest may write.
fn new_name(call: &mut Call<'_>, path: &[u8]) -> Result<HostAddress, Errno> {
    let base = call.kernel.process().fs.cwd.clone();
    let request = Request { base: &base, path, follow: false, access: Access::WRITE, bounds: 0 };
    let found = call.resolver().with(&request, |place| {
        let (directory, name) = place.open_parent()?;
        let mut full = format!("{DESCRIPTORS}{}/", directory.as_raw_fd()).into_bytes();
        full.extend(name);
        let address = SocketAddrUnix::new(&full[..]).map_err(errno)?;
        Ok(HostAddress { address: Some(address.into()), local: None, through: Some(directory) })
    });
    match found? {
        Found::Host(address) => Ok(address),
        Found::Synthetic(..) | Found::Descriptor(_) => Err(Errno::EADDRINUSE),
    }
}

/// Whether the policy lets `socket` have the local address. Connecting and sending take any free
/// port anyway; listen(2) asks whether a stream socket may listen there.
fn may_bind(call: &Call<'_>, socket: &Socket, local: &SocketAddr) -> bool {
    let policy = &call.kernel.policy;
    let any_port = local.port() == 0 && (socket.is_stream() || policy.rules().connect != Rule::Nothing);
    any_port || policy.may_listen(local)
}

/// Refuses to listen at an address that the policy does not allow. A Unix socket was asked about when it was bound.
pub(crate) fn check_listening(call: &mut Call<'_>, local: &Address) -> Result<(), Errno> {
    match local {
        Address::Internet(local) if !call.kernel.policy.may_listen(local) => {
            Err(deny(call, "listening at", local, "--allow-listen"))
        }
        _ => Ok(()),
    }
}

/// A peer's address as the guest knows it: the host's name of a guest's own Unix socket is the guest's path.
pub(crate) fn as_guest_knows(call: &Call<'_>, address: Address) -> Address {
    match address {
        Address::Path(name) if name.starts_with(DESCRIPTORS.as_bytes()) => {
            let known = call.kernel.files.descriptions().find_map(|(_, description)| match &description.object {
                Object::Socket(socket) => socket.guest_name(&name),
                _ => None,
            });
            known.map_or(Address::Unnamed, |path| Address::Path(path.to_vec()))
        }
        address => address,
    }
}
