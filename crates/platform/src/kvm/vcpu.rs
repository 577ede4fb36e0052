//! One virtual CPU: loads a context, runs it, and says why it stopped, with the registers of ring 3 at that moment.
//!
//! ```text
//!   where the CPU is          how a context is loaded
//!   ring 0, at `out`          answer to a system call: at `sysretq`; anything else: a frame, at `iretq`
//!   ring 3                    the registers as they are
//!   other segments            KVM_SET_SREGS, which also brings it to ring 3
//!   other bases, vector state by code of ring 3 (resume.rs), on the way into the context
//! ```
//!
//! Registers travel in the page that KVM shares with this process: the steady state makes no call but KVM_RUN.

use std::cell::Cell;
use std::sync::Arc;

use kvm_bindings::{kvm_regs, kvm_sregs};
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd};
use warmfork_abi::Registers;
use warmfork_abi::registers::{RFLAGS_AT_ENTRY, RFLAGS_USER, USER_CS, USER_SS};

use super::context::{Segments, general, saved_segments, segments, store};
use super::gather::{self, Progress};
use super::interrupt::{self, KvmInterrupter};
use super::resume::{self, Resume};
use super::tables::KernelMemory;
use super::vm::{Trap, data_segment, failed, set_msrs, user_mode};
use super::{exceptions, guest, layout, selectors};
use crate::alarm::Bell;
use crate::{Interrupter, PlatformError};

const MSR_FS_BASE: u32 = 0xc000_0100;
const MSR_GS_BASE: u32 = 0xc000_0101;
/// RFLAGS.TF
pub const TRAP_FLAG: u64 = 1 << 8;
/// RF and TF: `sysret` drops the one, and takes the other for its own.
const STEPS: u64 = 1 << 16 | TRAP_FLAG;
/// RFLAGS in ring 0: nothing but the bit that is always one.
const RFLAGS_RING0: u64 = 2;

/// Why the CPU stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// At a system call.
    Syscall,
    /// For an exception of ring 3. The address is that of a page fault.
    Exception { vector: u64, error: u64, address: u64 },
    /// Ring 3 used the system call's port by itself.
    Port,
    /// A signal came for this thread.
    Interrupted,
    /// The host refused an access to the guest's memory, which KVM does not name.
    Refused,
    /// It cannot go on.
    Broken,
}

/// Where the CPU has stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// In ring 3.
    User,
    /// In a stub that a system call entered.
    SyscallStub,
    /// In another stub.
    Stub,
}

/// The virtual CPU.
pub struct Vcpu {
    /// Before the interrupter that it uses.
    bell: Box<Bell>,
    fd: VcpuFd,
    trap: Trap,
    segments: Segments,
    at: At,
    interrupter: Arc<KvmInterrupter>,
    /// The state for the guest to load beside its registers.
    pub resume: Resume,
    /// That has been prepared, and the guest runs it.
    resuming: bool,
    /// Times that the guest was entered.
    pub entries: u64,
    calls: Cell<u64>,
}

impl Vcpu {
    pub fn new(mut fd: VcpuFd, trap: Trap) -> Result<Self, PlatformError> {
        let interrupter = Arc::new(KvmInterrupter::new(&raw mut fd.get_kvm_run().immediate_exit)?);
        Ok(Self {
            bell: Bell::new(interrupt::ring, Arc::as_ptr(&interrupter).cast()),
            fd,
            trap,
            segments: Segments::default(),
            at: At::User,
            interrupter,
            resume: Resume::default(),
            resuming: false,
            entries: 0,
            calls: Cell::new(0),
        })
    }

    /// KVM's handle, for one call that is seldom needed.
    pub fn fd(&self) -> &VcpuFd {
        self.calls.set(self.calls.get() + 1);
        &self.fd
    }

