//! A traced host process: the raw ptrace(2) calls, and stops as values.

use std::cell::Cell;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use warmfork_abi::{PAGE, Registers, USER_END};

use crate::PlatformError;
use crate::alarm::Bell;

/// A child process under ptrace. Killed when dropped.
pub struct Tracee {
    /// Before the descriptor that it uses.
    bell: Box<Bell>,
    pid: libc::pid_t,
    pidfd: std::sync::Arc<OwnedFd>,
    gone: bool,
    /// It has stopped at the entry of a system call.
    at_call: bool,
    /// Its registers, where it has stopped at a call and they have been read.
    known: Option<Registers>,
    /// Page faults up to its last stop.
    faults: u64,
    /// The size of its page tables when last asked for, and its page faults up to then.
    tables: Cell<Option<(u64, u64)>>,
}

/// The signal that interrupts a running stub. Its number does not matter: it never reaches the guest.
pub const INTERRUPT: i32 = libc::SIGURG;

/// Rings: interrupts the process behind the pidfd `pidfd`.
fn interrupt(pidfd: *const ()) {
    send_signal(RawFd::try_from(pidfd.addr()).unwrap_or(-1), INTERRUPT);
}

/// Bytes of page tables that one fault makes at most: one of each level but the first.
const TABLES_OF_A_FAULT: u64 = 4 * PAGE;

/// Why the tracee stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// At the entry of a system call.
    Syscall,
    /// A signal is about to be delivered (and is not).
    Signal(i32),
    /// It is gone; exit status or signal as waitpid gives it.
    Gone(i32),
}

/// The answer of `PTRACE_GETSIGINFO` for a signal that the CPU or the kernel raised.
#[derive(Clone, Copy, Debug)]
pub struct SignalDetails {
    pub code: i32,
    pub address: u64,
}

pub(super) fn host_error(operation: &'static str) -> PlatformError {
    PlatformError::Host { operation, source: io::Error::last_os_error() }
}

