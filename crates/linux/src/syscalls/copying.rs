//! sendfile and copy_file_range.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_APPEND;

use crate::call::{Call, SyscallResult};
use crate::events::{DescriptionId, Events};
use crate::objects::Object;
use crate::objects::device::Device;

/// Most bytes that one copy_file_range copies; programs go on after a short count.
const MAX_COPIED: usize = 64 << 20;

/// Most bytes that one sendfile sends, likewise: a call must come to an end for the machine to look at its limits.
const MAX_SENT: usize = 16 << 20;

/// An offset argument: where it is, if it is given, and its value.
fn offset(call: &mut Call<'_>, address: u64, id: DescriptionId) -> Result<u64, Errno> {
    if address == 0 {
        return Ok(call.kernel.files.description(id).offset);
    }
    let value = call.memory().read_u64(address)?;
    if value.cast_signed() < 0 { Err(Errno::EINVAL) } else { Ok(value) }
}

/// Stores an offset where it came from.
fn store_offset(call: &mut Call<'_>, address: u64, id: DescriptionId, value: u64) -> Result<(), Errno> {
    if address == 0 {
        call.kernel.files.description_mut(id).offset = value;
        return Ok(());
    }
    Ok(call.memory().write_u64(address, value)?)
}

/// sendfile(2)
pub fn sendfile(call: &mut Call<'_>) -> SyscallResult {
    let (to, from) = (call.description_id(call.int(0))?, call.description_id(call.int(1))?);
    let (address, count) = (call.args[2], call.size(3)?.min(MAX_SENT));
    let source = call.kernel.files.description(from);
    let target = call.kernel.files.description(to);
    let named = matches!(source.object, Object::Path(_)) || matches!(target.object, Object::Path(_));
    if named || !source.readable() || !target.writable() {
        return Err(Errno::EBADF.into());
    }
    let readable = match &source.object {
        Object::File(_) | Object::Memfd(_) | Object::Synthetic(_) => true,
        Object::Device(device) => *device != Device::Null,
        _ => false,
    };
    if !readable || !takes_pages(&target.object) || target.flags & O_APPEND != 0 {
        return Err(Errno::EINVAL.into());
    }
    let start = offset(call, address, from)?;
    let count = call.room_in_file(to, None, count)?;
    let mut scratch = call.host.take_scratch(count);
    let sent = send(call, from, to, start, count, &mut scratch);
    call.host.return_scratch(scratch);
    match sent {
        Ok(sent) => {
            store_offset(call, address, from, start + sent as u64)?;
            Ok(sent as u64)
        }
        Err(Errno::EAGAIN) => Err(call.block_on(to, Events::OUT, false, None)),
        Err(Errno::EPIPE) => {
            call.kernel.send_broken_pipe(call.tid);
            Err(Errno::EPIPE.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether sendfile and splice can write to `object` at all.
pub(super) fn takes_pages(object: &Object) -> bool {
    !matches!(object, Object::EventFd(_) | Object::Device(Device::Full))
}

/// Copies until `count` bytes are sent, the file ends, or the target takes no more; how many were sent. An error only
/// when none were.
fn send(
    call: &mut Call<'_>,
    from: DescriptionId,
    to: DescriptionId,
    start: u64,
    count: usize,
    scratch: &mut [u8],
) -> Result<usize, Errno> {
    let mut sent = 0;
    while sent < count {
        let want = (count - sent).min(scratch.len());
        let at = start.saturating_add(sent as u64);
        let into = &mut scratch[..want];
        let got = call.kernel.with_object(call.host, from, |object, context| object.read(context, into, Some(at)))?;
        if got == 0 {
            break;
        }
        let bytes = &scratch[..got];
        match call.kernel.with_object(call.host, to, |object, context| object.write(context, bytes, None)) {
            Ok(put) => {
                sent += put;
                if put < got {
                    break;
                }
            }
            Err(_) if sent > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// copy_file_range(2)
pub fn copy_file_range(call: &mut Call<'_>) -> SyscallResult {
    let (from, to) = (regular(call, call.int(0))?, regular(call, call.int(2))?);
    let (in_address, out_address) = (call.args[1], call.args[3]);
    let (count, flags) = (call.size(4)?.min(MAX_COPIED), call.uint(5));
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let source = call.kernel.files.description(from);
    let target = call.kernel.files.description(to);
    if !source.readable() || !target.writable() || target.flags & O_APPEND != 0 {
        return Err(Errno::EBADF.into());
    }
    let (mut at, mut into) = (offset(call, in_address, from)?, offset(call, out_address, to)?);
    let count = call.room_in_file(to, Some(into), count)?;
    let files = &call.kernel.files;
    let source = files.description(from).object.view().host_file().ok_or(Errno::EINVAL)?;
    let target = files.description(to).object.view().host_file().ok_or(Errno::EINVAL)?;
    let copied = rustix::fs::copy_file_range(source, Some(&mut at), target, Some(&mut into), count)?;
    store_offset(call, in_address, from, at)?;
    store_offset(call, out_address, to, into)?;
    Ok(copied as u64)
}

fn regular(call: &Call<'_>, fd: i32) -> Result<DescriptionId, Errno> {
    let id = call.description_id(fd)?;
    match &call.kernel.files.description(id).object {
        Object::File(_) | Object::Memfd(_) => Ok(id),
        Object::Directory(_) => Err(Errno::EISDIR),
        Object::Path(_) => Err(Errno::EBADF),
        _ => Err(Errno::EINVAL),
    }
}
