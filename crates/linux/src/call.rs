//! The arguments of a system call handler, and its possible answers.

use warmfork_abi::{Errno, Registers};
use warmfork_memory::{Fault, GuestMemory};

use crate::events::{DescriptionId, Events};
use crate::files::Description;
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::objects::{Context, Object};
use crate::process::Ending;
use crate::processes::Forked;
use crate::task::Task;
use crate::wait::Wait;

/// A guest's memory and vector registers, as far as the emulated kernel needs them.
pub trait Guest: GuestMemory {
    /// The FPU and vector state of the current context in the CPU's standard XSAVE layout, with XCR0 in bytes 464 to
    /// 471 (as ptrace(2)'s NT_X86_XSTATE has it): signal frames tell their handlers which features there are.
    ///
    /// # Errors
    /// EIO when the platform fails; the machine is then lost.
    fn fpu(&mut self) -> Result<Vec<u8>, Errno>;

    /// Replaces the FPU and vector state of the current context.
    ///
    /// # Errors
    /// EINVAL for a state that the CPU does not take, EIO when the platform fails.
    fn set_fpu(&mut self, state: &[u8]) -> Result<(), Errno>;

    /// The same object as plain memory, for helpers that want no more.
    fn memory(&mut self) -> &mut dyn GuestMemory;
}

/// Why a handler does not simply return a number.
#[derive(Debug, PartialEq)]
pub enum Stop {
    /// The call fails with this error.
    Error(Errno),
    /// The calling thread sleeps; the handler runs again from the start when one of the conditions holds.
    Block(Wait),
    /// Registers (and memory) already are as the guest shall find them: rt_sigreturn.
    Resumed,
    /// The call succeeds with 0 and other threads get their turn first.
    Yield,
    /// The calling thread ends.
    ExitThread,
    /// The whole process ends.
    ExitProgram(Ending),
    /// A process has been made, but for its memory; its maker is told its id when it has that.
    Fork(Forked),
    /// Another program takes the place of the process's.
    Exec(Box<ExecRequest>),
}

/// A program to run instead: the arguments of execve(2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecRequest {
    /// Its path as the guest names it.
    pub path: Vec<u8>,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Its environment.
    pub environment: Vec<Vec<u8>>,
}

/// The value for RAX, or why there is none.
pub type SyscallResult = Result<u64, Stop>;

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        Self::Error(error)
    }
}

impl From<Fault> for Stop {
    fn from(_: Fault) -> Self {
        Self::Error(Errno::EFAULT)
    }
}

impl From<rustix::io::Errno> for Stop {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Error(Errno(error.raw_os_error()))
    }
}

/// An argument that is a C `int` or `unsigned int`.
#[expect(clippy::cast_possible_truncation, reason = "Linux takes the low half of the register")]
pub(crate) fn low(argument: u64) -> u32 {
    argument as u32
}

/// One system call of one thread.
pub struct Call<'a> {
    /// The kernel state, which a snapshot freezes.
    pub kernel: &'a mut Kernel,
    /// Host-side helpers of this machine.
    pub host: &'a mut Host,
    /// The guest's memory and vector registers.
    pub guest: &'a mut dyn Guest,
    /// The caller's integer registers.
    pub registers: &'a mut Registers,
    /// The calling thread.
    pub tid: Tid,
    /// Arguments as they are in the registers; a handler narrows them as Linux does (`as_i32`, `as_u32`).
    pub args: [u64; 6],
}

