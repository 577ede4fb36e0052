//! Counters of a server, which its workers increase without locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the latency histogram's buckets in microseconds; one more bucket has no bound.
pub const LATENCY_BOUNDS: [u64; 20] = [
    50, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000, 25_000, 50_000, 100_000,
    250_000, 1_000_000, 5_000_000,
];

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one server.
        #[derive(Debug, Default)]
        pub struct Statistics {
            $($(#[$doc])* pub $name: AtomicU64,)*
            /// Connections by latency: how many took at most each bound of [`LATENCY_BOUNDS`], then the rest.
            pub latency: [AtomicU64; LATENCY_BOUNDS.len() + 1],
        }

        impl Statistics {
            /// Every counter with its name.
            #[must_use]
            pub fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Connections accepted.
    connections,
    /// Connections that the guest closed or shut down itself.
    served,
    /// Forks made.
    forks,
    /// Resets that rewrote pages.
    resets_rewritten,
    /// Resets that dropped private pages because there were too many to rewrite.
    resets_dropped,
    /// Resets that rebuilt the fork because it could not be put back.
    resets_rebuilt,
    /// Pages rewritten.
    pages_rewritten,
    /// Connections closed because their clients said nothing for too long.
    idle,
    /// Connections cut because they took too long.
    timeouts,
    /// Connections cut because the guest wrote to too much memory.
    out_of_memory,
    /// Connections lost because the guest was killed by a signal.
    crashes,
    /// Connections lost because the guest ended.
    exits,
    /// Connections lost because the platform failed.
    failures,
    /// Panics of workers, each of which lost a connection or a fork: bugs of warmfork.
    panics,
    /// System calls answered.
    syscalls,
    /// Sum of the latencies in microseconds.
    latency_sum_us,
    /// Time spent resetting in microseconds.
    reset_us,
}

impl Statistics {
    /// Adds `amount` to `counter`.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// Counts a connection that took `latency` from being accepted to its end.
    pub fn observe(&self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS.iter().position(|&bound| microseconds <= bound).unwrap_or(LATENCY_BOUNDS.len());
        Self::add(&self.latency[bucket], 1);
        Self::add(&self.latency_sum_us, microseconds);
    }

    /// The histogram: (upper bound in microseconds or none, connections in that bucket alone).
    #[must_use]
    pub fn histogram(&self) -> Vec<(Option<u64>, u64)> {
        let bounds = LATENCY_BOUNDS.iter().map(|&bound| Some(bound)).chain([None]);
        bounds.zip(self.latency.iter().map(|bucket| bucket.load(Ordering::Relaxed))).collect()
    }
}
