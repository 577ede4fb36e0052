//! read, write and their vectored and positioned forms, lseek, sendfile, copy_file_range.

use std::ops::Range;

use warmfork_abi::Errno;
use warmfork_abi::fcntl::{O_APPEND, RWF_APPEND, RWF_DSYNC, RWF_HIPRI, RWF_NOWAIT, RWF_SYNC};
use warmfork_abi::signals::{SIGTTIN, SIGTTOU};

use crate::call::{Call, Stop, SyscallResult};
use crate::events::{DescriptionId, Events};
use crate::metadata::host_metadata;
use crate::objects::Object;
use crate::objects::device::Device;
use crate::proc;
use crate::process::{RLIMIT_FSIZE, UNLIMITED};
use crate::readiness::signalfd;
use crate::syscalls::vectors::Vectors;
use crate::syscalls::within;

/// After so many bytes a call stops for the machine to look at its limits (time, memory), and goes on.
const MAX_AT_ONCE: usize = 16 << 20;

/// One read or write.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    id: DescriptionId,
    /// The file position; `None` for the description's own.
    at: Option<u64>,
    /// RWF_NOWAIT
    dont_wait: bool,
    /// Has a position, and a short count is its end: regular files.
    whole: bool,
    /// A read takes one message, however much room there is.
    messages: bool,
}

