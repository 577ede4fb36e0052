//! A guest that dirties pages for each request, for tests of its forks.

#[path = "../guests/mod.rs"]
mod guests;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use warmfork_engine::outside::OutsideRules;
use warmfork_engine::{Fork, Goal, Outcome, PlatformKind, RunLimits, Snapshot};

pub use guests::platforms;

/// Pages that each request dirties, and those that some dirty too; beside them a few of the stack and the C library.
pub const FEW: u64 = 10;
pub const MANY: u64 = 100;

/// A snapshot of the guest, and where its forks get requests from.
pub fn snapshot(platform: PlatformKind) -> (Arc<Snapshot>, File) {
    let (machine, requests) = guests::boot_guest("touch", platform);
    (Snapshot::freeze(machine, &OutsideRules::default()).unwrap(), requests)
}

/// Has the fork serve `request`, and resets it; how many pages that rewrote.
pub fn serve(fork: &mut Fork, requests: &mut File, request: u8) -> u64 {
    requests.write_all(&[request]).unwrap();
    assert_eq!(fork.run(Goal::Ready, RunLimits::default()).unwrap(), Outcome::Ready);
    let before = fork.resets.pages;
    fork.reset().unwrap();
    fork.resets.pages - before
}
