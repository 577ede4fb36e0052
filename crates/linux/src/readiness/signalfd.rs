//! The readiness of signalfds, and reading from them: each thread finds its own signals.

use warmfork_abi::Errno;

use crate::events::{DescriptionId, Events};
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::signalfd::{SIGINFO, SignalFd, layout};
use crate::wait_queues::Queue;

fn find(kernel: &mut Kernel, id: DescriptionId) -> Result<&mut SignalFd, Errno> {
    match &mut kernel.files.description_mut(id).object {
        Object::SignalFd(signals) => Ok(signals),
        _ => Err(Errno::EINVAL),
    }
}

fn look(kernel: &Kernel, id: DescriptionId) -> Option<&SignalFd> {
    match &kernel.files.find(id)?.object {
        Object::SignalFd(signals) => Some(signals),
        _ => None,
    }
}

/// Reads as many pending signals as fit into `into`, for thread `tid`.
///
/// # Errors
/// EINVAL when not even one fits, EAGAIN when there is none.
pub fn read(kernel: &mut Kernel, id: DescriptionId, tid: Tid, host: &Host, into: &mut [u8]) -> Result<usize, Errno> {
    if into.len() < SIGINFO {
        return Err(Errno::EINVAL);
    }
    let mask = find(kernel, id)?.mask;
    let mut done = 0;
    for place in into.chunks_exact_mut(SIGINFO) {
        let Some(info) = kernel.process_mut().take_signal(tid, mask, host) else { break };
        place.copy_from_slice(&layout(&info));
        find(kernel, id)?.taken += 1;
        done += SIGINFO;
    }
    if done == 0 { Err(Errno::EAGAIN) } else { Ok(done) }
}

/// Whether the thread that asks would find a signal.
pub fn poll(kernel: &Kernel, host: &mut Host, id: DescriptionId) -> Events {
    if pending(kernel, host, id) == 0 { Events::empty() } else { Events::IN }
}

/// A number that changes when a signal comes.
pub fn edges(kernel: &Kernel, host: &mut Host, id: DescriptionId) -> u64 {
    /// Any odd number with bits all over: the same set is told apart before and after a read.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let taken = look(kernel, id).map_or(0, |signals| signals.taken);
    pending(kernel, host, id).wrapping_add(taken.wrapping_mul(SPREAD))
}

fn pending(kernel: &Kernel, host: &mut Host, id: DescriptionId) -> u64 {
    let tid = host.asking;
    let mask = look(kernel, id).map_or(0, |signals| signals.mask);
    let Some(owner) = kernel.processes.owner(tid).filter(|owner| owner.tasks.lookup(tid).is_some()) else { return 0 };
    host.queues.join(Queue::Signals(owner.pid));
    owner.pending_signals(tid) & mask
}
