//! Signal numbers, dispositions and siginfo codes of x86-64 Linux (signal(7), sigaction(2)).

/// Hangup.
pub const SIGHUP: u32 = 1;
/// Interrupt.
pub const SIGINT: u32 = 2;
/// Quit.
pub const SIGQUIT: u32 = 3;
/// Illegal instruction.
pub const SIGILL: u32 = 4;
/// Trace/breakpoint trap.
pub const SIGTRAP: u32 = 5;
/// Aborted.
pub const SIGABRT: u32 = 6;
/// Bus error.
pub const SIGBUS: u32 = 7;
/// Floating point exception.
pub const SIGFPE: u32 = 8;
/// Killed.
pub const SIGKILL: u32 = 9;
/// User defined signal 1.
pub const SIGUSR1: u32 = 10;
/// Segmentation fault.
pub const SIGSEGV: u32 = 11;
/// User defined signal 2.
pub const SIGUSR2: u32 = 12;
/// Broken pipe.
pub const SIGPIPE: u32 = 13;
/// Alarm clock.
pub const SIGALRM: u32 = 14;
/// Terminated.
pub const SIGTERM: u32 = 15;
/// Stack fault.
pub const SIGSTKFLT: u32 = 16;
/// Child exited.
pub const SIGCHLD: u32 = 17;
/// Continued.
pub const SIGCONT: u32 = 18;
/// Stopped (signal).
pub const SIGSTOP: u32 = 19;
/// Stopped.
pub const SIGTSTP: u32 = 20;
/// Stopped (tty input).
pub const SIGTTIN: u32 = 21;
/// Stopped (tty output).
pub const SIGTTOU: u32 = 22;
/// Urgent I/O condition.
pub const SIGURG: u32 = 23;
/// CPU time limit exceeded.
pub const SIGXCPU: u32 = 24;
/// File size limit exceeded.
pub const SIGXFSZ: u32 = 25;
/// Virtual timer expired.
pub const SIGVTALRM: u32 = 26;
/// Profiling timer expired.
pub const SIGPROF: u32 = 27;
/// Window changed.
pub const SIGWINCH: u32 = 28;
/// I/O possible.
pub const SIGIO: u32 = 29;
/// Power failure.
pub const SIGPWR: u32 = 30;
/// Bad system call.
pub const SIGSYS: u32 = 31;
/// First real-time signal of the kernel.
pub const SIGRTMIN: u32 = 32;
/// Highest signal number.
pub const SIGMAX: u32 = 64;

/// siginfo `si_code`: sent by kill(2).
pub const SI_USER: i32 = 0;
/// siginfo `si_code`: sent by the kernel.
pub const SI_KERNEL: i32 = 0x80;
/// siginfo `si_code`: sent by sigqueue(3).
pub const SI_QUEUE: i32 = -1;
/// siginfo `si_code`: a POSIX timer ran out.
pub const SI_TIMER: i32 = -2;
/// siginfo `si_code`: sent by tgkill(2).
pub const SI_TKILL: i32 = -6;
/// SIGSEGV: nothing is mapped at the address.
pub const SEGV_MAPERR: i32 = 1;
/// SIGSEGV: the mapping does not allow the access.
pub const SEGV_ACCERR: i32 = 2;

/// siginfo `si_code`: completion of asynchronous I/O.
pub const SI_ASYNCIO: i32 = -4;
/// siginfo `si_code`: a message queue became non-empty.
pub const SI_MESGQ: i32 = -3;
/// SIGBUS: wrong alignment.
pub const BUS_ADRALN: i32 = 1;
/// SIGBUS: the mapped file ends before the address.
pub const BUS_ADRERR: i32 = 2;

/// rt_sigaction: the default action.
pub const SIG_DFL: u64 = 0;
/// rt_sigaction: ignore the signal.
pub const SIG_IGN: u64 = 1;

