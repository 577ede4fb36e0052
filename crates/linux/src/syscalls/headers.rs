//! sendmsg and recvmsg, with their message headers and ancillary data, and the calls for many messages at once.

use warmfork_abi::Errno;
use warmfork_abi::socket::{
    AF_UNIX, CMSGHDR_SIZE, IOV_MAX, MMSGHDR_SIZE, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_WAITALL,
    MSG_WAITFORONE, MSGHDR_SIZE, SCM_CREDENTIALS, SCM_MAX_FD, SCM_RIGHTS, SOCKADDR_STORAGE_SIZE, SOL_SOCKET,
};
use warmfork_host::Ancillary;

use crate::call::{Call, Stop, SyscallResult};
use crate::events::DescriptionId;
use crate::ids::Credentials;
use crate::objects::address::Address;
use crate::objects::{Object, ancillary};
use crate::syscalls::messages::{Outgoing, Wanted, receive, send, told};
use crate::syscalls::names::read_address;
use crate::syscalls::time::read_timespec;
use crate::syscalls::vectors::Vectors;

/// Most bytes of ancillary data in one message (net.core.optmem_max).
const MAX_CONTROL: u64 = 131_072;

/// `struct msghdr`
#[derive(Clone, Copy)]
struct Header {
    address: u64,
    name: u64,
    name_length: i32,
    vectors: u64,
    count: u64,
    control: u64,
    control_length: u64,
}

impl Header {
    fn read(call: &mut Call<'_>, address: u64) -> Result<Self, Errno> {
        let bytes: [u8; MSGHDR_SIZE] = call.memory().read_array(address)?;
        let word = |from: usize| bytes[from..from + 8].try_into().map_or(0, u64::from_le_bytes);
        let name = word(0);
        let name_length = i32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        let header = Self {
            address,
            name,
            name_length: if name == 0 { 0 } else { name_length },
            vectors: word(16),
            count: word(24),
            control: word(32),
            control_length: word(40),
        };
        if header.name_length < 0 {
            return Err(Errno::EINVAL);
        }
        if header.count > IOV_MAX { Err(Errno::EMSGSIZE) } else { Ok(header) }
    }

    fn vectors(&self, call: &mut Call<'_>) -> Result<Vectors, Errno> {
        Vectors::read(call.memory(), self.vectors, self.count)
    }

    /// Writes the results of recvmsg(2): the address, and the lengths and flags of the header itself.
    fn answer(&self, call: &mut Call<'_>, from: Option<&Address>, control: &[u8], flags: u32) -> Result<(), Errno> {
        if self.name != 0 {
            let bytes = from.map_or_else(Vec::new, Address::encode);
            let room = usize::try_from(self.name_length).map_err(|_| Errno::EINVAL)?;
            call.memory().write(self.name, &bytes[..room.min(bytes.len())])?;
            let length = u32::try_from(bytes.len()).map_err(|_| Errno::EINVAL)?;
            call.memory().write_u32(self.address.wrapping_add(8), length)?;
        }
        call.memory().write(self.control, control)?;
        call.memory().write_u64(self.address.wrapping_add(40), control.len() as u64)?;
        Ok(call.memory().write_u32(self.address.wrapping_add(48), flags)?)
    }
}

/// sendmsg(2)
pub fn sendmsg(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, flags) = (call.args[1], call.uint(2));
    Ok(send_message(call, id, address, flags)? as u64)
}

fn send_message(call: &mut Call<'_>, id: DescriptionId, address: u64, flags: u32) -> Result<usize, Stop> {
    let header = Header::read(call, address)?;
    let length = header.name_length.min(i32::try_from(SOCKADDR_STORAGE_SIZE).unwrap_or(i32::MAX));
    let to = if length == 0 { None } else { Some(read_address(call, header.name, length)?) };
    let vectors = header.vectors(call)?;
    let (rights, ancillary) = read_control(call, id, &header)?;
    send(call, id, &vectors, &Outgoing { flags, address: to, rights, ancillary })
}

