//! Signals that are read: signalfd(2). As on Linux, a reader gets its own signals and its process's.

use warmfork_abi::Errno;
use warmfork_abi::signals::{SI_KERNEL, SI_TIMER, SI_USER, SIGCHLD, UNBLOCKABLE};

use crate::objects::{Context, Operations};
use crate::signal::SignalInfo;

/// Size of `struct signalfd_siginfo`.
pub(crate) const SIGINFO: usize = 128;

/// A signal queue's reader.
#[derive(Clone, PartialEq, Debug)]
pub struct SignalFd {
    /// Bit n-1 for signal n.
    pub(crate) mask: u64,
    /// Signals read: with what is pending, the edge number.
    pub(crate) taken: u64,
}

impl SignalFd {
    /// A reader of the signals in `mask`.
    #[must_use]
    pub fn new(mask: u64) -> Self {
        Self { mask: mask & !UNBLOCKABLE, taken: 0 }
    }

    /// Changes the signals that are read.
    pub fn set_mask(&mut self, mask: u64) {
        self.mask = mask & !UNBLOCKABLE;
    }
}

/// Reading and polling need the threads' signals: `readiness/signalfd.rs` does them.
impl Operations for SignalFd {
    fn seek(&mut self, _context: &mut Context<'_>, _by: i64, _whence: u32) -> Result<u64, Errno> {
        Ok(0)
    }

    fn link_text(&self) -> Vec<u8> {
        b"anon_inode:[signalfd]".to_vec()
    }
}

/// `struct signalfd_siginfo`
pub(crate) fn layout(info: &SignalInfo) -> [u8; SIGINFO] {
    let mut bytes = [0; SIGINFO];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &info.signal.to_le_bytes());
    put(4, &info.error.to_le_bytes());
    put(8, &info.code.to_le_bytes());
    let (first, value) = (info.fields[0].to_le_bytes(), info.fields[1].to_le_bytes());
    match info.code {
        SI_TIMER => {
            put(24, &first[..4]);
            put(32, &first[4..]);
            put(44, &value[..4]);
            put(48, &value);
        }
        ..=SI_USER | SI_KERNEL => {
            put(12, &first);
            if info.code < SI_USER {
                put(44, &value[..4]);
                put(48, &value);
            }
        }
        _ if info.signal == SIGCHLD => {
            put(12, &first);
            put(40, &value[..4]);
            put(56, &info.fields[2].to_le_bytes());
        }
        _ => put(72, &first),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use warmfork_abi::signals::{SI_QUEUE, SIGSEGV, SIGUSR1};

    use super::*;

    fn word(bytes: &[u8; SIGINFO], at: usize) -> u32 {
        bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
    }

    #[test]
    fn senders_are_told() {
        let bytes = layout(&SignalInfo::sent(SIGUSR1, SI_USER, 7, 8));
        assert_eq!([word(&bytes, 0), word(&bytes, 12), word(&bytes, 16)], [SIGUSR1, 7, 8]);
    }

    #[test]
    fn queued_values_are_told() {
        let info = SignalInfo { fields: [7, 0x5_0000_0006, 0, 0], ..SignalInfo::sent(SIGUSR1, SI_QUEUE, 7, 0) };
        let bytes = layout(&info);
        assert_eq!([word(&bytes, 12), word(&bytes, 44), word(&bytes, 48), word(&bytes, 52)], [7, 6, 6, 5]);
    }

    #[test]
    fn timers_and_faults_are_told() {
        let mut info = SignalInfo::timer(SIGUSR1, 3, 9);
        info.set_overrun(4);
        let bytes = layout(&info);
        assert_eq!([word(&bytes, 24), word(&bytes, 32), word(&bytes, 44)], [3, 4, 9]);
        let bytes = layout(&SignalInfo::fault(SIGSEGV, 1, 0x1234));
        assert_eq!([word(&bytes, 12), word(&bytes, 72)], [0, 0x1234]);
    }
}
