//! The CPU features that a guest sees: those that KVM supports and that need no guest kernel.

use kvm_bindings::{CpuId, kvm_cpuid_entry2};

/// The parts of the extended state that a guest may have: x87, SSE, AVX, AVX-512. The others need a guest kernel's help
/// (protection keys) or a permission (AMX).
pub const STATE: u64 = 0b1110_0111;

/// Takes away the features that a guest cannot use, and the leaves of hypervisors.
pub fn filter(cpuid: &mut CpuId) {
    cpuid.retain(|entry| !(0x4000_0000..0x5000_0000).contains(&entry.function));
    for entry in cpuid.as_mut_slice() {
        match (entry.function, entry.index) {
            // DTES64, MONITOR, VMX, PDCM, X2APIC, the deadline timer, a hypervisor's presence.
            (1, _) => entry.ecx &= !(1 << 2 | 1 << 3 | 1 << 5 | 1 << 15 | 1 << 21 | 1 << 24 | 1 << 31),
            (7, 0) => {
                // Protection keys and shadow stacks.
                entry.ecx &= !(1 << 3 | 1 << 4 | 1 << 7);
                // AMX and branch tracking.
                entry.edx &= !(1 << 20 | 1 << 22 | 1 << 24 | 1 << 25);
            }
            (0xd, 0) => {
                entry.eax &= low(STATE);
                entry.edx = 0;
            }
            // Supervisor states, and XSAVES with them.
            (0xd, 1) => {
                entry.eax &= !(1 << 3);
                (entry.ecx, entry.edx) = (0, 0);
            }
            (0xd, component @ 2..64) if STATE >> component & 1 == 0 => clear(entry),
            // SVM.
            (0x8000_0001, _) => entry.ecx &= !(1 << 2),
            (0x8000_000a, _) => clear(entry),
            _ => {}
        }
    }
}

fn low(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0)
}

fn clear(entry: &mut kvm_cpuid_entry2) {
    (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0);
}

fn leaf(cpuid: &CpuId, function: u32, index: u32) -> Option<&kvm_cpuid_entry2> {
    cpuid.as_slice().iter().find(|entry| entry.function == function && entry.index == index)
}

/// The extended state that the guest gets.
pub fn state(cpuid: &CpuId) -> u64 {
    leaf(cpuid, 0xd, 0).map_or(3, |entry| u64::from(entry.eax) & STATE) | 3
}

/// Bytes of the extended state with these parts, in the standard layout.
pub fn state_bytes(cpuid: &CpuId, state: u64) -> usize {
    let parts = (2..63).filter(|part| state >> part & 1 == 1).filter_map(|part| leaf(cpuid, 0xd, part));
    parts.map(|entry| entry.ebx + entry.eax).max().map_or(576, |end| usize::try_from(end).unwrap_or(576))
}

/// Width of guest-physical addresses.
pub fn physical_bits(cpuid: &CpuId) -> u32 {
    leaf(cpuid, 0x8000_0008, 0).map_or(36, |entry| entry.eax & 0xff)
}

/// Whether the guest can read and write FS and GS bases by itself.
pub fn has_fsgsbase(cpuid: &CpuId) -> bool {
    leaf(cpuid, 7, 0).is_some_and(|entry| entry.ebx & 1 == 1)
}
