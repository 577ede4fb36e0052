//! Sending and receiving on sockets.

use warmfork_abi::Errno;
use warmfork_abi::socket::{
    MSG_CONFIRM, MSG_DONTWAIT, MSG_EOR, MSG_ERRQUEUE, MSG_MORE, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL,
};
use warmfork_host::Ancillary;

use crate::call::{Call, Stop, SyscallResult};
use crate::events::{DescriptionId, Events};
use crate::host::SCRATCH;
use crate::objects::Object;
use crate::objects::address::Address;
use crate::objects::received::Received;
use crate::syscalls::names::{as_guest_knows, destination, read_address, write_address};
use crate::syscalls::vectors::Vectors;
use crate::syscalls::within;

/// Flags of sending calls that reach the host's socket.
const SEND_FLAGS: u32 = MSG_OOB | MSG_MORE | MSG_EOR;
/// Flags of sending calls that change nothing about a datagram within the machine.
const MSG_MINOR: u32 = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR | MSG_CONFIRM;
/// Flags of receiving calls that reach the host's socket.
const RECEIVE_FLAGS: u32 = MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE;

/// The parts of a message beside the bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    /// MSG_* of the call.
    pub flags: u32,
    /// The destination, when one is given.
    pub address: Option<Address>,
    /// Descriptions that go along.
    pub rights: Vec<DescriptionId>,
    /// Other ancillary data.
    pub ancillary: Vec<Ancillary>,
}

/// sendto(2), and send(2) through it.
pub fn sendto(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (buffer, length, flags) = (call.args[1], call.size(2)?, call.uint(3));
    let (address, size) = (call.args[4], call.int(5));
    let address = if address == 0 { None } else { Some(read_address(call, address, size)?) };
    let outgoing = Outgoing { flags, address, ..Outgoing::default() };
    let sent = send(call, id, &Vectors::one(buffer, length), &outgoing)?;
    Ok(sent as u64)
}

/// Sends `vectors` on the socket `id`: all of it when a stream may block, else as much as there is room for.
///
/// # Errors
/// As sendto(2); blocks, and remembers the bytes that have been sent.
pub(crate) fn send(
    call: &mut Call<'_>,
    id: DescriptionId,
    vectors: &Vectors,
    outgoing: &Outgoing,
) -> Result<usize, Stop> {
    let (stream, timeout) = match call.object(id).0 {
        Object::Socket(socket) => (socket.is_stream(), socket.send_timeout),
        Object::Pair(pair) => (pair.is_stream(), pair.send_timeout),
        Object::Tcp(end) => (true, end.send_timeout),
        _ => return Err(Errno::ENOTSOCK.into()),
    };
    if !stream && vectors.total() > SCRATCH {
        return Err(Errno::EMSGSIZE.into());
    }
    let mut scratch = call.host.take_scratch(vectors.total());
    let result = send_chunks(call, id, vectors, outgoing, &mut scratch);
    call.host.return_scratch(scratch);
    match result {
        Err(Stop::Error(Errno::EAGAIN)) => {
            let deadline = timeout.map(|timeout| call.deadline_after(timeout));
            let stop = call.block_on(id, Events::OUT, outgoing.flags & MSG_DONTWAIT != 0, deadline);
            partial(call, stop)
        }
        Err(Stop::Error(Errno::EPIPE)) => {
            if stream && outgoing.flags & MSG_NOSIGNAL == 0 {
                call.kernel.send_broken_pipe(call.tid);
            }
            Err(Errno::EPIPE.into())
        }
        result => result,
    }
}

/// A call that has moved something says how much instead of failing; sleeping goes on.
fn partial(call: &mut Call<'_>, stop: Stop) -> Result<usize, Stop> {
    let progress = call.task().restart.progress;
    match stop {
        Stop::Error(_) if progress > 0 => usize::try_from(progress).map_err(|_| Errno::EINVAL.into()),
        stop => Err(stop),
    }
}

/// A call that lasts longer than this many chunks lets the machine look up in between.
const CHUNKS: usize = 32;

