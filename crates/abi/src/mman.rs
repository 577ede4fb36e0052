//! Constants of mmap(2) and its relatives, with their x86-64 values.
//!
//! Source: the kernel's uapi `asm-generic/mman-common.h`, `asm-generic/mman.h`, `linux/mman.h` and `asm/mman.h`.

/// Protection bits of mmap and mprotect.
pub mod prot {
    /// No access.
    pub const PROT_NONE: u64 = 0;
    /// Pages can be read.
    pub const PROT_READ: u64 = 1;
    /// Pages can be written.
    pub const PROT_WRITE: u64 = 2;
    /// Pages can be executed.
    pub const PROT_EXEC: u64 = 4;
    /// Pages may be used for atomic operations; without effect.
    pub const PROT_SEM: u64 = 8;
    /// mprotect: extend the change to the start of a growing-down mapping.
    pub const PROT_GROWSDOWN: u64 = 0x0100_0000;
    /// mprotect: extend the change to the end of a growing-up mapping.
    pub const PROT_GROWSUP: u64 = 0x0200_0000;
}

bitflags::bitflags! {
    /// Flags of mmap. The low four bits are a number, not flags: see [`MapFlags::kind`].
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
    pub struct MapFlags: u64 {
        /// MAP_SHARED: writes reach the file.
        const SHARED = 0x01;
        /// MAP_PRIVATE: writes are copied.
        const PRIVATE = 0x02;
        /// MAP_FIXED: exactly there, replacing what is there.
        const FIXED = 0x10;
        /// MAP_ANONYMOUS: no file.
        const ANONYMOUS = 0x20;
        /// MAP_32BIT: within the first 2 GiB.
        const BIT32 = 0x40;
        /// MAP_ABOVE4G: not within the first 4 GiB.
        const ABOVE4G = 0x80;
        /// MAP_GROWSDOWN: a stack.
        const GROWSDOWN = 0x100;
        /// MAP_DENYWRITE: ignored.
        const DENYWRITE = 0x800;
        /// MAP_EXECUTABLE: ignored.
        const EXECUTABLE = 0x1000;
        /// MAP_LOCKED: as if with mlock.
        const LOCKED = 0x2000;
        /// MAP_NORESERVE: no commit accounting.
        const NORESERVE = 0x4000;
        /// MAP_POPULATE: fault all pages in.
        const POPULATE = 0x8000;
        /// MAP_NONBLOCK: do not block on I/O when populating.
        const NONBLOCK = 0x1_0000;
        /// MAP_STACK: ignored.
        const STACK = 0x2_0000;
        /// MAP_HUGETLB: huge pages of the reserved pool.
        const HUGETLB = 0x4_0000;
        /// MAP_SYNC: synchronous page faults for persistent memory.
        const SYNC = 0x8_0000;
        /// MAP_FIXED_NOREPLACE: exactly there, or EEXIST.
        const FIXED_NOREPLACE = 0x10_0000;
        /// MAP_UNINITIALIZED: ignored.
        const UNINITIALIZED = 0x400_0000;
        /// Which huge page size: a number in six bits.
        const HUGE_MASK = 0x3f << 26;
    }
}

/// The bits of [`MapFlags`] that hold the kind of mapping (MAP_TYPE).
pub const MAP_TYPE: u64 = 0x0f;
/// Kind: writes reach the file.
pub const MAP_SHARED: u64 = 1;
/// Kind: writes are copied.
pub const MAP_PRIVATE: u64 = 2;
/// Kind: shared, and unknown flags are refused.
pub const MAP_SHARED_VALIDATE: u64 = 3;

impl MapFlags {
    /// MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE or a number that is none of them.
    #[must_use]
    pub const fn kind(self) -> u64 {
        self.bits() & MAP_TYPE
    }
}

bitflags::bitflags! {
    /// Flags of mremap.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
    pub struct RemapFlags: u64 {
        /// MREMAP_MAYMOVE: another address will do.
        const MAYMOVE = 1;
        /// MREMAP_FIXED: exactly there, replacing what is there.
        const FIXED = 2;
        /// MREMAP_DONTUNMAP: leave the old range mapped, empty.
        const DONTUNMAP = 4;
    }

    /// Flags of msync.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
    pub struct SyncFlags: u64 {
        /// MS_ASYNC: without waiting.
        const ASYNC = 1;
        /// MS_INVALIDATE: other mappings of the file see it.
        const INVALIDATE = 2;
        /// MS_SYNC: wait until it is stored.
        const SYNC = 4;
    }
}

/// Advice of madvise.
pub mod madvise {
    /// No special treatment.
    pub const MADV_NORMAL: u64 = 0;
    /// Expect random page references.
    pub const MADV_RANDOM: u64 = 1;
    /// Expect sequential page references.
    pub const MADV_SEQUENTIAL: u64 = 2;
    /// Will need these pages.
    pub const MADV_WILLNEED: u64 = 3;
    /// Drop these pages: zeroes, or the file again.
    pub const MADV_DONTNEED: u64 = 4;
    /// Pages may be freed when memory is short.
    pub const MADV_FREE: u64 = 8;
    /// Punch a hole into the file.
    pub const MADV_REMOVE: u64 = 9;
    /// A child of fork does not get the range.
    pub const MADV_DONTFORK: u64 = 10;
    /// Undoes [`MADV_DONTFORK`].
    pub const MADV_DOFORK: u64 = 11;
    /// Same-page merging may look here.
    pub const MADV_MERGEABLE: u64 = 12;
    /// Undoes [`MADV_MERGEABLE`].
    pub const MADV_UNMERGEABLE: u64 = 13;
    /// Huge pages are welcome.
    pub const MADV_HUGEPAGE: u64 = 14;
    /// Huge pages are not welcome.
    pub const MADV_NOHUGEPAGE: u64 = 15;
    /// Not into a core dump.
    pub const MADV_DONTDUMP: u64 = 16;
    /// Undoes [`MADV_DONTDUMP`].
    pub const MADV_DODUMP: u64 = 17;
    /// A child of fork sees zeroes.
    pub const MADV_WIPEONFORK: u64 = 18;
    /// Undoes [`MADV_WIPEONFORK`].
    pub const MADV_KEEPONFORK: u64 = 19;
    /// Not needed soon.
    pub const MADV_COLD: u64 = 20;
    /// Reclaim these pages.
    pub const MADV_PAGEOUT: u64 = 21;
    /// Fault the pages in for reading.
    pub const MADV_POPULATE_READ: u64 = 22;
    /// Fault the pages in for writing.
    pub const MADV_POPULATE_WRITE: u64 = 23;
    /// As [`MADV_DONTNEED`], locked pages too.
    pub const MADV_DONTNEED_LOCKED: u64 = 24;
}

/// mlock2: lock pages when they are faulted in.
pub const MLOCK_ONFAULT: u64 = 1;
/// mlockall: what is mapped now.
pub const MCL_CURRENT: u64 = 1;
/// mlockall: what will be mapped.
pub const MCL_FUTURE: u64 = 2;
/// mlockall: pages when they are faulted in.
pub const MCL_ONFAULT: u64 = 4;

/// Lowest address that an unprivileged program may map (vm.mmap_min_addr).
pub const MMAP_MIN_ADDR: u64 = 65536;
/// Most mappings a process may have (vm.max_map_count).
pub const MAX_MAP_COUNT: usize = 65530;
