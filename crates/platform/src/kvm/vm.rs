//! An empty virtual machine, ready for its first instruction: made on any thread, ahead of use if need be.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, Msrs, kvm_device_attr, kvm_dtable, kvm_msr_entry, kvm_segment, kvm_sregs,
    kvm_userspace_memory_region, kvm_xcrs,
};
use kvm_ioctls::{Cap, Kvm, SyncReg, VcpuFd, VmFd};
use warmfork_abi::registers::{USER_CS, USER_SS};

use super::arena::Arena;
use super::tables::{KernelMemory, Tables, Template};
use super::{cpuid, exceptions, layout, resume};
use crate::PlatformError;

/// Guest-physical address of the arena's first byte.
pub const ARENA: u64 = 4 << 30;
/// Bytes of the kernel pages' first memory slot.
const FIRST_KERNEL_SLOT: u64 = 512 << 10;
/// Bytes of a memory slot in the arena's beginning, of [`SMALL`] bytes; behind that each is as large as all before it.
const CHUNK: u64 = 8 << 20;
const SMALL: u64 = 64 << 20;

/// Bytes of the arena in slots that no guest is asked to give back.
const LARGE: u64 = 1 << 30;

/// How a system call leaves the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// Through a stub in ring 0, as on hardware.
    Ring0,
    /// Through a page of ring-3 code, where `syscall` stays in ring 3 and ring 0 is emulated.
    Doorbell {
        /// KVM leaves the guest's segment selectors in the CPU, and does not tell them.
        selectors_left: bool,
    },
}

impl Trap {
    /// Whether it is a doorbell.
    pub fn is_doorbell(self) -> bool {
        matches!(self, Self::Doorbell { .. })
    }
}

/// A virtual machine with one CPU.
pub struct Vm {
    pub vcpu: VcpuFd,
    pub slots: Slots,
    pub arena: Arena,
    pub tables: Tables,
    pub trap: Trap,
    /// The extended state that the guest has (XCR0), and its bytes.
    pub state: u64,
    pub state_bytes: usize,
}

/// The parts that all machines of this process share.
struct Host {
    kvm: Kvm,
    cpuid: CpuId,
}

pub(super) fn failed(operation: &'static str) -> impl Fn(kvm_ioctls::Error) -> PlatformError {
    move |error| PlatformError::Host { operation, source: io::Error::from_raw_os_error(error.errno()) }
}

/// Makes a call of KVM's that a signal ends, such as that of the thread's alarm, until none does.
fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, kvm_ioctls::Error>) -> Result<T, kvm_ioctls::Error> {
    loop {
        match call() {
            Err(error) if error.errno() == libc::EINTR => {}
            done => return done,
        }
    }
}

fn host() -> Result<&'static Host, PlatformError> {
    static HOST: OnceLock<Host> = OnceLock::new();
    if let Some(host) = HOST.get() {
        return Ok(host);
    }
    let kvm = Kvm::new().map_err(failed("opening /dev/kvm"))?;
    for (cap, operation) in [
        (Cap::UserMemory, "looking for KVM_CAP_USER_MEMORY"),
        (Cap::SyncRegs, "looking for KVM_CAP_SYNC_REGS"),
        (Cap::ImmediateExit, "looking for KVM_CAP_IMMEDIATE_EXIT"),
        (Cap::Xsave, "looking for KVM_CAP_XSAVE"),
        (Cap::Xcrs, "looking for KVM_CAP_XCRS"),
    ] {
        if !kvm.check_extension(cap) {
            return Err(PlatformError::Host { operation, source: io::ErrorKind::Unsupported.into() });
        }
    }
    let mut cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(failed("KVM_GET_SUPPORTED_CPUID"))?;
    cpuid::filter(&mut cpuid);
    Ok(HOST.get_or_init(|| Host { kvm, cpuid }))
}

