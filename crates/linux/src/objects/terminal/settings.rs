//! The settings of a terminal: the kernel's `struct termios`, and the window's size.

use warmfork_abi::termios::{
    B38400, CREAD, CS8, ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ICANON, ICRNL, IEXTEN, ISIG, IXON, NCCS, ONLCR, OPOST,
    TERMIOS_SIZE, TERMIOS2_SIZE,
};

/// Special characters of a new terminal: interrupt, quit, erase, kill, end of file, time, minimum, switch, start, stop,
/// suspend, end of line, reprint, discard, erase a word, next literally, second end of line.
const CODES: [u8; NCCS] = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0];

/// `struct termios`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// c_iflag
    pub input: u32,
    /// c_oflag
    pub output: u32,
    /// c_cflag
    pub control: u32,
    /// c_lflag
    pub local: u32,
    /// c_line
    pub line: u8,
    /// c_cc
    pub codes: [u8; NCCS],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            input: ICRNL | IXON,
            output: OPOST | ONLCR,
            control: B38400 | CS8 | CREAD,
            local: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
            line: 0,
            codes: CODES,
        }
    }
}

impl Settings {
    /// Whether a flag of c_lflag is set.
    #[must_use]
    pub fn is(&self, flag: u32) -> bool {
        self.local & flag != 0
    }

    /// Whether `byte` is the special character `code`, which NUL turns off.
    #[must_use]
    pub fn is_code(&self, code: usize, byte: u8) -> bool {
        byte != 0 && self.codes[code] == byte
    }

    /// The bytes of `struct termios2`, of which `struct termios` are the first [`TERMIOS_SIZE`].
    #[must_use]
    pub fn to_bytes(&self) -> [u8; TERMIOS2_SIZE] {
        const SPEED: u32 = 38400;
        let mut bytes = [0; TERMIOS2_SIZE];
        for (place, mode) in bytes.chunks_exact_mut(4).zip([self.input, self.output, self.control, self.local]) {
            place.copy_from_slice(&mode.to_le_bytes());
        }
        bytes[16] = self.line;
        bytes[17..TERMIOS_SIZE].copy_from_slice(&self.codes);
        bytes[36..40].copy_from_slice(&SPEED.to_le_bytes());
        bytes[40..].copy_from_slice(&SPEED.to_le_bytes());
        bytes
    }

    /// Reads the bytes of a `struct termios`. A terminal without wires always has characters of eight bits.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; TERMIOS_SIZE]) -> Self {
        let mode = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut codes = [0; NCCS];
        codes.copy_from_slice(&bytes[17..]);
        let control = mode(8) | CS8 | CREAD;
        Self { input: mode(0), output: mode(4), control, local: mode(12), line: bytes[16], codes }
    }
}

/// `struct winsize`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WindowSize(pub [u8; 8]);
