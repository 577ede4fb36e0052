//! The line discipline (N_TTY): it handles typed characters, and bytes that are written to the screen.
//!
//! ```text
//!   typed -> input flags -> signal characters -> editing (canonical) -> lines, or bytes as they come -> reader
//!                                 \________ echo _________/
//!   written -> output flags -> screen
//! ```

use std::collections::VecDeque;

use warmfork_abi::signals::{SIGINT, SIGQUIT, SIGTSTP};
use warmfork_abi::termios::{
    ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ICANON, ICRNL, IEXTEN, IGNCR, IMAXBEL, INLCR, ISIG, ISTRIP, IUCLC,
    IUTF8, IXANY, IXON, NOFLSH, OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL,
    VLNEXT, VMIN, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VTIME, VWERASE, XTABS,
};

use super::settings::Settings;

/// Most bytes that wait for a reader, a line that is being edited included.
const MAX_INPUT: usize = 4095;
/// Most bytes that wait to be shown.
const MAX_OUTPUT: usize = 32768;

/// A terminal's two directions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Discipline {
    /// The settings.
    pub settings: Settings,
    /// Finished lines, each with its end; an empty one is an end of file.
    lines: VecDeque<Vec<u8>>,
    /// Their bytes, an empty one counting for one.
    queued: usize,
    /// The line that is being edited, or the bytes that came without canonical mode.
    editing: Vec<u8>,
    /// The column in which the edited line began.
    edit_column: usize,
    /// The next character is taken as it is.
    literal: bool,
    /// Written, not yet shown.
    screen: VecDeque<u8>,
    /// Where the next character is shown.
    column: usize,
    /// Output was stopped with STOP or TCOOFF.
    pub stopped: bool,
}

impl Discipline {
    fn canonical(&self) -> bool {
        self.settings.is(ICANON)
    }

    fn waiting(&self) -> usize {
        self.editing.len() + self.queued
    }

    /// Changes the settings. The input so far is one line for canonical mode, and plain bytes without it.
    pub fn set(&mut self, settings: Settings) {
        let was = self.canonical();
        self.settings = settings;
        if was && !self.canonical() {
            self.queued = 0;
            self.editing.splice(0..0, std::mem::take(&mut self.lines).into_iter().flatten());
        } else if !was && self.canonical() && !self.editing.is_empty() {
            self.end_line(None);
        }
    }

    /// Whether the next typed character has a place.
    #[must_use]
    pub fn takes_input(&self) -> bool {
        // A line that is too long must not keep its end out: the characters that are too many are dropped.
        self.waiting() < MAX_INPUT || self.canonical() && self.lines.is_empty()
    }

    /// Types one character; the signal that it stands for.
    pub fn type_character(&mut self, byte: u8) -> Option<u32> {
        let set = self.settings;
        let mut byte = byte;
        if set.input & ISTRIP != 0 {
            byte &= 0x7f;
        }
        if set.input & IUCLC != 0 && set.is(IEXTEN) {
            byte.make_ascii_lowercase();
        }
        if std::mem::take(&mut self.literal) {
            self.echo(byte);
            self.keep(byte);
            return None;
        }
        if set.input & IXON != 0 {
            if set.is_code(VSTART, byte) || set.is_code(VSTOP, byte) {
                self.stopped = set.is_code(VSTOP, byte);
                return None;
            }
            self.stopped &= set.input & IXANY == 0;
        }
        if set.is(ISIG)
            && let Some(signal) = signal_of(&set, byte)
        {
            if !set.is(NOFLSH) {
                self.flush_input();
                self.flush_output();
            }
            self.stopped &= set.input & IXON == 0;
            self.echo(byte);
            return Some(signal);
        }
        byte = match byte {
            b'\r' if set.input & IGNCR != 0 => return None,
            b'\r' if set.input & ICRNL != 0 => b'\n',
            b'\n' if set.input & INLCR != 0 => b'\r',
            byte => byte,
        };
        if self.canonical() && self.edit(byte) {
            return None;
        }
        self.note_column();
        self.echo(byte);
        self.keep(byte);
        None
    }