impl Tracee {
    /// Takes charge of a child that is about to stop for its parent, the calling thread.
    ///
    /// # Errors
    /// The host's refusal to open a pidfd.
    pub fn adopt(pid: libc::pid_t) -> Result<Self, PlatformError> {
        // SAFETY: pidfd_open takes a pid and flags, and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let Ok(fd @ 0..) = i32::try_from(fd) else {
            let error = host_error("pidfd_open");
            // SAFETY: `pid` is our own unreaped child.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            return Err(error);
        };
        // SAFETY: the descriptor was just made for us and has no other owner.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd) };
        let pidfd = std::sync::Arc::new(pidfd);
        let bell = Bell::new(interrupt, std::ptr::without_provenance(usize::try_from(fd).unwrap_or(usize::MAX)));
        Ok(Self { bell, pid, pidfd, gone: false, at_call: false, known: None, faults: 0, tables: Cell::new(None) })
    }

    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// The page faults, minor and major, that it has taken up to its last stop.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// The size of its page tables, in bytes; 0 when it is gone.
    pub fn table_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmPTE:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        let bytes = kibibytes.unwrap_or(0).saturating_mul(1024);
        self.tables.set(Some((bytes, self.faults)));
        bytes
    }

    /// The largest possible size of its page tables, in bytes: the last answer of [`Self::table_bytes`], and the tables
    /// that its page faults may have added. `u64::MAX` before that.
    pub fn table_bytes_at_most(&self) -> u64 {
        let Some((bytes, faults)) = self.tables.get() else { return u64::MAX };
        let added = self.faults.saturating_sub(faults).saturating_mul(TABLES_OF_A_FAULT);
        bytes.saturating_add(added)
    }

    pub fn pidfd(&self) -> std::sync::Arc<OwnedFd> {
        std::sync::Arc::clone(&self.pidfd)
    }

    /// Has the thread's alarm interrupt this process from now on; whether it has rung already.
    pub fn aim_alarm(&self) -> bool {
        self.bell.aim()
    }

    /// Waits for the next stop.
    pub fn wait(&mut self) -> Result<Stopped, PlatformError> {
        let mut status = 0;
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        loop {
            // SAFETY: `status` and `usage` are valid out-pointers; `pid` is our child.
            let got = unsafe { libc::wait4(self.pid, &raw mut status, libc::__WALL, usage.as_mut_ptr()) };
            if got == self.pid {
                break;
            }
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return Err(host_error("wait4"));
            }
        }
        // SAFETY: the host has filled it in; zeroed before, it is plain numbers in any case.
        let usage = unsafe { usage.assume_init() };
        self.faults = usage.ru_minflt.cast_unsigned().wrapping_add(usage.ru_majflt.cast_unsigned());
        self.known = None;
        self.at_call = libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP | 0x80;
        if self.at_call {
            return Ok(Stopped::Syscall);
        }
        if libc::WIFSTOPPED(status) {
            return Ok(Stopped::Signal(libc::WSTOPSIG(status)));
        }
        self.gone = true;
        Ok(Stopped::Gone(status))
    }

    fn request(
        &self,
        operation: &'static str,
        request: libc::c_uint,
        address: usize,
        data: usize,
    ) -> Result<(), PlatformError> {
        // SAFETY: callers pass requests whose address and data are plain numbers or point to buffers that live over
        // the call and are as large as the request needs.
        let result = unsafe { libc::ptrace(request, self.pid, address, data) };
        if result < 0 { Err(host_error(operation)) } else { Ok(()) }
    }

    pub fn set_options(&self) -> Result<(), PlatformError> {
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
        self.request("PTRACE_SETOPTIONS", libc::PTRACE_SETOPTIONS, 0, usize::try_from(options).unwrap_or(0))
    }

    /// Lets it run until a system call, which is not made, or a signal.
    pub fn run_intercepted(&self) -> Result<(), PlatformError> {
        self.request("PTRACE_SYSEMU", libc::PTRACE_SYSEMU, 0, 0)
    }

    /// Lets it run and make its own system calls, until a signal.
    pub fn run_freely(&self) -> Result<(), PlatformError> {
        self.request("PTRACE_CONT", libc::PTRACE_CONT, 0, 0)
    }

    /// Lets it take the signal that it has stopped for, and run until the next one.
    pub fn deliver(&self, signal: i32) -> Result<(), PlatformError> {
        self.request("PTRACE_CONT", libc::PTRACE_CONT, 0, usize::try_from(signal).unwrap_or(0))
    }

    pub fn registers(&mut self, into: &mut Registers) -> Result<(), PlatformError> {
        self.request("PTRACE_GETREGS", libc::PTRACE_GETREGS, 0, (&raw mut *into).addr())?;
        self.known = self.at_call.then_some(*into);
        Ok(())
    }

    /// Sets the registers, as [`Self::set_registers`]. Most system calls change but one of them, their result, and
    /// setting that alone is an eighth of a round trip cheaper.
    pub fn answer(&mut self, registers: &Registers) -> Result<(), PlatformError> {
        let only_result = |known: Registers| {
            Registers { rax: registers.rax, orig_rax: registers.orig_rax, ..known } == *registers
                // With these the host would restart the call if a signal came: it still takes it for one.
                && !RESTART_CODES.contains(&registers.rax.cast_signed())
        };
        if !self.known.take().is_some_and(only_result) {
            return self.set_registers(registers);
        }
        let value = usize::try_from(registers.rax).unwrap_or(0);
        self.request("PTRACE_POKEUSER", libc::PTRACE_POKEUSER, offset_of!(Registers, rax), value)
    }

    /// Sets the registers. Segment selectors that a guest can load, but the host refuses, become zero.
    pub fn set_registers(&mut self, registers: &Registers) -> Result<(), PlatformError> {
        self.known = None;
        let settable = settable(registers);
        self.request("PTRACE_SETREGS", libc::PTRACE_SETREGS, 0, (&raw const settable).addr())
    }

    /// Reads the XSAVE area into `buffer`; how many bytes it has.
    pub fn fpu(&self, buffer: &mut [u8]) -> Result<usize, PlatformError> {
        let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        self.request("PTRACE_GETREGSET", libc::PTRACE_GETREGSET, NT_X86_XSTATE, (&raw mut vector).addr())?;
        Ok(vector.iov_len)
    }

    pub fn set_fpu(&self, state: &[u8]) -> Result<(), PlatformError> {
        let mut vector = libc::iovec { iov_base: state.as_ptr().cast_mut().cast(), iov_len: state.len() };
        self.request("PTRACE_SETREGSET", libc::PTRACE_SETREGSET, NT_X86_XSTATE, (&raw mut vector).addr())
    }

    pub fn signal_details(&self) -> Result<SignalDetails, PlatformError> {
        // SAFETY: siginfo_t is plain bytes, for which zero is valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        self.request("PTRACE_GETSIGINFO", libc::PTRACE_GETSIGINFO, 0, (&raw mut info).addr())?;
        // SAFETY: reading the union member si_addr is reading plain bytes, for any signal.
        let address = unsafe { info.si_addr() }.addr() as u64;
        Ok(SignalDetails { code: info.si_code, address })
    }
}

/// `registers` as PTRACE_SETREGS takes them: null selectors have no privilege level there, and bases lie in user space.
fn settable(registers: &Registers) -> Registers {
    let selector = |value: u64| if value & 3 == 3 { value } else { 0 };
    let base = |value: u64| if value < USER_END { value } else { 0 };
    Registers {
        fs_base: base(registers.fs_base),
        gs_base: base(registers.gs_base),
        ds: selector(registers.ds),
        es: selector(registers.es),
        fs: selector(registers.fs),
        gs: selector(registers.gs),
        ..*registers
    }
}

const NT_X86_XSTATE: usize = 0x202;
/// -ERESTART_RESTARTBLOCK to -ERESTARTSYS of the host's kernel.
const RESTART_CODES: std::ops::RangeInclusive<i64> = -516..=-512;

impl Drop for Tracee {
    fn drop(&mut self) {
        if self.gone {
            return;
        }
        send_signal(self.pidfd.as_raw_fd(), libc::SIGKILL);
        while !matches!(self.wait(), Ok(Stopped::Gone(_)) | Err(_)) {}
    }
}

/// Sends `signal` to the process behind `pidfd`; nothing happens when it is gone.
pub fn send_signal(pidfd: RawFd, signal: i32) {
    // SAFETY: pidfd_send_signal takes a descriptor, a number, an optional info (none here) and flags.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, std::ptr::null::<u8>(), 0) };
}
