//! getsockopt and setsockopt.

use warmfork_abi::Errno;
use warmfork_abi::socket::{AF_UNIX, SO_PEERCRED, SOL_SOCKET};

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::ids::Credentials;
use crate::objects::Object;
use crate::objects::options::{LARGEST, Name};

/// The option that a call names.
fn named(call: &Call<'_>) -> Name {
    Name { level: call.uint(1), name: call.uint(2) }
}

/// getsockopt(2)
pub fn getsockopt(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (name, address, length) = (named(call), call.args[3], call.args[4]);
    let room = call.memory().read_u32(length)?.cast_signed();
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let value = value_of(call, id, name, room)?;
    let value = &value[..room.min(value.len())];
    call.memory().write(address, value)?;
    call.memory().write_u32(length, u32::try_from(value.len()).map_err(|_| Errno::EINVAL)?)?;
    Ok(0)
}

fn value_of(call: &mut Call<'_>, id: DescriptionId, name: Name, room: usize) -> Result<Vec<u8>, Errno> {
    if (name.level, name.name) == (SOL_SOCKET, SO_PEERCRED) {
        return match call.object(id).0 {
            Object::Pair(pair) => Ok(pair.peer.to_bytes().to_vec()),
            Object::Socket(socket) if socket.family == AF_UNIX => {
                let who = socket.local.owner;
                Ok(who.unwrap_or_else(|| call.kernel.process().credentials()).to_bytes().to_vec())
            }
            Object::Socket(_) | Object::Tcp(_) => Ok(Credentials::NOBODY.to_bytes().to_vec()),
            _ => Err(Errno::ENOTSOCK),
        };
    }
    match call.object(id) {
        (Object::Socket(socket), mut context) => socket.option(&mut context, name, room),
        (Object::Pair(pair), mut context) => pair.option(&mut context, name),
        (Object::Tcp(end), context) => end.option(&mut context.shared.connections, name, room),
        _ => Err(Errno::ENOTSOCK),
    }
}

/// setsockopt(2)
pub fn setsockopt(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (name, address) = (named(call), call.args[3]);
    let length = usize::try_from(call.int(4)).map_err(|_| Errno::EINVAL)?;
    let value = call.memory().read_vec(address, length.min(LARGEST))?;
    match call.object(id) {
        (Object::Socket(socket), mut context) => {
            socket.set_option(&mut context, name, &value)?;
            context.host.gate.option_set(id, || (name, value));
        }
        (Object::Pair(pair), mut context) => pair.set_option(&mut context, name, &value)?,
        (Object::Tcp(end), context) => end.set_option(&mut context.shared.connections, name, &value)?,
        _ => return Err(Errno::ENOTSOCK.into()),
    }
    Ok(0)
}
