//! Making pipes.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::{O_CLOEXEC, O_DIRECT, O_NONBLOCK, O_RDONLY, O_WRONLY};

use crate::call::{Call, Stop, SyscallResult};
use crate::files::Description;
use crate::objects::Object;

/// pipe(2)
pub fn pipe(call: &mut Call<'_>) -> SyscallResult {
    open_pipe(call, 0)
}

/// pipe2(2)
pub fn pipe2(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(1);
    open_pipe(call, flags)
}

fn open_pipe(call: &mut Call<'_>, flags: u32) -> SyscallResult {
    if flags & !(O_CLOEXEC | O_NONBLOCK | O_DIRECT) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (reader, writer) = call.kernel.shared.pipes.create();
    let status = flags & (O_NONBLOCK | O_DIRECT);
    let ends = [(Object::Pipe(reader), O_RDONLY | status), (Object::Pipe(writer), O_WRONLY | status)];
    let address = call.args[0];
    open_two(call, ends, flags & O_CLOEXEC != 0, address)
}

/// Opens two descriptors and writes them to the guest; neither stays open when that fails.
pub(crate) fn open_two(
    call: &mut Call<'_>,
    objects: [(Object, u32); 2],
    close_on_exec: bool,
    address: u64,
) -> SyscallResult {
    let limit = call.kernel.process().file_limit();
    let ids = objects.map(|(object, flags)| call.kernel.files.insert(Description::new(object, flags)));
    let mut bytes = [0; 8];
    let mut opened = Vec::with_capacity(2);
    for (id, bytes) in ids.into_iter().zip(bytes.chunks_exact_mut(4)) {
        if let Ok(fd) = call.kernel.process_mut().descriptors.install(id, 0, limit, close_on_exec) {
            bytes.copy_from_slice(&fd.to_le_bytes());
            opened.push(fd);
        }
    }
    let result = if opened.len() < 2 { Err(Errno::EMFILE) } else { Ok(call.memory().write(address, &bytes)) };
    if let Ok(Ok(())) = result {
        return Ok(0);
    }
    ids[opened.len()..].iter().for_each(|id| call.kernel.release(call.host, *id));
    for fd in opened {
        call.kernel.close(call.host, fd)?;
    }
    Err(result.map_or_else(Stop::from, |_| Errno::EFAULT.into()))
}
