//! The clock page of one machine.

use std::sync::Arc;

use warmfork_memory::MappedFile;

use super::VdsoError;
use super::clock::HostClock;
use super::page::{Clock, Page, Word};

/// The clock page of one machine. Its guests map it, read-only.
///
/// They see the host's clocks, but that CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW and CLOCK_BOOTTIME lag behind: by the time
/// that the machine was frozen and has not been shown.
#[derive(Debug)]
pub struct MachineClock {
    pub(super) page: Page,
    /// The sequence number of the host's page that was copied last, and the lag.
    shown: Option<(u64, i64)>,
}

impl MachineClock {
    /// A page that shows nothing yet.
    ///
    /// # Errors
    /// [`VdsoError`] when the host refuses memory for it.
    pub fn new() -> Result<Self, VdsoError> {
        HostClock::global()?;
        Ok(Self { page: Page::new()?, shown: None })
    }

    /// The page as a file that guests map, shared and read-only: it was not opened for writing.
    #[must_use]
    pub fn file(&self) -> &Arc<MappedFile> {
        &self.page.file
    }

    /// Shows the host's clocks as they are, those that lag `lag` nanoseconds earlier. Call it while none of the
    /// machine's guests runs. It costs one look at the counter when nothing has changed.
    pub fn show(&mut self, lag: i64) {
        // Made by `new`.
        if let Ok(host) = HostClock::global() {
            host.refresh();
            self.copy(host, lag);
        }
    }

    pub(super) fn copy(&mut self, host: &HostClock, lag: i64) {
        if self.shown == Some((host.page.load(Word::Sequence), lag)) {
            return;
        }
        let words = |page: &Page| Word::ALL.map(|word| page.load(word));
        let Some((words, copied, _)) = host.page.consistent(words) else { return };
        let Some(sequence) = self.page.begin() else { return };
        for (word, value) in Word::ALL.into_iter().zip(words) {
            match word {
                Word::Sequence => {}
                Word::Base(clock) if clock != Clock::Realtime => {
                    self.page.store(word, value.saturating_add_signed(lag.saturating_neg()))
                }
                _ => self.page.store(word, value),
            }
        }
        self.page.store(Word::Sequence, sequence + 2);
        self.shown = Some((copied, lag));
    }
}
