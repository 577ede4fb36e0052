//! splice, tee and vmsplice: through a buffer, for there are no pages to move.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::{SPLICE_F_GIFT, SPLICE_F_MORE, SPLICE_F_MOVE, SPLICE_F_NONBLOCK};

use crate::call::{Call, SyscallResult};
use crate::events::{DescriptionId, Events};
use crate::host::SCRATCH;
use crate::objects::Object;
use crate::objects::pipes::PipeEnd;
use crate::syscalls::copying::takes_pages;
use crate::syscalls::vectors::Vectors;

const FLAGS: u32 = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

/// One side of a call: a description, and where in it.
#[derive(Clone, Copy)]
struct Side {
    id: DescriptionId,
    /// The guest's address of the offset, 0 for the description's own.
    offset: u64,
    at: Option<u64>,
}

impl Call<'_> {
    fn pipe_end(&self, id: DescriptionId) -> Option<PipeEnd> {
        match &self.kernel.files.description(id).object {
            Object::Pipe(end) => Some(end.clone()),
            _ => None,
        }
    }

    /// The side of descriptor `fd` with the offset at `offset`.
    fn side(&mut self, fd: i32, offset: u64, writing: bool) -> Result<Side, Errno> {
        let id = self.description_id(fd)?;
        let description = self.kernel.files.description(id);
        if if writing { !description.writable() } else { !description.readable() } {
            return Err(Errno::EBADF);
        }
        if writing && !takes_pages(&description.object) {
            return Err(Errno::EINVAL);
        }
        if offset == 0 {
            return Ok(Side { id, offset, at: None });
        }
        if self.pipe_end(id).is_some() {
            return Err(Errno::ESPIPE);
        }
        let seekable = self.kernel.files.description(id).object.view().seekable();
        if !seekable {
            return Err(Errno::EINVAL);
        }
        let at = self.memory().read_u64(offset)?;
        if i64::try_from(at).is_err() { Err(Errno::EINVAL) } else { Ok(Side { id, offset, at: Some(at) }) }
    }

    /// Writes back the offset of `side` after `moved` bytes.
    fn move_offset(&mut self, side: Side, moved: usize) -> Result<(), Errno> {
        match side.at {
            Some(at) => Ok(self.memory().write_u64(side.offset, at.saturating_add(moved as u64))?),
            None => Ok(()),
        }
    }

    fn read_side(&mut self, side: Side, into: &mut [u8]) -> Result<usize, Errno> {
        self.kernel.with_object(self.host, side.id, |object, context| object.read(context, into, side.at))
    }

    fn write_side(&mut self, side: Side, from: &[u8]) -> Result<usize, Errno> {
        let from = &from[..self.room_in_file(side.id, side.at, from.len())?];
        let written =
            self.kernel.with_object(self.host, side.id, |object, context| object.write(context, from, side.at));
        if written == Err(Errno::EPIPE) {
            self.kernel.send_broken_pipe(self.tid);
        }
        written
    }

    /// Bytes that a pipe has room for.
    ///
    /// # Errors
    /// EAGAIN when there is none, EPIPE (and SIGPIPE) when nobody reads.
    fn room(&mut self, id: DescriptionId, end: &PipeEnd) -> Result<usize, Errno> {
        if self.kernel.poll(self.host, id).contains(Events::ERR) {
            self.kernel.send_broken_pipe(self.tid);
            return Err(Errno::EPIPE);
        }
        match end.room(&self.kernel.shared.pipes) {
            0 => Err(Errno::EAGAIN),
            room => Ok(room),
        }
    }

    /// Waits until `id` is ready for `events`, unless the call shall not block.
    fn later(&mut self, id: DescriptionId, events: Events, flags: u32) -> SyscallResult {
        Err(self.block_on(id, events, flags & SPLICE_F_NONBLOCK != 0, None))
    }
}

/// splice(2)
pub fn splice(call: &mut Call<'_>) -> SyscallResult {
    let (length, flags) = (call.size(4)?.min(SCRATCH), call.uint(5));
    if length == 0 {
        return Ok(0);
    }
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL.into());
    }
    let from = call.side(call.int(0), call.args[1], false)?;
    let to = call.side(call.int(2), call.args[3], true)?;
    let mut scratch = call.host.take_scratch(length);
    let result = match (call.pipe_end(from.id), call.pipe_end(to.id)) {
        (Some(one), Some(other)) if one.same_pipe(&other) => Err(Errno::EINVAL.into()),
        (Some(one), _) => out_of_pipe(call, (from, &one), to, &mut scratch[..length], flags),
        (None, Some(other)) => into_pipe(call, from, (to, &other), &mut scratch[..length], flags),
        (None, None) => Err(Errno::EINVAL.into()),
    };
    call.host.return_scratch(scratch);
    result
}