/// The descriptions that a message passes on, and the ancillary data that datagrams of the Internet protocols may have.
/// Credentials may only be the guest's own; other ancillary data is refused.
fn read_control(
    call: &mut Call<'_>,
    id: DescriptionId,
    header: &Header,
) -> Result<(Vec<DescriptionId>, Vec<Ancillary>), Errno> {
    if header.control_length == 0 {
        return Ok(Default::default());
    }
    if header.control_length > MAX_CONTROL {
        return Err(Errno::ENOBUFS);
    }
    let length = usize::try_from(header.control_length).map_err(|_| Errno::ENOBUFS)?;
    let bytes = call.memory().read_vec(header.control, length)?;
    // Whether descriptions may go where the message goes is asked when it is sent.
    let pair = match call.object(id).0 {
        Object::Pair(_) => true,
        Object::Socket(socket) => socket.family == AF_UNIX,
        _ => false,
    };
    let has_ancillary = matches!(call.object(id).0, Object::Socket(socket) if socket.has_ancillary());
    let (mut rights, mut others) = (Vec::new(), Vec::new());
    for (level, kind, data) in control_messages(&bytes)? {
        match (level, kind) {
            (SOL_SOCKET, SCM_RIGHTS) if pair => read_rights(call, data, &mut rights)?,
            (SOL_SOCKET, SCM_RIGHTS) => return Err(Errno::EPERM),
            (SOL_SOCKET, SCM_CREDENTIALS) => check_credentials(call, data)?,
            _ if has_ancillary => others.push(ancillary::outgoing(level, kind, data)?),
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok((rights, others))
}

/// Level, type and data of one `struct cmsghdr`.
type ControlMessage<'a> = (u32, u32, &'a [u8]);

/// The messages in a buffer of ancillary data.
fn control_messages(bytes: &[u8]) -> Result<Vec<ControlMessage<'_>>, Errno> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((header, after)) = rest.split_at_checked(CMSGHDR_SIZE) {
        let word = |from: usize| header[from..from + 4].try_into().map_or(0, u32::from_le_bytes);
        let length = header[..8].try_into().map_or(0, u64::from_le_bytes);
        let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
        let data = length.checked_sub(CMSGHDR_SIZE).and_then(|size| after.get(..size)).ok_or(Errno::EINVAL)?;
        found.push((word(8), word(12), data));
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or(&[]);
    }
    Ok(found)
}

fn read_rights(call: &mut Call<'_>, data: &[u8], rights: &mut Vec<DescriptionId>) -> Result<(), Errno> {
    if data.len() / 4 > SCM_MAX_FD - rights.len() {
        return Err(Errno::EINVAL);
    }
    for fd in data.chunks_exact(4) {
        let fd = fd.try_into().map_or(-1, i32::from_le_bytes);
        rights.push(call.description_id(fd)?);
    }
    let in_flight = call.kernel.shared.pairs.in_flight() + call.kernel.shared.mailboxes.in_flight() + rights.len();
    if in_flight > call.kernel.process().file_limit() { Err(Errno::ETOOMANYREFS) } else { Ok(()) }
}

fn check_credentials(call: &Call<'_>, data: &[u8]) -> Result<(), Errno> {
    let data: &[u8; 12] = data.try_into().map_err(|_| Errno::EINVAL)?;
    let own = call.kernel.process().credentials();
    if *data == own.to_bytes() { Ok(()) } else { Err(Errno::EPERM) }
}

/// A sender that is not one of the machine's processes, as Linux shows one outside of a namespace.
const OUTSIDER: Credentials = Credentials { pid: 0, uid: 65_534, gid: 65_534 };

/// recvmsg(2)
pub fn recvmsg(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (address, flags) = (call.args[1], call.uint(2));
    Ok(receive_message(call, id, address, flags)? as u64)
}

fn receive_message(call: &mut Call<'_>, id: DescriptionId, address: u64, flags: u32) -> Result<usize, Stop> {
    let header = Header::read(call, address)?;
    let vectors = header.vectors(call)?;
    let wanted = Wanted { flags, named: header.name != 0, rights: true };
    let received = receive(call, id, &vectors, wanted)?;
    let mut control = Control::new(header.control, header.control_length);
    let pass_credentials = match call.object(id).0 {
        Object::Pair(pair) => pair.pass_credentials,
        Object::Socket(socket) => socket.pass_credentials,
        _ => false,
    };
    if pass_credentials {
        control.put(SOL_SOCKET, SCM_CREDENTIALS, &received.credentials.unwrap_or(OUTSIDER).to_bytes());
    }
    for message in &received.ancillary {
        control.put(message.level, message.kind, &message.data);
    }
    if !received.rights.is_empty() {
        let peek = flags & warmfork_abi::socket::MSG_PEEK != 0;
        control.put_rights(call, &received.rights, peek, flags & MSG_CMSG_CLOEXEC != 0);
    }
    let told_flags = received.flags | control.flags | flags & MSG_CMSG_CLOEXEC;
    header.answer(call, received.address.as_ref(), &control.bytes, told_flags)?;
    Ok(told(&received, flags))
}

/// Ancillary data on its way to a guest.
struct Control {
    bytes: Vec<u8>,
    room: usize,
    flags: u32,
}

impl Control {
    fn new(address: u64, length: u64) -> Self {
        let length = if address == 0 { 0 } else { length.min(MAX_CONTROL) };
        Self { bytes: Vec::new(), room: usize::try_from(length).unwrap_or(0), flags: 0 }
    }

    /// Adds a message, cut off at the end of the guest's buffer.
    fn put(&mut self, level: u32, kind: u32, data: &[u8]) {
        if self.room < CMSGHDR_SIZE {
            self.flags |= MSG_CTRUNC;
            return;
        }
        let length = CMSGHDR_SIZE + data.len();
        if self.room < length {
            self.flags |= MSG_CTRUNC;
        }
        let length = length.min(self.room);
        self.bytes.extend((length as u64).to_le_bytes());
        self.bytes.extend(level.to_le_bytes());
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(&data[..length - CMSGHDR_SIZE]);
        let space = length.next_multiple_of(8).min(self.room);
        self.bytes.resize(self.bytes.len() + space - length, 0);
        self.room -= space;
    }

