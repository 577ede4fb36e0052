//! Keys of the terminal that a machine was started on. The host has their signals for warmfork, which passes them on to
//! whom the guest has in the foreground.

use std::sync::atomic::Ordering;

use log::warn;
use warmfork_abi::signals::{SIGMAX, signal_bit};

use crate::machine::{Handle, Machine};

impl Handle {
    /// Sends `signal`, which the host's terminal has sent, to the guest's processes in the foreground. What would stop the
    /// guest's first process, which nobody in the guest could let go on, stops this process instead.
    pub fn press(&self, signal: u32) {
        self.keys.fetch_or(signal_bit(signal), Ordering::SeqCst);
        self.look();
    }
}

impl Machine {
    /// Passes on the signals of [`Handle::press`].
    pub(crate) fn pass_on_keys(&mut self) {
        let pressed = self.guest.keys.swap(0, Ordering::SeqCst);
        if pressed == 0 {
            return;
        }
        for signal in (1..=SIGMAX).filter(|signal| pressed & signal_bit(*signal) != 0) {
            if self.guest.kernel.press_key(signal)
                && let Err(error) =
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
            {
                warn!("stopping failed: {error}");
            }
        }
    }
}
