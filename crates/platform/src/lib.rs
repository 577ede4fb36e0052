//! Platforms run guest instructions. A platform knows memory and registers, and not the meaning of a system call.

pub mod alarm;
pub mod kvm;
mod pagemap;
pub mod process;
mod touched;

use std::borrow::Cow;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use warmfork_abi::Registers;
use warmfork_memory::{GuestMemory, Protection, Source, Span};

/// The part of the address space that guests cannot map, on any platform: on process it holds the stub, and guests on kvm see the
/// same layout.
pub const RESERVED: Span = process::RESERVED;

/// The reason why the guest stopped running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It made a system call: number in `orig_rax`, arguments in the registers. Answer in `rax` and run again.
    Syscall,
    /// It touched memory that it may not touch.
    Fault(FaultInfo),
    /// It raised a CPU exception other than a page fault.
    Exception(ExceptionInfo),
    /// [`Interrupter::interrupt`] was called; the registers are those of the interrupted instruction.
    Interrupted,
    /// The host took the guest away (killed from outside). The machine is lost.
    Dead,
}

/// A page fault, or an access that the host refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultInfo {
    /// The signal Linux would send: SIGSEGV or SIGBUS.
    pub signal: u32,
    /// Its `si_code`.
    pub code: i32,
    /// The address touched.
    pub address: u64,
    /// The CPU's page fault error code: bit 0 a page was there, 1 a write, 2 user mode, 4 an instruction fetch.
    pub error: u64,
}

/// A CPU exception, as the signal Linux makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExceptionInfo {
    /// SIGFPE, SIGILL, SIGTRAP, SIGSEGV (for #GP) or SIGBUS (for #SS).
    pub signal: u32,
    /// Its `si_code`.
    pub code: i32,
    /// Its `si_addr`.
    pub address: u64,
    /// The CPU's exception number, as `uc_mcontext.gregs[REG_TRAPNO]` shows it.
    pub trap: u8,
    /// Its error code: for #GP and its like a selector, 0 for most.
    pub error: u64,
}

/// The platform itself failed; the guest is not to blame and the machine is unusable.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// A host call failed.
    #[error("{operation} failed: {source}")]
    Host {
        /// The operation that failed.
        operation: &'static str,
        /// The host's error.
        source: std::io::Error,
    },
    /// The guest's process ended without our doing.
    #[error("the guest's host process is gone ({0})")]
    Gone(String),
}

/// Interrupts a running guest from another thread. Sticky: an interrupt that comes while the guest is not running
/// ends its next run at once.
pub trait Interrupter: Send + Sync {
    /// Makes the current or the next [`Platform::run`] return [`Exit::Interrupted`] soon.
    fn interrupt(&self);
}

/// One mapping of a new fork.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'a> {
    /// Where.
    pub span: Span,
    /// The accesses that the guest has.
    pub protection: Protection,
    /// Where its bytes come from.
    pub source: Source<'a>,
}

/// The content of pages when their machine was frozen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pristine {
    /// Zeroes.
    Zero,
    /// The image's bytes from this offset on.
    Image(u64),
}

impl Pristine {
    /// `length` bytes of it; `None` where the bytes of the image, `image`, end before.
    pub(crate) fn bytes(self, image: &[u8], length: usize) -> Option<Cow<'_, [u8]>> {
        let Self::Image(offset) = self else { return Some(Cow::Owned(vec![0; length])) };
        let at = usize::try_from(offset).ok()?;
        image.get(at..at.checked_add(length)?).map(Cow::Borrowed)
    }
}

/// The cost of running a guest so far: in steady state, only `entries` grows, and `copies` with each reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Times that the guest was entered.
    pub entries: u64,
    /// Other calls of the host's that act on the guest: mapping calls made in its process, ioctls of its machine.
    pub calls: u64,
    /// Page faults that the host took for it.
    pub faults: u64,
    /// Page faults of a virtual machine that were ours to answer, by filling its page tables.
    pub fills: u64,
    /// Stops of the guest's host process in which it rewrote its own pages: one for up to 1,706 spans of a
    /// [`Platform::put_back`]. None on kvm, where the guest's memory is in this process.
    pub copies: u64,
}

/// The pieces that a guest has gathered in its last run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gathered {
    /// Their bytes, in order.
    pub bytes: Vec<u8>,
    /// How many pieces.
    pub pieces: usize,
}

/// One guest on a platform. Not `Send`: it stays on the thread that made it.
pub trait Platform: GuestMemory {
    /// Runs the guest from `registers` until something happens, and leaves its registers there.
    ///
    /// # Errors
    /// [`PlatformError`] when the host fails; the platform can't be used afterwards.
    fn run(&mut self, registers: &mut Registers) -> Result<Exit, PlatformError>;

