//! Timers that run out, and the signals that they send.

use warmfork_abi::signals::{SIGALRM, SIGPROF, SIGVTALRM};

use crate::host::Host;
use crate::ids::Pid;
use crate::process::Process;
use crate::processes::ProcessTable;
use crate::signal::{SignalInfo, Source, Target};
use crate::timers::{Counter, Notify};

/// How often a timer whose signal has no effect is looked at, in nanoseconds.
const IGNORED_PERIOD: u64 = 1_000_000;

impl ProcessTable {
    /// When the next timer of the current process runs out, in monotonic nanoseconds, if its current thread runs until then.
    #[must_use]
    pub(crate) fn next_timer(&self, host: &Host) -> Option<u64> {
        let process = Some(self.current()).filter(|process| !process.timers.none_armed())?;
        process.next_timer(host.monotonic(), self.cpu_time(host, process))
    }

    /// Sends the signals of every timer of process `pid` that has run out.
    pub fn expire_timers(&mut self, host: &Host, pid: Pid) {
        let Some(process) = self.find(pid).filter(|process| !process.timers.none_armed()) else { return };
        let (now, cpu) = (host.monotonic(), self.cpu_time(host, process));
        self.signal(pid, |process| process.expire_timers(now, cpu));
    }
}

impl Process {
    /// When the next timer runs out, in monotonic nanoseconds, if the current thread runs until then; it is `now`, and the
    /// process has had `cpu` nanoseconds of CPU time.
    fn next_timer(&self, now: u64, cpu: u64) -> Option<u64> {
        let process = self.timers.cpu.iter().filter_map(|countdown| Some((Counter::Process, countdown.deadline?)));
        let passes = |counter| counter == Counter::Process || counter == Counter::Thread(self.tasks.current);
        let posix = self.timers.posix.values().filter(|timer| !timer.queued && passes(timer.counter));
        let posix = posix.filter_map(|timer| Some((timer.counter, timer.countdown.deadline?)));
        let left = |(counter, at): (Counter, u64)| at.saturating_sub(self.counted(counter, now, cpu));
        let counted = process.chain(posix).map(|timer| now.saturating_add(left(timer)));
        counted.chain(self.timers.next_deadline()).min()
    }

    /// Sends the signals of every timer that has run out by `now` (monotonic), having had `cpu` nanoseconds of CPU time.
    fn expire_timers(&mut self, now: u64, cpu: u64) {
        self.expire_real(now);
        for (index, signal) in [SIGVTALRM, SIGPROF].into_iter().enumerate() {
            if self.timers.cpu[index].advance(cpu) > 0 {
                // Signals of this kind are never refused.
                let _ = self.send(Target::Runner(self.tasks.current), SignalInfo::kernel(signal), None);
            }
        }
        for id in self.timers.sending() {
            self.expire_posix(id, now, cpu);
        }
    }

    fn expire_real(&mut self, now: u64) {
        if self.timers.real_queued || self.timers.real.advance(now) == 0 {
            return;
        }
        let sent = self.send_timer_signal(Target::Process, SignalInfo::kernel(SIGALRM), Source::RealTimer);
        self.timers.real_queued = sent;
        if !sent {
            self.timers.real.advance(now.saturating_add(IGNORED_PERIOD));
        }
    }

    fn expire_posix(&mut self, id: i32, monotonic: u64, cpu: u64) {
        let Some(timer) = self.timers.posix.get(&id) else { return };
        let now = self.counted(timer.counter, monotonic, cpu);
        let Some(timer) = self.timers.posix.get_mut(&id) else { return };
        let Notify::Signal { signal, value, thread } = timer.notify else { return };
        let times = timer.countdown.advance(now);
        if times == 0 {
            return;
        }
        if timer.queued {
            timer.missed = timer.missed.saturating_add(times);
            return;
        }
        timer.missed = times - 1;
        let shared = match timer.counter {
            Counter::Monotonic => Target::Process,
            Counter::Process | Counter::Thread(_) => Target::Runner(self.tasks.current),
        };
        let target = thread.map_or(shared, Target::Thread);
        let sent = self.send_timer_signal(target, SignalInfo::timer(signal, id, value), Source::PosixTimer(id));
        if let Some(timer) = self.timers.posix.get_mut(&id) {
            timer.queued = sent;
            if !sent && timer.countdown.interval > 0 {
                timer.countdown.advance(now.saturating_add(IGNORED_PERIOD));
            }
        }
    }

    /// The value of `counter` when the monotonic clock shows `monotonic` and the process has had `cpu` nanoseconds of CPU time.
    #[must_use]
    pub fn counted(&self, counter: Counter, monotonic: u64, cpu: u64) -> u64 {
        match counter {
            Counter::Monotonic => monotonic,
            Counter::Process => cpu,
            Counter::Thread(tid) => self.thread_cpu_time(tid, cpu),
        }
    }

    /// Forgets the pending signal of POSIX timer `id`, which is being set anew or deleted.
    pub fn forget_timer_signal(&mut self, id: i32) {
        let source = Source::PosixTimer(id);
        self.signals.pending.discard_source(source);
        for task in self.tasks.iter_mut() {
            task.signals.pending.discard_source(source);
        }
        self.timers.signal_dropped(source);
    }
}