fn send_chunks(
    call: &mut Call<'_>,
    id: DescriptionId,
    vectors: &Vectors,
    outgoing: &Outgoing,
    scratch: &mut [u8],
) -> Result<usize, Stop> {
    for _ in 0..CHUNKS {
        let progress = call.moved();
        let size = scratch.len();
        let sent = match vectors.gather(call.memory(), progress, &mut scratch[..size]) {
            Ok(count) => send_once(call, id, &scratch[..count], outgoing, progress == 0),
            Err(_) => Err(Errno::EFAULT),
        };
        match sent {
            Err(error) if error != Errno::EAGAIN && progress > 0 => return Ok(progress),
            sent => call.task().restart.progress += sent? as u64,
        }
        let progress = call.moved();
        if progress >= vectors.total() {
            return Ok(progress);
        }
    }
    let progress = call.moved();
    Err(call.pause(progress))
}

/// One chunk; descriptions go with the first.
fn send_once(
    call: &mut Call<'_>,
    id: DescriptionId,
    from: &[u8],
    outgoing: &Outgoing,
    first: bool,
) -> Result<usize, Errno> {
    let target = match (&outgoing.address, call.object(id).0) {
        (Some(address), Object::Socket(socket)) => {
            let family = socket.family;
            Some(destination(call, family, address)?)
        }
        (Some(_), Object::Pair(pair)) if pair.is_stream() => return Err(Errno::EISCONN),
        _ => None,
    };
    let rights = if first { outgoing.rights.as_slice() } else { &[] };
    let to = match &outgoing.address {
        Some(Address::Internet(address)) => Some(*address),
        _ => None,
    };
    if outgoing.ancillary.is_empty()
        && outgoing.flags & !MSG_MINOR == 0
        && let Some(sent) = within::send_internet(call, id, to, from)?
    {
        return Ok(sent);
    }
    let mailbox = target.as_ref().and_then(|target| within::mailbox(call, target));
    let within = match call.object(id) {
        (Object::Socket(socket), mut context) if socket.is_datagram() && (target.is_none() || mailbox.is_some()) => {
            socket.send_local(&mut context, mailbox, from, rights)
        }
        _ => None,
    };
    let sent = match call.object(id) {
        _ if let Some(sent) = within => sent,
        (Object::Socket(_), _) if !outgoing.rights.is_empty() => Err(Errno::EPERM),
        (Object::Tcp(end), context) => end.send(&mut context.shared.connections, from, outgoing.flags),
        (Object::Socket(socket), context) => {
            let target = target.as_ref().and_then(|target| target.address.as_ref());
            let flags = outgoing.flags & SEND_FLAGS;
            match &outgoing.ancillary[..] {
                [] => socket.send(context.host, from, flags, target),
                ancillary => socket.send_with_ancillary(context.host, from, ancillary, flags, target),
            }
        }
        (Object::Pair(_), _) if outgoing.flags & MSG_OOB != 0 => Err(Errno::EOPNOTSUPP),
        (Object::Pair(pair), mut context) => pair.send(&mut context, from, rights),
        _ => Err(Errno::ENOTSOCK),
    }?;
    rights.iter().for_each(|id| call.kernel.files.retain(*id));
    Ok(sent)
}

/// The parts that a receiving call wants beside bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// MSG_* of the call.
    pub flags: u32,
    /// The sender's address, or message flags.
    pub named: bool,
    /// Descriptions and other ancillary data.
    pub rights: bool,
}

/// recvfrom(2), and recv(2) through it.
pub fn recvfrom(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (buffer, length, flags) = (call.args[1], call.size(2)?, call.uint(3));
    let (address, size) = (call.args[4], call.args[5]);
    let wanted = Wanted { flags, named: address != 0, rights: false };
    let received = receive(call, id, &Vectors::one(buffer, length), wanted)?;
    if address != 0 {
        match &received.address {
            Some(from) => write_address(call, address, size, from)?,
            None => call.memory().write_u32(size, 0)?,
        }
    }
    Ok(told(&received, flags) as u64)
}

/// The count that a receiving call returns: the whole message's with MSG_TRUNC.
pub(crate) fn told(received: &Received, flags: u32) -> usize {
    if flags & MSG_TRUNC != 0 { received.whole } else { received.length }
}

