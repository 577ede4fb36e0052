//! ioctl: the requests of every descriptor, and those of terminals.

use std::sync::Arc;

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, Winsize,
};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_NONBLOCK;
use warmfork_abi::ioctl::{
    FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, RNDGETENTCNT, TCGETS, TCSETS, TCSETSF, TCSETSW, TIOCGWINSZ,
    TIOCSWINSZ,
};
use warmfork_memory::HostFile;

use crate::call::{Call, SyscallResult};
use crate::events::DescriptionId;
use crate::host::errno;
use crate::objects::Object;
use crate::objects::device::Device;
use crate::syscalls::terminal;

/// ioctl(2)
pub fn ioctl(call: &mut Call<'_>) -> SyscallResult {
    let (fd, request, argument) = (call.int(0), call.uint(1), call.args[2]);
    let id = call.description_id(fd)?;
    if matches!(call.kernel.files.description(id).object, Object::Path(_)) {
        return Err(Errno::EBADF.into());
    }
    match request {
        FIOCLEX | FIONCLEX => {
            call.kernel.process_mut().descriptors.set_close_on_exec(fd, request == FIOCLEX)?;
            Ok(0)
        }
        FIONBIO => {
            let on = call.memory().read_u32(argument)? != 0;
            let description = call.kernel.files.description_mut(id);
            description.flags = if on { description.flags | O_NONBLOCK } else { description.flags & !O_NONBLOCK };
            Ok(0)
        }
        FIOASYNC => {
            call.memory().read_u32(argument)?;
            Ok(0)
        }
        FIONREAD => {
            let count = call.kernel.with_object(call.host, id, |object, context| object.available(context))?;
            let count = i32::try_from(count).unwrap_or(i32::MAX);
            call.memory().write_u32(argument, count.cast_unsigned())?;
            Ok(0)
        }
        RNDGETENTCNT if is_random(call, id) => {
            call.memory().write_u32(argument, 256)?;
            Ok(0)
        }
        _ if matches!(call.kernel.files.description(id).object, Object::Terminal(_)) => {
            terminal::request(call, id, request, argument)
        }
        _ => match terminal(call, id) {
            Some((handle, shared)) => match terminal::control_request(call, id, request, argument)? {
                Some(answer) => Ok(answer),
                None => terminal_request(call, (&handle, shared), request, argument),
            },
            None => Err(Errno::ENOTTY.into()),
        },
    }
}

fn is_random(call: &Call<'_>, id: DescriptionId) -> bool {
    matches!(call.kernel.files.description(id).object, Object::Device(Device::Random | Device::Urandom))
}

/// The host terminal behind a description, if there is one, and whether forks share it.
fn terminal(call: &Call<'_>, id: DescriptionId) -> Option<(Arc<HostFile>, bool)> {
    match &call.kernel.files.description(id).object {
        Object::Stream(stream) if stream.terminal => Some((stream.handle.clone(), stream.shared)),
        _ => None,
    }
}

fn terminal_request(
    call: &mut Call<'_>,
    (handle, shared): (&Arc<HostFile>, bool),
    request: u32,
    argument: u64,
) -> SyscallResult {
    match request {
        // As for a process that has lost its terminal's foreground for good.
        TCSETS | TCSETSW | TCSETSF | TIOCSWINSZ if shared => return Err(Errno::EIO.into()),
        TCGETS => {
            let attributes = rustix::termios::tcgetattr(handle).map_err(errno)?;
            call.memory().write(argument, &encode(&attributes))?;
        }
        TCSETS | TCSETSW | TCSETSF => {
            let bytes = call.memory().read_array(argument)?;
            let mut attributes = rustix::termios::tcgetattr(handle).map_err(errno)?;
            decode(&bytes, &mut attributes);
            let when = match request {
                TCSETS => OptionalActions::Now,
                TCSETSW => OptionalActions::Drain,
                _ => OptionalActions::Flush,
            };
            rustix::termios::tcsetattr(handle, when, &attributes).map_err(errno)?;
        }
        TIOCGWINSZ => {
            let size = rustix::termios::tcgetwinsize(handle).map_err(errno)?;
            let words = [size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel];
            call.memory().write(argument, &words.map(u16::to_le_bytes).concat())?;
        }
        TIOCSWINSZ => {
            let size = window_size(&call.memory().read_array(argument)?);
            rustix::termios::tcsetwinsize(handle, size).map_err(errno)?;
        }
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}

/// `struct winsize`
fn window_size(bytes: &[u8; 8]) -> Winsize {
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    Winsize { ws_row: word(0), ws_col: word(2), ws_xpixel: word(4), ws_ypixel: word(6) }
}

/// Length of the kernel's `struct termios`: four modes, the line discipline, 19 special codes.
const TERMIOS: usize = 36;
/// Number of special codes.
const CODES: u8 = 19;

fn special_codes() -> impl Iterator<Item = (usize, SpecialCodeIndex)> {
    use rustix::termios::SpecialCodeIndex as Code;
    let known = [
        Code::VINTR,
        Code::VQUIT,
        Code::VERASE,
        Code::VKILL,
        Code::VEOF,
        Code::VTIME,
        Code::VMIN,
        Code::VSWTC,
        Code::VSTART,
        Code::VSTOP,
        Code::VSUSP,
        Code::VEOL,
        Code::VREPRINT,
        Code::VDISCARD,
        Code::VWERASE,
        Code::VLNEXT,
        Code::VEOL2,
    ];
    debug_assert!(known.len() <= usize::from(CODES), "indices follow asm-generic/termbits.h");
    known.into_iter().enumerate()
}

fn encode(attributes: &Termios) -> [u8; TERMIOS] {
    let mut bytes = [0; TERMIOS];
    let modes = [
        attributes.input_modes.bits(),
        attributes.output_modes.bits(),
        attributes.control_modes.bits(),
        attributes.local_modes.bits(),
    ];
    for (place, mode) in bytes.chunks_exact_mut(4).zip(modes) {
        place.copy_from_slice(&mode.to_le_bytes());
    }
    bytes[16] = attributes.line_discipline;
    for (index, code) in special_codes() {
        bytes[17 + index] = attributes.special_codes[code];
    }
    bytes
}

fn decode(bytes: &[u8; TERMIOS], attributes: &mut Termios) {
    let mode = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    attributes.input_modes = InputModes::from_bits_retain(mode(0));
    attributes.output_modes = OutputModes::from_bits_retain(mode(4));
    attributes.control_modes = ControlModes::from_bits_retain(mode(8));
    attributes.local_modes = LocalModes::from_bits_retain(mode(12));
    attributes.line_discipline = bytes[16];
    for (index, code) in special_codes() {
        attributes.special_codes[code] = bytes[17 + index];
    }
}