impl Vm {
    /// A machine with nothing in it.
    pub fn new(trap: Trap) -> Result<Self, PlatformError> {
        let host = host()?;
        if trap == Trap::Ring0 && !cpuid::has_fsgsbase(&host.cpuid) {
            // The stubs use it.
            let source = io::ErrorKind::Unsupported.into();
            return Err(PlatformError::Host { operation: "looking for FSGSBASE in a virtual machine", source });
        }
        let vm = uninterrupted(|| host.kvm.create_vm()).map_err(failed("KVM_CREATE_VM"))?;
        let vcpu = uninterrupted(|| vm.create_vcpu(0)).map_err(failed("KVM_CREATE_VCPU"))?;
        let refused = |operation| move |source| PlatformError::Host { operation, source };
        let width = 1 << cpuid::physical_bits(&host.cpuid).min(48);
        let arena = Arena::new(width - ARENA).map_err(refused("reserving the guest's address space"))?;
        let tables = template(trap).and_then(Tables::new).map_err(refused("making the guest's page tables"))?;
        let mut slots = Slots {
            vm,
            next: 0,
            kernel: 0,
            arena: 0,
            kernel_slots: Vec::new(),
            arena_slots: BTreeMap::new(),
            free: Vec::new(),
            calls: 0,
        };
        slots.cover_kernel(&tables)?;
        let state = cpuid::state(&host.cpuid);
        let state_bytes = cpuid::state_bytes(&host.cpuid, state);
        let mut vm = Self { vcpu, slots, arena, tables, trap, state, state_bytes };
        vm.prepare_vcpu(&host.cpuid)?;
        Ok(vm)
    }

    fn prepare_vcpu(&mut self, cpuid: &CpuId) -> Result<(), PlatformError> {
        let vcpu = &mut self.vcpu;
        vcpu.set_cpuid2(cpuid).map_err(failed("KVM_SET_CPUID2"))?;
        let mut sregs = vcpu.get_sregs().map_err(failed("KVM_GET_SREGS"))?;
        user_mode(&mut sregs);
        vcpu.set_sregs(&sregs).map_err(failed("KVM_SET_SREGS"))?;
        let mut xcrs = kvm_xcrs { nr_xcrs: 1, ..kvm_xcrs::default() };
        xcrs.xcrs[0].value = self.state;
        vcpu.set_xcrs(&xcrs).map_err(failed("KVM_SET_XCRS"))?;
        let (star, entry) = match self.trap {
            Trap::Ring0 => (layout::STUBS + layout::SYSCALL_STUB, 0x4_4700),
            Trap::Doorbell { .. } => (layout::DOORBELL, 0x4_4700),
        };
        // STAR, LSTAR, and SFMASK: TF, IF, DF, NT and AC.
        let selectors = u64::from(layout::KERNEL_CS) << 32 | 0x23 << 48;
        set_msrs(vcpu, &[(0xc000_0081, selectors), (0xc000_0082, star), (0xc000_0084, entry)])?;
        share_clock(vcpu)?;
        vcpu.set_sync_valid_reg(SyncReg::Register);
        if self.trap.is_doorbell() {
            vcpu.set_sync_valid_reg(SyncReg::SystemRegister);
        }
        Ok(())
    }
}

/// `_IOW(KVMIO, 0xe1, struct kvm_device_attr)`
const KVM_SET_DEVICE_ATTR: libc::Ioctl = 0x4018_aee1;

/// Has the guest read the host's own time stamp counter: the clock page has its scale and offset.
fn share_clock(vcpu: &VcpuFd) -> Result<(), PlatformError> {
    let offset = 0_u64;
    let attribute = kvm_device_attr {
        group: kvm_bindings::KVM_VCPU_TSC_CTRL,
        attr: u64::from(kvm_bindings::KVM_VCPU_TSC_OFFSET),
        addr: (&raw const offset).addr() as u64,
        flags: 0,
    };
    // SAFETY: the attribute and the offset that it points to live over the call.
    let set = unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_SET_DEVICE_ATTR, &raw const attribute) };
    if set == 0 {
        return Ok(());
    }
    let source = io::Error::last_os_error();
    Err(PlatformError::Host { operation: "setting the guest's time stamp counter", source })
}

