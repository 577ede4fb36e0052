//! Signals of the terminal that a machine was started on (Ctrl-C, say). The host sends them to warmfork, which forwards them to
//! the guest's processes in the foreground.

use std::sync::atomic::Ordering;

use log::warn;
use warmfork_abi::signals::{SIGMAX, signal_bit};

use crate::machine::{Handle, Machine};

impl Handle {
    /// Forwards `signal`, which the host's terminal has sent, to the guest's processes in the foreground. A signal that would stop
    /// the guest's first process stops this process instead, because nothing in the guest could continue that one.
    pub fn forward_signal(&self, signal: u32) {
        self.terminal_signals.fetch_or(signal_bit(signal), Ordering::SeqCst);
        self.notify();
    }
}

impl Machine {
    /// Sends the signals of [`Handle::forward_signal`] to the guest's processes.
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
