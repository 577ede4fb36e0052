//! Unix sockets from one of the machine's processes to another: found by their names, connected without the host.
//!
//! The policy has been asked about the name before, as for any other.

use warmfork_abi::Errno;
use warmfork_abi::socket::{AF_UNIX, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET};

use crate::call::Call;
use crate::files::DescriptionId;
use crate::kernel::Kernel;
use crate::objects::address::Address;
use crate::objects::local::LocalName;
use crate::objects::pair::PairEnd;
use crate::objects::socket::Socket;
use crate::objects::{Object, Shared};
use crate::syscalls::metadata::host_metadata_at;
use crate::syscalls::names::HostAddress;

/// Most connections of a machine that wait to be accepted: no descriptor counts for them any more.
const MOST_WAITING: usize = 8192;

/// Notes by what a Unix socket is found that was just bound.
pub(super) fn named(socket: &mut Socket, shared: &mut Shared) {
    if socket.family != AF_UNIX {
        return;
    }
    socket.local.name = match (&socket.bound, socket.name()) {
        // Who removes the file at once has a socket that nobody finds.
        (Some(bound), _) => host_metadata_at(&bound.host).ok().map(|file| LocalName::File(file.device, file.inode)),
        (None, Ok(Address::Abstract(name))) => Some(LocalName::Abstract(name)),
        _ => None,
    };
    if socket.is_datagram() && socket.local.name.is_some() {
        socket.local.mailbox = Some(shared.mailboxes.create());
    }
}

impl Kernel {
    /// The machine's own Unix socket with this name.
    fn find_local(&self, name: Option<&LocalName>) -> Option<(DescriptionId, &Socket)> {
        let name = name?;
        self.files.descriptions().find_map(|(id, description)| match &description.object {
            Object::Socket(socket) if socket.local.name.as_ref() == Some(name) => Some((id, socket)),
            _ => None,
        })
    }
}

/// Where datagrams to `target` go, when that is one of the machine's own sockets.
pub(super) fn mailbox(call: &Call<'_>, target: &HostAddress) -> Option<u64> {
    call.kernel.find_local(target.local.as_ref())?.1.local.mailbox
}

/// Connects socket `id` to `target` when that is one of the machine's own and takes such connections; what came of it,
/// or `None` when the host is to be asked.
pub(super) fn connect(
    call: &mut Call<'_>,
    id: DescriptionId,
    target: &HostAddress,
    address: &Address,
) -> Option<Result<(), Errno>> {
    let (listening, listener) = call.kernel.find_local(target.local.as_ref())?;
    let Object::Socket(socket) = &call.kernel.files.description(id).object else { return None };
    if socket.kind != listener.kind {
        return Some(Err(Errno::EPROTOTYPE));
    }
    if let Some(mailbox) = listener.local.mailbox {
        let Object::Socket(socket) = &mut call.kernel.files.description_mut(id).object else { return None };
        socket.local.peer = Some((mailbox, address.clone()));
        return Some(Ok(()));
    }
    if !listener.listening() || socket.listening() || socket.peer().is_ok() {
        return None;
    }
    let waiting: usize = call.kernel.files.objects().map(waiting).sum();
    let owner = match listener.local.room() {
        Ok(_) if waiting >= MOST_WAITING => return Some(Err(Errno::EAGAIN)),
        Ok(owner) => owner,
        Err(error) => return Some(Err(error)),
    };
    let maker = call.kernel.process.credentials();
    let (name, peer_name) = (socket.name().unwrap_or(Address::Unnamed), listener.name().unwrap_or(Address::Unnamed));
    let (socket, server_passes) = (socket.clone(), listener.pass_credentials);
    let pairs = &mut call.kernel.shared.pairs;
    let (mut client, mut server) = PairEnd::create(pairs, socket.kind, maker);
    (client.name, client.peer_name) = (name.clone(), peer_name.clone());
    (server.name, server.peer_name) = (peer_name, name);
    client.peer = owner;
    server.pass_credentials = server_passes;
    client.set_send_buffer(pairs, buffer(&socket, SO_SNDBUF));
    take_over(&mut client, &socket);
    call.kernel.files.description_mut(id).object = Object::Pair(client);
    if let Object::Socket(listener) = &mut call.kernel.files.description_mut(listening).object {
        listener.local.arrive(server);
    }
    Some(Ok(()))
}

/// Connections that wait to be accepted from this object.
fn waiting(object: &Object) -> usize {
    match object {
        Object::Socket(socket) => socket.local.waiting(),
        _ => 0,
    }
}

/// The options that a socket had before it was connected.
fn take_over(end: &mut PairEnd, socket: &Socket) {
    end.receive_timeout = socket.receive_timeout;
    end.send_timeout = socket.send_timeout;
    end.pass_credentials = socket.pass_credentials;
    end.receive_buffer = buffer(socket, SO_RCVBUF);
}

fn buffer(socket: &Socket, name: u32) -> usize {
    let mut value = [0; 4];
    let (level, name) = (SOL_SOCKET.cast_signed(), name.cast_signed());
    match warmfork_host::socket_option(socket.handle(), level, name, &mut value) {
        Ok(_) => usize::try_from(u32::from_le_bytes(value)).unwrap_or(usize::MAX),
        Err(_) => crate::objects::channel::DEFAULT_BUFFER,
    }
}