impl Call<'_> {
    /// Guest memory.
    pub fn memory(&mut self) -> &mut dyn GuestMemory {
        self.guest.memory()
    }

    /// Argument `index` as a C `int`.
    #[must_use]
    pub fn int(&self, index: usize) -> i32 {
        low(self.args[index]).cast_signed()
    }

    /// Argument `index` as a C `unsigned int`.
    #[must_use]
    pub fn uint(&self, index: usize) -> u32 {
        low(self.args[index])
    }

    /// Argument `index` as a byte count or another size.
    ///
    /// # Errors
    /// Never on a 64-bit host; EINVAL keeps the conversion honest.
    pub fn size(&self, index: usize) -> Result<usize, Errno> {
        usize::try_from(self.args[index]).map_err(|_| Errno::EINVAL)
    }

    /// The calling thread.
    ///
    /// # Panics
    /// Never: a call is made by a live thread.
    pub fn task(&mut self) -> &mut Task {
        self.kernel.process_mut().tasks.get_mut(self.tid)
    }

    /// The description behind descriptor `fd`.
    ///
    /// # Errors
    /// EBADF when `fd` is not open.
    pub fn description_id(&self, fd: i32) -> Result<DescriptionId, Errno> {
        self.kernel.process().descriptors.lookup(fd)
    }

    /// The open file description of descriptor `fd`.
    ///
    /// # Errors
    /// EBADF when `fd` is not open.
    pub fn description(&mut self, fd: i32) -> Result<&mut Description, Errno> {
        let id = self.kernel.process().descriptors.lookup(fd)?;
        Ok(self.kernel.files.description_mut(id))
    }

    /// The object behind `id`, with the context that it may use.
    pub fn object(&mut self, id: DescriptionId) -> (&mut Object, Context<'_>) {
        self.kernel.object(self.host, id)
    }

    /// Opens `object` at the lowest free descriptor.
    ///
    /// # Errors
    /// EMFILE when there is none; the object is closed.
    pub fn open(&mut self, object: Object, flags: u32, close_on_exec: bool) -> SyscallResult {
        let id = self.kernel.files.insert(Description::new(object, flags));
        let limit = self.kernel.process().file_limit();
        match self.kernel.process_mut().descriptors.install(id, 0, limit, close_on_exec) {
            Ok(fd) => Ok(u64::from(fd.unsigned_abs())),
            Err(error) => {
                self.kernel.release(self.host, id);
                Err(error.into())
            }
        }
    }

    /// The instant (monotonic nanoseconds) at which this call's `timeout` (nanoseconds from its first attempt) runs
    /// out. Remembered over the attempts of one blocked call.
    pub fn deadline_after(&mut self, timeout: u64) -> u64 {
        let now = self.host.monotonic();
        *self.task().restart.deadline.get_or_insert(now.saturating_add(timeout))
    }

    /// How far an earlier attempt at the same call got, as [`Call::pause`] noted it.
    pub(crate) fn moved(&mut self) -> usize {
        usize::try_from(self.task().restart.progress).unwrap_or(usize::MAX)
    }

    /// Lets the machine look at its limits, and other threads run, in the middle of a long call, which then goes on. A signal
    /// ends the call with `moved` as its result.
    pub(crate) fn pause(&mut self, moved: usize) -> Stop {
        self.task().restart.progress = moved as u64;
        Stop::Block(Wait { restartable: true, ..Wait::until(Some(0)) })
    }

    /// As [`Call::pause`], for a call that no signal ends: it goes on from `done`.
    pub(crate) fn pause_only(&mut self, done: usize) -> Stop {
        self.task().restart.progress = done as u64;
        Stop::Block(Wait { uninterruptible: true, ..Wait::until(Some(0)) })
    }

    /// Says how to go on after an operation that answered `EAGAIN`: fail with it when the description (or `dont_wait`) says
    /// non-blocking, else sleep until the description polls any of `events`.
    pub fn block_on(&mut self, id: DescriptionId, events: Events, dont_wait: bool, deadline: Option<u64>) -> Stop {
        if dont_wait || self.kernel.files.description(id).nonblocking() {
            return Stop::Error(Errno::EAGAIN);
        }
        if deadline.is_some_and(|at| at <= self.host.monotonic()) {
            return Stop::Error(Errno::EAGAIN);
        }
        Stop::Block(Wait::for_description(id, events, deadline))
    }
}