    /// Lets the guest's next run gather pieces that it sends by descriptor `fd`, at most `room` bytes in all, without leaving the
    /// guest: `write(fd, bytes, count)` and `sendto(fd, bytes, count, 0 or MSG_NOSIGNAL, NULL, ..)` return `count` at once, and
    /// [`Platform::gathered`] has the bytes. Platforms that can't do so ignore it. It is the one system call whose meaning a
    /// platform knows.
    fn gather(&mut self, _fd: i32, _room: usize) {}

    /// The pieces that the guest gathered in the last run, for which [`Platform::gather`] was called; once.
    fn gathered(&mut self) -> Gathered {
        Gathered::default()
    }

    /// Its cost so far.
    fn counts(&self) -> Counts;

    /// A handle that interrupts this guest.
    fn interrupter(&self) -> Arc<dyn Interrupter>;

    /// The FPU and vector state, in the CPU's standard XSAVE layout with XCR0 in bytes 464 to 471 (as ptrace(2)'s
    /// NT_X86_XSTATE has it).
    ///
    /// # Errors
    /// As [`Platform::run`].
    fn fpu(&mut self) -> Result<Vec<u8>, PlatformError>;

    /// Sets the FPU and vector state; `state` is an answer of [`Platform::fpu`] or a guest's own signal frame
    /// (then the caller has checked its header).
    ///
    /// # Errors
    /// As [`Platform::run`]; EINVAL from the host for a state the CPU does not take.
    fn set_fpu(&mut self, state: &[u8]) -> Result<(), PlatformError>;

    /// The pages within `spans` that the guest (or warmfork for it) has privately written since they were mapped,
    /// as page-aligned spans in address order.
    ///
    /// # Errors
    /// As [`Platform::run`].
    fn touched(&mut self, spans: &[Span]) -> Result<Vec<Span>, PlatformError>;

    /// Bytes of the pages that [`Platform::touched`] would find at most, in the spans that it was last asked for: costs
    /// nothing, where looking takes longer the more the guest has mapped. `u64::MAX` when nothing is known.
    fn touched_at_most(&self) -> u64;

    /// Host memory that the guest's page tables take, in bytes: it need only read to fill them.
    fn table_bytes(&self) -> u64;

    /// [`Platform::table_bytes`] at most, without looking. `u64::MAX` when nothing is known.
    fn table_bytes_at_most(&self) -> u64 {
        self.table_bytes()
    }

    /// Copies bytes out of the guest regardless of their protection: for freezing a machine.
    ///
    /// # Errors
    /// EIO where nothing is mapped.
    fn read_any(&self, address: u64, into: &mut [u8]) -> std::io::Result<()>;

    /// The host's mappings for the guest, one line a mapping (range, protection, file), neighbours that are alike
    /// joined: for comparing two machines.
    ///
    /// # Errors
    /// As [`Platform::run`].
    fn mappings(&self) -> Result<Vec<String>, PlatformError>;

    /// Another guest with a copy of this one's memory, FPU and vector state: shared mappings are shared by both,
    /// the rest is each one's own. `None` on a platform that cannot: then the caller maps it anew.
    ///
    /// # Errors
    /// The host's refusal of a process or memory; this guest can be used as before.
    fn duplicate(&mut self) -> Result<Option<Box<dyn Platform>>, PlatformError>;

    /// Makes many mappings at once, as [`GuestMemory::map`] each: for building a fork.
    ///
    /// # Errors
    /// As [`Platform::run`].
    fn map_all(&mut self, mappings: &[Mapping<'_>]) -> Result<(), PlatformError>;

    /// Takes the page faults of first writes to `spans`, all of them mapped, ahead of the guest: for a fork that is
    /// built before there is something to do. Pages that the host refuses are left to the guest.
    ///
    /// # Errors
    /// As [`Platform::run`].
    fn prepare(&mut self, spans: &[Span]) -> Result<(), PlatformError>;

    /// Drops the private pages of many spans, as [`GuestMemory::discard`] each.
    ///
    /// # Errors
    /// As [`Platform::run`].
    fn discard_all(&mut self, spans: &[Span]) -> Result<(), PlatformError>;

    /// Keeps `image`, a memory file of `length` bytes that never changes, at hand for [`Platform::put_back`].
    ///
    /// # Errors
    /// As [`Platform::run`]; EFBIG for an image that is too large for that.
    fn set_image(&mut self, image: BorrowedFd<'_>, length: u64) -> Result<(), PlatformError>;

    /// Puts pages back, regardless of their protection, and sets the FPU and vector state, as [`Platform::set_fpu`]: the steady
    /// state of a reset. `image` is the bytes of the image that the platform holds.
    ///
    /// # Errors
    /// As [`Platform::run`].
    fn put_back(
        &mut self,
        image: &[u8],
        pages: &[(Span, Pristine)],
        vectors: Option<&[u8]>,
    ) -> Result<(), PlatformError>;

    /// Writes page-aligned bytes regardless of their protection: for restoring pages.
    ///
    /// # Errors
    /// As [`Platform::run`].
    fn restore(&mut self, pages: &[(Span, &[u8])]) -> Result<(), PlatformError>;
}
