//! Terminals from the processes' side: the right to use one, the session that it controls, and the requests of ioctl_tty(2).
//!
//! The terminal that a machine was started on is the host's, but its session is kept here, as for the machine's own.

use warmfork_abi::Errno;
use warmfork_abi::fcntl::{O_CLOEXEC, O_NOCTTY};
use warmfork_abi::ioctl::{
    TCFLSH, TCGETS, TCGETS2, TCSBRK, TCSBRKP, TCSETS, TCSETS2, TCSETSF, TCSETSF2, TCSETSW, TCSETSW2, TCXONC, TIOCGETD,
    TIOCGPGRP, TIOCGPTLCK, TIOCGPTN, TIOCGPTPEER, TIOCGSID, TIOCGWINSZ, TIOCNOTTY, TIOCOUTQ, TIOCSCTTY, TIOCSPGRP,
    TIOCSPTLCK, TIOCSWINSZ,
};
use warmfork_abi::signals::{SIG_DFL, SIG_IGN, SIGTTIN, SIGTTOU, STOPPING, signal_bit};
use warmfork_abi::termios::{
    TCIFLUSH, TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF, TCOON, TERMIOS_SIZE, TOSTOP, VSTART, VSTOP,
};

use crate::call::{Call, Stop, SyscallResult};
use crate::events::DescriptionId;
use crate::ids::{FIRST_PID, Pid};
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::terminal::discipline::Discipline;
use crate::objects::terminal::end::kept_flags;
use crate::objects::terminal::settings::{Settings, WindowSize};
use crate::objects::terminal::terminals::{Control, Notice, Receiver, Terminal, TerminalEnd};
use crate::process::Process;
use crate::signal::{SignalInfo, Target};

/// A terminal that can control a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tty {
    /// One of the machine's own.
    Slave(u32),
    /// The one that the machine was started on.
    Inherited,
}

impl Kernel {
    /// Sends the signals that terminals have caused.
    pub(crate) fn send_notices(&mut self) {
        if self.shared.terminals.notices.is_empty() {
            return;
        }
        for notice in std::mem::take(&mut self.shared.terminals.notices) {
            let receivers = match notice.to {
                Receiver::Group(group) => self.processes.signalled(-group).0,
                Receiver::Process(pid) => vec![pid],
            };
            for pid in receivers {
                let info = SignalInfo::kernel(notice.signal);
                // One that has ended meanwhile needs none.
                let _ = self.processes.send_signal(pid, Target::Process, info);
            }
        }
    }

    /// Sends `signal`, of a key of the terminal that the machine was started on, to the group in its foreground. Returns true,
    /// and sends nothing, if that would stop the first process: nothing here could let it go on.
    #[must_use]
    pub fn forward_terminal_signal(&mut self, signal: u32) -> bool {
        let foreground = self.shared.terminals.inherited.foreground;
        let group = foreground.filter(|group| self.processes.group_exists(*group)).unwrap_or(FIRST_PID);
        let stops = |process: &Process| process.group == group && process.signals.action(signal).handler == SIG_DFL;
        if signal_bit(signal) & STOPPING != 0 && self.processes.find(FIRST_PID).is_some_and(stops) {
            return true;
        }
        self.shared.terminals.notices.push(Notice { to: Receiver::Group(group), signal });
        self.send_notices();
        false
    }

    fn tty(&self, id: DescriptionId) -> Option<Tty> {
        match &self.files.description(id).object {
            Object::Terminal(end) if !end.master => Some(Tty::Slave(end.number)),
            Object::Stream(stream) if stream.terminal => Some(Tty::Inherited),
            _ => None,
        }
    }

    fn control(&self, tty: Tty) -> Control {
        let terminals = &self.shared.terminals;
        match tty {
            Tty::Slave(number) => terminals.get(number).map(|terminal| terminal.control).unwrap_or_default(),
            Tty::Inherited => terminals.inherited,
        }
    }

    fn set_control(&mut self, tty: Tty, control: Control) {
        let terminals = &mut self.shared.terminals;
        match tty {
            Tty::Slave(number) => {
                if let Some(terminal) = terminals.get_mut(number) {
                    terminal.control = control;
                }
            }
            Tty::Inherited => terminals.inherited = control,
        }
    }

