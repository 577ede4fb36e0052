//! The ticker: one thread of the host process that makes sure no guest runs unobserved for long.
//!
//! Every [`TICK`] it looks at each active machine: it raises the machine's tick count, which the run loop compares to
//! see that time has passed (time limits, memory limits, thread switches), and it interrupts a guest that has been in
//! user code since the tick before. A run costs two atomic stores; nothing is armed per request. The thread sleeps
//! while no machine is active.
//!
//! Locks: `Ticker::machines` alone; nothing is called with it held but [`Interrupter::interrupt`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::Interrupter;

/// How often an active machine is looked at.
pub const TICK: Duration = Duration::from_millis(10);

/// How many ticks the ticker goes on after the last machine has become idle: starting it costs a wake-up.
const LINGER: u32 = 100;

/// The ticker's view of one machine.
pub struct Watch {
    interrupter: Arc<dyn Interrupter>,
    active: AtomicBool,
    /// Odd while the guest runs user code.
    runs: AtomicU64,
    seen: AtomicU64,
    ticks: AtomicU64,
}

#[derive(Default)]
struct Ticker {
    machines: Mutex<Vec<Weak<Watch>>>,
    asleep: AtomicBool,
    wake: Condvar,
}

fn ticker() -> &'static Ticker {
    static TICKER: OnceLock<Ticker> = OnceLock::new();
    TICKER.get_or_init(Ticker::default)
}

impl Watch {
    /// Has the ticker watch the machine that `interrupter` interrupts.
    #[must_use]
    pub fn new(interrupter: Arc<dyn Interrupter>) -> Arc<Self> {
        let watch = Arc::new(Self {
            interrupter,
            active: AtomicBool::new(false),
            runs: AtomicU64::new(0),
            seen: AtomicU64::new(u64::MAX),
            ticks: AtomicU64::new(0),
        });
        let ticker = ticker();
        let mut machines = ticker.machines.lock().unwrap_or_else(PoisonError::into_inner);
        machines.push(Arc::downgrade(&watch));
        drop(machines);
        start();
        watch
    }

    /// Says whether the machine is being driven.
    pub fn set_active(&self, active: bool) {
        self.active.store(active, Ordering::SeqCst);
        let ticker = ticker();
        if active && ticker.asleep.load(Ordering::SeqCst) {
            let _guard = ticker.machines.lock().unwrap_or_else(PoisonError::into_inner);
            ticker.wake.notify_one();
        }
    }

    /// Ticks so far.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// The guest enters user code.
    pub fn enter(&self) {
        self.runs.store(self.runs.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The guest has left user code.
    pub fn leave(&self) {
        self.enter();
    }

    fn tick(&self) -> bool {
        if !self.active.load(Ordering::SeqCst) {
            return false;
        }
        self.ticks.fetch_add(1, Ordering::Relaxed);
        let runs = self.runs.load(Ordering::Relaxed);
        if runs % 2 == 1 && runs == self.seen.swap(runs, Ordering::Relaxed) {
            self.interrupter.interrupt();
        }
        true
    }
}

/// Starts the ticker's thread, once.
fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        if let Err(error) = std::thread::Builder::new().name("warmfork-ticker".into()).spawn(tick_forever) {
            log::error!("no thread for the ticker ({error}): time limits will not hold");
        }
    });
}

fn tick_forever() {
    let ticker = ticker();
    let mut idle = 0;
    loop {
        std::thread::sleep(TICK);
        let mut machines = ticker.machines.lock().unwrap_or_else(PoisonError::into_inner);
        let tick_all = |machines: &mut Vec<Weak<Watch>>| {
            let mut active = false;
            machines.retain(|machine| {
                machine.upgrade().is_some_and(|machine| {
                    active |= machine.tick();
                    true
                })
            });
            active
        };
        idle = if tick_all(&mut machines) { 0 } else { idle + 1 };
        if idle < LINGER {
            continue;
        }
        // Whoever becomes active from here on sees `asleep` and notifies; whoever did so before is seen here.
        ticker.asleep.store(true, Ordering::SeqCst);
        if !tick_all(&mut machines) {
            drop(ticker.wake.wait(machines).unwrap_or_else(PoisonError::into_inner));
        }
        ticker.asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
