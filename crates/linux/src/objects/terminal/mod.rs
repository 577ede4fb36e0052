//! Pseudo-terminals: /dev/ptmx and /dev/pts of one machine. Plain data, like everything that no host file is behind.
//!
//! ```text
//!   TerminalEnd (master) --types, reads the screen-->  Terminal { discipline, size, session, foreground }
//!   TerminalEnd (slave)  --reads lines, writes----->       |
//!                                                          +-> notices: signals for a group or a session's leader,
//!                                                              which the kernel sends after each operation
//! ```
//!
//! Whether a process may read and write, being in the foreground, is asked before: see `syscalls/terminal.rs`.

pub mod discipline;
pub mod settings;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_NONBLOCK;
use warmfork_abi::signals::{SIGCONT, SIGHUP, SIGWINCH};
use warmfork_abi::stat::{Metadata, S_IFCHR};

use crate::family::Pid;
use crate::files::Events;
use crate::metadata::made_up;
use crate::objects::{Context, Operations};
use crate::process::FIRST_PID;
use discipline::Discipline;
use settings::WindowSize;

/// Most terminals of a machine.
const MOST_TERMINALS: usize = 256;
/// Major number of the slaves.
const SLAVES: u32 = 136;

/// All pseudo-terminals of a machine, by their number in /dev/pts.
#[derive(Clone, PartialEq, Debug)]
pub struct Terminals {
    table: BTreeMap<u32, Terminal>,
    /// What the terminal that the machine was started on controls, if it was started on one.
    pub inherited: Control,
    /// Makes edge numbers of different terminals with one number differ.
    opened: u64,
    /// Signals that the kernel is to send; empty between calls.
    pub notices: Vec<Notice>,
}

impl Default for Terminals {
    fn default() -> Self {
        Self { table: BTreeMap::new(), inherited: Control::inherited(), opened: 0, notices: Vec::new() }
    }
}

/// A signal to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notice {
    /// To a process group, or to the process of this id.
    pub to: Receiver,
    /// Which.
    pub signal: u32,
}

/// Who gets a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receiver {
    /// A process group.
    Group(Pid),
    /// One process.
    Process(Pid),
}

/// Whom a terminal controls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Control {
    /// The session.
    pub session: Option<Pid>,
    /// The process group in the foreground.
    pub foreground: Option<Pid>,
}

impl Control {
    /// That of the terminal that a machine's first process was started on.
    #[must_use]
    pub fn inherited() -> Self {
        Self { session: Some(FIRST_PID), foreground: Some(FIRST_PID) }
    }

    /// Whether `id` is its session or its foreground.
    #[must_use]
    pub fn names(&self, id: Pid) -> bool {
        self.session == Some(id) || self.foreground == Some(id)
    }
}

/// One pseudo-terminal.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Terminal {
    /// The line discipline.
    pub discipline: Discipline,
    /// The window's size.
    pub size: WindowSize,
    /// Its slave cannot be opened (TIOCSPTLCK).
    pub locked: bool,
    /// Whom it controls.
    pub control: Control,
    /// The master is open.
    master: bool,
    /// Open descriptions of the slave.
    slaves: u32,
    /// The slave has been open.
    used: bool,
    typed_edges: u64,
    shown_edges: u64,
}

impl Terminals {
    /// A new terminal; its number.
    ///
    /// # Errors
    /// ENOSPC when there are as many as there may be.
    pub fn create(&mut self) -> Result<TerminalEnd, Errno> {
        let free = (0..).zip(self.table.keys()).find(|(at, number)| at != *number).map(|(at, _)| at);
        let number = free.unwrap_or(u32::try_from(self.table.len()).unwrap_or(u32::MAX));
        if self.table.len() >= MOST_TERMINALS {
            return Err(Errno::ENOSPC);
        }
        self.opened += 1;
        let edges = self.opened << 32;
        let terminal =
            Terminal { locked: true, master: true, typed_edges: edges, shown_edges: edges, ..Terminal::default() };
        self.table.insert(number, terminal);
        Ok(TerminalEnd { number, master: true })
    }

