//! Keeps a guest and the thread that drives it on one CPU: a hand-off across CPUs costs a wake-up interrupt, twenty times as
//! much as one within a CPU.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// CPUs that this thread may use, in order.
fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

/// How many CPUs this thread may use; at least one.
#[must_use]
pub fn count() -> usize {
    allowed().len().max(1)
}

/// The index of the calling thread's CPU among those that it may use. The first of several threads goes there, so that programs
/// that are started side by side do not all use the first CPU.
#[must_use]
pub fn here() -> usize {
    let cpu = rustix::thread::sched_getcpu();
    allowed().iter().position(|&allowed| allowed == cpu).unwrap_or(0)
}

/// Keeps the calling thread, and the guests that it starts, on the CPU that is number `index` (in a circle) of those
/// it may use.
pub fn pin(index: usize) {
    let allowed = allowed();
    if let Some(&cpu) = allowed.get(index % allowed.len().max(1)) {
        pin_to(cpu);
    }
}

/// Keeps the calling thread, and the guests that it starts, on the CPU that it is on now.
pub fn pin_here() {
    pin_to(rustix::thread::sched_getcpu());
}

fn pin_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    // A refusal costs speed, nothing else.
    if let Err(error) = sched_setaffinity(None, &set) {
        log::debug!("pinning to CPU {cpu} failed: {error}");
    }
}
