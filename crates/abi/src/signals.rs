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
