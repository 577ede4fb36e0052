//! read, write and their vectored and positioned forms, lseek, sendfile, copy_file_range.

use std::collections::VecDeque;

use warmfork_abi::fcntl::{IOV_MAX, MAX_RW_COUNT, O_APPEND, RWF_APPEND, RWF_DSYNC, RWF_HIPRI, RWF_NOWAIT, RWF_SYNC};
use warmfork_abi::{Errno, USER_END};

use warmfork_memory::{AreaTree, Protection};

use crate::call::{Call, Stop, SyscallResult};
use crate::files::{DescriptionId, Events};
use crate::objects::device::Device;
use crate::objects::{Object, signalfd};
use crate::proc;
use crate::process::{RLIMIT_FSIZE, UNLIMITED};
use crate::syscalls::metadata::host_metadata;

/// Guest buffers of one call, and how far it has got in them.
#[derive(Clone, Debug)]
struct Buffers {
    /// Address and length of the buffer that comes next.
    first: (u64, usize),
    /// Those after it.
    rest: VecDeque<(u64, usize)>,
    /// Bytes still to go.
    length: usize,
}

/// Whether a buffer lies where user memory can be (access_ok).
fn check_range(address: u64, length: usize) -> Result<(), Errno> {
    let end = address.checked_add(length as u64).filter(|&end| end <= USER_END);
    if end.is_some() { Ok(()) } else { Err(Errno::EFAULT) }
}

impl Buffers {
    fn one(address: u64, length: usize) -> Result<Self, Errno> {
        check_range(address, length)?;
        let length = length.min(MAX_RW_COUNT);
        Ok(Self { first: (address, length), rest: VecDeque::new(), length })
    }