/// si_code of SIGCHLD: the child has exited.
pub const CLD_EXITED: i32 = 1;
/// si_code of SIGCHLD: a signal killed the child.
pub const CLD_KILLED: i32 = 2;
/// si_code of SIGCHLD: a signal stopped the child.
pub const CLD_STOPPED: i32 = 5;
/// si_code of SIGCHLD: the child goes on.
pub const CLD_CONTINUED: i32 = 6;
/// rt_sigaction flag: no SIGCHLD for stopped children.
pub const SA_NOCLDSTOP: u64 = 0x0000_0001;
/// rt_sigaction flag: children leave no zombies.
pub const SA_NOCLDWAIT: u64 = 0x0000_0002;
/// rt_sigaction flag: the handler gets a siginfo.
pub const SA_SIGINFO: u64 = 0x0000_0004;
/// rt_sigaction flag: the handler may see tag bits of fault addresses.
pub const SA_EXPOSE_TAGBITS: u64 = 0x0000_0800;
/// rt_sigaction flag: `sa_restorer` is set; always so on x86-64.
pub const SA_RESTORER: u64 = 0x0400_0000;
/// rt_sigaction flag: the handler runs on the alternate stack.
pub const SA_ONSTACK: u64 = 0x0800_0000;
/// rt_sigaction flag: interrupted calls start again.
pub const SA_RESTART: u64 = 0x1000_0000;
/// rt_sigaction flag: the signal is not blocked in its own handler.
pub const SA_NODEFER: u64 = 0x4000_0000;
/// rt_sigaction flag: the handler is used once.
pub const SA_RESETHAND: u64 = 0x8000_0000;
/// Every rt_sigaction flag that Linux keeps; it drops others silently.
pub const SA_KNOWN: u64 = SA_NOCLDSTOP
    | SA_NOCLDWAIT
    | SA_SIGINFO
    | SA_EXPOSE_TAGBITS
    | SA_RESTORER
    | SA_ONSTACK
    | SA_RESTART
    | SA_NODEFER
    | SA_RESETHAND;

/// rt_sigprocmask: block these too.
pub const SIG_BLOCK: i32 = 0;
/// rt_sigprocmask: unblock these.
pub const SIG_UNBLOCK: i32 = 1;
/// rt_sigprocmask: block exactly these.
pub const SIG_SETMASK: i32 = 2;

/// sigaltstack: running on it.
pub const SS_ONSTACK: u32 = 1;
/// sigaltstack: there is none.
pub const SS_DISABLE: u32 = 2;
/// sigaltstack: disabled while a handler runs.
pub const SS_AUTODISARM: u32 = 1 << 31;
/// Smallest alternate stack.
pub const MINSIGSTKSZ: u64 = 2048;

/// sigevent: a signal to the process.
pub const SIGEV_SIGNAL: i32 = 0;
/// sigevent: nothing.
pub const SIGEV_NONE: i32 = 1;
/// sigevent: a thread of the C library's making; the kernel sees a signal.
pub const SIGEV_THREAD: i32 = 2;
/// sigevent flag: a signal to one thread.
pub const SIGEV_THREAD_ID: i32 = 4;

/// The set that holds `signal` alone; bit n-1 for signal n. Empty for a number that is none.
#[must_use]
pub const fn signal_bit(signal: u32) -> u64 {
    if signal == 0 || signal > SIGMAX { 0 } else { 1 << (signal - 1) }
}

/// Signals that cannot be caught, blocked or ignored.
pub const UNBLOCKABLE: u64 = signal_bit(SIGKILL) | signal_bit(SIGSTOP);
/// Signals that a thread's own instruction causes; they are taken first.
pub const SYNCHRONOUS: u64 = signal_bit(SIGSEGV)
    | signal_bit(SIGBUS)
    | signal_bit(SIGILL)
    | signal_bit(SIGTRAP)
    | signal_bit(SIGFPE)
    | signal_bit(SIGSYS);
/// Signals whose default action stops the process.
pub const STOPPING: u64 = signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU);
/// Signals whose default action is nothing.
pub const IGNORED_BY_DEFAULT: u64 =
    signal_bit(SIGCONT) | signal_bit(SIGCHLD) | signal_bit(SIGWINCH) | signal_bit(SIGURG);

/// ucontext `uc_flags`: the frame carries extended vector state.
pub const UC_FP_XSTATE: u64 = 1;
/// ucontext `uc_flags`: SS was saved.
pub const UC_SIGCONTEXT_SS: u64 = 2;
/// ucontext `uc_flags`: SS is restored as saved.
pub const UC_STRICT_RESTORE_SS: u64 = 4;
/// First word of the bytes that describe the extended state in a frame.
pub const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// The word after the extended state in a frame.
pub const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
/// RFLAGS bits that rt_sigreturn takes from the frame: CF, PF, AF, ZF, SF, TF, DF, OF, RF, AC.
pub const SIGRETURN_RFLAGS: u64 = 0x0005_0dd5;
/// RFLAGS bits that are clear when a handler begins: TF, DF, RF.
pub const HANDLER_CLEARS_RFLAGS: u64 = 0x0001_0500;
/// Bytes below the stack pointer that the ABI leaves to the running function.
pub const RED_ZONE: u64 = 128;
