//! The clock page of one machine.

use std::sync::Arc;

use warmfork_memory::{HostFile, Origin};

use super::VdsoError;
use super::clock::HostClock;
use super::page::{Clock, Line, Page, Word};

/// The clock page of one machine. Its guests map it, read-only.
///
/// They see the host's clocks, but that CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW and CLOCK_BOOTTIME lag behind: by the time
/// that the machine was frozen and has not been shown.
#[derive(Debug)]
pub struct MachineClock {
    host: &'static HostClock,
    pub(super) page: Page,
    /// The sequence number of the host's page that was copied last, the lag, and whether the day's time was hidden.
    shown: Option<(u64, i64, bool)>,
    hidden: bool,
}

impl MachineClock {
    /// A page that shows nothing yet.
    ///
    /// # Errors
    /// [`VdsoError`] when the host refuses memory for it.
    pub fn new() -> Result<Self, VdsoError> {
        Self::of(HostClock::global()?)
    }

    /// The same, for `host`.
    pub(super) fn of(host: &'static HostClock) -> Result<Self, VdsoError> {
        Ok(Self { host, page: Page::new()?, shown: None, hidden: false })
    }

    /// The page as a file that guests map, shared and read-only: it was not opened for writing.
    #[must_use]
    pub fn file(&self) -> &Arc<HostFile> {
        &self.page.file
    }

    /// What the machine maps where its memory, or that of the snapshot that it was made from, has `file`: this page in the
    /// place of any other machine's.
    #[must_use]
    pub fn own_file<'a>(&'a self, file: &'a Arc<HostFile>) -> &'a Arc<HostFile> {
        if *file.origin() == Origin::Clock { &self.page.file } else { file }
    }

    /// From the next [`MachineClock::show`] on, guests must make a system call for the time of day, or (`false`) need not any
    /// more.
    pub fn hide_time_of_day(&mut self, hidden: bool) {
        self.hidden = hidden;
    }

    /// Shows the host's clocks as they are, those that lag `lag` nanoseconds earlier. Call it while none of the
    /// machine's guests runs. It costs one look at the counter when nothing has changed.
    pub fn show(&mut self, lag: i64) {
        self.host.refresh();
        self.copy(lag);
    }

    pub(super) fn copy(&mut self, lag: i64) {
        const WORDS: [Word; 3] = [Word::TscBase, Word::CoarseTick, Word::Usable];
        if self.shown == Some((self.host.page.load(Word::Sequence), lag, self.hidden)) {
            return;
        }
        let all = |page: &Page| {
            (page.load(Word::Sequence), Clock::ALL.map(|clock| page.line(clock)), WORDS.map(|word| page.load(word)))
        };
        let Some((sequence, lines, words)) = self.host.page.consistent(all) else { return };
        let changed = self.page.change(|page| {
            for (clock, line) in Clock::ALL.into_iter().zip(lines) {
                let line = match clock {
                    Clock::Realtime if self.hidden => Line::HIDDEN,
                    Clock::Realtime => line,
                    _ => Line { base: line.base.saturating_add_signed(lag.saturating_neg()), ..line },
                };
                page.set_line(clock, line);
            }
            WORDS.into_iter().zip(words).for_each(|(word, value)| page.store(word, value));
        });
        if changed {
            self.shown = Some((sequence, lag, self.hidden));
        }
    }
}
