//! Host system calls made by the stub on its parent's behalf: one through registers, or a table of them in one stop.

use std::io;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use warmfork_abi::Registers;

use super::host_call::HostCall;
use super::layout;
use super::table::Table;
use super::tracee::{Stopped, Tracee};
use crate::PlatformError;

/// Makes calls in a stopped stub.
pub struct Caller {
    socket: UnixDatagram,
    table: Table,
    /// A signal came while the stub made a call: the next run of the guest reports it.
    pub interrupted: bool,
    /// Calls made so far.
    pub calls: u64,
    /// Stops so far in which the stub copied pages.
    pub copies: u64,
}

impl Caller {
    pub fn new(socket: UnixDatagram, table: Table) -> Self {
        Self { socket, table, interrupted: false, calls: 0, copies: 0 }
    }

    /// The table's memory, for mapping it into the stub and for clearing it.
    pub fn table(&mut self) -> &mut Table {
        &mut self.table
    }

    /// Makes one call from address `from`, which must hold `syscall; int3`, and returns its result.
    pub fn call_at(&mut self, tracee: &mut Tracee, from: u64, call: HostCall) -> Result<u64, PlatformError> {
        self.calls += 1;
        let [rdi, rsi, rdx, r10, r8, r9] = call.arguments;
        let mut registers = Registers::at_entry(from, 0);
        (registers.rdi, registers.rsi, registers.rdx) = (rdi, rsi, rdx);
        (registers.r10, registers.r8, registers.r9) = (r10, r8, r9);
        registers.rax = number(call.number);
        self.finish(tracee, &registers)?;
        tracee.registers(&mut registers)?;
        Ok(registers.rax)
    }

    /// Makes one call and checks its result.
    pub fn call(&mut self, tracee: &mut Tracee, call: HostCall) -> Result<u64, CallError> {
        let result = self.call_at(tracee, layout::SINGLE, call)?;
        check(result)
    }

    /// Makes `calls` in order, all of them, in as few stops as the table allows; fails with the first failure.
    pub fn batch(&mut self, tracee: &mut Tracee, calls: &[HostCall]) -> Result<(), CallError> {
        for chunk in calls.chunks(layout::ENTRIES) {
            self.calls += chunk.len() as u64;
            self.table.fill(chunk);
            let mut registers = Registers::at_entry(layout::BATCH, 0);
            registers.rbx = layout::TABLE;
            registers.rbp = chunk.len() as u64;
            self.finish(tracee, &registers)?;
            for index in 0..chunk.len() {
                check(self.table.result(index))?;
            }
        }
        Ok(())
    }

    /// Has the stub make `copies` (to, from or 0 for zeroes, bytes: a multiple of 8), and then load the vector state `vectors`.
    /// Copies whose target it cannot write to are left out.
    pub fn copy(
        &mut self,
        tracee: &mut Tracee,
        copies: &[[u64; layout::COPY_WORDS]],
        vectors: Option<&[u8]>,
    ) -> Result<Copied, PlatformError> {
        let mut copied = Copied::default();
        let mut done = 0;
        while done < copies.len() {
            let chunk = &copies[done..copies.len().min(done + layout::COPIES)];
            self.table.fill_copies(chunk);
            let mut registers = Registers::at_entry(layout::COPY, 0);
            registers.rbx = layout::TABLE;
            registers.rbp = chunk.len() as u64;
            let last = done + chunk.len() == copies.len() && size_of_val(chunk) <= layout::VECTORS;
            registers.r12 = vectors.filter(|_| last).and_then(|state| self.table.place_vectors(state)).unwrap_or(0);
            self.copies += 1;
            if self.resume(tracee, &registers)? == libc::SIGTRAP {
                done += chunk.len();
                copied.vectors = registers.r12 != 0;
                continue;
            }
            tracee.registers(&mut registers)?;
            // rbp counts down: the rest of the chunk begins with the copy that failed.
            let left = usize::try_from(registers.rbp).unwrap_or(0).min(chunk.len());
            done += chunk.len() - left;
            if left > 0 {
                copied.refused.push(done);
                done += 1;
            }
        }
        Ok(copied)
    }