    /// Whether `tty` controls the current process's session.
    fn is_controlled_by(&self, tty: Tty) -> bool {
        self.control(tty).session == Some(self.process().session)
    }

    /// Whether some terminal controls the current process's session.
    fn is_controlled(&self) -> bool {
        let (terminals, session) = (&self.shared.terminals, self.process().session);
        terminals.controlling(session).is_some()
            || self.has_inherited_terminal() && self.is_controlled_by(Tty::Inherited)
    }

    fn has_inherited_terminal(&self) -> bool {
        self.files.objects().any(|object| matches!(object, Object::Stream(stream) if stream.terminal))
    }

    /// Makes `tty` control the current process's session, if that has no terminal and `tty` no session.
    fn acquire(&mut self, tty: Tty) -> Result<(), Errno> {
        let Process { pid, session, group, .. } = *self.process();
        if self.is_controlled_by(tty) && pid == session {
            return Ok(());
        }
        if pid != session || self.is_controlled() || self.control(tty).session.is_some() {
            return Err(Errno::EPERM);
        }
        self.set_control(tty, Control { session: Some(session), foreground: Some(group) });
        Ok(())
    }
}

impl Call<'_> {
    /// Lets a process in the background read from its terminal, write to it or change it only as Linux does: otherwise
    /// `signal` stops it.
    ///
    /// # Errors
    /// EIO when nobody could let it go on; else the call starts again when it does.
    pub(super) fn admit(&mut self, id: DescriptionId, signal: u32) -> Result<(), Stop> {
        let Some(tty) = self.kernel.tty(id) else { return Ok(()) };
        let stops_writers = match tty {
            Tty::Slave(number) => {
                self.kernel.shared.terminals.get(number).is_some_and(|it| it.discipline.settings.is(TOSTOP))
            }
            Tty::Inherited => false,
        };
        if signal == SIGTTOU && !stops_writers { Ok(()) } else { self.admit_to(tty, signal) }
    }

    fn admit_to(&mut self, tty: Tty, signal: u32) -> Result<(), Stop> {
        let group = self.kernel.process().group;
        let foreground = self.kernel.control(tty).foreground;
        if !self.kernel.is_controlled_by(tty) || foreground.is_none_or(|foreground| foreground == group) {
            return Ok(());
        }
        let blocked = self.task().signals.mask & signal_bit(signal) != 0;
        if blocked || self.kernel.process().signals.action(signal).handler == SIG_IGN {
            return if signal == SIGTTIN { Err(Errno::EIO.into()) } else { Ok(()) };
        }
        if self.kernel.processes.group_is_orphaned() {
            return Err(Errno::EIO.into());
        }
        for pid in self.kernel.processes.signalled(-group).0 {
            let info = SignalInfo::kernel(signal);
            // One that cannot be queued is pending already.
            let _ = self.kernel.processes.send_signal(pid, Target::Process, info);
        }
        // It tries again when it goes on.
        let moved = self.moved();
        Err(self.pause(moved))
    }

    /// For how long a read of a terminal waits for the first byte, when it does not wait for ever.
    pub(super) fn patience(&self, id: DescriptionId) -> Option<u64> {
        let description = self.kernel.files.description(id);
        match &description.object {
            Object::Terminal(end) if !end.master && !description.nonblocking() => {
                self.kernel.shared.terminals.get(end.number)?.discipline.patience()
            }
            _ => None,
        }
    }

    /// Opens the slave of terminal `number`, which then controls a session without a terminal whose leader does that.
    pub(super) fn open_slave(&mut self, number: u32, plain: bool) -> Result<Object, Errno> {
        let end = self.kernel.shared.terminals.open(number)?;
        if !plain {
            // A session that has a terminal already just opens another.
            let _ = self.kernel.acquire(Tty::Slave(number));
        }
        Ok(Object::Terminal(end))
    }

    /// /dev/tty: the terminal that controls the process's session.
    pub(super) fn controlling_terminal(&mut self) -> Result<Object, Errno> {
        let session = self.kernel.process().session;
        if let Some(number) = self.kernel.shared.terminals.controlling(session) {
            return Ok(Object::Terminal(self.kernel.shared.terminals.open(number)?));
        }
        if !self.kernel.is_controlled_by(Tty::Inherited) {
            return Err(Errno::ENXIO);
        }
        let is_one = |object: &&Object| matches!(object, Object::Stream(stream) if stream.terminal);
        self.kernel.files.objects().find(is_one).cloned().ok_or(Errno::ENXIO)
    }
}

