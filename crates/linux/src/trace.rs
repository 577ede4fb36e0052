//! The trace of a guest: one line in the log for each system call and its answer, at level debug. Called by dispatch.

use std::fmt::Write as _;

use warmfork_memory::GuestMemory;

use crate::call::{Stop, SyscallResult};
use crate::ids::Tid;
use crate::table::Entry;

/// The log target of the trace. Its level is debug: nobody pays for a trace that nobody reads.
pub const TARGET: &str = "warmfork::syscalls";

/// Longest part of a path that is shown.
const LONGEST: usize = 80;

/// Writes down how the call `entry` of thread `tid` was answered.
pub fn answered(memory: &dyn GuestMemory, tid: Tid, entry: &Entry, args: [u64; 6], result: &SyscallResult) {
    let (name, arguments) = (entry.name, arguments(memory, entry.path, args));
    log::debug!(target: TARGET, "[{tid}] {name}({arguments}) = {}", answer(result));
}

/// The arguments as text; the one at `path` is the address of a path.
fn arguments(memory: &dyn GuestMemory, path: Option<usize>, args: [u64; 6]) -> String {
    let mut text = String::new();
    for (index, argument) in args.into_iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        let shown = match path.filter(|path| *path == index).and_then(|_| string(memory, argument)) {
            Some(string) => format!("{string:?}"),
            None => number(argument),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{shown}");
    }
    text
}

/// Numbers as people read them: small ones and small negative ints in decimal, addresses and flags in hexadecimal.
fn number(value: u64) -> String {
    match i32::try_from(value.cast_signed()) {
        Ok(small) if (-4095..=65536).contains(&small) => small.to_string(),
        _ => match u32::try_from(value).map(u32::cast_signed) {
            Ok(negative) if (-4095..0).contains(&negative) => negative.to_string(),
            _ => format!("{value:#x}"),
        },
    }
}

fn string(memory: &dyn GuestMemory, address: u64) -> Option<String> {
    let mut bytes = [0; LONGEST];
    let readable = memory.read_some(address, &mut bytes);
    let end = bytes[..readable].iter().position(|byte| *byte == 0);
    let text = String::from_utf8_lossy(&bytes[..end.unwrap_or(readable)]).into_owned();
    (readable > 0).then(|| if end.is_some() { text } else { text + "..." })
}

fn answer(result: &SyscallResult) -> String {
    match result {
        Ok(value) => number(*value),
        Err(Stop::Error(error)) => error.to_string(),
        Err(Stop::Block(_)) => "sleeps".to_owned(),
        Err(Stop::Yield) => "0, after the others".to_owned(),
        Err(Stop::Resumed) => "back from a signal".to_owned(),
        Err(Stop::Fork(forked)) => number(u64::from(forked.pid.cast_unsigned())),
        Err(Stop::Exec(_)) => "runs another program".to_owned(),
        Err(Stop::ExitThread | Stop::ExitProgram(_)) => "ends".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use warmfork_abi::Errno;

    use super::{answer, arguments, number};
    use crate::testing::{Bench, DATA};

    #[test]
    fn numbers_as_people_read_them() {
        let numbers = [0, 4096, u64::MAX, 0xffff_ff9c, 0x7fff_0000_1000, 0x8_0000];
        assert_eq!(numbers.map(number), ["0", "4096", "-1", "-100", "0x7fff00001000", "0x80000"]);
    }

    #[test]
    fn paths_are_shown_as_far_as_they_can_be_read() {
        let mut bench = Bench::new();
        bench.write(DATA.start, &[u64::from_le_bytes(*b"/a/path\0")]);
        let memory = crate::Guest::memory(&mut bench.guest);
        let args = [0xffff_ff9c, DATA.start, 0, 0, 0, 0];
        assert_eq!(arguments(memory, Some(1), args), "-100, \"/a/path\", 0, 0, 0, 0");
        assert_eq!(arguments(memory, Some(1), [0, 8, 0, 0, 0, 0]), "0, 8, 0, 0, 0, 0");
        assert_eq!(answer(&Err(Errno::ENOENT.into())), "ENOENT (No such file or directory)");
    }
}