    /// Sends `files` to the stub, makes the calls that `calls` gives for their numbers there, and closes them there.
    pub fn call_with_files(
        &mut self,
        tracee: &mut Tracee,
        files: &[BorrowedFd<'_>],
        calls: impl FnOnce(&[u64]) -> Vec<HostCall>,
    ) -> Result<(), CallError> {
        let numbers = self.receive(tracee, files)?;
        let result = self.batch(tracee, &calls(&numbers));
        let close = |&number: &u64| HostCall::new(libc::SYS_close, [number, 0, 0, 0, 0, 0]);
        self.batch(tracee, &numbers.iter().map(close).collect::<Vec<_>>())?;
        result
    }

    /// Sends `files` to the stub, which has none open; their numbers there.
    pub fn receive(&mut self, tracee: &mut Tracee, files: &[BorrowedFd<'_>]) -> Result<Vec<u64>, CallError> {
        let mut numbers = Vec::with_capacity(files.len());
        for file in files {
            let (receive, number) = self.send(*file, numbers.len())?;
            self.batch(tracee, &[receive])?;
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// As [`Self::call_with_files`] with one file, in a single stop.
    pub fn call_with_file(
        &mut self,
        tracee: &mut Tracee,
        file: BorrowedFd<'_>,
        call: impl FnOnce(u64) -> HostCall,
    ) -> Result<(), CallError> {
        let (receive, number) = self.send(file, 0)?;
        let close = HostCall::new(libc::SYS_close, [number, 0, 0, 0, 0, 0]);
        self.batch(tracee, &[receive, call(number), close])
    }

    /// Puts `file` into the socket; the call that receives it, and the number it will get when `open` files came
    /// before it.
    fn send(&mut self, file: BorrowedFd<'_>, open: usize) -> Result<(HostCall, u64), CallError> {
        let files = [file];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&files));
        rustix::net::sendmsg(self.socket.as_fd(), &[IoSlice::new(b"f")], &mut control, SendFlags::NOSIGNAL)
            .map_err(|error| PlatformError::Host { operation: "sendmsg to the stub", source: error.into() })?;
        self.table.prepare_message();
        let message = layout::TABLE + layout::MESSAGE as u64;
        let receive = HostCall::new(libc::SYS_recvmsg, [layout::SOCKET as u64, message, 0, 0, 0, 0]);
        // Files get the lowest free numbers; 3 is the socket's.
        let number = open as u64;
        Ok((receive, if number < layout::SOCKET as u64 { number } else { number + 1 }))
    }

    /// Runs the stub's own code until its breakpoint (SIGTRAP) or an access that failed (SIGSEGV, SIGBUS).
    fn resume(&mut self, tracee: &mut Tracee, registers: &Registers) -> Result<i32, PlatformError> {
        tracee.set_registers(registers)?;
        loop {
            tracee.run_freely()?;
            match tracee.wait()? {
                Stopped::Signal(signal @ (libc::SIGTRAP | libc::SIGSEGV | libc::SIGBUS)) => return Ok(signal),
                // An interrupt, or a stray signal from outside: not ours to act on now.
                Stopped::Signal(signal) if signal != libc::SIGILL => self.interrupted = true,
                stopped => return Err(PlatformError::Gone(format!("the stub failed in a host call: {stopped:?}"))),
            }
        }
    }

    /// As [`Self::resume`], for code that must not fail.
    fn finish(&mut self, tracee: &mut Tracee, registers: &Registers) -> Result<(), PlatformError> {
        match self.resume(tracee, registers)? {
            libc::SIGTRAP => Ok(()),
            signal => Err(PlatformError::Gone(format!("the stub took signal {signal} in a host call"))),
        }
    }
}

/// The outcome of [`Caller::copy`].
#[derive(Default)]
pub struct Copied {
    /// Copies that were left out, by their index.
    pub refused: Vec<usize>,
    /// The stub has loaded the vector state.
    pub vectors: bool,
}

/// A host call in the stub failed: either the platform broke, or the host refused the call.
#[derive(Debug)]
pub enum CallError {
    /// The platform is unusable.
    Platform(PlatformError),
    /// The host's error number.
    Refused(i32),
}

impl From<PlatformError> for CallError {
    fn from(error: PlatformError) -> Self {
        Self::Platform(error)
    }
}

impl CallError {
    /// As an I/O error.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Platform(PlatformError::Host { source, .. }) => source,
            Self::Platform(PlatformError::Gone(text)) => io::Error::other(text),
            Self::Refused(number) => io::Error::from_raw_os_error(number),
        }
    }

    /// As a platform error of `operation`.
    pub fn into_platform(self, operation: &'static str) -> PlatformError {
        match self {
            Self::Platform(error) => error,
            Self::Refused(number) => PlatformError::Host { operation, source: io::Error::from_raw_os_error(number) },
        }
    }
}

fn check(result: u64) -> Result<u64, CallError> {
    let signed = result.cast_signed();
    if (-4095..0).contains(&signed) {
        return Err(CallError::Refused(i32::try_from(-signed).unwrap_or(libc::EIO)));
    }
    Ok(result)
}

fn number(call: libc::c_long) -> u64 {
    call.cast_unsigned()
}
