//! The process platform: a guest is a host process whose every system call stops at ptrace.
//!
//! ```text
//!   parent thread (tracer)                stub process
//!   run(registers) --PTRACE_SYSEMU-->     guest code ... syscall
//!                  <---- stop --------
//!   map(span) ------PTRACE_CONT----->     resident code: mmap; int3
//! ```
//!
//! A tracee belongs to the thread that started it, so this platform is not `Send`: a caller that wants to drive a machine
//! from several threads gives it a thread of its own. Interception was chosen by measurement; see benches/.

mod calls;
mod duplicate;
mod filter;
mod host_call;
mod layout;
mod maps;
mod memory;
mod spawn;
mod table;
mod tracee;

pub(crate) use self::layout::RESERVED;

use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use warmfork_abi::{PAGE, Registers, page_up, signals};
use warmfork_memory::{Protection, Source, Span};

use self::calls::{Caller, Copied};
use self::host_call::HostCall;
use self::tracee::{INTERRUPT, Stopped, Tracee, send_signal};
use crate::pagemap::Pagemap;
use crate::touched::Touched;
use crate::{Counts, ExceptionInfo, Exit, FaultInfo, Interrupter, Mapping, Platform, PlatformError, Pristine};

/// `si_code` of a SIGSYS from a seccomp filter.
const SYS_SECCOMP: i32 = 1;

/// A guest in a stub process.
pub struct ProcessPlatform {
    tracee: Tracee,
    caller: Caller,
    touched: Touched,
    memory: std::fs::File,
    /// The last pages put back were so from the last to the first.
    backwards: bool,
    /// Times that the guest was entered.
    entries: u64,
    /// Keeps the platform on its thread, as ptrace wants it.
    thread: PhantomData<*const ()>,
}

struct ProcessInterrupter(Arc<OwnedFd>);

impl Interrupter for ProcessInterrupter {
    fn interrupt(&self) {
        send_signal(self.0.as_raw_fd(), INTERRUPT);
    }
}

impl ProcessPlatform {
    /// A stub with an empty address space, traced by the calling thread and on the calling thread's CPUs.
    ///
    /// # Errors
    /// The host's refusal: no process, no ptrace, no seccomp, no /proc.
    pub fn new() -> Result<Self, PlatformError> {
        let table = table::Table::new()?;
        let (mut tracee, socket) = spawn::spawn(table.file())?;
        let mut caller = Caller::new(socket, table);
        let memory = open_memory(&tracee)?;
        install(&mut tracee, &mut caller, &memory)?;
        let touched = Touched::open(tracee.pid())?;
        Ok(Self { tracee, caller, touched, memory, backwards: false, entries: 0, thread: PhantomData })
    }

    /// The exit for a stop by a signal.
    fn signal_exit(&mut self, signal: i32, registers: &mut Registers) -> Result<Exit, PlatformError> {
        let details = self.tracee.signal_details()?;
        // si_code tells a signal that the CPU raised (positive) from one that some process sent.
        if details.code <= 0 {
            return Ok(Exit::Interrupted);
        }
        let number = signal.cast_unsigned();
        let exception = |trap, error| {
            let (code, address) = (details.code, details.address);
            Exit::Exception(ExceptionInfo { signal: number, code, address, trap, error })
        };
        Ok(match (number, details.code) {
            (signals::SIGSEGV | signals::SIGBUS | signals::SIGFPE, code) => match self.cause(signal, registers)? {
                Some(Cause { trap: PAGE_FAULT, error }) => {
                    Exit::Fault(FaultInfo { signal: number, code, address: details.address, error })
                }
                Some(Cause { trap, error }) => exception(u8::try_from(trap).unwrap_or(0), error),
                None => Exit::Dead,
            },
            (signals::SIGILL, _) => exception(6, 0),
            (signals::SIGTRAP, signals::SI_KERNEL) => exception(3, 0),
            (signals::SIGTRAP, _) => exception(1, 0),
            // A call of the vsyscall page, which the filter has stopped: the host has already returned to its caller.
            (signals::SIGSYS, SYS_SECCOMP) => {
                registers.orig_rax = registers.rax;
                Exit::Syscall
            }
            _ => {
                log::debug!("signal {signal} for the stub at {:#x} ignored", registers.rip);
                Exit::Interrupted
            }
        })
    }
}