    /// Characters that edit or end a line; whether `byte` is one.
    fn edit(&mut self, byte: u8) -> bool {
        let set = self.settings;
        let extended = set.is(IEXTEN);
        if set.is_code(VERASE, byte) || set.is_code(VKILL, byte) || extended && set.is_code(VWERASE, byte) {
            self.erase(byte);
        } else if extended && set.is_code(VLNEXT, byte) {
            self.literal = true;
            if set.is(ECHO) && set.is(ECHOCTL) {
                self.show(b"^\x08");
            }
        } else if extended && set.is(ECHO) && set.is_code(VREPRINT, byte) {
            self.echo(byte);
            self.put(b'\n');
            let line = self.editing.clone();
            line.into_iter().for_each(|byte| self.echo(byte));
        } else if byte == b'\n' {
            if set.is(ECHO) || set.is(ECHONL) {
                self.put(b'\n');
            }
            self.end_line(Some(byte));
        } else if set.is_code(VEOF, byte) {
            self.end_line(None);
        } else if set.is_code(VEOL, byte) || extended && set.is_code(VEOL2, byte) {
            self.note_column();
            self.echo(byte);
            self.end_line(Some(byte));
        } else {
            return false;
        }
        true
    }

    fn end_line(&mut self, end: Option<u8>) {
        let mut line = std::mem::take(&mut self.editing);
        line.extend(end);
        self.queued += line.len().max(1);
        self.lines.push_back(line);
    }

    fn keep(&mut self, byte: u8) {
        if self.waiting() < MAX_INPUT {
            self.editing.push(byte);
        } else if self.settings.input & IMAXBEL != 0 {
            self.show(b"\x07");
        }
    }

    fn note_column(&mut self) {
        if self.editing.is_empty() {
            self.edit_column = self.column;
        }
    }

    /// ERASE, KILL and WERASE.
    fn erase(&mut self, byte: u8) {
        let set = self.settings;
        if self.editing.is_empty() {
            return;
        }
        if set.is_code(VERASE, byte) {
            self.erase_one();
            if set.is(ECHO) && !set.is(ECHOE) {
                self.echo(byte);
            }
        } else if set.is_code(VKILL, byte) {
            if set.is(ECHO) && !(set.is(ECHOK) && set.is(ECHOKE) && set.is(ECHOE)) {
                self.editing.clear();
                self.echo(byte);
                if set.is(ECHOK) {
                    self.put(b'\n');
                }
            }
            while !self.editing.is_empty() {
                self.erase_one();
            }
        } else {
            let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            while self.editing.last().is_some_and(|last| !word(last)) {
                self.erase_one();
            }
            while self.editing.last().is_some_and(word) {
                self.erase_one();
            }
        }
    }

    /// Takes the last character away, from the screen too.
    fn erase_one(&mut self) {
        let continues = |byte: u8| self.settings.input & IUTF8 != 0 && byte & 0xc0 == 0x80;
        let mut last = self.editing.pop();
        while let Some(byte) = last.filter(|byte| continues(*byte)) {
            last = self.editing.pop().or(Some(byte & 0x3f));
        }
        let Some(byte) = last.filter(|_| self.settings.is(ECHO) && self.settings.is(ECHOE)) else { return };
        if byte == b'\t' {
            let start = self.editing.iter().fold(self.edit_column, |column, byte| self.width(*byte, column));
            while self.column > start {
                self.show(b"\x08");
            }
        } else if byte.is_ascii_control() {
            if self.settings.is(ECHOCTL) {
                self.show(b"\x08 \x08\x08 \x08");
            }
        } else {
            self.show(b"\x08 \x08");
        }
    }

    /// The column after an echoed `byte` in `column`.
    fn width(&self, byte: u8, column: usize) -> usize {
        match byte {
            b'\t' => column / 8 * 8 + 8,
            byte if byte.is_ascii_control() => column + if self.settings.is(ECHOCTL) { 2 } else { 0 },
            byte if self.settings.input & IUTF8 != 0 && byte & 0xc0 == 0x80 => column,
            _ => column + 1,
        }
    }

    fn echo(&mut self, byte: u8) {
        if !self.settings.is(ECHO) {
            return;
        }
        if byte.is_ascii_control() && byte != b'\t' && byte != b'\n' && self.settings.is(ECHOCTL) {
            self.show(&[b'^', byte ^ 0o100]);
        } else {
            self.put(byte);
        }
    }

