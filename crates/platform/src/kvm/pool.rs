//! Virtual machines made ahead of use, by a thread of their own: taking one costs a lock, making one some hundred
//! microseconds.
//!
//! The pool belongs to the process that filled it: after a fork(2) the child's is empty.
//! Locks: one, held for moments only; never while a machine is made.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::guest::own_pid;
use super::vm::{Trap, Vm};
use crate::PlatformError;

/// Machines kept ready.
const AHEAD: usize = 2;

struct Pool {
    ready: Vec<Vm>,
    /// The process and the kind of machines that they are for; a thread fills it.
    of: Option<(u32, Trap)>,
    /// Making one has failed: it is tried again when one has been taken.
    failed: bool,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { ready: Vec::new(), of: None, failed: false });
static TAKEN: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A machine: one that is ready, or a new one. From the first time on the pool is kept filled.
pub fn take(trap: Trap) -> Result<Vm, PlatformError> {
    let of = Some((std::process::id(), trap));
    let mut pool = lock();
    if pool.of != of {
        let others = std::mem::take(&mut pool.ready);
        pool.of = of;
        drop(pool);
        drop(others);
        let filling = std::thread::Builder::new().name("warmfork-pool".into()).spawn(move || fill(of, trap));
        if let Err(error) = filling {
            log::warn!("virtual machines are not made ahead of use: {error}");
        }
        return Vm::new(trap);
    }
    let ready = pool.ready.pop();
    pool.failed = false;
    drop(pool);
    TAKEN.notify_one();
    ready.map_or_else(|| Vm::new(trap), Ok)
}

fn fill(of: Option<(u32, Trap)>, trap: Trap) {
    // The thread that takes the first machine, and whose CPUs this one inherits, may be bound to one CPU and busy there.
    let everywhere = rustix::thread::sched_getaffinity(rustix::thread::Pid::from_raw(own_pid()));
    let _ = everywhere.and_then(|cpus| rustix::thread::sched_setaffinity(None, &cpus));
    let mut pool = lock();
    while pool.of == of {
        if pool.failed || pool.ready.len() >= AHEAD {
            pool = TAKEN.wait(pool).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(pool);
        let made = Vm::new(trap);
        pool = lock();
        match made {
            Ok(vm) if pool.of == of => pool.ready.push(vm),
            Ok(_) => {}
            Err(error) => {
                log::debug!("making a virtual machine ahead of use failed: {error}");
                pool.failed = true;
            }
        }
    }
}
