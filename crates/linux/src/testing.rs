//! A guest without a CPU, for tests of system calls: memory in plain Rust, and registers that tests set.

use std::path::PathBuf;
use std::sync::Arc;

use warmfork_abi::mman::MapFlags;
use warmfork_abi::{Errno, Registers};
use warmfork_memory::{
    AddressSpace, FakeMemory, GuestMemory, Layout, Limits, MapError, MapRequest, Protection, Source, Span,
};

use crate::call::Guest;
use crate::dispatch::Entered;
use crate::host::Host;
use crate::ids::Tid;
use crate::kernel::Kernel;
use crate::outside::OutsideRules;
use crate::policy::Policy;
use crate::process::Process;
use crate::processes::ProcessTable;
use crate::signal::Delivery;
use crate::task::Task;

/// Writable guest memory that every test has.
pub const DATA: Span = Span { start: 0x10_0000, end: 0x12_0000 };
/// Where stacks begin: the end of [`DATA`].
pub const STACK: u64 = 0x12_0000;
/// Where the guest's code would be.
pub const CODE: u64 = 0x40_1000;

/// Memory and vector state.
pub struct FakeGuest {
    memory: FakeMemory,
    /// The vector state of the current thread.
    pub fpu: Vec<u8>,
}

/// A vector state with AVX: as a platform reports it, XCR0 in its software bytes.
pub fn vector_state() -> Vec<u8> {
    let mut state = vec![0; 832];
    state[0..2].copy_from_slice(&0x37f_u16.to_le_bytes());
    state[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
    state[28..32].copy_from_slice(&0x2_ffff_u32.to_le_bytes());
    state[464..472].copy_from_slice(&7_u64.to_le_bytes());
    state[512..520].copy_from_slice(&7_u64.to_le_bytes());
    state[160..176].fill(0xaa); // XMM0
    state[576..592].fill(0xbb); // the upper half of YMM0
    state
}

impl GuestMemory for FakeGuest {
    fn read_some(&self, address: u64, into: &mut [u8]) -> usize {
        self.memory.read_some(address, into)
    }
    fn write_some(&self, address: u64, from: &[u8]) -> usize {
        self.memory.write_some(address, from)
    }
    fn map(&mut self, span: Span, protection: Protection, source: Source<'_>) -> Result<(), MapError> {
        self.memory.map(span, protection, source)
    }
    fn unmap(&mut self, span: Span) -> Result<(), MapError> {
        self.memory.unmap(span)
    }
    fn protect(&mut self, span: Span, protection: Protection) -> Result<(), MapError> {
        self.memory.protect(span, protection)
    }
    fn relocate(&mut self, from: Span, to: Span) -> Result<(), MapError> {
        self.memory.relocate(from, to)
    }
    fn discard(&mut self, span: Span) -> Result<(), MapError> {
        self.memory.discard(span)
    }
    fn resident(&self, span: Span, pages: &mut [u8]) {
        self.memory.resident(span, pages);
    }
}

impl Guest for FakeGuest {
    fn fpu(&mut self) -> Result<Vec<u8>, Errno> {
        Ok(self.fpu.clone())
    }
    fn set_fpu(&mut self, state: &[u8]) -> Result<(), Errno> {
        self.fpu = state.to_vec();
        Ok(())
    }
    fn memory(&mut self) -> &mut dyn GuestMemory {
        self
    }
}

/// A kernel with one thread in a guest without a CPU.
pub struct Bench {
    pub kernel: Kernel,
    pub host: Host,
    pub guest: FakeGuest,
}

impl Bench {
    pub fn new() -> Self {
        let mut memory = FakeMemory::new();
        let mut space = AddressSpace::new(Layout::new(0x7fff_0000_0000, &[]), Limits::default());
        let data = MapRequest::anonymous(DATA.end - DATA.start, Protection::READ | Protection::WRITE);
        let fixed = MapRequest { address: DATA.start, flags: data.flags | MapFlags::FIXED, ..data };
        assert_eq!(space.map(&mut memory, fixed), Ok(DATA.start));
        let mut process = Process::new(b"/program".to_vec(), Vec::new(), Vec::new());
        let pid = process.pid;
        process.tasks.insert(Task::new(pid, Registers::at_entry(CODE, STACK), b"program".to_vec()));
        process.tasks.current = pid;
        let processes = ProcessTable::new(process, space, 512, 64);
        let kernel = Kernel::new(processes, Arc::new(Policy::default()));
        Self { kernel, host: Host::new().unwrap(), guest: FakeGuest { memory, fpu: vector_state() } }
    }

    /// The kernel as a snapshot has it.
    pub fn frozen(&self) -> Result<Kernel, Errno> {
        self.kernel.freeze(&OutsideRules::default(), None).map(|(kernel, _)| kernel)
    }

    pub fn pid(&self) -> Tid {
        self.kernel.process().pid
    }

    pub fn registers(&mut self, tid: Tid) -> &mut Registers {
        &mut self.kernel.process_mut().tasks.get_mut(tid).registers
    }

    fn with_registers<T>(
        &mut self,
        tid: Tid,
        run: impl FnOnce(&mut Kernel, &mut Host, &mut FakeGuest, &mut Registers) -> T,
    ) -> T {
        let mut registers = *self.registers(tid);
        let result = run(&mut self.kernel, &mut self.host, &mut self.guest, &mut registers);
        if let Some(task) = self.kernel.process_mut().tasks.find(tid) {
            task.registers = registers;
        }
        result
    }

    /// Enters the call in `tid`'s registers, or goes on with the one that it waits in.
    pub fn enter(&mut self, tid: Tid) -> Entered {
        self.with_registers(tid, |kernel, host, guest, registers| kernel.enter(host, guest, registers, tid))
    }

    /// Makes `tid` call `number`.
    pub fn start(&mut self, tid: Tid, number: u64, args: &[u64]) -> Entered {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        let registers = self.registers(tid);
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = all;
        registers.orig_rax = number;
        registers.rip += 2; // as after the instruction
        self.enter(tid)
    }

    /// Makes `tid` call `number`, which does not wait; its result.
    pub fn call_by(&mut self, tid: Tid, number: u64, args: &[u64]) -> Result<u64, Errno> {
        assert_eq!(self.start(tid, number, args), Entered::Continue);
        result(self.registers(tid).rax)
    }

    /// Makes the first thread call `number`, which does not wait; its result.
    pub fn call(&mut self, number: u64, args: &[u64]) -> Result<u64, Errno> {
        self.call_by(self.pid(), number, args)
    }

    /// The delivery to `tid` before it returns to user code.
    pub fn deliver(&mut self, tid: Tid) -> Delivery {
        self.with_registers(tid, |kernel, host, guest, registers| {
            kernel.deliver_signals(host, guest, registers, tid).unwrap()
        })
    }

    /// Adds a thread.
    pub fn spawn(&mut self) -> Tid {
        let tid = self.kernel.new_id().unwrap();
        let mut task = Task::new(tid, Registers::at_entry(CODE, STACK - 0x4000), b"thread".to_vec());
        task.fpu = Some(vector_state());
        self.kernel.process_mut().tasks.insert(task);
        tid
    }

    pub fn write(&mut self, address: u64, words: &[u64]) {
        for (index, word) in words.iter().enumerate() {
            self.guest.memory().write_u64(address + index as u64 * 8, *word).unwrap();
        }
    }

    pub fn read(&mut self, address: u64) -> u64 {
        self.guest.memory().read_u64(address).unwrap()
    }

    pub fn write_half(&mut self, address: u64, value: u32) {
        self.guest.memory().write_u32(address, value).unwrap();
    }

    pub fn read_half(&mut self, address: u64) -> u32 {
        self.guest.memory().read_u32(address).unwrap()
    }
}

/// A result register's value.
pub fn result(rax: u64) -> Result<u64, Errno> {
    match rax.cast_signed() {
        error @ -4095..0 => Err(Errno(i32::try_from(-error).unwrap())),
        _ => Ok(rax),
    }
}

/// An id as an argument or a result.
pub fn id(tid: Tid) -> u64 {
    u64::from(tid.cast_unsigned())
}

/// A new directory of the host, which goes when the test is over.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// `name` tells the directories of one test process apart.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("warmfork-test-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