/// Offsets in `ucontext_t` of REG_ERR and REG_TRAPNO, as the host writes it on x86-64.
const CONTEXT_ERROR: u64 = 192;
const CONTEXT_TRAP: u64 = 200;
const PAGE_FAULT: u64 = 14;

/// The CPU's report of an exception: its number and error code.
struct Cause {
    trap: u64,
    error: u64,
}

impl ProcessPlatform {
    /// Why the stub has stopped for `signal`: the host tells it only in a signal frame, so the signal is delivered, to
    /// a handler of the resident code on a stack of its own. `None` when the stub died.
    fn cause(&mut self, signal: i32, registers: &Registers) -> Result<Option<Cause>, PlatformError> {
        let fpu = self.fpu()?;
        if let Some(open) = without_key_rights(&fpu) {
            // The host writes the frame with the guest's rights, on some kernels.
            self.tracee.set_fpu(&open)?;
        }
        // The guest's stack pointer might already lie on that stack.
        self.tracee.set_registers(&Registers { rsp: 0, orig_rax: u64::MAX, ..*registers })?;
        self.tracee.deliver(signal)?;
        loop {
            match self.tracee.wait()? {
                Stopped::Signal(libc::SIGTRAP) => break,
                Stopped::Gone(_) => return Ok(None),
                // The frame cannot be written: the same instruction would fault again, without end.
                Stopped::Signal(libc::SIGSEGV) if self.tracee.signal_details()?.code > 0 => return Ok(None),
                Stopped::Signal(_) | Stopped::Syscall => self.caller.interrupted = true,
            }
            self.tracee.run_freely()?;
        }
        let mut handler = Registers::default();
        self.tracee.registers(&mut handler)?;
        self.tracee.set_fpu(&fpu)?;
        let mut word = |offset| self.caller.table().at(handler.rdx.wrapping_add(offset)).unwrap_or(0);
        Ok(Some(Cause { trap: word(CONTEXT_TRAP), error: word(CONTEXT_ERROR) }))
    }
}

/// Vector state `state` with all rights to all protection keys, if it denies any: those are a part of it, whose first state is all
/// rights.
fn without_key_rights(state: &[u8]) -> Option<Vec<u8>> {
    /// The header's word of the parts that are not in their first state, and the bit of the rights to protection keys.
    const PARTS: usize = 512;
    const KEY_RIGHTS: u64 = 1 << 9;
    let parts = u64::from_le_bytes(*state.get(PARTS..)?.first_chunk()?);
    if parts & KEY_RIGHTS == 0 {
        return None;
    }
    let mut open = state.to_vec();
    open[PARTS..PARTS + 8].copy_from_slice(&(parts & !KEY_RIGHTS).to_le_bytes());
    Some(open)
}

/// Opens the stub's memory, readable and writable regardless of its protection.
fn open_memory(tracee: &Tracee) -> Result<std::fs::File, PlatformError> {
    let path = format!("/proc/{}/mem", tracee.pid());
    let opened = std::fs::File::options().read(true).write(true).open(path);
    opened.map_err(|source| PlatformError::Host { operation: "opening the stub's memory", source })
}

/// Moves a fresh stub to its place: resident code and table at the top, nothing else, filter on.
fn install(tracee: &mut Tracee, caller: &mut Caller, memory: &std::fs::File) -> Result<(), PlatformError> {
    use std::os::unix::fs::FileExt;
    let mut start = Registers::default();
    tracee.registers(&mut start)?;
    let program_end = start.rip;
    // Until the code is in place, calls are made from the program itself, whose resident part follows its `ud2`.
    let here = (program_end + 2).next_multiple_of(64);
    let mut call = |caller: &mut Caller, at: u64, number, arguments| {
        let result = caller.call_at(tracee, at, HostCall::new(number, arguments))?;
        if result.cast_signed() < 0 && result.cast_signed() >= -4095 {
            let source = std::io::Error::from_raw_os_error(i32::try_from(-result.cast_signed()).unwrap_or(0));
            return Err(PlatformError::Host { operation: "preparing the stub", source });
        }
        Ok(result)
    };
    let (read, exec) = (libc::PROT_READ as u64, libc::PROT_EXEC as u64);
    let fixed = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u64;
    call(caller, here, libc::SYS_mmap, [layout::CODE, PAGE, read | exec, fixed, u64::MAX, 0])?;
    memory
        .write_all_at(layout::RESIDENT, layout::CODE)
        .map_err(|source| PlatformError::Host { operation: "writing the stub's code", source })?;
    // Everything else goes: the program, the host's stack, vDSO and heap.
    call(caller, layout::SINGLE, libc::SYS_munmap, [0, layout::CODE, 0, 0, 0, 0])?;
    let above = layout::CODE + PAGE;
    call(caller, layout::SINGLE, libc::SYS_munmap, [above, layout::RESERVED.end - above, 0, 0, 0, 0])?;
    let write = libc::PROT_WRITE as u64;
    let shared = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
    let (size, file) = (layout::SHARED_SIZE as u64, layout::TABLE_FILE as u64);
    call(caller, layout::SINGLE, libc::SYS_mmap, [layout::TABLE, size, read | write, shared, file, 0])?;
    call(caller, layout::SINGLE, libc::SYS_close, [file, 0, 0, 0, 0, 0])?;
    install_handler(tracee, caller)?;
    install_filter(tracee, caller)
}

