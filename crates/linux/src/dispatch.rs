//! From a trapped system call to its answer.

use log::{Level, log_enabled, warn};
use warmfork_abi::numbers::{ACCEPT, ACCEPT4};
use warmfork_abi::signals::SIGKILL;
use warmfork_abi::{Errno, Registers};

use crate::call::{Call, ExecRequest, Guest, Stop, low};
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::process::Ending;
use crate::processes::Forked;
use crate::signal::Interrupted;
use crate::table::{self, Entry};
use crate::task::Restart;
use crate::trace;

/// The outcome of a system call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entered {
    /// The thread goes on from its registers.
    Continue,
    /// The thread sleeps; another may run.
    Blocked,
    /// The thread could go on, but others shall run first.
    Yielded,
    /// The thread is gone; another may run.
    ThreadEnded,
    /// The process is gone, and another one is the current one now.
    ProcessEnded,
    /// A process has been made and needs memory: a copy of its maker's, which is the current process. Then (or when
    /// that failed) `rax` is to be set and the thread goes on.
    Forked(Forked),
    /// A program is to be loaded, see [`Kernel::execute`]. If that fails, `rax` is to be set and the thread goes on.
    Exec(Box<ExecRequest>),
    /// The machine is over.
    Ended(Ending),
}

impl Kernel {
    /// Answers the system call that thread `tid` has just made (`orig_rax`, arguments), or tries it again when the
    /// thread's state is [`State::Retry`](crate::task::State::Retry).
    pub fn enter(&mut self, host: &mut Host, guest: &mut dyn Guest, registers: &mut Registers, tid: Tid) -> Entered {
        host.asking = tid;
        let retried = self.process_mut().tasks.begin_call(tid);
        if retried.is_none() {
            host.guest_ran();
            let task = self.process_mut().tasks.get_mut(tid);
            task.restart = Restart::default();
            if let Some(given_up) = task.opening.take() {
                self.shared.orphans.extend(given_up.reader);
                self.release_orphans(host);
            }
        }
        // Linux takes the low half of the register.
        let number = registers.orig_rax & 0xffff_ffff;
        let entry = table::find(number);
        let Some((entry, handler)) = entry.and_then(|entry| Some((entry, entry.handler?))) else {
            host.unknown(number, entry.map_or("unknown", |entry| entry.name));
            registers.rax = Errno::ENOSYS.as_result();
            return Entered::Continue;
        };
        let args = registers.arguments();
        self.push_before(host, entry, args);
        self.watch_call(host, entry, args);
        let mut call = Call { kernel: self, host, guest: &mut *guest, registers, tid, args };
        let result = handler(&mut call);
        if log_enabled!(target: trace::TARGET, Level::Debug) {
            trace::answered(guest.memory(), tid, entry, args, &result);
        }
        match result {
            Ok(value) => {
                registers.rax = value;
                if entry.joins {
                    self.offer_gathering(host, low(args[0]).cast_signed());
                }
            }
            Err(Stop::Error(error)) => registers.rax = error.as_result(),
            Err(Stop::Resumed) => {}
            Err(Stop::Yield) => {
                registers.rax = 0;
                return Entered::Yielded;
            }
            Err(Stop::ExitThread) => {
                self.end_thread(guest.memory(), tid);
                return Entered::ThreadEnded;
            }
            Err(Stop::ExitProgram(ending)) => return self.end_process(host, guest.memory(), ending),
            Err(Stop::Fork(forked)) => {
                host.gate.disqualify();
                return Entered::Forked(forked);
            }
            Err(Stop::Exec(request)) => return Entered::Exec(request),
            Err(Stop::Block(wait)) => {
                self.push(host);
                return self.block(registers, tid, wait);
            }
        }
        // A wait with its own mask that ended in success leaves that mask behind, as Linux does.
        drop(retried);
        let pid = self.process().pid;
        self.processes.expire_timers(host, pid);
        Entered::Continue
    }

    /// The guest makes a call: sends the bytes that were held back, unless the call adds to them.
    fn push_before(&mut self, host: &mut Host, entry: &Entry, arguments: [u64; 6]) {
        if host.coalescer.is_holding() && !(entry.joins && self.holds_back(host, arguments[0])) {
            self.push(host);
        }
    }

    /// Sends the bytes that were held back.
    pub fn push(&mut self, host: &mut Host) {
        let Some((handle, error)) = host.coalescer.push() else { return };
        for object in self.files.objects_mut() {
            if let Object::Socket(socket) = object
                && *socket.handle() == handle
            {
                socket.broke(error);
            }
        }
    }

    /// Offers the guest to add to the bytes that are held back by itself, after it has added some by descriptor `fd`. A program
    /// that is traced or watched makes each of its calls here.
    fn offer_gathering(&self, host: &mut Host, fd: i32) {
        if host.coalescer.is_holding() && !host.gate.is_watching() && !log_enabled!(target: trace::TARGET, Level::Debug)
        {
            host.coalescer.offer(self.process().pid, fd);
        }
    }

    /// Whether descriptor `fd` is the socket whose bytes are held back.
    fn holds_back(&self, host: &Host, fd: u64) -> bool {
        self.process().descriptors.lookup(low(fd).cast_signed()).is_ok_and(|id| {
            match &self.files.description(id).object {
                Object::Socket(socket) => host.coalescer.holds(socket.handle()),
                _ => false,
            }
        })
    }

    /// Looks at the call that the program is about to make, if it is watched after an early accept.
    fn watch_call(&self, host: &mut Host, entry: &Entry, arguments: [u64; 6]) {
        if host.gate.is_watching() && !entry.early.allows(self, host, arguments) {
            let why = if matches!(entry.number, ACCEPT | ACCEPT4) { " for the client's address" } else { "" };
            let name = entry.name;
            log::info!("each fork accepts by itself: the program calls {name}{why} before it waits for a request");
            host.gate.disqualify();
        }
    }

    fn block(&mut self, registers: &mut Registers, tid: Tid, wait: crate::wait::Wait) -> Entered {
        let mut due = self.process().signal_due(tid, wait.mask);
        if wait.uninterruptible {
            due = self.process().pending_signals(tid) & 1 << (SIGKILL - 1) != 0;
        }
        let task = self.process_mut().tasks.get_mut(tid);
        let moved = if task.restart.messages > 0 { task.restart.messages } else { task.restart.progress };
        if due && moved > 0 && !wait.uninterruptible {
            registers.rax = moved;
            return Entered::Continue;
        }
        if due {
            registers.rax = Errno::EINTR.as_result();
            task.signals.interrupted = Some(Interrupted { wait });
            return Entered::Continue;
        }
        self.process_mut().tasks.block(tid, wait);
        Entered::Blocked
    }
}

impl Host {
    /// Counts a call that is not there or refused; whether it is the first. All numbers that Linux does not know count
    /// as one, so that no guest can fill the host's memory or log with them.
    pub fn count_unknown(&mut self, number: u64) -> bool {
        let number = if table::find(number).is_some() { number } else { u64::MAX };
        let count = self.unknown_calls.entry(number).or_insert(0);
        *count += 1;
        *count == 1
    }

    /// Names a call that is not there in the log, once.
    fn unknown(&mut self, number: u64, name: &'static str) {
        if self.count_unknown(number) {
            warn!("system call {number} ({name}) is not supported: the guest gets ENOSYS");
        }
    }
}