impl Call<'_> {
    fn transfer(&mut self, fd: i32, at: Option<u64>, writing: bool) -> Result<Transfer, Errno> {
        let id = self.description_id(fd)?;
        let description = self.kernel.files.description(id);
        let path = matches!(description.object, Object::Path(_));
        if path || writing && !description.writable() || !writing && !description.readable() {
            return Err(Errno::EBADF);
        }
        let whole = description.object.view().seekable();
        let messages = carries_messages(&description.object);
        if at.is_some() && !whole {
            return Err(Errno::ESPIPE);
        }
        Ok(Transfer { id, at, dont_wait: false, whole, messages })
    }

    fn read_once(&mut self, transfer: Transfer, into: &mut [u8], moved: usize) -> Result<usize, Errno> {
        if let Object::SignalFd(_) = &self.kernel.files.description(transfer.id).object {
            return signalfd::read(self.kernel, transfer.id, self.tid, self.host, into);
        }
        let at = transfer.at.map(|at| at.saturating_add(moved as u64));
        self.kernel.with_object(self.host, transfer.id, |object, context| object.read(context, into, at))
    }

    fn write_once(&mut self, transfer: Transfer, from: &[u8], moved: usize) -> Result<usize, Errno> {
        if let Object::Synthetic(file) = &self.kernel.files.description(transfer.id).object {
            let path = file.path.clone();
            proc::write(self.kernel, &path, from)?;
            return Ok(from.len());
        }
        if let Some(sent) = within::send_internet(self, transfer.id, None, from)? {
            return Ok(sent);
        }
        let at = transfer.at.map(|at| at.saturating_add(moved as u64));
        self.kernel.with_object(self.host, transfer.id, |object, context| object.write(context, from, at))
    }

    /// Reads into `vectors` until they are full, the object has no more, or it would have to wait.
    fn read_into(&mut self, transfer: Transfer, vectors: &Vectors) -> SyscallResult {
        self.admit(transfer.id, SIGTTIN)?;
        let stream = !transfer.whole && !transfer.messages;
        let length = if stream { self.receivable(transfer.id, vectors)? } else { vectors.total() };
        let moved = self.moved().min(length);
        let mut scratch = self.host.take_scratch(length - moved);
        let result = self.fill(transfer, vectors, moved..length, &mut scratch);
        self.host.return_scratch(scratch);
        result
    }

    /// How many bytes a call may take from the stream `id` for `vectors`: those that are taken are gone from the object, so no
    /// more than the guest can hold.
    ///
    /// # Errors
    /// EFAULT where the object has more than that: Linux hands over what came at once as a whole or not at all.
    pub(super) fn receivable(&mut self, id: DescriptionId, vectors: &Vectors) -> Result<usize, Errno> {
        let writable = vectors.writable(self.kernel.space().areas());
        let moved = self.moved();
        if writable == vectors.total() || moved > 0 {
            return Ok(writable.max(moved));
        }
        let too_much = match self.kernel.with_object(self.host, id, |object, context| object.available(context)) {
            Ok(available) => available > writable,
            // It has no bytes to count: it gives a number or an event, or nothing.
            Err(_) => writable == 0 && !self.kernel.poll_for(self.host, id, Events::IN).is_empty(),
        };
        if too_much { Err(Errno::EFAULT) } else { Ok(writable.max(1)) }
    }

    fn fill(&mut self, transfer: Transfer, vectors: &Vectors, left: Range<usize>, scratch: &mut [u8]) -> SyscallResult {
        let mut moved = left.start;
        loop {
            let want = (left.end - moved).min(scratch.len());
            let got = match self.read_once(transfer, &mut scratch[..want], moved) {
                Ok(got) => got,
                Err(Errno::EAGAIN) if want == 0 => 0,
                Err(_) if moved > 0 => break,
                Err(Errno::EAGAIN) => {
                    let deadline = self.kernel.files.description(transfer.id).object.view().receive_timeout();
                    let patience = self.patience(transfer.id);
                    let deadline = deadline.or(patience).map(|timeout| self.deadline_after(timeout));
                    return match self.block_on(transfer.id, Events::IN, transfer.dont_wait, deadline) {
                        Stop::Error(_) if patience.is_some() => Ok(0),
                        stop => Err(stop),
                    };
                }
                Err(error) => return Err(error.into()),
            };
            let put = vectors.scatter_some(self.memory(), moved, &scratch[..got]);
            moved += put;
            if put < got {
                self.take_back(transfer, got - put);
                if moved == 0 || transfer.messages {
                    return Err(Errno::EFAULT.into());
                }
                break;
            }
            if got < want || moved == left.end || transfer.messages || !transfer.whole && !self.has_more(transfer.id) {
                break;
            }
            if moved - left.start >= MAX_AT_ONCE {
                return Err(self.pause(moved));
            }
        }
        Ok(moved as u64)
    }

    /// Whether the stream `id` has bytes left. A short count tells an edge-triggered reader that there are none, so that
    /// a call must not end sooner for want of scratch memory. (Reading on would take an error that is the next call's.)
    pub(super) fn has_more(&mut self, id: DescriptionId) -> bool {
        self.kernel.with_object(self.host, id, |object, context| object.available(context)).is_ok_and(|count| count > 0)
    }

    /// Bytes that were read but did not reach the guest are still to be read, where there is an offset.
    fn take_back(&mut self, transfer: Transfer, count: usize) {
        if transfer.whole && transfer.at.is_none() {
            let description = self.kernel.files.description_mut(transfer.id);
            description.offset = description.offset.saturating_sub(count as u64);
        }
    }

    /// Writes all of `vectors`, waiting in between unless the description is non-blocking.
    fn write_from(&mut self, transfer: Transfer, vectors: &Vectors) -> SyscallResult {
        // These never look at the bytes.
        if let Object::Device(Device::Null | Device::Zero) = self.kernel.files.description(transfer.id).object {
            return Ok(vectors.total() as u64);
        }
        self.admit(transfer.id, SIGTTOU)?;
        if let Object::EventFd(_) = self.kernel.files.description(transfer.id).object {
            return self.count_up(transfer, vectors);
        }
        let moved = self.moved().min(vectors.total());
        let length = moved + self.room_in_file(transfer.id, transfer.at, vectors.total() - moved)?;
        let mut scratch = self.host.take_scratch(length - moved);
        let result = self.drain(transfer, vectors, moved..length, &mut scratch);
        self.host.return_scratch(scratch);
        result
    }

    /// Adds the first number of each buffer to an event counter, up to the first buffer with more than one number.
    fn count_up(&mut self, transfer: Transfer, vectors: &Vectors) -> SyscallResult {
        let mut moved = self.moved();
        for (address, length) in vectors.parts(moved) {
            let mut number = [0; 8];
            let number = &mut number[..length.min(8)];
            let added = match self.memory().read(address, number) {
                Ok(()) => self.write_once(transfer, number, 0),
                Err(fault) => Err(fault.into()),
            };
            match added {
                Ok(put) => moved += put,
                Err(Errno::EAGAIN) => return self.write_later(transfer, moved),
                Err(error) => return self.write_failed(transfer, error, moved),
            }
            if length > 8 {
                break;
            }
        }
        if moved > 0 { Ok(moved as u64) } else { Err(Errno::EINVAL.into()) }
    }

    fn drain(
        &mut self,
        transfer: Transfer,
        vectors: &Vectors,
        left: Range<usize>,
        scratch: &mut [u8],
    ) -> SyscallResult {
        let mut moved = left.start;
        loop {
            let want = (left.end - moved).min(scratch.len());
            let got = vectors.gather_some(self.memory(), moved, &mut scratch[..want]);
            if got == 0 && want > 0 {
                return if moved > 0 { Ok(moved as u64) } else { Err(Errno::EFAULT.into()) };
            }
            match self.write_once(transfer, &scratch[..got], moved) {
                Ok(put) => {
                    moved += put;
                    if moved == left.end || got < want || put == 0 || put < got && transfer.whole {
                        return Ok(moved as u64);
                    }
                    if moved - left.start >= MAX_AT_ONCE {
                        return Err(self.pause(moved));
                    }
                }
                Err(Errno::EAGAIN) => return self.write_later(transfer, moved),
                Err(error) => return self.write_failed(transfer, error, moved),
            }
        }
    }

    /// How many of `length` bytes may be written to description `id` at `at` (or its offset).
    ///
    /// # Errors
    /// EFBIG (and SIGXFSZ) when RLIMIT_FSIZE leaves room for none, ENOSPC when memory files are too large.
    pub(super) fn room_in_file(&mut self, id: DescriptionId, at: Option<u64>, length: usize) -> Result<usize, Errno> {
        let limit = self.kernel.process().limits[RLIMIT_FSIZE].soft;
        let description = self.kernel.files.description(id);
        let grows = |file| limit != UNLIMITED || self.kernel.is_in_memory(file);
        if length == 0 || !description.object.file().is_some_and(|file| grows(file)) {
            return Ok(length);
        }
        let start = match description.object.view().host_file() {
            Some(file) if description.flags & O_APPEND != 0 => host_metadata(file)?.size,
            _ => at.unwrap_or(description.offset),
        };
        if start >= limit {
            self.check_file_size(limit.saturating_add(1))?;
        }
        let length = length.min(usize::try_from(limit - start).unwrap_or(usize::MAX));
        self.check_memory_files(id, start.saturating_add(length as u64))?;
        Ok(length)
    }

    fn write_later(&mut self, transfer: Transfer, moved: usize) -> SyscallResult {
        let deadline = self.kernel.files.description(transfer.id).object.view().send_timeout();
        let deadline = deadline.map(|timeout| self.deadline_after(timeout));
        match self.block_on(transfer.id, Events::OUT, transfer.dont_wait, deadline) {
            Stop::Error(_) if moved > 0 => Ok(moved as u64),
            stop => {
                self.task().restart.progress = moved as u64;
                Err(stop)
            }
        }
    }

    /// A write to something that nobody reads any more also raises SIGPIPE, but for sockets that carry messages.
    fn write_failed(&mut self, transfer: Transfer, error: Errno, moved: usize) -> SyscallResult {
        if error == Errno::EPIPE && !transfer.messages {
            self.kernel.send_broken_pipe(self.tid);
        }
        if moved > 0 { Ok(moved as u64) } else { Err(error.into()) }
    }

    /// The buffers that argument `index` and the one after it name.
    fn vectors(&mut self, index: usize) -> Result<Vectors, Errno> {
        let (address, count) = (self.args[index], self.args[index + 1]);
        Vectors::read(self.memory(), address, count)
    }

    /// A file position argument.
    fn position(&self, index: usize) -> Result<u64, Errno> {
        i64::from_le_bytes(self.args[index].to_le_bytes()).try_into().map_err(|_| Errno::EINVAL)
    }
}

