//! The kvm platform, where there is one.

mod suite;

use warmfork_platform::kvm::{KvmPlatform, probe};

type Tested = KvmPlatform;

/// The guest's memory is in this process.
const STOPS_OF_A_LONG_REWRITE: u64 = 0;

#[expect(clippy::print_stderr, reason = "a test that was skipped must say so")]
fn empty() -> Option<Tested> {
    match probe() {
        Ok(_) => Some(KvmPlatform::new(false).unwrap()),
        Err(error) => {
            eprintln!("skipped: the kvm platform does not work here: {error}");
            None
        }
    }
}