fn install_handler(tracee: &mut Tracee, caller: &mut Caller) -> Result<(), PlatformError> {
    let failed = |error: calls::CallError| error.into_platform("installing the stub's fault handler");
    let (stack, action) = caller.table().place_handler();
    caller.call(tracee, HostCall::new(libc::SYS_sigaltstack, [stack, 0, 0, 0, 0, 0])).map_err(failed)?;
    for signal in [signals::SIGSEGV, signals::SIGBUS, signals::SIGFPE] {
        let arguments = [u64::from(signal), action, 0, 8, 0, 0];
        caller.call(tracee, HostCall::new(libc::SYS_rt_sigaction, arguments)).map_err(failed)?;
    }
    Ok(())
}

fn install_filter(tracee: &mut Tracee, caller: &mut Caller) -> Result<(), PlatformError> {
    let failed = |error: calls::CallError| error.into_platform("installing the stub's seccomp filter");
    let program = caller.table().place_filter(&filter::program());
    let no_new_privileges = HostCall::new(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0]);
    let filter = HostCall::new(libc::SYS_seccomp, [u64::from(libc::SECCOMP_SET_MODE_FILTER), 0, program, 0, 0, 0]);
    caller.call(tracee, no_new_privileges).map_err(failed)?;
    caller.call(tracee, filter).map_err(failed)?;
    caller.table().clear();
    Ok(())
}

impl Platform for ProcessPlatform {
    fn run(&mut self, registers: &mut Registers) -> Result<Exit, PlatformError> {
        if std::mem::take(&mut self.caller.interrupted) {
            return Ok(Exit::Interrupted);
        }
        if self.tracee.aim_alarm() {
            return Ok(Exit::Interrupted);
        }
        // Not inside a system call any more: the host must not restart one.
        registers.orig_rax = u64::MAX;
        self.tracee.answer(registers)?;
        self.entries += 1;
        self.tracee.run_intercepted()?;
        let stopped = self.tracee.wait()?;
        if let Stopped::Gone(_) = stopped {
            return Ok(Exit::Dead);
        }
        self.tracee.registers(registers)?;
        match stopped {
            // `syscall` leaves the return address in RCX; `int 0x80` and 32-bit code do not, and are not offered.
            Stopped::Syscall if registers.rcx == registers.rip && registers.cs == warmfork_abi::registers::USER_CS => {
                Ok(Exit::Syscall)
            }
            Stopped::Syscall => {
                registers.rip = registers.rip.saturating_sub(2);
                registers.rax = registers.orig_rax;
                registers.orig_rax = u64::MAX;
                Ok(Exit::Exception(ExceptionInfo {
                    signal: signals::SIGSEGV,
                    code: signals::SI_KERNEL,
                    address: 0,
                    trap: 13,
                    error: 0,
                }))
            }
            Stopped::Signal(signal) => {
                registers.orig_rax = u64::MAX;
                self.signal_exit(signal, registers)
            }
            Stopped::Gone(_) => Ok(Exit::Dead),
        }
    }

    fn counts(&self) -> Counts {
        let Caller { calls, copies, .. } = self.caller;
        Counts { entries: self.entries, calls, faults: self.tracee.faults(), fills: 0, copies }
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        Arc::new(ProcessInterrupter(self.tracee.pidfd()))
    }

    fn fpu(&mut self) -> Result<Vec<u8>, PlatformError> {
        // The largest state of today's CPUs (with AMX) is 11 KiB.
        let mut state = vec![0; 16384];
        let length = self.tracee.fpu(&mut state)?;
        state.truncate(length);
        Ok(state)
    }

