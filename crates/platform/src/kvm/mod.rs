//! The kvm platform: a guest is a virtual machine whose memory is this process's, and whose only kernel is a page of
//! stubs.
//!
//! ```text
//!   this process                                     virtual machine
//!   run(registers)  --KVM_RUN-->                     ring 3: guest code ... syscall
//!                   <-- exit for a port --           ring 0: stub: out          (or a doorbell in ring 3)
//!   map(span): mmap in the arena, areas              page tables: filled as the guest touches its memory
//! ```
//!
//! `layout` has the content of the guest's kernel pages; `vm` makes a machine; `vcpu` runs it; `arena`, `areas` and `tables`
//! are its memory, which `memory` keeps in step.

mod access;
mod areas;
mod arena;
mod context;
mod cpuid;
mod exceptions;
mod gather;
mod guest;
mod interrupt;
mod layout;
mod maps;
mod memory;
mod pool;
mod probe;
mod put_back;
mod resume;
mod selectors;
mod state;
mod tables;
mod vcpu;
mod vm;

use std::cell::RefCell;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use warmfork_abi::{PAGE, Registers, USER_END, page_down};
use warmfork_memory::{GuestMemory, Span};

use self::exceptions::Details;
use self::memory::{Memory, TouchOutcome};
use self::put_back::LastPutBack;
use self::state::State;
use self::vcpu::{Stop, TRAP_FLAG, Vcpu};
use self::vm::Vm;
use crate::touched::Touched;
use crate::{Counts, Exit, Gathered, Interrupter, Mapping, Platform, PlatformError, Pristine};

pub use probe::{KvmError, ProbeResult, probe};

/// Times in a row that the host may refuse the guest's CPU a page before the guest is given up.
const REFUSALS: u32 = 8;

/// A guest in a virtual machine.
pub struct KvmPlatform {
    vcpu: Vcpu,
    /// In a cell: reading the guest's memory may have the host map it first.
    memory: RefCell<Memory>,
    state: State,
    touched: Touched,
    last_put_back: LastPutBack,
    /// Page tables filled.
    fills: u64,
    /// Keeps the platform on its thread, whose faults `touched` counts and to which interrupts go.
    thread: PhantomData<*const ()>,
}

impl KvmPlatform {
    /// A virtual machine with nothing mapped, in huge pages of the host's if it may.
    ///
    /// # Errors
    /// [`PlatformError`] when this host's KVM cannot run guests; [`probe`] says why.
    pub fn new(huge_pages: bool) -> Result<Self, PlatformError> {
        let found = probe().map_err(|error| PlatformError::Host {
            operation: "making a virtual machine",
            source: std::io::Error::other(error.to_string()),
        })?;
        let mut platform = Self::with(pool::take(found.trap)?)?;
        platform.memory.get_mut().arena.huge_pages = huge_pages;
        Ok(platform)
    }

    fn with(vm: Vm) -> Result<Self, PlatformError> {
        let Vm { vcpu, slots, arena, tables, trap, state, state_bytes } = vm;
        let vcpu = Vcpu::new(vcpu, trap)?;
        let pid = guest::own_pid();
        let memory = RefCell::new(Memory::new(arena, tables, slots, pid));
        let state = State { parts: state, bytes: state_bytes };
        let (touched, last_put_back) = (Touched::open(pid)?, LastPutBack::default());
        Ok(Self { vcpu, memory, state, touched, last_put_back, fills: 0, thread: PhantomData })
    }

    /// The exit for an exception; `None` when the guest can go on.
    fn exception(
        &mut self,
        vector: u64,
        error: u64,
        address: u64,
        registers: &mut Registers,
    ) -> Result<Option<Exit>, PlatformError> {
        if vector == exceptions::PAGE_FAULT {
            return self.page_fault(error, address, registers);
        }
        if vector == exceptions::INVALID_OPCODE
            && let Some(number) = self.software_interrupt(registers.rip)
        {
            return Ok(Some(guest::general_protection(u64::from(number) * 8 + 2)));
        }
        let mut details = Details::default();
        match vector {
            exceptions::DEBUG => details.single_step = state::take_single_step(self.vcpu.fd())?,
            exceptions::X87 | exceptions::SIMD => (details.x87, details.mxcsr) = state::float_status(self.vcpu.fd())?,
            _ => {}
        }
        Ok(Some(match exceptions::signal(vector, error, registers, details) {
            Some(info) => Exit::Exception(info),
            None => {
                log::warn!("the guest raised exception {vector} at {:#x}", registers.rip);
                Exit::Dead
            }
        }))
    }

    /// The number of the `int` at `address`: where ring 0 is emulated it raises #UD, elsewhere #GP.
    fn software_interrupt(&self, address: u64) -> Option<u8> {
        let mut code = [0; 2];
        let whole = self.read_some(address, &mut code) == code.len();
        (whole && code[0] == 0xcd).then_some(code[1])
    }