/// Receives into `vectors` from the socket `id`.
///
/// # Errors
/// As recvfrom(2); blocks, and remembers the bytes that have been received.
pub(crate) fn receive(
    call: &mut Call<'_>,
    id: DescriptionId,
    vectors: &Vectors,
    wanted: Wanted,
) -> Result<Received, Stop> {
    let (stream, timeout) = match call.object(id).0 {
        Object::Socket(socket) => (socket.is_stream(), socket.receive_timeout),
        Object::Pair(pair) => (pair.is_stream(), pair.receive_timeout),
        Object::Tcp(end) => (true, end.receive_timeout),
        _ => return Err(Errno::ENOTSOCK.into()),
    };
    // Bytes that are only looked at, or taken out of line, come in one piece.
    let stream = stream && wanted.flags & (MSG_PEEK | MSG_TRUNC | MSG_OOB) == 0;
    let all = stream && wanted.flags & MSG_WAITALL != 0;
    let total = if stream { call.receivable(id, vectors)? } else { vectors.total() };
    let mut scratch = call.host.take_scratch(total);
    let result = receive_chunks(call, id, (vectors, total), wanted, (stream, all), &mut scratch);
    call.host.return_scratch(scratch);
    match result {
        Err(Stop::Error(Errno::EAGAIN)) => {
            let deadline = timeout.map(|timeout| call.deadline_after(timeout));
            let at_once = wanted.flags & (MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB) != 0;
            let stop = call.block_on(id, Events::IN, at_once, deadline);
            let length = partial(call, stop)?;
            Ok(Received { length, whole: length, ..Received::default() })
        }
        result => result,
    }
}

fn receive_chunks(
    call: &mut Call<'_>,
    id: DescriptionId,
    (vectors, most): (&Vectors, usize),
    wanted: Wanted,
    (stream, all): (bool, bool),
    scratch: &mut [u8],
) -> Result<Received, Stop> {
    for _ in 0..CHUNKS {
        let progress = call.moved();
        let size = scratch.len().min(most.saturating_sub(progress));
        let mut received = match receive_once(call, id, &mut scratch[..size], wanted) {
            Err(error) if error != Errno::EAGAIN && progress > 0 => Received::default(),
            received => received?,
        };
        vectors.scatter(call.memory(), progress, &scratch[..received.length])?;
        let total = progress + received.length;
        let ended = received.length == 0 || !received.rights.is_empty() || total >= most;
        let mut more = || stream && received.length == size && call.has_more(id);
        if ended || !(all || more()) {
            received.whole += progress;
            received.length = total;
            return Ok(received);
        }
        call.task().restart.progress = total as u64;
    }
    let progress = call.moved();
    Err(call.pause(progress))
}

fn receive_once(call: &mut Call<'_>, id: DescriptionId, into: &mut [u8], wanted: Wanted) -> Result<Received, Errno> {
    let mut received = match call.object(id) {
        (Object::Socket(socket), context) => {
            let local = if wanted.flags & MSG_ERRQUEUE == 0 {
                socket.local.receive(context.shared, into, wanted.flags, wanted.rights)
            } else {
                None
            };
            match local {
                Some(received) => Ok(received),
                None if wanted.rights && socket.has_ancillary() => {
                    socket.receive_with_ancillary(into, wanted.flags & RECEIVE_FLAGS)
                }
                None => socket.receive(into, wanted.flags & RECEIVE_FLAGS, wanted.named),
            }
        }
        (Object::Pair(_), _) if wanted.flags & MSG_OOB != 0 => Err(Errno::EOPNOTSUPP),
        (Object::Pair(_) | Object::Tcp(_), _) if wanted.flags & MSG_ERRQUEUE != 0 => Err(Errno::EAGAIN),
        (Object::Pair(pair), mut context) => pair.receive(&mut context, into, wanted.flags, wanted.rights),
        (Object::Tcp(end), context) => end.receive(&mut context.shared.connections, into, wanted.flags),
        _ => Err(Errno::ENOTSOCK),
    };
    call.kernel.release_orphans(call.host);
    if let Ok(Received { address: Some(address), .. }) = &mut received {
        *address = as_guest_knows(call, address.clone());
    }
    received
}
