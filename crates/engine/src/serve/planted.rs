//! A bug for tests to plant: serving a connection panics. Debug builds alone have it.

use std::sync::atomic::{AtomicUsize, Ordering};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Serving the next `count` connections, of any server of this process, panics.
pub fn plant(count: usize) {
    PANICS.store(count, Ordering::SeqCst);
}

/// Panics if that was planted.
#[expect(clippy::panic, reason = "this is what it is for")]
pub(super) fn meet() {
    if PANICS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        panic!("a planted panic");
    }
}
