//! Guest memory as the rest of warmfork uses it, and small facts about guest addresses.

use warmfork_abi::{Registers, signals};
use warmfork_memory::{GuestMemory, MapError, Protection, Source, Span};

use super::KvmPlatform;
use super::arena::Arena;
use super::exceptions::{FETCH, GENERAL_PROTECTION};
use crate::pagemap::{Pagemap, push};
use crate::{ExceptionInfo, Exit, PlatformError};

/// The page of old programs' system calls.
const VSYSCALL: u64 = 0xffff_ffff_ff60_0000;

/// Whether a page fault is a call of the vsyscall page.
pub fn is_vsyscall(address: u64, error: u64, registers: &Registers) -> bool {
    address == registers.rip && error & FETCH != 0
}

/// The number of the system call that the vsyscall page has at `address`.
pub fn vsyscall(address: u64) -> Option<u64> {
    match address.checked_sub(VSYSCALL)? {
        // gettimeofday, time, getcpu
        0 => Some(96),
        0x400 => Some(201),
        0x800 => Some(309),
        _ => None,
    }
}

/// Whether the CPU takes `address` for an address at all.
pub fn is_canonical(address: u64) -> bool {
    address >> 47 == 0 || address >> 47 == u64::MAX >> 47
}

/// A #GP with this error code, as Linux signals it.
pub fn general_protection(error: u64) -> Exit {
    let trap = u8::try_from(GENERAL_PROTECTION).unwrap_or(0);
    let (signal, code) = (signals::SIGSEGV, signals::SI_KERNEL);
    Exit::Exception(ExceptionInfo { signal, code, address: 0, trap, error })
}

/// Appends the privately written pages of `span` to `found`, in address order.
pub fn touched(arena: &Arena, pagemap: &mut Pagemap, span: Span, found: &mut Vec<Span>) -> Result<(), PlatformError> {
    let mut here = Vec::new();
    for piece in arena.pieces(span) {
        let start = arena.host(piece.offset) as u64;
        here.clear();
        pagemap.touched(Span { start, end: start + piece.span.len() }, &mut here)?;
        for part in &here {
            let guest = piece.span.start + (part.start - start);
            push(found, Span { start: guest, end: guest + part.len() });
        }
    }
    Ok(())
}

/// This process.
pub fn own_pid() -> libc::pid_t {
    libc::pid_t::try_from(std::process::id()).unwrap_or(0)
}

/// Page faults of the calling thread so far: those of the guest are among them.
pub fn faults() -> u64 {
    // SAFETY: rusage is plain bytes, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid out-pointer.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_minflt.cast_unsigned().wrapping_add(usage.ru_majflt.cast_unsigned())
}

impl GuestMemory for KvmPlatform {
    fn read_some(&self, address: u64, into: &mut [u8]) -> usize {
        self.memory.borrow_mut().read_some(address, into)
    }

    fn write_some(&self, address: u64, from: &[u8]) -> usize {
        self.touched.written([Span { start: address, end: address.saturating_add(from.len() as u64) }]);
        self.memory.borrow_mut().write_some(address, from)
    }

    fn map(&mut self, span: Span, protection: Protection, source: Source<'_>) -> Result<(), MapError> {
        self.touched.forget();
        self.memory.get_mut().map(span, protection, source)
    }

    fn unmap(&mut self, span: Span) -> Result<(), MapError> {
        self.touched.forget();
        self.memory.get_mut().unmap(span)
    }

    fn protect(&mut self, span: Span, protection: Protection) -> Result<(), MapError> {
        self.memory.get_mut().protect(span, protection)
    }

    fn relocate(&mut self, from: Span, to: Span) -> Result<(), MapError> {
        self.touched.forget();
        self.memory.get_mut().relocate(from, to)
    }

    fn discard(&mut self, span: Span) -> Result<(), MapError> {
        self.touched.forget();
        self.memory.get_mut().discard(span)
    }

    fn resident(&self, span: Span, pages: &mut [u8]) {
        pages.fill(0);
        let arena = &self.memory.borrow().arena;
        for piece in arena.pieces(span) {
            let first = usize::try_from((piece.span.start - span.start) / warmfork_abi::PAGE).unwrap_or(0);
            let count = usize::try_from(piece.span.len() / warmfork_abi::PAGE).unwrap_or(0);
            let start = arena.host(piece.offset) as u64;
            let part = &mut pages[first..first + count];
            if let Err(error) = self.touched.pagemap().present(Span { start, end: start + piece.span.len() }, part) {
                log::debug!("reading the guest's pagemap failed: {error}");
                part.fill(1);
            }
        }
    }
}