    /// Whether a CPU that had the host's page tables would find a page at `address`. To run a page that may only be read,
    /// Linux first reads it: the second fault is for the right.
    fn is_present(&self, address: u64, error: u64) -> bool {
        let page = Span { start: page_down(address), end: page_down(address) + PAGE };
        let mut present = [0];
        self.resident(page, &mut present);
        let accessible = self.memory.borrow().areas.find(address).is_some_and(|area| !area.protection.is_empty());
        accessible && (present == [1] || error & exceptions::FETCH != 0)
    }

    fn page_fault(
        &mut self,
        error: u64,
        address: u64,
        registers: &mut Registers,
    ) -> Result<Option<Exit>, PlatformError> {
        if guest::is_vsyscall(address, error, registers) && self.vsyscall(registers) {
            return Ok(Some(Exit::Syscall));
        }
        let error = error & (exceptions::PRESENT | exceptions::WRITE | exceptions::USER | exceptions::FETCH);
        let access =
            self.memory.get_mut().touch(address, error & exceptions::WRITE != 0, error & exceptions::FETCH != 0)?;
        let fault = match access {
            TouchOutcome::Filled => {
                self.fills += 1;
                return Ok(None);
            }
            TouchOutcome::Unmapped => exceptions::unmapped(address, error),
            TouchOutcome::NoRoom => {
                log::warn!("the guest's memory is full: it has touched more addresses than an arena holds");
                return Ok(Some(Exit::Dead));
            }
            TouchOutcome::BehindEnd => exceptions::behind_end(address, error),
            TouchOutcome::Forbidden => exceptions::forbidden(address, error, self.is_present(address, error)),
        };
        Ok(Some(Exit::Fault(fault)))
    }

    /// Does the host's part of a call of the vsyscall page: returns to its caller, with the call to answer.
    fn vsyscall(&self, registers: &mut Registers) -> bool {
        let Some(number) = guest::vsyscall(registers.rip) else { return false };
        let mut back = [0; 8];
        if self.read_some(registers.rsp, &mut back) < back.len() {
            return false;
        }
        registers.rip = u64::from_le_bytes(back);
        registers.rsp = registers.rsp.wrapping_add(8);
        registers.orig_rax = number;
        true
    }
}

impl Platform for KvmPlatform {
    fn run(&mut self, registers: &mut Registers) -> Result<Exit, PlatformError> {
        // Not inside a system call any more.
        registers.orig_rax = u64::MAX;
        if self.vcpu.take_interrupt() | self.vcpu.aim_alarm() {
            return Ok(Exit::Interrupted);
        }
        let mut refusals = 0;
        loop {
            // It would be stepped through, or run without a stack, which an emulator cannot.
            if registers.rflags & TRAP_FLAG != 0 || !guest::is_canonical(registers.rsp) {
                self.load_rest()?;
            }
            if !guest::is_canonical(registers.rip) {
                return Ok(guest::general_protection(0));
            }
            self.vcpu.load(self.memory.get_mut().tables.memory(), registers)?;
            match self.vcpu.run(self.memory.get_mut().tables.memory(), registers)? {
                Stop::Syscall => {
                    registers.orig_rax = registers.rax;
                    registers.rax = (-i64::from(libc::ENOSYS)).cast_unsigned();
                    return Ok(Exit::Syscall);
                }
                Stop::Exception { vector, error, address } => {
                    if let Some(exit) = self.exception(vector, error, address, registers)? {
                        return Ok(exit);
                    }
                    refusals = 0;
                }
                Stop::Port => {
                    self.step_back(registers);
                    return Ok(guest::general_protection(0));
                }
                Stop::Interrupted => {
                    if self.vcpu.take_interrupt() {
                        return Ok(Exit::Interrupted);
                    }
                }
                Stop::Refused => {
                    refusals += 1;
                    if !self.memory.get_mut().distrust_files() || refusals > REFUSALS {
                        log::warn!("the host refused the guest a page at {:#x}", registers.rip);
                        return Ok(Exit::Dead);
                    }
                }
                Stop::Broken => return Ok(Exit::Dead),
            }
        }
    }

    fn gather(&mut self, fd: i32, room: usize) {
        if self.vcpu.has_stub() {
            gather::begin(self.memory.get_mut().tables.memory(), fd, room);
        }
    }

    fn gathered(&mut self) -> Gathered {
        gather::take(self.memory.get_mut().tables.memory())
    }

    fn counts(&self) -> Counts {
        Counts {
            entries: self.vcpu.entries,
            calls: self.vcpu.calls() + self.memory.borrow().slots.calls,
            faults: guest::faults(),
            fills: self.fills,
            copies: 0,
        }
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        self.vcpu.interrupter()
    }