/// Sets model-specific registers.
pub fn set_msrs(vcpu: &VcpuFd, values: &[(u32, u64)]) -> Result<(), PlatformError> {
    let entries: Vec<_> =
        values.iter().map(|&(index, data)| kvm_msr_entry { index, data, ..kvm_msr_entry::default() }).collect();
    let unsupported = || PlatformError::Host { operation: "KVM_SET_MSRS", source: io::ErrorKind::Unsupported.into() };
    let msrs = Msrs::from_entries(&entries).map_err(|_| unsupported())?;
    let set = vcpu.set_msrs(&msrs).map_err(failed("KVM_SET_MSRS"))?;
    if set == entries.len() { Ok(()) } else { Err(unsupported()) }
}

/// Puts `sregs` into long mode in ring 3, as a program has it at its start.
pub fn user_mode(sregs: &mut kvm_sregs) {
    let flat = kvm_segment { limit: u32::MAX, present: 1, dpl: 3, s: 1, g: 1, ..kvm_segment::default() };
    sregs.cs = kvm_segment { selector: narrow(USER_CS), type_: 11, l: 1, ..flat };
    sregs.ss = kvm_segment { selector: narrow(USER_SS), type_: 3, db: 1, ..flat };
    let none = kvm_segment { unusable: 1, ..kvm_segment::default() };
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ldt) = (none, none, none, none, none);
    sregs.tr = kvm_segment {
        base: layout::TSS,
        limit: layout::TSS_LIMIT,
        selector: layout::TASK,
        type_: 11,
        present: 1,
        ..kvm_segment::default()
    };
    sregs.gdt = kvm_dtable { base: layout::DESCRIPTORS, limit: layout::GDT_LIMIT, ..kvm_dtable::default() };
    sregs.idt = kvm_dtable { base: layout::IDT, limit: layout::VECTORS * 16 - 1, ..kvm_dtable::default() };
    // PG, AM, WP, NE, ET, MP, PE; PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE; NX, long mode and SYSCALL.
    sregs.cr0 = 0x8005_0033;
    sregs.cr4 = 1 << 5 | 1 << 9 | 1 << 10 | 1 << 16 | 1 << 18;
    sregs.cr3 = layout::TOP_TABLE;
    sregs.efer = 0xd01;
}

fn narrow(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(0)
}

/// Linux's selector of 32-bit user code, which guests do not run.
pub const OLD_CS: u64 = 0x23;

/// A data segment of ring 3 as `mov` from `selector` loads it; nothing where the GDT has none.
pub fn data_segment(selector: u64) -> kvm_segment {
    let flat = kvm_segment { limit: u32::MAX, present: 1, dpl: 3, s: 1, g: 1, ..kvm_segment::default() };
    match selector {
        USER_SS => kvm_segment { selector: narrow(USER_SS), type_: 3, db: 1, ..flat },
        USER_CS => kvm_segment { selector: narrow(USER_CS), type_: 11, l: 1, ..flat },
        OLD_CS => kvm_segment { selector: narrow(OLD_CS), type_: 1, db: 1, ..flat },
        other => {
            let selector = u16::try_from(other).ok().filter(|selector| *selector < 4).unwrap_or(0);
            kvm_segment { selector, unusable: 1, ..kvm_segment::default() }
        }
    }
}

/// The kernel pages that machines begin with.
fn template(trap: Trap) -> io::Result<&'static Template> {
    static TEMPLATES: [OnceLock<Template>; 2] = [OnceLock::new(), OnceLock::new()];
    let template = &TEMPLATES[usize::from(trap.is_doorbell())];
    if let Some(template) = template.get() {
        return Ok(template);
    }
    let made = Template::new(|memory| fill_kernel_pages(memory, trap))?;
    Ok(template.get_or_init(|| made))
}

