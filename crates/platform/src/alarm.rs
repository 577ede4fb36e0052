//! The calling thread's alarm: a timer of the host's that interrupts the guest that this thread runs.
//!
//! ```text
//!   run loop: set(at)             a host call only when `at` is earlier than the time that is set
//!   Platform::run: bell.aim()     from now on the alarm interrupts this platform; spare() while no guest is about to run
//!   the timer runs out            a signal for this thread; its handler rings the bell and notes that it has rung
//!   run loop: has_rung()          a time has come: time limits, timers, sleepers, the end of a time slice
//! ```
//!
//! A signal costs a guest on a virtual CPU some calls of the host's: a run loop that has met the deadline in time sets it
//! anew before it rings. An interrupt stays until its guest runs next, so an alarm that rings between two runs is neither
//! lost nor late. One that is set early rings early: the run loop looks at the clock. Nothing wakes another thread, and
//! nothing is armed per run.

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use crate::PlatformError;

/// The alarm of one thread. The handler runs on that thread: atomics keep the compiler from moving things past it.
struct Alarm {
    timer: Cell<Option<libc::timer_t>>,
    /// The time that it is set to, in nanoseconds of CLOCK_MONOTONIC; 0 when it is not set.
    at: AtomicU64,
    rung: AtomicBool,
    /// The bell that it rings; null for none.
    bell: AtomicPtr<Bell>,
}

thread_local! {
    static ALARM: Alarm = const {
        Alarm {
            timer: Cell::new(None),
            at: AtomicU64::new(0),
            rung: AtomicBool::new(false),
            bell: AtomicPtr::new(std::ptr::null_mut()),
        }
    };
}

/// The target of an alarm: each platform has one, and the alarm does not know the platform behind it.
pub(crate) struct Bell {
    ring: fn(*const ()),
    of: *const (),
}

impl Bell {
    /// One that calls `ring` with `of`, in a signal handler: `ring` may use atomics and system calls, and nothing else. It is
    /// not called after the bell has been dropped.
    pub fn new(ring: fn(*const ()), of: *const ()) -> Box<Self> {
        Box::new(Self { ring, of })
    }

    /// Lets the calling thread's alarm ring this bell from now on. Returns whether it has rung since [`has_rung`] was asked last.
    #[must_use]
    pub fn aim(&self) -> bool {
        ALARM.with(|alarm| {
            alarm.bell.store(std::ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
            alarm.rung.load(Ordering::Relaxed)
        })
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let this = std::ptr::from_mut(self);
        // In a thread that ends there is no alarm any more.
        let _ = ALARM.try_with(|alarm| {
            let null = std::ptr::null_mut();
            alarm.bell.compare_exchange(this, null, Ordering::Relaxed, Ordering::Relaxed)
        });
    }
}

/// Sets the calling thread's alarm to `at`, in nanoseconds of CLOCK_MONOTONIC, unless it is set to something earlier.
///
/// # Errors
/// The host's refusal to make a timer (EAGAIN: too many).
pub fn set(at: u64) -> Result<(), PlatformError> {
    ALARM.with(|alarm| {
        let current = alarm.at.load(Ordering::Relaxed);
        if current != 0 && current <= at { Ok(()) } else { alarm.set(at) }
    })
}

/// Sets the calling thread's alarm to `at` even where it is set to something earlier.
///
/// # Errors
/// As [`set`].
pub fn set_anew(at: u64) -> Result<(), PlatformError> {
    ALARM.with(|alarm| alarm.set(at))
}

/// Whether the calling thread's alarm has rung since this was asked last.
#[must_use]
pub fn has_rung() -> bool {
    ALARM.with(|alarm| alarm.rung.load(Ordering::Relaxed) && alarm.rung.swap(false, Ordering::Relaxed))
}

/// Lets the calling thread's alarm interrupt no platform until a guest runs again: that it rings is only noted.
pub fn spare() {
    ALARM.with(|alarm| {
        alarm.bell.store(std::ptr::null_mut(), Ordering::Relaxed);
    });
}

impl Alarm {
    fn set(&self, at: u64) -> Result<(), PlatformError> {
        let timer = match self.timer.get() {
            Some(timer) => timer,
            None => self.create()?,
        };
        // First this: the alarm may ring before the call returns.
        self.at.store(at, Ordering::Relaxed);
        let seconds = libc::time_t::try_from(at / 1_000_000_000).unwrap_or(libc::time_t::MAX);
        // 0 would disarm it.
        let nanoseconds = libc::c_long::try_from(at % 1_000_000_000).unwrap_or(0).max(1);
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value = libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let value = libc::itimerspec { it_interval: never, it_value: value };
        // SAFETY: `timer` is this thread's own, `value` lives over the call, and the old value is not asked for.
        let result = unsafe { libc::timer_settime(timer, libc::TIMER_ABSTIME, &raw const value, std::ptr::null_mut()) };
        if result == 0 { Ok(()) } else { Err(failed("setting a timer", io::Error::last_os_error())) }
    }

