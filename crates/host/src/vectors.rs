//! How this CPU lays out its extended (vector) state, as CPUID tells.

/// Where a feature's part of the state is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Bytes from the beginning of a state in the standard layout.
    pub offset: usize,
    /// Bytes of it.
    pub size: usize,
    /// In the compacted layout it begins at a multiple of 64.
    pub aligned: bool,
}

/// Whether the CPU takes states in the compacted layout.
#[must_use]
pub fn compacts() -> bool {
    leaf(1).0 & 2 != 0
}

/// The part of feature number `feature` (2 to 62); `None` for those that the CPU does not have.
#[must_use]
pub fn part(feature: u32) -> Option<Part> {
    let (size, offset, flags) = leaf(feature);
    (size != 0).then_some(Part {
        offset: usize::try_from(offset).ok()?,
        size: usize::try_from(size).ok()?,
        aligned: flags & 2 != 0,
    })
}

/// EAX, EBX and ECX of this subleaf of CPUID's leaf of extended states.
fn leaf(subleaf: u32) -> (u32, u32, u32) {
    let (size, offset, flags): (u32, u64, u32);
    // SAFETY: CPUID changes nothing but these registers; the compiler's own RBX is put back.
    unsafe {
        core::arch::asm!(
            "mov {kept}, rbx",
            "cpuid",
            "xchg {kept}, rbx",
            kept = out(reg) offset,
            inout("eax") 0xd => size,
            inout("ecx") subleaf => flags,
            out("edx") _,
            options(nomem, nostack),
        );
    }
    (size, u32::try_from(offset).unwrap_or(0), flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avx_is_where_it_has_always_been() {
        if std::arch::is_x86_feature_detected!("avx") {
            assert_eq!(part(2), Some(Part { offset: 576, size: 256, aligned: false }));
        }
    }

    #[test]
    fn a_feature_that_no_cpu_has_has_no_part() {
        assert_eq!(part(61), None);
    }
}
