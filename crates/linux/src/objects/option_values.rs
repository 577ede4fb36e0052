//! The values of socket options, as guests' bytes and as Rust values.

use warmfork_abi::Errno;

use crate::durations::{combine, timeval_bytes};

/// An `int` as the value of an option.
pub(super) fn int(value: impl TryInto<i32>) -> Vec<u8> {
    value.try_into().unwrap_or(i32::MAX).to_le_bytes().to_vec()
}

/// A `struct timeval` of SO_RCVTIMEO and SO_SNDTIMEO as nanoseconds: zero is no timeout.
pub(super) fn read_timeout(value: &[u8]) -> Result<Option<u64>, Errno> {
    let bytes: &[u8; 16] = value.first_chunk().ok_or(Errno::EINVAL)?;
    let word = |from: usize| bytes[from..from + 8].try_into().map_or(0, i64::from_le_bytes);
    let (seconds, microseconds) = (word(0), word(8));
    if seconds < 0 && (0..1_000_000).contains(&microseconds) {
        return Ok(Some(1));
    }
    let timeout = combine(seconds, microseconds, 1000).map_err(|_| Errno::EDOM)?;
    Ok((timeout > 0).then_some(timeout))
}

/// A timeout of SO_RCVTIMEO or SO_SNDTIMEO in nanoseconds as its `struct timeval`.
pub(super) fn timeout_bytes(timeout: Option<u64>) -> Vec<u8> {
    timeval_bytes(timeout.unwrap_or(0)).to_vec()
}

/// SO_LINGER, on or off and for how many seconds, as its `struct linger`.
pub(super) fn linger_bytes((on, seconds): (bool, u32)) -> Vec<u8> {
    [u32::from(on), seconds].iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A `struct linger`: on or off, and for how many seconds.
///
/// # Errors
/// EINVAL when it is shorter.
pub(super) fn read_linger(value: &[u8]) -> Result<(bool, u32), Errno> {
    let value: &[u8; 8] = value.first_chunk().ok_or(Errno::EINVAL)?;
    Ok((read_int(&value[..4])? != 0, read_int(&value[4..])?.unsigned_abs()))
}

/// The `int` that an option's value begins with.
///
/// # Errors
/// EINVAL when it is shorter.
pub fn read_int(value: &[u8]) -> Result<i32, Errno> {
    value.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)).ok_or(Errno::EINVAL)
}
