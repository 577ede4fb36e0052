//! Clocks, timers and sleeping: clock_gettime(2), setitimer(2), timer_create(2).

#![expect(missing_docs, reason = "the names are Linux's own")]

pub const CLOCK_REALTIME: i32 = 0;
pub const CLOCK_MONOTONIC: i32 = 1;
pub const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
pub const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
pub const CLOCK_MONOTONIC_RAW: i32 = 4;
pub const CLOCK_REALTIME_COARSE: i32 = 5;
pub const CLOCK_MONOTONIC_COARSE: i32 = 6;
pub const CLOCK_BOOTTIME: i32 = 7;
pub const CLOCK_REALTIME_ALARM: i32 = 8;
pub const CLOCK_BOOTTIME_ALARM: i32 = 9;
pub const CLOCK_TAI: i32 = 11;

/// Bit of a CPU clock's id: of a thread, not of a process. The bits above 2 are the id's complement.
pub const CPUCLOCK_PERTHREAD_MASK: i32 = 4;
/// Bits of a CPU clock's id that say what is counted: PROF (0), VIRT (1) and SCHED (2).
pub const CPUCLOCK_CLOCK_MASK: i32 = 3;
/// One past the last kind of CPU clock.
pub const CPUCLOCK_MAX: i32 = 3;

pub const TIMER_ABSTIME: i32 = 1;

pub const ITIMER_REAL: i32 = 0;
pub const ITIMER_VIRTUAL: i32 = 1;
pub const ITIMER_PROF: i32 = 2;

pub const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
/// What times(2) counts: sysconf(_SC_CLK_TCK) in a second.
pub const CLOCK_TICKS_PER_SECOND: u64 = 100;
