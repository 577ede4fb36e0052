//! Operations on one end of a pseudo-terminal.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_NONBLOCK;
use warmfork_abi::stat::{Metadata, S_IFCHR};

use super::terminals::{Terminal, TerminalEnd};
use crate::events::Events;
use crate::metadata::made_up;
use crate::objects::{Context, Operations};
use crate::wait_queues::Queue;

/// Major number of the slaves.
const SLAVES: u32 = 136;

impl TerminalEnd {
    fn terminal<'a>(self, context: &'a mut Context<'_>) -> Result<&'a mut Terminal, Errno> {
        context.shared.terminals.get_mut(self.number).ok_or(Errno::EIO)
    }

    /// Types `from`; how much of it there was room for.
    fn type_in(self, context: &mut Context<'_>, from: &[u8]) -> Result<usize, Errno> {
        let terminal = self.terminal(context)?;
        let (mut typed, mut signals): (usize, Vec<u32>) = (0, Vec::new());
        while typed < from.len() && terminal.discipline.takes_input() {
            let signal = terminal.discipline.type_character(from[typed]);
            signals.extend(signal.filter(|signal| !signals.contains(signal)));
            typed += 1;
        }
        terminal.changed();
        let group = terminal.control.foreground;
        for signal in signals {
            context.shared.terminals.tell(group, signal);
        }
        if typed == 0 && !from.is_empty() { Err(Errno::EAGAIN) } else { Ok(typed) }
    }
}

impl Operations for TerminalEnd {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], _at: Option<u64>) -> Result<usize, Errno> {
        let waits = context.flags & O_NONBLOCK == 0;
        let terminal = self.terminal(context)?;
        if self.master {
            let shown = terminal.discipline.shown(into);
            if shown > 0 || into.is_empty() {
                terminal.typed_edges += 1;
                return Ok(shown);
            }
            return Err(if terminal.used && terminal.slaves == 0 { Errno::EIO } else { Errno::EAGAIN });
        }
        if !terminal.master || into.is_empty() {
            return Ok(0);
        }
        terminal.shown_edges += 1;
        terminal.discipline.read(into, waits).ok_or(Errno::EAGAIN)
    }

    fn write(&mut self, context: &mut Context<'_>, from: &[u8], _at: Option<u64>) -> Result<usize, Errno> {
        if self.master {
            return self.type_in(context, from);
        }
        let terminal = self.terminal(context)?;
        if !terminal.master {
            return Err(Errno::EIO);
        }
        let written = terminal.discipline.write(from);
        terminal.shown_edges += 1;
        if written == 0 && !from.is_empty() { Err(Errno::EAGAIN) } else { Ok(written) }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        let Some(terminal) = context.shared.terminals.get(self.number) else { return Events::HUP };
        let (readable, writable) = (Events::IN | Events::RDNORM, Events::OUT | Events::WRNORM);
        let discipline = &terminal.discipline;
        let mut events = Events::empty();
        if self.master {
            events.set(readable, discipline.to_show() > 0);
            events.set(writable, discipline.takes_input());
            events.set(Events::HUP, terminal.used && terminal.slaves == 0);
        } else if terminal.master {
            events.set(readable, discipline.readable());
            events.set(writable, discipline.takes_output());
        } else {
            events = readable | writable | Events::ERR | Events::HUP;
        }
        events
    }

    fn edges(&mut self, context: &mut Context<'_>, _events: Events) -> u64 {
        let master = self.master;
        context
            .shared
            .terminals
            .get(self.number)
            .map_or(0, |terminal| if master { terminal.shown_edges } else { terminal.typed_edges })
    }

    fn available(&mut self, context: &mut Context<'_>) -> Result<usize, Errno> {
        let master = self.master;
        let discipline = &self.terminal(context)?.discipline;
        Ok(if master { discipline.to_show() } else { discipline.available() })
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        Ok(if self.master { multiplexer_metadata() } else { slave_metadata(self.number) })
    }

    fn queues(&self) -> [Option<Queue>; 2] {
        [Some(Queue::Terminal(self.number)), None]
    }

    fn link_text(&self) -> Vec<u8> {
        if self.master { MULTIPLEXER.to_vec() } else { slave_path(self.number) }
    }

    fn close(&mut self, context: &mut Context<'_>) {
        context.shared.terminals.close(*self);
    }
}

/// The path of new terminals' masters.
pub const MULTIPLEXER: &[u8] = b"/dev/ptmx";

fn slave_path(number: u32) -> Vec<u8> {
    format!("/dev/pts/{number}").into_bytes()
}

/// The metadata of /dev/ptmx.
#[must_use]
pub fn multiplexer_metadata() -> Metadata {
    Metadata { mode: S_IFCHR | 0o666, represents: (5, 2), ..made_up(MULTIPLEXER) }
}

/// The metadata of the slave of terminal `number`, which is its user's.
#[must_use]
pub fn slave_metadata(number: u32) -> Metadata {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let blank = made_up(&slave_path(number));
    Metadata { mode: S_IFCHR | 0o620, represents: (SLAVES, number), uid, gid, ..blank }
}

/// The flags of open(2) that a description keeps when it is opened by ioctl(2).
#[must_use]
pub fn kept_flags(flags: u32) -> u32 {
    flags & (3 | O_NONBLOCK)
}