    /// Reads `count` iovecs at `address`.
    fn vector(call: &mut Call<'_>, address: u64, count: u64) -> Result<Self, Errno> {
        let count = usize::try_from(count).ok().filter(|&count| count <= IOV_MAX).ok_or(Errno::EINVAL)?;
        let bytes = call.memory().read_vec(address, count * 16)?;
        let word = |entry: &[u8], at: usize| entry[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let entries = bytes.chunks_exact(16).map(|entry| (word(entry, 0), word(entry, 8)));
        if entries.clone().any(|(_, length)| length.cast_signed() < 0) {
            return Err(Errno::EINVAL);
        }
        let mut buffers = Self { first: (0, 0), rest: VecDeque::with_capacity(count), length: 0 };
        for (address, length) in entries {
            let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
            check_range(address, length)?;
            let taken = length.min(MAX_RW_COUNT - buffers.length);
            buffers.length += taken;
            buffers.rest.push_back((address, taken));
        }
        Ok(buffers)
    }

    fn iter(&self) -> impl Iterator<Item = (u64, usize)> {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }

    /// Goes on by `count` bytes.
    fn advance(&mut self, mut count: usize) {
        self.length -= count;
        loop {
            let part = count.min(self.first.1);
            self.first = (self.first.0 + part as u64, self.first.1 - part);
            count -= part;
            match self.rest.front() {
                Some(&next) if self.first.1 == 0 => {
                    self.first = next;
                    self.rest.pop_front();
                }
                _ => return,
            }
        }
    }

    /// How many bytes from the start on the guest may write to, as far as its mappings tell.
    fn writable(&self, areas: &AreaTree) -> usize {
        let mut total = 0;
        for (address, length) in self.iter().filter(|(_, length)| *length > 0) {
            let mut done = 0;
            while done < length {
                let at = address + done as u64;
                match areas.find(at) {
                    Some(area) if area.protection.contains(Protection::WRITE) => {
                        let left = usize::try_from(area.span.end - at).unwrap_or(usize::MAX);
                        done += left.min(length - done);
                    }
                    _ => return total + done,
                }
            }
            total += length;
        }
        total
    }

    /// Fills `into` from the buffers' next bytes; how many could be read.
    fn gather(&self, call: &mut Call<'_>, into: &mut [u8]) -> usize {
        let mut done = 0;
        for (address, length) in self.iter() {
            let part = length.min(into.len() - done);
            let got = call.memory().read_some(address, &mut into[done..done + part]);
            done += got;
            if got < part || done == into.len() {
                break;
            }
        }
        done
    }

    /// Fills the buffers' next bytes from `from`; how many could be written.
    fn scatter(&self, call: &mut Call<'_>, from: &[u8]) -> usize {
        let mut done = 0;
        for (address, length) in self.iter() {
            let part = length.min(from.len() - done);
            let put = call.memory().write_some(address, &from[done..done + part]);
            done += put;
            if put < part || done == from.len() {
                break;
            }
        }
        done
    }
}

/// One read or write.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    id: DescriptionId,
    /// The file position; `None` for the description's own.
    at: Option<u64>,
    /// RWF_NOWAIT
    dont_wait: bool,
    /// Goes on after a short count, as regular files do.
    whole: bool,
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
        if at.is_some() && !whole {
            return Err(Errno::ESPIPE);
        }
        Ok(Transfer { id, at, dont_wait: false, whole })
    }

    fn read_once(&mut self, transfer: Transfer, into: &mut [u8], moved: usize) -> Result<usize, Errno> {
        if let Object::SignalFd(_) = &self.kernel.files.description(transfer.id).object {
            return signalfd::read(self.kernel, transfer.id, self.tid, self.host.monotonic(), into);
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
        let at = transfer.at.map(|at| at.saturating_add(moved as u64));
        self.kernel.with_object(self.host, transfer.id, |object, context| object.write(context, from, at))
    }

    /// Reads into `buffers` until they are full, the object has no more, or it would have to wait.
    fn read_into(&mut self, transfer: Transfer, mut buffers: Buffers) -> SyscallResult {
        if !transfer.whole && buffers.length > 0 {
            // What is read here is gone: read no more than the guest can take.
            let writable = buffers.writable(self.kernel.space.areas());
            if writable == 0 && !self.kernel.poll_for(self.host, transfer.id, Events::IN).is_empty() {
                return Err(Errno::EFAULT.into());
            }
            buffers.length = buffers.length.min(writable.max(1));
        }
        let mut scratch = self.host.take_scratch(buffers.length);
        let result = self.fill(transfer, &mut buffers, &mut scratch);
        self.host.return_scratch(scratch);
        result
    }

    fn fill(&mut self, transfer: Transfer, buffers: &mut Buffers, scratch: &mut [u8]) -> SyscallResult {
        let mut moved = 0;
        loop {
            let want = buffers.length.min(scratch.len());
            let got = match self.read_once(transfer, &mut scratch[..want], moved) {
                Ok(got) => got,
                Err(Errno::EAGAIN) if want == 0 => 0,
                Err(_) if moved > 0 => break,
                Err(Errno::EAGAIN) => {
                    let deadline = self.kernel.files.description(transfer.id).object.view().receive_timeout();
                    let deadline = deadline.map(|timeout| self.deadline_after(timeout));
                    return Err(self.block_on(transfer.id, Events::IN, transfer.dont_wait, deadline));
                }
                Err(error) => return Err(error.into()),
            };
            let put = buffers.scatter(self, &scratch[..got]);
            if put < got {
                self.take_back(transfer, got - put);
                if moved + put == 0 {
                    return Err(Errno::EFAULT.into());
                }
                moved += put;
                break;
            }
            moved += got;
            buffers.advance(got);
            if got < want || buffers.length == 0 || !transfer.whole {
                break;
            }
        }
        Ok(moved as u64)
    }

    /// Bytes that were read but did not reach the guest are still to be read, where there is an offset.
    fn take_back(&mut self, transfer: Transfer, count: usize) {
        if transfer.whole && transfer.at.is_none() {
            let description = self.kernel.files.description_mut(transfer.id);
            description.offset = description.offset.saturating_sub(count as u64);
        }
    }

    /// Writes all of `buffers`, waiting in between unless the description is non-blocking.
    fn write_from(&mut self, transfer: Transfer, mut buffers: Buffers) -> SyscallResult {
        // These never look at what they are given.
        if let Object::Device(Device::Null | Device::Zero) = self.kernel.files.description(transfer.id).object {
            return Ok(buffers.length as u64);
        }
        let moved = usize::try_from(self.task().restart.progress).unwrap_or(usize::MAX).min(buffers.length);
        buffers.advance(moved);
        buffers.length = self.room_in_file(transfer, buffers.length)?;
        let mut scratch = self.host.take_scratch(buffers.length);
        let result = self.drain(transfer, &mut buffers, &mut scratch, moved);
        self.host.return_scratch(scratch);
        result
    }

    fn drain(
        &mut self,
        transfer: Transfer,
        buffers: &mut Buffers,
        scratch: &mut [u8],
        mut moved: usize,
    ) -> SyscallResult {
        loop {
            let want = buffers.length.min(scratch.len());
            let got = buffers.gather(self, &mut scratch[..want]);
            if got == 0 && want > 0 {
                return if moved > 0 { Ok(moved as u64) } else { Err(Errno::EFAULT.into()) };
            }
            match self.write_once(transfer, &scratch[..got], moved) {
                Ok(put) => {
                    moved += put;
                    buffers.advance(put);
                    if buffers.length == 0 || got < want || put == 0 || put < got && transfer.whole {
                        return Ok(moved as u64);
                    }
                }
                Err(Errno::EAGAIN) => return self.write_later(transfer, moved),
                Err(error) => return self.write_failed(transfer, error, moved),
            }
        }
    }

    /// How many of `length` bytes RLIMIT_FSIZE leaves room for.
    fn room_in_file(&mut self, transfer: Transfer, length: usize) -> Result<usize, Errno> {
        let limit = self.kernel.process.limits[RLIMIT_FSIZE].soft;
        let description = self.kernel.files.description(transfer.id);
        let grows = match description.object {
            Object::File(_) => limit != UNLIMITED,
            Object::Memfd(_) => true,
            _ => false,
        };
        if !grows || length == 0 {
            return Ok(length);
        }
        let start = match description.object.view().host_file() {
            Some(file) if description.flags & O_APPEND != 0 => host_metadata(file)?.size,
            _ => transfer.at.unwrap_or(description.offset),
        };
        if start >= limit {
            self.check_file_size(limit.saturating_add(1))?;
        }
        let length = length.min(usize::try_from(limit - start).unwrap_or(usize::MAX));
        self.check_memory_files(transfer.id, start.saturating_add(length as u64))?;
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
        let messages = match &self.kernel.files.description(transfer.id).object {
            Object::Socket(socket) => !socket.is_stream(),
            Object::Pair(pair) => !pair.is_stream(),
            _ => false,
        };
        if error == Errno::EPIPE && !messages {
            self.kernel.send_broken_pipe(self.tid);
        }
        if moved > 0 { Ok(moved as u64) } else { Err(error.into()) }
    }

    /// A file position argument.
    fn position(&self, index: usize) -> Result<u64, Errno> {
        i64::from_le_bytes(self.args[index].to_le_bytes()).try_into().map_err(|_| Errno::EINVAL)
    }
}