    fn create(&self) -> Result<libc::timer_t, PlatformError> {
        install().map_err(|error| failed("sigaction", io::Error::from_raw_os_error(error)))?;
        // SAFETY: a mask and an event are plain bytes, for which zero is valid; all pointers are to locals; the signal has a
        // handler that is safe at any moment.
        let timer = unsafe {
            let mut mask = std::mem::zeroed();
            libc::sigemptyset(&raw mut mask);
            libc::sigaddset(&raw mut mask, signal());
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const mask, std::ptr::null_mut());
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal();
            event.sigev_notify_thread_id = libc::gettid();
            let mut timer = std::ptr::null_mut();
            let result = libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer);
            (result == 0).then_some(timer)
        };
        let timer = timer.ok_or_else(|| failed("making a timer", io::Error::last_os_error()))?;
        self.timer.set(Some(timer));
        Ok(timer)
    }

    fn ring(&self) {
        self.at.store(0, Ordering::Relaxed);
        self.rung.store(true, Ordering::Relaxed);
        let bell = self.bell.load(Ordering::Relaxed);
        if !bell.is_null() {
            // SAFETY: the bell is this thread's, does not move, and is taken out before it goes.
            let bell = unsafe { &*bell };
            (bell.ring)(bell.of);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            // SAFETY: this thread's own timer, which is not used any more.
            unsafe { libc::timer_delete(timer) };
        }
    }
}

fn failed(operation: &'static str, source: io::Error) -> PlatformError {
    PlatformError::Host { operation, source }
}

/// The signal: not the one that interrupts a virtual CPU from another thread.
fn signal() -> i32 {
    libc::SIGRTMAX() - 2
}

extern "C" fn rings(_signal: i32) {
    // SAFETY: the calling thread's errno, which the interrupted code may be about to read.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // In a thread that ends there is no alarm any more. It was made on this thread before its timer was.
    let _ = ALARM.try_with(Alarm::ring);
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Installs the handler, once for the process.
fn install() -> Result<(), i32> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        // SAFETY: sigaction is plain bytes, for which zero is valid.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = rings as extern "C" fn(i32) as usize;
        // The handler ends KVM_RUN and the wait for a stub; the thread's other calls go on.
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        // SAFETY: the handler uses atomics and one system call: it is safe at any moment.
        let result = unsafe { libc::sigaction(signal(), &raw const action, std::ptr::null_mut()) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)) }
    })
}

#[cfg(test)]
mod tests {
    use super::{has_rung, set, set_anew};

    fn now() -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }

    #[test]
    fn it_rings_once_for_the_earliest() {
        let hour = 3_600_000_000_000;
        set(now() + hour).unwrap();
        assert!(!has_rung());
        let at = now() + 2_000_000;
        set(at).unwrap();
        set(at + hour).unwrap();
        while !has_rung() {
            std::thread::yield_now();
        }
        assert!(now() >= at && !has_rung());
        set(now() + hour).unwrap();
        set_anew(at).unwrap();
        while !has_rung() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn each_thread_has_its_own() {
        set(now() + 3_600_000_000_000).unwrap();
        let other = std::thread::spawn(|| {
            set(1).unwrap();
            while !has_rung() {
                std::thread::yield_now();
            }
        });
        other.join().unwrap();
        assert!(!has_rung());
    }
}
