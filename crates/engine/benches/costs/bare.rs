//! The bare round trip: a traced child of plain ptrace calls, in the platform's order, with nothing around them.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::Signal;

use super::{BATCHES, CALLS, Failure, Samples};

/// The argument that makes this program the child.
pub const CHILD: &str = "bare-child";

/// System calls that the child may make: more than one measurement needs.
const MAX_CALLS: usize = 4 * CALLS * BATCHES;

/// What the child is told.
const ANSWER: libc::c_long = 0x7fff_fff1;

/// The child: says that it has started, waits on its standard input until it is traced, then makes system calls.
pub fn be_child() -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    std::io::stdout().write_all(b".")?;
    std::io::stdout().flush()?;
    std::io::stdin().read_exact(&mut [0])?;
    for _ in 0..MAX_CALLS {
        let _ = rustix::process::getppid();
    }
    Ok(())
}

/// A traced child, which ends with it.
struct Traced {
    child: Child,
    pid: Pid,
}

impl Traced {
    fn start() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let child = Command::new(program).arg(CHILD).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        let mut traced = Self { child, pid };
        if let Some(output) = &mut traced.child.stdout {
            output.read_exact(&mut [0])?;
        }
        ptrace::seize(pid, Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACESYSGOOD)?;
        ptrace::interrupt(pid)?;
        waitpid(pid, Some(WaitPidFlag::__WALL))?;
        Ok(traced)
    }

    /// Answers the call that the child is in, and waits for its next: what the platform does for a guest.
    fn round_trip(&self, answer: libc::c_long) -> Result<libc::user_regs_struct, Failure> {
        let result = std::ptr::without_provenance_mut(std::mem::offset_of!(libc::user_regs_struct, rax));
        ptrace::write_user(self.pid, result, answer)?;
        ptrace::sysemu(self.pid, None)?;
        match waitpid(self.pid, Some(WaitPidFlag::__WALL))? {
            WaitStatus::PtraceSyscall(_) => {}
            other => return Err(format!("the bare child did not make a system call: {other:?}").into()),
        }
        Ok(ptrace::getregs(self.pid)?)
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // It is our unreaped child; a refusal means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// [`BATCHES`] batches of bare round trips, in nanoseconds for one.
pub fn measure() -> Result<Samples, Failure> {
    let mut samples = Samples::default();
    let traced = Traced::start()?;
    let in_loop = |registers: &libc::user_regs_struct| registers.orig_rax == libc::SYS_getppid.cast_unsigned();
    // Out of what it does before its loop: it reads one byte.
    let mut left = 1000;
    while !in_loop(&traced.round_trip(1)?) {
        left -= 1;
        if left == 0 {
            return Err("the bare child does not come to its loop".into());
        }
    }
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..CALLS {
            if !in_loop(&traced.round_trip(ANSWER)?) {
                return Err("the bare child left its loop".into());
            }
        }
        samples.add(start.elapsed().as_secs_f64() * 1e9 / CALLS as f64);
    }
    Ok(samples)
}