/// Writes GDT, TSS, IDT and stubs.
fn fill_kernel_pages(memory: &KernelMemory, trap: Trap) {
    let descriptors = [
        (2, 0x00af_9b00_0000_ffff),
        (3, 0x00cf_9300_0000_ffff),
        // Only to be read: a program may load it where Linux has 32-bit code, and not run it.
        (4, 0x00cf_f100_0000_ffff),
        (5, 0x00cf_f300_0000_ffff),
        (6, 0x00af_fb00_0000_ffff),
        (8, u64::from(layout::TSS_LIMIT) | layout::TSS << 16 | 0x8b << 40),
    ];
    for (index, descriptor) in descriptors {
        memory.set(layout::DESCRIPTORS + index * 8, descriptor);
    }
    let stack = layout::DATA + layout::STACK as u64;
    let special = layout::DATA + layout::SPECIAL_STACK as u64;
    let mut tss = [0_u8; 112];
    tss[4..12].copy_from_slice(&stack.to_le_bytes());
    tss[36..44].copy_from_slice(&special.to_le_bytes());
    tss[44..52].copy_from_slice(&stack.to_le_bytes());
    tss[102..104].copy_from_slice(&104_u16.to_le_bytes());
    tss[104..].fill(0xff);
    if trap.is_doorbell() {
        tss[104 + usize::from(layout::SYSCALL_PORT / 8)] = !(1 << (layout::SYSCALL_PORT % 8));
    }
    memory.copy(layout::TSS, &tss);
    let stubs = match trap {
        Trap::Ring0 => layout::EXCEPTION_STUBS,
        Trap::Doorbell { .. } => layout::PLAIN_EXCEPTION_STUBS,
    };
    for vector in 0..u64::from(layout::VECTORS) {
        let target = layout::STUBS + stubs + vector * 16;
        // Programs may raise #BP and #OF by an instruction; #DB, NMI and #DF have a stack of their own. A stub that gathers runs on
        // the guest's stack, which a #PF there must leave.
        let privilege: u64 = if matches!(vector, 3 | 4) { 3 } else { 0 };
        let stack: u64 = match vector {
            1 | 2 | 8 => 1,
            exceptions::PAGE_FAULT => 2,
            _ => 0,
        };
        let gate = target & 0xffff
            | u64::from(layout::KERNEL_CS) << 16
            | stack << 32
            | (0x8e | privilege << 5) << 40
            | (target >> 16 & 0xffff) << 48;
        memory.set(layout::IDT + vector * 16, gate);
    }
    memory.copy(layout::STUBS, layout::stubs());
    memory.copy(layout::DOORBELL_PAGE, &[0xcc; 4096]);
    if trap.is_doorbell() {
        let mut bell = [0xcc; 8];
        bell[..layout::DOORBELL_LENGTH]
            .copy_from_slice(&layout::stubs()[layout::DOORBELL_STUB..][..layout::DOORBELL_LENGTH]);
        memory.copy(layout::DOORBELL_PAGE, &bell);
    }
    memory.copy(layout::DOORBELL_PAGE + (layout::RESUME - layout::DOORBELL), resume::code());
}

/// Where in the arena the slot begins that the byte at `offset` belongs to.
fn chunk(offset: u64) -> u64 {
    if offset < SMALL { offset / CHUNK * CHUNK } else { 1 << offset.ilog2() }
}

/// The memory slots of one machine: few, for KVM's own bookkeeping grows with them.
pub struct Slots {
    vm: VmFd,
    next: u32,
    /// Bytes covered so far.
    kernel: u64,
    arena: u64,
    kernel_slots: Vec<kvm_userspace_memory_region>,
    /// By the offset in the arena.
    arena_slots: BTreeMap<u64, kvm_userspace_memory_region>,
    /// Numbers of slots that are gone.
    free: Vec<u32>,
    /// Calls of KVM made for them.
    pub calls: u64,
}