/// Whether messages keep their boundaries.
fn carries_messages(object: &Object) -> bool {
    match object {
        Object::Socket(socket) => !socket.is_stream(),
        Object::Pair(pair) => !pair.is_stream(),
        _ => false,
    }
}

/// read(2)
pub fn read(call: &mut Call<'_>) -> SyscallResult {
    let transfer = call.transfer(call.int(0), None, false)?;
    let vectors = Vectors::checked(call.args[1], call.size(2)?)?;
    call.read_into(transfer, &vectors)
}

/// write(2)
pub fn write(call: &mut Call<'_>) -> SyscallResult {
    let transfer = call.transfer(call.int(0), None, true)?;
    let vectors = Vectors::checked(call.args[1], call.size(2)?)?;
    call.write_from(transfer, &vectors)
}

/// pread64(2)
pub fn pread64(call: &mut Call<'_>) -> SyscallResult {
    let at = call.position(3)?;
    let transfer = call.transfer(call.int(0), Some(at), false)?;
    let vectors = Vectors::checked(call.args[1], call.size(2)?)?;
    call.read_into(transfer, &vectors)
}

/// pwrite64(2)
pub fn pwrite64(call: &mut Call<'_>) -> SyscallResult {
    let at = call.position(3)?;
    let transfer = call.transfer(call.int(0), Some(at), true)?;
    let vectors = Vectors::checked(call.args[1], call.size(2)?)?;
    call.write_from(transfer, &vectors)
}

