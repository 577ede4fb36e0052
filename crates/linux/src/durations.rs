//! Durations between nanoseconds and the structs of C that guests give and get.

use warmfork_abi::Errno;
use warmfork_abi::time::NANOSECONDS_PER_SECOND;

/// `seconds` and a fraction in units of `unit` nanoseconds, as nanoseconds. Times too large to count saturate.
///
/// # Errors
/// EINVAL for a negative time or a fraction beyond a second.
pub(crate) fn combine(seconds: i64, fraction: i64, unit: u64) -> Result<u64, Errno> {
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let fraction = u64::try_from(fraction).map_err(|_| Errno::EINVAL)?;
    if fraction >= NANOSECONDS_PER_SECOND / unit {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(NANOSECONDS_PER_SECOND).saturating_add(fraction * unit))
}

/// The bytes of a `struct timespec`.
#[must_use]
pub fn timespec_bytes(nanoseconds: u64) -> [u8; 16] {
    pair_bytes(nanoseconds / NANOSECONDS_PER_SECOND, nanoseconds % NANOSECONDS_PER_SECOND)
}

/// The bytes of a `struct timeval`, rounded down.
#[must_use]
pub fn timeval_bytes(nanoseconds: u64) -> [u8; 16] {
    pair_bytes(nanoseconds / NANOSECONDS_PER_SECOND, nanoseconds % NANOSECONDS_PER_SECOND / 1000)
}

fn pair_bytes(seconds: u64, fraction: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seconds.to_le_bytes());
    bytes[8..].copy_from_slice(&fraction.to_le_bytes());
    bytes
}
