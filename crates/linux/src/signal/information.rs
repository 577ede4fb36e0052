//! The information for a signal's receiver: `siginfo_t`. Made by senders, laid out for handlers, sigtimedwait and signalfd.

use warmfork_abi::signals::{SI_KERNEL, SI_TIMER, SI_USER};

/// Size of `siginfo_t` in bytes.
pub const SIGINFO_SIZE: usize = 128;

/// A signal with the information for its handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalInfo {
    /// Signal number, 1 to 64.
    pub signal: u32,
    /// si_errno
    pub error: i32,
    /// si_code
    pub code: i32,
    /// siginfo_t from its 16th byte on (its union), little-endian words; nothing after them is ever set.
    pub fields: [u64; 4],
}

impl SignalInfo {
    /// Sent by process `pid` of user `uid`; `code` is SI_USER or SI_TKILL.
    #[must_use]
    pub fn sent(signal: u32, code: i32, pid: i32, uid: u32) -> Self {
        let sender = u64::from(pid.cast_unsigned()) | u64::from(uid) << 32;
        Self { signal, error: 0, code, fields: [sender, 0, 0, 0] }
    }

    /// Sent by the kernel for a reason of its own: a timer of setitimer, a broken frame.
    #[must_use]
    pub fn kernel(signal: u32) -> Self {
        Self { signal, error: 0, code: SI_KERNEL, fields: [0; 4] }
    }

    /// About child `pid` of user `uid`: `code` is CLD_EXITED and its like, `status` its exit status or signal.
    #[must_use]
    pub fn child(signal: u32, code: i32, pid: i32, uid: u32, status: i32, cpu_time: u64) -> Self {
        /// Nanoseconds in the ticks of USER_HZ.
        const TICK: u64 = 10_000_000;
        let child = Self::sent(signal, code, pid, uid);
        Self { fields: [child.fields[0], u64::from(status.cast_unsigned()), cpu_time / TICK, 0], ..child }
    }

    /// Caused by an access to (or an instruction at) `address`.
    #[must_use]
    pub fn fault(signal: u32, code: i32, address: u64) -> Self {
        Self { signal, error: 0, code, fields: [address, 0, 0, 0] }
    }

    /// Sent by POSIX timer `id`, whose `sigev_value` is `value`.
    #[must_use]
    pub fn timer(signal: u32, id: i32, value: u64) -> Self {
        Self { signal, error: 0, code: SI_TIMER, fields: [u64::from(id.cast_unsigned()), value, 0, 0] }
    }

    /// The information when the queue had no room for more than the signal's number.
    #[must_use]
    pub fn forgotten(signal: u32) -> Self {
        Self::sent(signal, SI_USER, 0, 0)
    }

    /// si_overrun of a timer's signal.
    pub fn set_overrun(&mut self, overrun: i32) {
        self.fields[0] = self.fields[0] & 0xffff_ffff | u64::from(overrun.cast_unsigned()) << 32;
    }

    /// The bytes of `siginfo_t`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SIGINFO_SIZE] {
        let mut bytes = [0; SIGINFO_SIZE];
        bytes[0..4].copy_from_slice(&self.signal.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.error.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_le_bytes());
        for (place, field) in bytes[16..48].chunks_exact_mut(8).zip(&self.fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Reads a guest's `siginfo_t`, giving it number `signal` as rt_sigqueueinfo does.
    #[must_use]
    pub fn from_bytes(signal: u32, bytes: &[u8; SIGINFO_SIZE]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let half = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { signal, error: half(4), code: half(8), fields: [word(16), word(24), word(32), word(40)] }
    }
}
