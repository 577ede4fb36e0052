//! The readiness of signalfds, and reading from them: each thread finds its own signals.

use warmfork_abi::Errno;

use crate::events::{DescriptionId, Events};
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::signalfd::{SIGINFO, SignalFd, layout};

fn find(kernel: &mut Kernel, id: DescriptionId) -> Result<&mut SignalFd, Errno> {
    match &mut kernel.files.description_mut(id).object {
        Object::SignalFd(signals) => Ok(signals),
        _ => Err(Errno::EINVAL),
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

/// Whether thread `tid` would find a signal.
pub fn poll(kernel: &mut Kernel, id: DescriptionId, tid: Tid) -> Events {
    if pending(kernel, id, tid) == 0 { Events::empty() } else { Events::IN }
}

/// A number that changes when a signal comes.
pub fn edges(kernel: &mut Kernel, id: DescriptionId, tid: Tid) -> u64 {
    /// Any odd number with bits all over: the same set is told apart before and after a read.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let taken = find(kernel, id).map_or(0, |signals| signals.taken);
    pending(kernel, id, tid).wrapping_add(taken.wrapping_mul(SPREAD))
}

fn pending(kernel: &mut Kernel, id: DescriptionId, tid: Tid) -> u64 {
    let mask = find(kernel, id).map_or(0, |signals| signals.mask);
    let owner = kernel.processes.owner(tid).filter(|owner| owner.tasks.lookup(tid).is_some());
    owner.map_or(0, |owner| owner.pending_signals(tid) & mask)
}