    /// Calls of KVM other than KVM_RUN.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    pub fn interrupter(&self) -> Arc<dyn Interrupter> {
        Arc::<KvmInterrupter>::clone(&self.interrupter)
    }

    /// Has the thread's alarm interrupt this CPU from now on; whether it has rung already.
    pub fn aim_alarm(&self) -> bool {
        self.bell.aim()
    }

    /// Whether a stub of ring 0 answers system calls.
    pub fn has_stub(&self) -> bool {
        self.trap == Trap::Ring0
    }

    /// Takes an interrupt that has been asked for.
    pub fn take_interrupt(&self) -> bool {
        self.interrupter.take()
    }

    /// Loads `registers`. RIP must be canonical.
    pub fn load(&mut self, memory: &KernelMemory, registers: &Registers) -> Result<(), PlatformError> {
        self.load_segments(registers)?;
        let flags = registers.rflags & RFLAGS_USER | RFLAGS_AT_ENTRY;
        let mut regs = general(registers);
        self.resuming = self.resume.is_due();
        if self.resuming {
            self.resume.prepare(memory, registers, (self.segments.fs_base, self.segments.gs_base));
            regs.rip = layout::RESUME;
        }
        let start = regs.rip;
        regs.rflags = RFLAGS_RING0;
        if self.at == At::User {
            regs.rflags = flags;
        } else if self.at == At::SyscallStub && start == registers.rcx && flags == registers.r11 && flags & STEPS == 0 {
            regs.rip = layout::STUBS + layout::SYSRET_STUB;
        } else {
            let frame = layout::DATA + layout::IRET_FRAME as u64;
            for (at, word) in (frame..).step_by(8).zip([start, USER_CS, flags, registers.rsp, USER_SS]) {
                memory.set(at, word);
            }
            regs.rip = layout::STUBS + layout::IRET_STUB;
            regs.rsp = frame;
        }
        self.fd.sync_regs_mut().regs = regs;
        self.fd.set_sync_dirty_reg(SyncReg::Register);
        Ok(())
    }

    fn load_segments(&mut self, registers: &Registers) -> Result<(), PlatformError> {
        let wanted = segments(registers);
        if self.selectors_left() {
            // Whatever was here before, maybe another guest.
            selectors::load(wanted.selectors)?;
            self.segments.selectors = wanted.selectors;
        }
        // Where ring 0 is emulated, `iretq` does not take a stack pointer that is no address.
        let at_once = self.at != At::User && !guest::is_canonical(registers.rsp);
        if wanted == self.segments && !at_once {
            return Ok(());
        }
        if wanted.selectors == self.segments.selectors && !at_once {
            let stepped = registers.rflags & TRAP_FLAG != 0;
            if stepped {
                self.set_bases(wanted.fs_base, wanted.gs_base)?;
            }
            self.resume.set_bases((!stepped).then_some((wanted.fs_base, wanted.gs_base)));
        } else {
            self.finish()?;
            let mut sregs = self.fd().get_sregs().map_err(failed("KVM_GET_SREGS"))?;
            user_mode(&mut sregs);
            let [ds, es, fs, gs] = wanted.selectors.map(data_segment);
            (sregs.ds, sregs.es, sregs.fs, sregs.gs) = (ds, es, fs, gs);
            (sregs.fs.base, sregs.gs.base) = (wanted.fs_base, wanted.gs_base);
            self.fd().set_sregs(&sregs).map_err(failed("KVM_SET_SREGS"))?;
            self.resume.set_bases(None);
            self.at = At::User;
        }
        self.segments = wanted;
        Ok(())
    }

    fn selectors_left(&self) -> bool {
        self.trap == Trap::Doorbell { selectors_left: true }
    }

    /// The segments that KVM told at this exit.
    fn told_segments(&mut self) -> Segments {
        let sregs = self.fd.sync_regs_mut().sregs;
        self.segments_of(&sregs)
    }

    fn segments_of(&self, sregs: &kvm_sregs) -> Segments {
        let told = || [sregs.ds, sregs.es, sregs.fs, sregs.gs].map(|segment| u64::from(segment.selector));
        Segments {
            fs_base: sregs.fs.base,
            gs_base: sregs.gs.base,
            selectors: if self.selectors_left() { selectors::own() } else { told() },
        }
    }

    /// Sets the bases of FS and GS at once.
    pub fn set_bases(&self, fs: u64, gs: u64) -> Result<(), PlatformError> {
        set_msrs(self.fd(), &[(MSR_FS_BASE, fs), (MSR_GS_BASE, gs)])
    }

    /// The guest has come past the code that loads what registers do not hold.
    fn resumed(&mut self) {
        if std::mem::take(&mut self.resuming) {
            self.resume.done();
        }
    }

    /// Lets KVM finish the instruction that it has stopped in.
    fn finish(&mut self) -> Result<(), PlatformError> {
        self.entries += 1;
        self.interrupter.hurry();
        let ended = self.fd.run().map(drop);
        self.interrupter.settle();
        match ended {
            Err(error) if error.errno() != libc::EINTR => Err(failed("KVM_RUN")(error)),
            _ => Ok(()),
        }
    }

    /// Runs the loaded context until it stops; `registers` are then those of ring 3.
    pub fn run(&mut self, memory: &KernelMemory, registers: &mut Registers) -> Result<Stop, PlatformError> {
        self.entries += 1;
        self.interrupter.enter();
        let exit = self.fd.run();
        self.interrupter.leave();
        let stop = match exit {
            Ok(VcpuExit::IoOut(layout::SYSCALL_PORT, _)) => Stop::Syscall,
            Ok(VcpuExit::IoOut(layout::EXCEPTION_PORT, _)) => Stop::Exception { vector: 0, error: 0, address: 0 },
            Ok(VcpuExit::IoIn(layout::SYSCALL_PORT, _)) if self.trap.is_doorbell() => Stop::Port,
            Ok(VcpuExit::Intr) => Stop::Interrupted,
            Ok(VcpuExit::MemoryFault { .. }) => Stop::Refused,
            Ok(exit) => {
                log::warn!("the guest's CPU stopped: {exit:?}");
                Stop::Broken
            }
            Err(error) => match error.errno() {
                libc::EINTR | libc::EAGAIN => Stop::Interrupted,
                libc::EFAULT => Stop::Refused,
                _ => return Err(failed("KVM_RUN")(error)),
            },
        };
        match stop {
            Stop::Syscall => self.system_call(memory, registers),
            Stop::Exception { .. } => Ok(self.exception(memory, registers)),
            Stop::Interrupted | Stop::Refused => self.inside(memory, registers, stop),
            Stop::Port => {
                self.stopped_in_user(registers)?;
                self.finish()?;
                Ok(Stop::Port)
            }
            Stop::Broken => Ok(Stop::Broken),
        }
    }

    fn system_call(&mut self, memory: &KernelMemory, registers: &mut Registers) -> Result<Stop, PlatformError> {
        self.resumed();
        let regs = self.fd.sync_regs_mut().regs;
        match self.trap {
            Trap::Ring0 => {
                self.segments = saved_segments(memory);
                self.at = At::SyscallStub;
            }
            Trap::Doorbell { .. } => {
                self.segments = self.told_segments();
                self.at = At::User;
                // KVM may or may not have stepped over the instruction already.
                if !(layout::DOORBELL..=layout::DOORBELL + layout::DOORBELL_LENGTH as u64).contains(&regs.rip) {
                    store(registers, &regs, self.segments);
                    return Ok(Stop::Port);
                }
            }
        }
        store(registers, &regs, self.segments);
        registers.rip = regs.rcx;
        registers.rflags = regs.r11 & RFLAGS_USER | RFLAGS_AT_ENTRY;
        Ok(Stop::Syscall)
    }

    fn exception(&mut self, memory: &KernelMemory, registers: &mut Registers) -> Stop {
        let regs = self.fd.sync_regs_mut().regs;
        let mut frame = [0; layout::EXCEPTION_FRAME_WORDS];
        for (at, word) in (regs.rsp..).step_by(8).zip(&mut frame) {
            *word = if (layout::DATA..layout::DATA + 0xff9).contains(&at) { memory.get(at) } else { 0 };
        }
        let [vector, error, rip, cs, rflags, rsp, _] = frame;
        if cs & 3 != 3 {
            let faulted = (vector, rip) == (exceptions::PAGE_FAULT, layout::STUBS + layout::GATHER_COPY);
            if let (true, Some((_, call))) = (faulted, gather::interrupted(memory, &kvm_regs { rip, rsp, ..regs })) {
                // The piece is not where the guest says, or there is no page yet.
                self.leave_gathering(registers, &call, saved_segments(memory));
                return Stop::Syscall;
            }
            log::warn!("the guest's CPU took exception {vector} (error {error:#x}) outside of user code, at {rip:#x}");
            return Stop::Broken;
        }
        // An emulated `iretq` of ring 3 loads code segments that no CPU takes: as if it had been refused.
        let refused = (exceptions::GENERAL_PROTECTION, cs & 0xfffc);
        let (vector, error) = if cs == USER_CS { (vector, error) } else { refused };
        if self.resuming && resume::holds(rip) {
            // It may have jumped there by itself.
            log::debug!("the guest's CPU took exception {vector} (error {error:#x}) where it loads a context");
        }
        self.resumed();
        let address = match self.trap {
            Trap::Ring0 => {
                self.segments = saved_segments(memory);
                memory.get(layout::DATA + layout::SAVED_CR2 as u64)
            }
            Trap::Doorbell { .. } => {
                self.segments = self.told_segments();
                self.fd.sync_regs_mut().sregs.cr2
            }
        };
        self.at = At::Stub;
        store(registers, &regs, self.segments);
        (registers.rip, registers.rsp, registers.rflags) = (rip, rsp, rflags & RFLAGS_USER | RFLAGS_AT_ENTRY);
        Stop::Exception { vector, error, address }
    }

    /// The CPU stopped somewhere, maybe in a stub.
    fn inside(&mut self, memory: &KernelMemory, registers: &mut Registers, stop: Stop) -> Result<Stop, PlatformError> {
        let regs = self.fd.sync_regs_mut().regs;
        let sregs = self.fd().get_sregs().map_err(failed("KVM_GET_SREGS"))?;
        let in_doorbell = self.trap.is_doorbell() && regs.rip == layout::DOORBELL;
        if sregs.cs.dpl == 3 && self.resuming && resume::holds(regs.rip) {
            // Not in its context yet: `registers` are still what was loaded, and the rest is loaded again.
            self.at = At::User;
            self.forget_events()?;
            return Ok(stop);
        }
        if sregs.cs.dpl == 3 && !in_doorbell {
            self.stopped_in_user(registers)?;
            // The instruction is done that KVM stepped: nothing else would tell of it.
            let stepped = self.forget_events()? == Some(exceptions::DEBUG);
            let trap = Stop::Exception { vector: exceptions::DEBUG, error: 0, address: 0 };
            return Ok(if stepped { trap } else { stop });
        }
        if let (0, Some((progress, call))) = (sregs.cs.dpl, gather::interrupted(memory, &regs)) {
            self.leave_gathering(registers, &call, self.segments_of(&sregs));
            self.forget_events()?;
            return Ok(if progress == Progress::Begun { Stop::Syscall } else { Stop::Interrupted });
        }
        if stop == Stop::Refused {
            log::warn!("the host refused the guest's CPU its kernel pages at {:#x}", regs.rip);
            return Ok(Stop::Broken);
        }
        let on_the_way = [layout::SYSRET_STUB, layout::IRET_STUB].iter().any(|stub| layout::STUBS + stub == regs.rip);
        if on_the_way && sregs.cs.dpl == 0 {
            // Not in ring 3 yet: `registers` are still what was loaded.
            self.at = At::Stub;
            self.forget_events()?;
            return Ok(stop);
        }
        // A stub is a few instructions long and ends with an exit, unless it gathers. The interrupt is for what comes after that.
        gather::stop(memory);
        let asked = self.interrupter.take();
        let stop = self.run(memory, registers);
        if asked {
            self.interrupter.ask();
        }
        stop
    }

    /// The CPU stopped where it gathers: ring 3 gets the registers of `call`, before or after that.
    fn leave_gathering(&mut self, registers: &mut Registers, call: &kvm_regs, segments: Segments) {
        self.resumed();
        self.segments = segments;
        self.at = At::Stub;
        store(registers, call, segments);
        (registers.rip, registers.rflags) = (call.rcx, call.r11 & RFLAGS_USER | RFLAGS_AT_ENTRY);
    }

    fn stopped_in_user(&mut self, registers: &mut Registers) -> Result<(), PlatformError> {
        self.resumed();
        let sregs = self.fd().get_sregs().map_err(failed("KVM_GET_SREGS"))?;
        let regs = self.fd.sync_regs_mut().regs;
        self.segments = self.segments_of(&sregs);
        self.at = At::User;
        store(registers, &regs, self.segments);
        registers.rflags = regs.rflags & RFLAGS_USER | RFLAGS_AT_ENTRY;
        Ok(())
    }

    /// Drops the exception that KVM was about to raise, and says its vector. A fault's instruction raises it again when it
    /// is run again; a trap's does not.
    fn forget_events(&mut self) -> Result<Option<u64>, PlatformError> {
        let mut events = self.fd().get_vcpu_events().map_err(failed("KVM_GET_VCPU_EVENTS"))?;
        if events.exception.injected == 0 && events.exception.pending == 0 {
            return Ok(None);
        }
        events.exception.injected = 0;
        events.exception.pending = 0;
        self.fd().set_vcpu_events(&events).map_err(failed("KVM_SET_VCPU_EVENTS"))?;
        Ok(Some(events.exception.nr.into()))
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        self.interrupter.close();
    }
}