/// The requests about whom a terminal controls; `None` for others.
pub(super) fn control_request(
    call: &mut Call<'_>,
    id: DescriptionId,
    request: u32,
    argument: u64,
) -> Result<Option<u64>, Stop> {
    let Some(tty) = call.kernel.tty(id) else { return Ok(None) };
    match request {
        TIOCGPGRP | TIOCGSID => {
            if !call.kernel.is_controlled_by(tty) {
                return Err(Errno::ENOTTY.into());
            }
            let control = call.kernel.control(tty);
            let found = if request == TIOCGPGRP { control.foreground } else { control.session };
            call.memory().write_u32(argument, found.unwrap_or(0).cast_unsigned())?;
        }
        TIOCSPGRP => set_foreground(call, tty, argument)?,
        TIOCSCTTY => call.kernel.acquire(tty)?,
        TIOCNOTTY => {
            let Process { pid, session, .. } = *call.kernel.process();
            if !call.kernel.is_controlled_by(tty) {
                return Err(Errno::ENOTTY.into());
            }
            if pid == session {
                call.kernel.shared.terminals.leave(session);
                call.kernel.send_notices();
            }
        }
        TCSETS | TCSETSW | TCSETSF | TCSETS2 | TCSETSW2 | TCSETSF2 | TCFLSH | TCXONC | TCSBRK | TCSBRKP => {
            call.admit_to(tty, SIGTTOU)?;
            return Ok(None);
        }
        _ => return Ok(None),
    }
    Ok(Some(0))
}

/// TIOCSPGRP
fn set_foreground(call: &mut Call<'_>, tty: Tty, argument: u64) -> Result<(), Stop> {
    match call.admit_to(tty, SIGTTOU) {
        Err(Stop::Error(Errno::EIO)) => return Err(Errno::ENOTTY.into()),
        admitted => admitted?,
    }
    if !call.kernel.is_controlled_by(tty) {
        return Err(Errno::ENOTTY.into());
    }
    let group: Pid = call.memory().read_u32(argument)?.cast_signed();
    if group < 0 {
        return Err(Errno::EINVAL.into());
    }
    let session = call.kernel.process().session;
    match call.kernel.processes.session_of_group(group) {
        None => return Err(Errno::ESRCH.into()),
        Some(other) if other != session => return Err(Errno::EPERM.into()),
        Some(_) => call.kernel.set_control(tty, Control { session: Some(session), foreground: Some(group) }),
    }
    Ok(())
}