/// read(2)
pub fn read(call: &mut Call<'_>) -> SyscallResult {
    let transfer = call.transfer(call.int(0), None, false)?;
    let buffers = Buffers::one(call.args[1], call.size(2)?)?;
    call.read_into(transfer, buffers)
}

/// write(2)
pub fn write(call: &mut Call<'_>) -> SyscallResult {
    let transfer = call.transfer(call.int(0), None, true)?;
    let buffers = Buffers::one(call.args[1], call.size(2)?)?;
    call.write_from(transfer, buffers)
}

/// pread64(2)
pub fn pread64(call: &mut Call<'_>) -> SyscallResult {
    let at = call.position(3)?;
    let transfer = call.transfer(call.int(0), Some(at), false)?;
    let buffers = Buffers::one(call.args[1], call.size(2)?)?;
    call.read_into(transfer, buffers)
}

/// pwrite64(2)
pub fn pwrite64(call: &mut Call<'_>) -> SyscallResult {
    let at = call.position(3)?;
    let transfer = call.transfer(call.int(0), Some(at), true)?;
    let buffers = Buffers::one(call.args[1], call.size(2)?)?;
    call.write_from(transfer, buffers)
}

/// readv(2)
pub fn readv(call: &mut Call<'_>) -> SyscallResult {
    let transfer = call.transfer(call.int(0), None, false)?;
    let buffers = Buffers::vector(call, call.args[1], call.args[2])?;
    call.read_into(transfer, buffers)
}

/// writev(2)
pub fn writev(call: &mut Call<'_>) -> SyscallResult {
    let transfer = call.transfer(call.int(0), None, true)?;
    let buffers = Buffers::vector(call, call.args[1], call.args[2])?;
    call.write_from(transfer, buffers)
}

/// preadv(2)
pub fn preadv(call: &mut Call<'_>) -> SyscallResult {
    let at = call.position(3)?;
    let transfer = call.transfer(call.int(0), Some(at), false)?;
    let buffers = Buffers::vector(call, call.args[1], call.args[2])?;
    call.read_into(transfer, buffers)
}

/// pwritev(2)
pub fn pwritev(call: &mut Call<'_>) -> SyscallResult {
    let at = call.position(3)?;
    let transfer = call.transfer(call.int(0), Some(at), true)?;
    let buffers = Buffers::vector(call, call.args[1], call.args[2])?;
    call.write_from(transfer, buffers)
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
    let buffers = Buffers::vector(call, call.args[1], call.args[2])?;
    call.read_into(transfer, buffers)
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
    let buffers = Buffers::vector(call, call.args[1], call.args[2])?;
    if flags & RWF_APPEND == 0 {
        return call.write_from(transfer, buffers);
    }
    let before = call.kernel.files.description(transfer.id).flags;
    call.kernel.files.description_mut(transfer.id).flags = before | O_APPEND;
    let result = call.write_from(transfer, buffers);
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
