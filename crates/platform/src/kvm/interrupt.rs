//! Interrupting a virtual CPU from another thread.
//!
//! KVM looks at `immediate_exit` once when it is asked to run, and a signal brings it back later; so the flag is set
//! first and the signal sent then. The request stays until the platform takes it: an interrupt is neither lost nor
//! late. The flag may be set without that, and then costs one return from KVM.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::{Interrupter, PlatformError};

/// Sets `immediate_exit` of one virtual CPU and wakes the thread that runs it.
pub struct KvmInterrupter {
    /// The CPU, until it is gone. The lock is held for a store and a signal.
    target: Mutex<Option<Target>>,
    flag: NonNull<u8>,
    running: AtomicBool,
    asked: AtomicBool,
}

struct Target {
    thread: libc::pid_t,
}

// SAFETY: `flag` is used atomically, by other threads only under the lock and while `target` says that it is there.
unsafe impl Send for KvmInterrupter {}
// SAFETY: as above.
unsafe impl Sync for KvmInterrupter {}

/// The signal. Its handler does nothing: that it comes is enough.
fn signal() -> i32 {
    libc::SIGRTMAX() - 3
}

extern "C" fn nothing(_signal: i32) {}

/// Installs the handler, once for the process.
fn install() -> Result<(), PlatformError> {
    static INSTALLED: OnceLock<i32> = OnceLock::new();
    let error = *INSTALLED.get_or_init(|| {
        // SAFETY: sigaction is plain bytes, for which zero is valid: no flags, so system calls are not restarted.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        action.sa_flags = libc::SA_ONSTACK;
        // SAFETY: the handler does nothing, so it is safe at any moment.
        let result = unsafe { libc::sigaction(signal(), &raw const action, std::ptr::null_mut()) };
        if result == 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL) }
    });
    if error == 0 {
        return Ok(());
    }
    Err(PlatformError::Host { operation: "sigaction", source: io::Error::from_raw_os_error(error) })
}

impl KvmInterrupter {
    /// For the CPU with this `immediate_exit`, which the calling thread drives. [`Self::close`] comes before its end.
    pub fn new(flag: *mut u8) -> Result<Self, PlatformError> {
        install()?;
        // SAFETY: sets and masks are plain bytes; all pointers are to locals.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, signal());
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
        }
        // SAFETY: no arguments.
        let thread = unsafe { libc::gettid() };
        let missing = || PlatformError::Host { operation: "mapping a CPU", source: io::ErrorKind::NotFound.into() };
        let flag = NonNull::new(flag).ok_or_else(missing)?;
        Ok(Self {
            target: Mutex::new(Some(Target { thread })),
            flag,
            running: AtomicBool::new(false),
            asked: AtomicBool::new(false),
        })
    }

    fn flag(&self) -> &AtomicU8 {
        // SAFETY: the CPU's shared page is mapped until after `close`; the kernel reads this byte at any time.
        unsafe { AtomicU8::from_ptr(self.flag.as_ptr()) }
    }

    /// The CPU's own thread is about to run it.
    pub fn enter(&self) {
        self.running.store(true, Ordering::SeqCst);
    }

    /// It has stopped.
    pub fn leave(&self) {
        self.running.store(false, Ordering::SeqCst);
    }

    /// Takes an interrupt; whether there was one. On the CPU's own thread.
    pub fn take(&self) -> bool {
        let asked = self.asked.swap(false, Ordering::SeqCst);
        self.settle();
        asked
    }

    /// Has the CPU's next run end before it begins, for once.
    pub fn hurry(&self) {
        self.flag().store(1, Ordering::SeqCst);
    }

    /// Undoes [`Self::hurry`].
    pub fn settle(&self) {
        self.flag().store(0, Ordering::SeqCst);
        // Another thread may have asked meanwhile, and set the flag too early.
        if self.asked.load(Ordering::SeqCst) {
            self.hurry();
        }
    }

    /// Asks for one, which the CPU's thread will see when it next runs it.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.hurry();
    }

    /// The CPU goes.
    pub fn close(&self) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Rings: has the CPU of `interrupter` stop. On the CPU's own thread, in a signal handler.
pub fn ring(interrupter: *const ()) {
    // SAFETY: a CPU drops its bell before its interrupter, and `ask` uses atomics alone.
    unsafe { &*interrupter.cast::<KvmInterrupter>() }.ask();
}

impl Interrupter for KvmInterrupter {
    fn interrupt(&self) {
        let target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(target) = target.as_ref() else { return };
        self.ask();
        if self.running.load(Ordering::SeqCst) {
            // SAFETY: a thread of this process, which lives: it closes this before it ends.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), target.thread, signal()) };
        }
    }
}