/// Bytes that the other side takes leave the pipe; the rest stays.
fn out_of_pipe(
    call: &mut Call<'_>,
    (from, end): (Side, &PipeEnd),
    to: Side,
    scratch: &mut [u8],
    flags: u32,
) -> SyscallResult {
    let found = match end.peek(&mut call.kernel.shared.pipes, scratch) {
        Err(Errno::EAGAIN) => return call.later(from.id, Events::IN, flags),
        found => found?,
    };
    if found == 0 {
        return Ok(0);
    }
    match call.write_side(to, &scratch[..found]) {
        Err(Errno::EAGAIN) => call.later(to.id, Events::OUT, flags),
        written => {
            let moved = call.read_side(from, &mut scratch[..written?])?;
            call.move_offset(to, moved)?;
            Ok(moved as u64)
        }
    }
}

/// No more is read than the pipe has room for.
fn into_pipe(
    call: &mut Call<'_>,
    from: Side,
    (to, end): (Side, &PipeEnd),
    scratch: &mut [u8],
    flags: u32,
) -> SyscallResult {
    let room = match call.room(to.id, end) {
        Err(Errno::EAGAIN) => return call.later(to.id, Events::OUT, flags),
        room => room?.min(scratch.len()),
    };
    match call.read_side(from, &mut scratch[..room]) {
        Err(Errno::EAGAIN) => call.later(from.id, Events::IN, flags),
        found => {
            let moved = found?;
            call.write_side(to, &scratch[..moved])?;
            call.move_offset(from, moved)?;
            Ok(moved as u64)
        }
    }
}

/// tee(2)
pub fn tee(call: &mut Call<'_>) -> SyscallResult {
    let (length, flags) = (call.size(2)?.min(SCRATCH), call.uint(3));
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL.into());
    }
    if length == 0 {
        return Ok(0);
    }
    let (from, to) = (call.side(call.int(0), 0, false)?, call.side(call.int(1), 0, true)?);
    let (Some(one), Some(other)) = (call.pipe_end(from.id), call.pipe_end(to.id)) else {
        return Err(Errno::EINVAL.into());
    };
    if one.same_pipe(&other) {
        return Err(Errno::EINVAL.into());
    }
    let room = match call.room(to.id, &other) {
        Err(Errno::EAGAIN) => return call.later(to.id, Events::OUT, flags),
        room => room?.min(length),
    };
    let mut scratch = call.host.take_scratch(room);
    let result = match one.peek(&mut call.kernel.shared.pipes, &mut scratch[..room]) {
        Err(Errno::EAGAIN) => call.later(from.id, Events::IN, flags),
        Ok(found) => call.write_side(to, &scratch[..found]).map(|moved| moved as u64).map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    call.host.return_scratch(scratch);
    result
}

/// vmsplice(2): copies, in either direction.
pub fn vmsplice(call: &mut Call<'_>) -> SyscallResult {
    let (id, flags) = (call.description_id(call.int(0))?, call.uint(3));
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL.into());
    }
    let vectors = Vectors::read(call.guest.memory(), call.args[1], call.args[2])?;
    let end = call.pipe_end(id).ok_or(Errno::EBADF)?;
    if vectors.total() == 0 {
        return Ok(0);
    }
    let mut scratch = call.host.take_scratch(vectors.total());
    let result = vmsplice_chunk(call, id, &end, &vectors, &mut scratch);
    call.host.return_scratch(scratch);
    match result {
        Err(Errno::EAGAIN) if end.is_writer() => call.later(id, Events::OUT, flags),
        Err(Errno::EAGAIN) => call.later(id, Events::IN, flags),
        result => Ok(result? as u64),
    }
}

fn vmsplice_chunk(
    call: &mut Call<'_>,
    id: DescriptionId,
    end: &PipeEnd,
    vectors: &Vectors,
    scratch: &mut [u8],
) -> Result<usize, Errno> {
    let side = Side { id, offset: 0, at: None };
    if end.is_writer() {
        let room = call.room(id, end)?.min(scratch.len());
        let count = vectors.gather(call.memory(), 0, &mut scratch[..room])?;
        call.write_side(side, &scratch[..count])
    } else {
        let size = scratch.len().min(vectors.total());
        let count = call.read_side(side, &mut scratch[..size])?;
        vectors.scatter(call.memory(), 0, &scratch[..count])?;
        Ok(count)
    }
}