    fn set_fpu(&mut self, state: &[u8]) -> Result<(), PlatformError> {
        self.tracee.set_fpu(state)
    }

    fn touched(&mut self, spans: &[Span]) -> Result<Vec<Span>, PlatformError> {
        self.touched.find(spans, self.tracee.faults(), Pagemap::touched)
    }

    fn prepare(&mut self, spans: &[Span]) -> Result<(), PlatformError> {
        if spans.is_empty() {
            return Ok(());
        }
        self.touched.forget();
        let calls: Vec<_> = spans.iter().map(|&span| memory::populate(span)).collect();
        match self.caller.batch(&mut self.tracee, &calls) {
            Err(calls::CallError::Platform(error)) => Err(error),
            Err(calls::CallError::Refused(_)) | Ok(()) => Ok(()),
        }
    }

    fn discard_all(&mut self, spans: &[Span]) -> Result<(), PlatformError> {
        if spans.is_empty() {
            return Ok(());
        }
        self.touched.forget();
        let calls: Vec<_> = spans.iter().map(|&span| memory::discard(span)).collect();
        self.caller.batch(&mut self.tracee, &calls).map_err(|error| error.into_platform("dropping a guest's pages"))
    }

    fn set_image(&mut self, image: BorrowedFd<'_>, length: u64) -> Result<(), PlatformError> {
        let Some(span) = page_up(length).and_then(|length| Span::new(layout::IMAGE.start, length)) else {
            return Ok(());
        };
        if span.end > layout::IMAGE.end {
            let source = std::io::Error::from_raw_os_error(libc::EFBIG);
            return Err(PlatformError::Host { operation: "mapping the image into the stub", source });
        }
        // Not shared: before 6.7, a file sealed against writing can't be.
        let source = Source::File { fd: image, offset: 0, shared: false };
        memory::map_all(&mut self.tracee, &mut self.caller, &[Mapping { span, protection: Protection::READ, source }])
    }

    fn put_back(
        &mut self,
        image: &[u8],
        pages: &[(Span, Pristine)],
        vectors: Option<&[u8]>,
    ) -> Result<(), PlatformError> {
        self.touched.written(pages.iter().map(|(span, _)| *span));
        let mut copies: Vec<_> = pages
            .iter()
            .map(|(span, pristine)| match pristine {
                Pristine::Zero => [span.start, 0, span.len()],
                Pristine::Image(offset) => [span.start, layout::IMAGE.start + offset, span.len()],
            })
            .collect();
        // To and fro: the pages that the last reset copied last are still in the cache, which does not hold all of them.
        self.backwards = !self.backwards;
        if self.backwards {
            copies.reverse();
        }
        let Copied { mut refused, vectors: loaded } = self.caller.copy(&mut self.tracee, &copies, vectors)?;
        if let Some(state) = vectors.filter(|_| !loaded) {
            self.tracee.set_fpu(state)?;
        }
        if self.backwards {
            refused.iter_mut().for_each(|index| *index = pages.len() - 1 - *index);
        }
        self.caller.table().clear();
        memory::write_refused(&self.memory, image, pages, &refused)
    }

    fn restore(&mut self, pages: &[(Span, &[u8])]) -> Result<(), PlatformError> {
        self.touched.written(pages.iter().map(|(span, _)| *span));
        self.caller.table().clear();
        memory::restore(self.tracee.pid(), &self.memory, pages)
    }

    fn touched_at_most(&self) -> u64 {
        self.touched.at_most(self.tracee.faults())
    }

    fn table_bytes(&self) -> u64 {
        self.tracee.table_bytes()
    }

    fn table_bytes_at_most(&self) -> u64 {
        self.tracee.table_bytes_at_most()
    }

    fn read_any(&self, address: u64, into: &mut [u8]) -> std::io::Result<()> {
        use std::os::unix::fs::FileExt;
        self.memory.read_exact_at(into, address)
    }

    fn mappings(&self) -> Result<Vec<String>, PlatformError> {
        maps::read(self.tracee.pid())
    }

    fn duplicate(&mut self) -> Result<Option<Box<dyn Platform>>, PlatformError> {
        Ok(Some(Box::new(self.fork()?)))
    }

    fn map_all(&mut self, mappings: &[Mapping<'_>]) -> Result<(), PlatformError> {
        self.touched.forget();
        memory::map_all(&mut self.tracee, &mut self.caller, mappings)
    }
}
