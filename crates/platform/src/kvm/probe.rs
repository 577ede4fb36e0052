//! Whether this host's KVM can run guests, how a system call leaves them, and the cost of that: found out once for the
//! process, by running a guest of a few instructions.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use warmfork_abi::registers::{USER_CS, USER_SS};
use warmfork_abi::{Registers, signals};
use warmfork_memory::{GuestMemory, Protection, Source, Span};

use super::KvmPlatform;
use super::vm::{Trap, Vm};
use crate::{Exit, Platform, PlatformError, alarm};

/// The result of the probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeResult {
    pub(super) trap: Trap,
    /// The cost of one system call, from the guest to this process and back.
    pub exit: Duration,
}

impl ProbeResult {
    /// How system calls leave the guest, in words.
    #[must_use]
    pub fn how(self) -> &'static str {
        match self.trap {
            Trap::Ring0 => "by a stub in ring 0",
            Trap::Doorbell { .. } => "by a doorbell in ring 3, for ring 0 is emulated",
        }
    }
}

/// There is no KVM, or a guest on it did not run as natively.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KvmError {
    /// KVM refused something.
    #[error("{0}")]
    Refused(String),
    /// The guest ended otherwise than on a CPU.
    #[error("{operation} in a virtual machine ended as {exit}")]
    Wrong {
        /// The guest's attempt.
        operation: &'static str,
        /// Its outcome.
        exit: String,
    },
}

impl From<PlatformError> for KvmError {
    fn from(error: PlatformError) -> Self {
        Self::Refused(error.to_string())
    }
}

const CODE: u64 = 0x1_0000;
const DATA: u64 = 0x20_0000;
/// System calls that are timed: the fastest batch counts, for others may use the CPU too.
const BATCHES: u32 = 8;
const ROUNDS: u32 = 16;

/// Probes this host, once.
///
/// # Errors
/// [`KvmError`] when guests cannot run on it.
pub fn probe() -> Result<ProbeResult, KvmError> {
    static FOUND: OnceLock<Result<ProbeResult, KvmError>> = OnceLock::new();
    let look_at_all = || {
        let doorbell = |selectors_left| look(Trap::Doorbell { selectors_left });
        look(Trap::Ring0).or_else(|first| doorbell(false).or_else(|_| doorbell(true)).map_err(|_| first))
    };
    FOUND.get_or_init(look_at_all).clone()
}

fn page(start: u64) -> Span {
    Span { start, end: start + warmfork_abi::PAGE }
}

fn look(trap: Trap) -> Result<ProbeResult, KvmError> {
    let mut platform = KvmPlatform::with(Vm::new(trap)?)?;
    let refused = |error: warmfork_memory::MapError| KvmError::Refused(error.to_string());
    platform.map(page(CODE), Protection::READ | Protection::EXEC, Source::Anonymous).map_err(refused)?;
    platform.map(page(DATA), Protection::READ | Protection::WRITE, Source::Anonymous).map_err(refused)?;
    // syscall; jmp to it
    let mut registers = load(&mut platform, &[0x0f, 0x05, 0xeb, 0xfc])?;
    let mut once = |platform: &mut KvmPlatform| match run(platform, &mut registers)? {
        Exit::Syscall if registers.rip == CODE + 2 => Ok(()),
        exit => Err(wrong("a system call", exit, &registers)),
    };
    once(&mut platform)?;
    let mut exit = Duration::MAX;
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            once(&mut platform)?;
        }
        exit = exit.min(start.elapsed() / ROUNDS);
    }
    for selector in [USER_SS, USER_CS, 0] {
        let [low, ..] = selector.to_le_bytes();
        // mov eax, selector; mov ds, es, fs, gs, eax; syscall
        let code = [0xb8, low, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0x8e, 0xe8, 0x0f, 0x05];
        let mut registers = load(&mut platform, &code)?;
        let exit = run(&mut platform, &mut registers)?;
        if exit != Exit::Syscall || [registers.ds, registers.es, registers.fs, registers.gs] != [selector; 4] {
            return Err(wrong("loading segment registers", exit, &registers));
        }
    }
    for (operation, code, address) in REFUSED {
        let mut registers = load(&mut platform, code)?;
        match run(&mut platform, &mut registers)? {
            Exit::Fault(fault) if fault.signal == signals::SIGSEGV && fault.address == address => {}
            exit => return Err(wrong(operation, exit, &registers)),
        }
    }
    Ok(ProbeResult { trap, exit })
}

/// Runs the guest until it ends by itself: the thread may have set its alarm for another guest. That guest's run loop sets it
/// again.
fn run(platform: &mut KvmPlatform, registers: &mut Registers) -> Result<Exit, PlatformError> {
    loop {
        match platform.run(registers)? {
            Exit::Interrupted => _ = alarm::has_rung(),
            exit => return Ok(exit),
        }
    }
}

/// Gives the guest other code.
fn load(platform: &mut KvmPlatform, code: &[u8]) -> Result<Registers, KvmError> {
    let mut bytes = vec![0x90; 4096];
    bytes[..code.len()].copy_from_slice(code);
    platform.restore(&[(page(CODE), &bytes)])?;
    Ok(Registers::at_entry(CODE, DATA + warmfork_abi::PAGE))
}

fn wrong(operation: &'static str, exit: Exit, registers: &Registers) -> KvmError {
    KvmError::Wrong { operation, exit: format!("{exit:?} at {:#x}", registers.rip) }
}

/// The accesses that a guest must not be able to make, and the addresses of the faults that it gets.
const REFUSED: [(&str, &[u8], u64); 4] = [
    ("reading a kernel page", &[0x8a, 0x04, 0x25, 0x00, 0x40, 0, 0], 0x4000),
    ("writing to a kernel page", &[0xc6, 0x04, 0x25, 0x00, 0x40, 0, 0, 1], 0x4000),
    ("writing to a read-only page", &[0xc6, 0x04, 0x25, 0, 0, 1, 0, 1], CODE),
    // mov eax, DATA; jmp rax
    ("running a page that is not executable", &[0xb8, 0, 0, 0x20, 0, 0xff, 0xe0], DATA),
];

#[cfg(test)]
mod tests {
    use super::{look, probe};
    use crate::alarm;

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that was skipped must say so")]
    fn an_alarm_that_rings_meanwhile_is_not_about_it() {
        let Ok(found) = probe() else { return eprintln!("skipped: the kvm platform does not work here") };
        // In the past: it rings at once.
        alarm::set(1).unwrap();
        look(found.trap).unwrap();
    }
}