impl Slots {
    fn add(&mut self, physical: u64, host: usize, bytes: u64) -> Result<kvm_userspace_memory_region, PlatformError> {
        let region = kvm_userspace_memory_region {
            slot: self.free.last().copied().unwrap_or(self.next),
            guest_phys_addr: physical,
            memory_size: bytes,
            userspace_addr: host as u64,
            flags: 0,
        };
        self.set(region)?;
        if self.free.pop().is_none() {
            self.next += 1;
        }
        Ok(region)
    }

    fn set(&mut self, region: kvm_userspace_memory_region) -> Result<(), PlatformError> {
        self.calls += 1;
        // SAFETY: the memory is the arena's or the kernel pages', which are unmapped after the machine is gone (and KVM
        // looks at this process's mappings at every access).
        let set = unsafe { self.vm.set_user_memory_region(region) };
        set.map_err(failed("KVM_SET_USER_MEMORY_REGION"))
    }

    /// Makes sure that all page tables are in a slot.
    pub fn cover_kernel(&mut self, tables: &Tables) -> Result<(), PlatformError> {
        while self.kernel < tables.used() {
            let bytes = self.kernel.max(FIRST_KERNEL_SLOT);
            let host = tables.memory().host() + usize::try_from(self.kernel).unwrap_or(0);
            let region = self.add(self.kernel, host, bytes)?;
            self.kernel_slots.push(region);
            self.kernel += bytes;
        }
        Ok(())
    }

    /// Makes sure that the byte at `offset` of the arena is in a slot. KVM keeps some bytes for each page of a slot, so
    /// memory that a guest does not touch gets no slot.
    pub fn cover(&mut self, arena: &Arena, offset: u64) -> Result<(), PlatformError> {
        let start = chunk(offset);
        if self.arena_slots.contains_key(&start) {
            return Ok(());
        }
        let bytes = start.max(CHUNK).min(arena.size() - start);
        let bytes = if start < SMALL { CHUNK.min(bytes) } else { bytes };
        let region = self.add(ARENA + start, arena.host(start), bytes)?;
        self.arena_slots.insert(start, region);
        self.arena += bytes;
        Ok(())
    }

    /// Gives slots back when far less than they cover is left in use, and that much costs.
    pub fn uncover(&mut self, used: u64) -> Result<(), PlatformError> {
        if self.arena <= LARGE || used > self.arena / 4 {
            return Ok(());
        }
        while let Some((&start, &region)) = self.arena_slots.range(used.max(1)..).next_back() {
            self.set(kvm_userspace_memory_region { memory_size: 0, ..region })?;
            self.arena_slots.remove(&start);
            self.free.push(region.slot);
            self.arena -= region.memory_size;
        }
        Ok(())
    }

    /// Makes KVM forget the page tables, by taking their memory away for a moment.
    pub fn forget_tables(&mut self) -> Result<(), PlatformError> {
        for region in self.kernel_slots.clone() {
            self.set(kvm_userspace_memory_region { memory_size: 0, ..region })?;
            self.set(region)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::RwLock;

    use super::super::probe::probe;
    use super::*;
    use crate::alarm;

    /// Each has mappings, and KVM looks at all of them when it makes a machine: that takes a millisecond then.
    const THREADS: usize = 1000;
    const MACHINES: u64 = 40;

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that was skipped must say so")]
    fn a_machine_is_made_though_an_alarm_rings_meanwhile() {
        let Ok(found) = probe() else { return eprintln!("skipped: the kvm platform does not work here") };
        let end = RwLock::new(());
        let made: Result<Vec<Vm>, _> = std::thread::scope(|scope| {
            let _not_yet = end.write().unwrap();
            for _ in 0..THREADS {
                std::thread::Builder::new().stack_size(1 << 16).spawn_scoped(scope, || drop(end.read())).unwrap();
            }
            (0..MACHINES).map(|number| make_at_alarm(found.trap, number * 50_000)).collect()
        });
        made.unwrap();
    }

    fn make_at_alarm(trap: Trap, nanoseconds: u64) -> Result<Vm, PlatformError> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap();
        alarm::set_anew(now + nanoseconds)?;
        Vm::new(trap)
    }
}