    /// The slave of terminal `number`, once more.
    ///
    /// # Errors
    /// ENXIO when there is none, EIO while it is locked or hung up.
    pub fn open(&mut self, number: u32) -> Result<TerminalEnd, Errno> {
        let terminal = self.table.get_mut(&number).ok_or(Errno::ENXIO)?;
        if terminal.locked || !terminal.master {
            return Err(Errno::EIO);
        }
        terminal.slaves += 1;
        terminal.used = true;
        terminal.shown_edges += 1;
        Ok(TerminalEnd { number, master: false })
    }

    /// Terminal `number`.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Terminal> {
        self.table.get(&number)
    }

    /// As [`Terminals::get`], to change it.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Terminal> {
        self.table.get_mut(&number)
    }

    /// The numbers of the terminals whose masters are open.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.table.iter().filter(|(_, terminal)| terminal.master).map(|(number, _)| *number)
    }

    /// The terminal that controls `session`.
    #[must_use]
    pub fn controlling(&self, session: Pid) -> Option<u32> {
        self.table.iter().find(|(_, terminal)| terminal.control.session == Some(session)).map(|(number, _)| *number)
    }

    /// Whether a terminal's session or foreground has the id `id`.
    #[must_use]
    pub fn name(&self, id: Pid) -> bool {
        self.inherited.names(id) || self.table.values().any(|terminal| terminal.control.names(id))
    }

    /// Changes the window's size; those in the foreground learn of it.
    pub fn resize(&mut self, number: u32, size: WindowSize) {
        let Some(terminal) = self.table.get_mut(&number) else { return };
        if terminal.size != size {
            terminal.size = size;
            let foreground = terminal.control.foreground;
            self.tell(foreground, SIGWINCH);
        }
    }

    /// The terminal of `session`, whose leader gives it up or has ended, controls nobody any more.
    pub fn leave(&mut self, session: Pid) {
        let own = self.table.values_mut().map(|terminal| &mut terminal.control);
        let found = own.chain([&mut self.inherited]).find(|control| control.session == Some(session));
        let foreground = found.and_then(|control| std::mem::take(control).foreground);
        self.tell(foreground, SIGHUP);
        self.tell(foreground, SIGCONT);
    }

    fn tell(&mut self, group: Option<Pid>, signal: u32) {
        self.notices.extend(group.map(|group| Notice { to: Receiver::Group(group), signal }));
    }

    fn close(&mut self, end: TerminalEnd) {
        let Some(terminal) = self.table.get_mut(&end.number) else { return };
        terminal.changed();
        if end.master {
            terminal.master = false;
            if let Some(leader) = std::mem::take(&mut terminal.control).session {
                let to = Receiver::Process(leader);
                self.notices.extend([SIGHUP, SIGCONT].map(|signal| Notice { to, signal }));
            }
        } else {
            terminal.slaves -= 1;
        }
        if !terminal.master && terminal.slaves == 0 {
            self.table.remove(&end.number);
        }
    }
}

impl Terminal {
    /// Something has changed that those who wait for it are to look at.
    pub fn changed(&mut self) {
        self.typed_edges += 1;
        self.shown_edges += 1;
    }
}

/// What a descriptor of a terminal names: one of its ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminalEnd {
    /// The terminal.
    pub number: u32,
    /// The end of whoever plays the terminal.
    pub master: bool,
}

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
        let Ok(terminal) = self.terminal(context) else { return Events::HUP };
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
        self.terminal(context).map_or(0, |terminal| if master { terminal.shown_edges } else { terminal.typed_edges })
    }

    fn available(&mut self, context: &mut Context<'_>) -> Result<usize, Errno> {
        let master = self.master;
        let discipline = &self.terminal(context)?.discipline;
        Ok(if master { discipline.to_show() } else { discipline.available() })
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        Ok(if self.master { multiplexer_metadata() } else { slave_metadata(self.number) })
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

/// What stat shows of /dev/ptmx.
#[must_use]
pub fn multiplexer_metadata() -> Metadata {
    Metadata { mode: S_IFCHR | 0o666, represents: (5, 2), ..made_up(MULTIPLEXER) }
}

/// What stat shows of the slave of terminal `number`, which is its user's.
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