    /// Shows bytes that the output flags do not change.
    pub fn show(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.screen.len() < MAX_OUTPUT {
                self.screen.push_back(byte);
            }
            self.column = match byte {
                b'\x08' => self.column.saturating_sub(1),
                byte if byte.is_ascii_control() => self.column,
                _ => self.column.saturating_add(1),
            };
        }
    }

    /// Shows one byte as the output flags have it.
    fn put(&mut self, byte: u8) {
        let flags = self.settings.output;
        let has = |flag: u32| flags & flag != 0;
        if !has(OPOST) {
            self.show(&[byte]);
            return;
        }
        match byte {
            b'\n' => {
                if has(ONLCR) {
                    self.show(b"\r");
                }
                if has(ONLCR | ONLRET) {
                    self.column = 0;
                }
                self.show(b"\n");
            }
            b'\r' if has(ONOCR) && self.column == 0 => {}
            b'\r' if has(OCRNL) => self.show(b"\n"),
            b'\r' => {
                self.column = 0;
                self.show(b"\r");
            }
            b'\t' => {
                let to = self.column / 8 * 8 + 8;
                if flags & XTABS == XTABS {
                    self.show(&b"        "[..to - self.column]);
                } else {
                    self.show(b"\t");
                }
                self.column = to;
            }
            byte if has(OLCUC) => self.show(&[byte.to_ascii_uppercase()]),
            byte if self.settings.input & IUTF8 != 0 && byte & 0xc0 == 0x80 => {
                self.show(&[byte]);
                self.column = self.column.saturating_sub(1);
            }
            byte => self.show(&[byte]),
        }
    }

    /// Whether something can be written.
    #[must_use]
    pub fn takes_output(&self) -> bool {
        !self.stopped && self.screen.len() + 8 <= MAX_OUTPUT
    }

    /// Writes as much as there is room for, and returns that length.
    pub fn write(&mut self, from: &[u8]) -> usize {
        let mut written = 0;
        while written < from.len() && self.takes_output() {
            self.put(from[written]);
            written += 1;
        }
        written
    }

    /// Takes the bytes that the screen is to show.
    pub fn shown(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.screen.len());
        for (place, byte) in into.iter_mut().zip(self.screen.drain(..count)) {
            *place = byte;
        }
        count
    }

    /// Bytes to be shown.
    #[must_use]
    pub fn to_show(&self) -> usize {
        self.screen.len()
    }

    /// Whether a read would find something: a line, or as many bytes as MIN says.
    #[must_use]
    pub fn readable(&self) -> bool {
        if self.canonical() {
            return !self.lines.is_empty();
        }
        let wanted = if self.settings.codes[VTIME] == 0 { usize::from(self.settings.codes[VMIN]).max(1) } else { 1 };
        self.editing.len() >= wanted
    }

    /// Bytes that a read would find.
    #[must_use]
    pub fn available(&self) -> usize {
        if self.canonical() { self.lines.iter().map(Vec::len).sum() } else { self.editing.len() }
    }

    /// For how long a read waits for the first byte, in nanoseconds, when it does not wait for ever: MIN 0 and TIME.
    #[must_use]
    pub fn patience(&self) -> Option<u64> {
        let codes = &self.settings.codes;
        let waits = self.canonical() || codes[VMIN] > 0;
        (!waits).then(|| u64::from(codes[VTIME]) * 100_000_000)
    }

    /// Reads from the first line, or without canonical mode the bytes that are there; `None` when a reader has to wait. A reader
    /// that does not wait is content with less than VMIN bytes.
    pub fn read(&mut self, into: &mut [u8], waits: bool) -> Option<usize> {
        if !self.canonical() {
            let wanted = if waits { usize::from(self.settings.codes[VMIN]).min(into.len()) } else { 1 };
            let enough = self.readable() || !self.editing.is_empty() && self.editing.len() >= wanted;
            if !enough && self.patience() != Some(0) {
                return None;
            }
            let count = into.len().min(self.editing.len());
            into[..count].copy_from_slice(&self.editing[..count]);
            self.editing.drain(..count);
            return Some(count);
        }
        let line = self.lines.front_mut()?;
        let end_of_file = line.is_empty();
        let count = into.len().min(line.len());
        into[..count].copy_from_slice(&line[..count]);
        line.drain(..count);
        self.queued -= if end_of_file { 1 } else { count };
        if line.is_empty() {
            self.lines.pop_front();
        }
        Some(count)
    }

    /// Forgets input that was not read.
    pub fn flush_input(&mut self) {
        self.lines.clear();
        self.queued = 0;
        self.editing.clear();
        self.literal = false;
    }

    /// Forgets output that was not shown.
    pub fn flush_output(&mut self) {
        self.screen.clear();
    }
}

fn signal_of(set: &Settings, byte: u8) -> Option<u32> {
    let signals = [(VINTR, SIGINT), (VQUIT, SIGQUIT), (VSUSP, SIGTSTP)];
    signals.into_iter().find(|(code, _)| set.is_code(*code, byte)).map(|(_, signal)| signal)
}
