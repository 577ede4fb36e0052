//! Keys of the terminal that a machine was started on. The host has their signals for warmfork, which passes them on to
//! whom the guest has in the foreground.

use std::sync::atomic::Ordering;

use log::warn;
use warmfork_abi::signals::{SIGMAX, signal_bit};

use crate::machine::{Handle, Machine};

impl Handle {
    /// Sends `signal`, which the host's terminal has sent, to the guest's processes in the foreground. What would stop the
    /// guest's first process, which nobody in the guest could let go on, stops this process instead.
    pub fn forward_signal(&self, signal: u32) {
        self.terminal_signals.fetch_or(signal_bit(signal), Ordering::SeqCst);
        self.notify();
    }
}

impl Machine {
    /// Passes on the signals of [`Handle::forward_signal`].
    pub(crate) fn forward_terminal_signals(&mut self) {
        let pending = self.guest.terminal_signals.swap(0, Ordering::SeqCst);
        if pending == 0 {
            return;
        }
        for signal in (1..=SIGMAX).filter(|signal| pending & signal_bit(*signal) != 0) {
            if self.guest.kernel.forward_terminal_signal(signal)
                && let Err(error) =
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
            {
                warn!("stopping failed: {error}");
            }
        }
    }
}