    fn fpu(&mut self) -> Result<Vec<u8>, PlatformError> {
        match self.vcpu.resume.state() {
            Some(state) => Ok(state.to_vec()),
            None => self.state.get(self.vcpu.fd()),
        }
    }

    fn set_fpu(&mut self, state: &[u8]) -> Result<(), PlatformError> {
        let state = self.state.check(state)?;
        if state.len() <= resume::STATE_BYTES {
            self.vcpu.resume.set_state(state);
            return Ok(());
        }
        self.state.set(self.vcpu.fd(), &state)
    }

    fn touched(&mut self, spans: &[Span]) -> Result<Vec<Span>, PlatformError> {
        let arena = &self.memory.get_mut().arena;
        self.touched.find(spans, guest::faults(), |pagemap, span, found| guest::touched(arena, pagemap, span, found))
    }

    fn touched_at_most(&self) -> u64 {
        // There one fault may bring hundreds of pages.
        if self.memory.borrow().arena.huge_pages { u64::MAX } else { self.touched.at_most(guest::faults()) }
    }

    fn table_bytes(&self) -> u64 {
        let memory = self.memory.borrow();
        // Each of its own has one of the host's for the same window and, where KVM shadows them, one of KVM's.
        3 * PAGE * memory.tables.count().min(memory.arena.granules()) as u64
    }

    fn read_any(&self, address: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.memory.borrow().read_any(address, into)
    }

    fn mappings(&self) -> Result<Vec<String>, PlatformError> {
        maps::read(&self.memory.borrow())
    }

    fn duplicate(&mut self) -> Result<Option<Box<dyn Platform>>, PlatformError> {
        // A window is this process's own memory, which the host copies on write for no other window.
        Ok(None)
    }

    fn map_all(&mut self, mappings: &[Mapping<'_>]) -> Result<(), PlatformError> {
        self.touched.forget();
        for mapping in mappings {
            let mapped = self.memory.get_mut().map(mapping.span, mapping.protection, mapping.source);
            mapped
                .map_err(|error| PlatformError::Host { operation: "mapping a fork's memory", source: error.source })?;
        }
        Ok(())
    }

    fn prepare(&mut self, spans: &[Span]) -> Result<(), PlatformError> {
        self.touched.forget();
        self.memory.get_mut().prepare(spans)
    }

    fn discard_all(&mut self, spans: &[Span]) -> Result<(), PlatformError> {
        if spans.is_empty() {
            return Ok(());
        }
        self.touched.forget();
        for &span in spans {
            let dropped = self.memory.get_mut().discard(span);
            dropped
                .map_err(|error| PlatformError::Host { operation: "dropping a guest's pages", source: error.source })?;
        }
        Ok(())
    }

    fn set_image(&mut self, _image: BorrowedFd<'_>, _length: u64) -> Result<(), PlatformError> {
        // `put_back` is given its bytes, and the guest's memory is here.
        Ok(())
    }

    fn put_back(
        &mut self,
        image: &[u8],
        pages: &[(Span, Pristine)],
        vectors: Option<&[u8]>,
    ) -> Result<(), PlatformError> {
        self.touched.written(pages.iter().map(|(span, _)| *span));
        let put = self.last_put_back.put_back(self.memory.get_mut(), image, pages);
        put.map_err(|source| PlatformError::Host { operation: "putting pages back", source })?;
        vectors.map_or(Ok(()), |state| self.set_fpu(state))
    }

    fn restore(&mut self, pages: &[(Span, &[u8])]) -> Result<(), PlatformError> {
        self.touched.written(pages.iter().map(|(span, _)| *span));
        for (span, bytes) in pages {
            let written = self.memory.get_mut().write_any(span.start, bytes);
            written.map_err(|source| PlatformError::Host { operation: "restoring pages", source })?;
        }
        Ok(())
    }
}

impl KvmPlatform {
    /// Loads at once into the CPU the state that the guest was to load by itself.
    fn load_rest(&mut self) -> Result<(), PlatformError> {
        let (state, bases) = self.vcpu.resume.take();
        if let Some(state) = state {
            self.state.set(self.vcpu.fd(), &state)?;
        }
        bases.map_or(Ok(()), |(fs, gs)| self.vcpu.set_bases(fs, gs))
    }

    /// Takes RIP back to an `out` that KVM may have stepped over: a guest that uses the system call's port by itself gets
    /// #GP, as natively.
    fn step_back(&self, registers: &mut Registers) {
        if registers.rip >= USER_END {
            return;
        }
        let mut code = [0; 2];
        let at = registers.rip.saturating_sub(2);
        let read = self.read_some(at, &mut code);
        if read == 2 && matches!(code, [0xe6 | 0xe7, 0x10]) {
            registers.rip = at;
        } else if read == 2 && matches!(code[1], 0x6e | 0xee | 0xef) {
            registers.rip = at + 1;
        }
    }
}