/// ioctl(2) on an end of one of the machine's terminals.
pub(super) fn request(call: &mut Call<'_>, id: DescriptionId, request: u32, argument: u64) -> SyscallResult {
    let Object::Terminal(end) = call.kernel.files.description(id).object else { return Err(Errno::ENOTTY.into()) };
    let hung_up = !end.master && !call.kernel.shared.terminals.numbers().any(|number| number == end.number);
    if hung_up {
        return Err(if request == TIOCSPGRP { Errno::ENOTTY } else { Errno::EIO }.into());
    }
    if let Some(answer) = control_request(call, id, request, argument)? {
        return Ok(answer);
    }
    if end.master
        && let Some(answer) = master_request(call, end, request, argument)?
    {
        return Ok(answer);
    }
    match request {
        TCGETS | TCGETS2 => {
            let bytes = terminal(call, end)?.discipline.settings.to_bytes();
            let length = if request == TCGETS { TERMIOS_SIZE } else { bytes.len() };
            call.memory().write(argument, &bytes[..length])?;
        }
        TCSETS | TCSETSW | TCSETSF | TCSETS2 | TCSETSW2 | TCSETSF2 => {
            let settings = Settings::from_bytes(&call.memory().read_array(argument)?);
            change(call, end, |discipline| {
                if matches!(request, TCSETSF | TCSETSF2) {
                    discipline.flush_input();
                }
                discipline.set(settings);
            })?;
        }
        TIOCGWINSZ => {
            let size = terminal(call, end)?.size;
            call.memory().write(argument, &size.0)?;
        }
        TIOCSWINSZ => {
            let size = WindowSize(call.memory().read_array(argument)?);
            call.kernel.shared.terminals.resize(end.number, size);
            call.kernel.send_notices();
        }
        TCFLSH => {
            let (input, output) = match argument {
                TCIFLUSH => (true, false),
                TCOFLUSH => (false, true),
                TCIOFLUSH => (true, true),
                _ => return Err(Errno::EINVAL.into()),
            };
            // From the master's side the directions are the other way round.
            let (input, output) = if end.master { (output, input) } else { (input, output) };
            change(call, end, |discipline| {
                if input {
                    discipline.flush_input();
                }
                if output {
                    discipline.flush_output();
                }
            })?;
        }
        TCXONC => flow(call, end, argument)?,
        // Nothing is ever on its way.
        TCSBRK | TCSBRKP => {}
        TIOCOUTQ | TIOCGETD => call.memory().write_u32(argument, 0)?,
        _ => return Err(Errno::ENOTTY.into()),
    }
    Ok(0)
}

fn terminal<'a>(call: &'a mut Call<'_>, end: TerminalEnd) -> Result<&'a mut Terminal, Errno> {
    call.kernel.shared.terminals.get_mut(end.number).ok_or(Errno::EIO)
}

/// Changes a terminal's line discipline; both ends' waiters look again.
fn change(call: &mut Call<'_>, end: TerminalEnd, change: impl FnOnce(&mut Discipline)) -> Result<(), Errno> {
    let terminal = terminal(call, end)?;
    change(&mut terminal.discipline);
    terminal.changed();
    Ok(())
}

/// TCXONC: stops and starts output, or asks the other side to.
fn flow(call: &mut Call<'_>, end: TerminalEnd, action: u64) -> Result<(), Errno> {
    change(call, end, |discipline| match action {
        TCOOFF => discipline.stopped = true,
        TCOON => discipline.stopped = false,
        TCIOFF => discipline.show(&[discipline.settings.codes[VSTOP]]),
        TCION => discipline.show(&[discipline.settings.codes[VSTART]]),
        _ => {}
    })?;
    if action > TCION { Err(Errno::EINVAL) } else { Ok(()) }
}

/// The requests that only the master knows; `None` for others.
fn master_request(call: &mut Call<'_>, end: TerminalEnd, request: u32, argument: u64) -> Result<Option<u64>, Stop> {
    let control = terminal(call, end)?.control;
    match request {
        TIOCGPTN => call.memory().write_u32(argument, end.number)?,
        TIOCSPTLCK => {
            let locked = call.memory().read_u32(argument)? != 0;
            terminal(call, end)?.locked = locked;
        }
        TIOCGPTLCK => {
            let locked = u32::from(terminal(call, end)?.locked);
            call.memory().write_u32(argument, locked)?;
        }
        TIOCGPTPEER => {
            let flags = u32::try_from(argument & 0xffff_ffff).map_err(|_| Errno::EINVAL)?;
            let slave = call.open_slave(end.number, flags & O_NOCTTY != 0)?;
            return call.open(slave, kept_flags(flags), flags & O_CLOEXEC != 0).map(Some);
        }
        // Of the slave, whomever it controls.
        TIOCGPGRP => call.memory().write_u32(argument, control.foreground.unwrap_or(0).cast_unsigned())?,
        TIOCGSID => {
            let session = control.session.ok_or(Errno::ENOTTY)?;
            call.memory().write_u32(argument, session.cast_unsigned())?;
        }
        TIOCSPGRP => set_foreground(call, Tty::Slave(end.number), argument)?,
        TIOCSCTTY | TIOCNOTTY => return Err(Errno::ENOTTY.into()),
        _ => return Ok(None),
    }
    Ok(Some(0))
}
