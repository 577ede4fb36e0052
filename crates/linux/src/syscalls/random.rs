//! getrandom.

use rustix::rand::GetRandomFlags;
use warmfork_abi::Errno;
use warmfork_abi::process::{GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM};

use crate::call::{Call, SyscallResult};

/// Most bytes of one call; Linux too hands out less than asked when a signal comes.
const MAX_LENGTH: usize = 1 << 20;
const CHUNK: usize = 1 << 14;

/// getrandom(2): the host's entropy, so that no two forks see the same.
pub fn getrandom(call: &mut Call<'_>) -> SyscallResult {
    let (address, flags) = (call.args[0], call.uint(2));
    let exclusive = GRND_RANDOM | GRND_INSECURE;
    if flags & !(GRND_NONBLOCK | exclusive) != 0 || flags & exclusive == exclusive {
        return Err(Errno::EINVAL.into());
    }
    let length = call.size(1)?.min(MAX_LENGTH);
    let mut buffer = [0; CHUNK];
    let mut done = 0;
    while done < length {
        let chunk = &mut buffer[..CHUNK.min(length - done)];
        let filled = rustix::rand::getrandom(&mut *chunk, GetRandomFlags::empty())?;
        let place = address.checked_add(done as u64).ok_or(Errno::EFAULT)?;
        let written = match call.memory().write(place, &chunk[..filled]) {
            Ok(()) => filled,
            Err(_) if done > 0 => break,
            Err(fault) => return Err(fault.into()),
        };
        done += written;
    }
    Ok(done as u64)
}
