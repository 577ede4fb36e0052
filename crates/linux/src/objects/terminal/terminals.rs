//! All pseudo-terminals of a machine, with the state that both ends of each share.

use std::collections::BTreeMap;

use warmfork_abi::Errno;
use warmfork_abi::signals::{SIGCONT, SIGHUP, SIGWINCH};

use super::discipline::Discipline;
use super::settings::WindowSize;
use crate::ids::{FIRST_PID, Pid};
use crate::news::News;

/// Most terminals of a machine.
const MAX_TERMINALS: usize = 256;
/// All pseudo-terminals of a machine, by their number in /dev/pts.
#[derive(Clone, PartialEq, Debug)]
pub struct Terminals {
    table: BTreeMap<u32, Terminal>,
    /// The terminals that may have changed, or are gone.
    pub(crate) news: News<u32>,
    /// The control by the terminal that the machine was started on, if it was started on one.
    pub inherited: Control,
    /// Makes edge numbers of different terminals with one number differ.
    opened: u64,
    /// Signals that the kernel is to send; empty between calls.
    pub notices: Vec<Notice>,
}

impl Default for Terminals {
    fn default() -> Self {
        let (table, news) = (BTreeMap::new(), News::default());
        Self { table, news, inherited: Control::inherited(), opened: 0, notices: Vec::new() }
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

/// The receiver of a signal.
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
    pub(super) master: bool,
    /// Open descriptions of the slave.
    pub(super) slaves: u32,
    /// The slave has been open.
    pub(super) used: bool,
    pub(super) typed_edges: u64,
    pub(super) shown_edges: u64,
}

impl Terminals {
    /// A new terminal; its number.
    ///
    /// # Errors
    /// ENOSPC when there are as many as there may be.
    pub fn create(&mut self) -> Result<TerminalEnd, Errno> {
        let free = (0..).zip(self.table.keys()).find(|(at, number)| at != *number).map(|(at, _)| at);
        let number = free.unwrap_or(u32::try_from(self.table.len()).unwrap_or(u32::MAX));
        if self.table.len() >= MAX_TERMINALS {
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
        let terminal = self.get_mut(number).ok_or(Errno::ENXIO)?;
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
        self.news.add(number);
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
        let Some(terminal) = self.get_mut(number) else { return };
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

    pub(super) fn tell(&mut self, group: Option<Pid>, signal: u32) {
        self.notices.extend(group.map(|group| Notice { to: Receiver::Group(group), signal }));
    }

    pub(super) fn close(&mut self, end: TerminalEnd) {
        self.news.add(end.number);
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
    /// Something has changed that waiters have to look at.
    pub fn changed(&mut self) {
        self.typed_edges += 1;
        self.shown_edges += 1;
    }
}

/// One end of a terminal, which a descriptor names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminalEnd {
    /// The terminal.
    pub number: u32,
    /// The end of the program that plays the terminal.
    pub master: bool,
}