/// readv(2)
pub fn readv(call: &mut Call<'_>) -> SyscallResult {
    let transfer = call.transfer(call.int(0), None, false)?;
    let vectors = call.vectors(1)?;
    call.read_into(transfer, &vectors)
}

/// writev(2)
pub fn writev(call: &mut Call<'_>) -> SyscallResult {
    let transfer = call.transfer(call.int(0), None, true)?;
    let vectors = call.vectors(1)?;
    call.write_from(transfer, &vectors)
}

/// preadv(2)
pub fn preadv(call: &mut Call<'_>) -> SyscallResult {
    let at = call.position(3)?;
    let transfer = call.transfer(call.int(0), Some(at), false)?;
    let vectors = call.vectors(1)?;
    call.read_into(transfer, &vectors)
}

/// pwritev(2)
pub fn pwritev(call: &mut Call<'_>) -> SyscallResult {
    let at = call.position(3)?;
    let transfer = call.transfer(call.int(0), Some(at), true)?;
    let vectors = call.vectors(1)?;
    call.write_from(transfer, &vectors)
}

/// preadv2(2): position -1 is the file's own.
pub fn preadv2(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(5);
    if flags & !(RWF_HIPRI | RWF_NOWAIT | RWF_DSYNC | RWF_SYNC) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let at = if call.args[3] == u64::MAX { None } else { Some(call.position(3)?) };
    let mut transfer = call.transfer(call.int(0), at, false)?;
    transfer.dont_wait = flags & RWF_NOWAIT != 0;
    let vectors = call.vectors(1)?;
    call.read_into(transfer, &vectors)
}

/// pwritev2(2): position -1 is the file's own.
pub fn pwritev2(call: &mut Call<'_>) -> SyscallResult {
    let flags = call.uint(5);
    if flags & !(RWF_HIPRI | RWF_NOWAIT | RWF_DSYNC | RWF_SYNC | RWF_APPEND) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let at = if call.args[3] == u64::MAX { None } else { Some(call.position(3)?) };
    let mut transfer = call.transfer(call.int(0), at, true)?;
    transfer.dont_wait = flags & RWF_NOWAIT != 0;
    let vectors = call.vectors(1)?;
    if flags & RWF_APPEND == 0 {
        return call.write_from(transfer, &vectors);
    }
    let before = call.kernel.files.description(transfer.id).flags;
    call.kernel.files.description_mut(transfer.id).flags = before | O_APPEND;
    let result = call.write_from(transfer, &vectors);
    call.kernel.files.description_mut(transfer.id).flags = before;
    result
}

/// lseek(2)
pub fn lseek(call: &mut Call<'_>) -> SyscallResult {
    let id = call.description_id(call.int(0))?;
    let (by, whence) = (call.args[1].cast_signed(), call.uint(2));
    if matches!(call.kernel.files.description(id).object, Object::Path(_)) {
        return Err(Errno::EBADF.into());
    }
    Ok(call.kernel.with_object(call.host, id, |object, context| object.seek(context, by, whence))?)
}