    /// Opens as many of `rights` as there is room for, and gives up the others.
    fn put_rights(&mut self, call: &mut Call<'_>, rights: &[DescriptionId], peek: bool, close_on_exec: bool) {
        let most = self.room.saturating_sub(CMSGHDR_SIZE) / 4;
        let limit = call.kernel.process().file_limit();
        let mut fds: Vec<u8> = Vec::new();
        for (index, &id) in rights.iter().enumerate() {
            if peek {
                call.kernel.files.retain(id);
            }
            let wanted = fds.len() == index * 4 && index < most;
            let installed = wanted.then(|| call.kernel.process_mut().descriptors.install(id, 0, limit, close_on_exec));
            match installed {
                Some(Ok(fd)) => fds.extend(fd.to_le_bytes()),
                _ => call.kernel.release(call.host, id),
            }
        }
        if fds.len() < rights.len() * 4 {
            self.flags |= MSG_CTRUNC;
        }
        if !fds.is_empty() {
            self.put(SOL_SOCKET, SCM_RIGHTS, &fds);
        }
    }
}

/// sendmmsg(2): only the first message blocks.
pub fn sendmmsg(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (array, count, flags) = (call.args[1], u64::from(call.uint(2)).min(IOV_MAX), call.uint(3));
    for index in 0..count {
        let address = array.wrapping_add(index * MMSGHDR_SIZE);
        let wait = if index == 0 { 0 } else { MSG_DONTWAIT };
        match send_message(call, id, address, flags | wait) {
            Ok(length) => write_length(call, address, length)?,
            Err(_) if index > 0 => return Ok(index),
            Err(stop) => return Err(stop),
        }
        call.task().restart.progress = 0;
    }
    Ok(count)
}

fn write_length(call: &mut Call<'_>, address: u64, length: usize) -> Result<(), Errno> {
    let length = u32::try_from(length).map_err(|_| Errno::EINVAL)?;
    Ok(call.memory().write_u32(address.wrapping_add(MSGHDR_SIZE as u64), length)?)
}

/// recvmmsg(2). As on Linux the timeout is looked at after each message only.
pub fn recvmmsg(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (array, count) = (call.args[1], u64::from(call.uint(2)).min(IOV_MAX));
    let (flags, timeout) = (call.uint(3), call.args[4]);
    let deadline = match timeout {
        0 => None,
        address => {
            let timeout = read_timespec(call.memory(), address)?;
            Some(call.deadline_after(timeout))
        }
    };
    loop {
        let index = call.task().restart.messages;
        if index >= count || index > 0 && deadline.is_some_and(|at| at <= call.host.monotonic()) {
            return Ok(index);
        }
        let address = array.wrapping_add(index * MMSGHDR_SIZE);
        let wait = if index > 0 && flags & MSG_WAITFORONE != 0 { MSG_DONTWAIT } else { 0 };
        match receive_message(call, id, address, flags & !MSG_WAITALL | wait) {
            Ok(length) => write_length(call, address, length)?,
            Err(Stop::Error(_)) if index > 0 => return Ok(index),
            Err(stop) => return Err(stop),
        }
        call.task().restart.messages += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u64, level: u32, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(level.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn control_messages_are_told_apart() {
        let mut bytes = message(20, 1, 1, &[1, 2, 3, 4]);
        bytes.extend(message(16, 0, 8, &[]));
        let found = control_messages(&bytes).unwrap();
        assert_eq!(found, [(1, 1, [1_u8, 2, 3, 4].as_slice()), (0, 8, [].as_slice())]);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        assert_eq!(control_messages(&message(15, 1, 1, &[])), Err(Errno::EINVAL));
        assert_eq!(control_messages(&message(0, 1, 1, &[])), Err(Errno::EINVAL));
        assert_eq!(control_messages(&message(25, 1, 1, &[0; 8])), Err(Errno::EINVAL));
        assert_eq!(control_messages(&message(u64::MAX, 1, 1, &[0; 8])), Err(Errno::EINVAL));
        assert_eq!(control_messages(&[0; 15]), Ok(Vec::new()));
    }

    #[test]
    fn control_data_is_cut_off_at_the_end_of_the_buffer() {
        let mut control = Control::new(1, 44);
        control.put(SOL_SOCKET, 2, &[7; 12]);
        assert_eq!((control.bytes.len(), control.flags), (32, 0));
        control.put(SOL_SOCKET, 2, &[7; 12]);
        assert_eq!((control.bytes.len(), control.flags), (32, MSG_CTRUNC));
        let mut control = Control::new(1, 20);
        control.put(SOL_SOCKET, 2, &[7; 12]);
        assert_eq!((control.bytes.len(), control.flags, control.bytes[0]), (20, MSG_CTRUNC, 20));
        let mut control = Control::new(0, 1000);
        control.put(SOL_SOCKET, 2, &[7; 12]);
        assert_eq!((control.bytes.len(), control.flags), (0, MSG_CTRUNC));
    }
}
