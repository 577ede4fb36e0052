//! flock and the record locks of fcntl.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::{
    F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX, LOCK_NB, LOCK_SH,
    LOCK_UN, SEEK_CUR, SEEK_END, SEEK_SET,
};

use crate::call::{Call, Stop, SyscallResult};
use crate::events::DescriptionId;
use crate::host::Host;
use crate::kernel::Kernel;
use crate::locks::{FileId, Owner, Record};
use crate::wait::Wait;

/// How long a thread that waits for a lock sleeps before it looks again, in nanoseconds.
const RETRY: u64 = 5_000_000;

/// Length of `struct flock`.
const FLOCK: usize = 32;

impl Kernel {
    /// Which file a description is of.
    fn file_id(&mut self, host: &mut Host, id: DescriptionId) -> Result<FileId, Errno> {
        let metadata = self.with_object(host, id, |object, context| object.metadata(context))?;
        Ok((metadata.device, metadata.inode))
    }

    /// The process closes a descriptor of description `id`: its record locks on that file are gone.
    pub(crate) fn release_record_locks(&mut self, host: &mut Host, id: DescriptionId) {
        let pid = self.process().pid;
        if self.shared.locks.any_of_process(pid)
            && let Ok(file) = self.file_id(host, id)
        {
            self.shared.locks.release_process(pid, file);
        }
    }
}

impl Call<'_> {
    /// Which file a description is of.
    fn file_id(&mut self, id: DescriptionId) -> Result<FileId, Errno> {
        self.kernel.file_id(self.host, id)
    }

    /// Sleeps a little and tries again: another thread or process holds the lock, and goes on meanwhile.
    fn wait_for_lock(&self) -> Stop {
        let deadline = Some(self.host.monotonic().saturating_add(RETRY));
        Stop::Block(Wait { deadline, restartable: true, ..Wait::default() })
    }
}

/// flock(2)
pub fn flock(call: &mut Call<'_>) -> SyscallResult {
    let (fd, operation) = (call.int(0), call.uint(1));
    let exclusive = match operation & !LOCK_NB {
        LOCK_SH => Some(false),
        LOCK_EX => Some(true),
        LOCK_UN => None,
        _ => return Err(Errno::EINVAL.into()),
    };
    let id = call.description_id(fd)?;
    let description = call.kernel.files.description(id);
    if matches!(description.object, crate::objects::Object::Path(_)) {
        return Err(Errno::EBADF.into());
    }
    let file = call.file_id(id)?;
    if call.kernel.shared.locks.flock(file, id, exclusive) {
        return Ok(0);
    }
    if operation & LOCK_NB != 0 { Err(Errno::EAGAIN.into()) } else { Err(call.wait_for_lock()) }
}

/// The fcntl commands F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ forms.
pub(super) fn record_lock(call: &mut Call<'_>, id: DescriptionId, command: u32) -> SyscallResult {
    let address = call.args[2];
    let mut bytes: [u8; FLOCK] = call.memory().read_array(address)?;
    let of_description = matches!(command, F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW);
    let kind = i16::from_le_bytes([bytes[0], bytes[1]]);
    if of_description && bytes[24..28] != [0; 4] || !matches!(kind, F_RDLCK | F_WRLCK | F_UNLCK) {
        return Err(Errno::EINVAL.into());
    }
    let owner = if of_description { Owner::Description(id) } else { Owner::Process(call.kernel.process().pid) };
    let (first, last) = range(call, id, &bytes)?;
    let wanted = Record { owner, first, last, exclusive: kind == F_WRLCK };
    let file = call.file_id(id)?;
    if matches!(command, F_GETLK | F_OFD_GETLK) {
        if kind == F_UNLCK {
            return Err(Errno::EINVAL.into());
        }
        let conflict = call.kernel.shared.locks.conflict(file, &wanted);
        describe(&mut bytes, conflict);
        call.memory().write(address, &bytes)?;
        return Ok(0);
    }
    let description = call.kernel.files.description(id);
    match kind {
        F_RDLCK if !description.readable() => return Err(Errno::EBADF.into()),
        F_WRLCK if !description.writable() => return Err(Errno::EBADF.into()),
        _ => {}
    }
    let locks = &mut call.kernel.shared.locks;
    if kind == F_UNLCK {
        locks.clear(file, &wanted);
    } else if locks.conflict(file, &wanted).is_none() {
        locks.set(file, wanted)?;
    } else if matches!(command, F_SETLKW | F_OFD_SETLKW) {
        return Err(call.wait_for_lock());
    } else {
        return Err(Errno::EAGAIN.into());
    }
    Ok(0)
}

/// First and last byte of a `struct flock`; a length of zero reaches to the end of any file.
fn range(call: &mut Call<'_>, id: DescriptionId, bytes: &[u8; FLOCK]) -> Result<(u64, u64), Errno> {
    let word = |at: usize| bytes[at..].first_chunk().map_or(0, |word| i64::from_le_bytes(*word));
    let whence = u32::from(u16::from_le_bytes([bytes[2], bytes[3]]));
    let from = match whence {
        SEEK_SET => 0,
        SEEK_CUR => call.kernel.files.description(id).offset,
        SEEK_END => call.kernel.with_object(call.host, id, |object, context| object.metadata(context))?.size,
        _ => return Err(Errno::EINVAL),
    };
    let from = i64::try_from(from).map_err(|_| Errno::EOVERFLOW)?;
    let start = from.checked_add(word(8)).ok_or(Errno::EOVERFLOW)?;
    let length = word(16);
    let (first, last) = match length {
        0 => (start, i64::MAX),
        1.. => (start, start.checked_add(length - 1).ok_or(Errno::EOVERFLOW)?),
        _ => (start.checked_add(length).ok_or(Errno::EINVAL)?, start - 1),
    };
    let byte = |byte: i64| u64::try_from(byte).map_err(|_| Errno::EINVAL);
    Ok((byte(first)?, byte(last)?))
}

/// The answer of F_GETLK.
fn describe(bytes: &mut [u8; FLOCK], conflict: Option<Record>) {
    let Some(record) = conflict else {
        bytes[..2].copy_from_slice(&F_UNLCK.to_le_bytes());
        return;
    };
    let open_ended = record.last == i64::MAX.unsigned_abs();
    let length = if open_ended { 0 } else { record.last - record.first + 1 };
    let pid = match record.owner {
        Owner::Process(pid) => pid,
        Owner::Description(_) => -1,
    };
    bytes[..2].copy_from_slice(&if record.exclusive { F_WRLCK } else { F_RDLCK }.to_le_bytes());
    bytes[2..4].copy_from_slice(&[0; 2]);
    bytes[8..16].copy_from_slice(&record.first.to_le_bytes());
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    bytes[24..28].copy_from_slice(&pid.to_le_bytes());
}
