//! Random calls on an address space, for the tests beside this.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use proptest::prelude::*;
use rustix::fs::{MemfdFlags, OFlags};
use warmfork_abi::fcntl::{O_RDONLY, O_RDWR};
use warmfork_abi::mman::{MapFlags, RemapFlags, SyncFlags, madvise};
use warmfork_abi::{Errno, PAGE, USER_END};
use warmfork_memory::{
    AddressSpace, Backing, FakeMemory, GuestMemory, HostFile, Layout, Limits, MapRequest, Protection, RemapRequest,
    Span,
};

/// Where nothing else of this process is ever mapped.
pub const WINDOW: Span = Span { start: 0x10_0000_0000, end: 0x10_0000_0000 + (PAGES + MAX_PAGES) * PAGE };
/// Pages of the window that calls begin in.
const PAGES: u64 = 24;
/// Pages that one call maps at most.
const MAX_PAGES: u64 = 8;
/// Pages in the file that is mapped; the last one is not full.
const FILE_PAGES: u64 = 6;

#[derive(Clone, Debug)]
pub enum Operation {
    Map { address: u64, length: u64, protection: u64, flags: u64, file: Option<(bool, u64)> },
    Unmap { address: u64, length: u64 },
    Protect { address: u64, length: u64, bits: u64 },
    Remap { address: u64, old_length: u64, new_length: u64, flags: u64, new_address: u64 },
    Advise { address: u64, length: u64, advice: u64 },
    Sync { address: u64, length: u64, flags: u64 },
    Unlock { address: u64, length: u64 },
    Resident { address: u64, length: u64 },
    Write { address: u64, value: u8, length: usize },
}

/// One side's host file: as opened for writing, and for reading only.
pub struct File {
    pub writable: Arc<HostFile>,
    readable: Arc<HostFile>,
}

impl File {
    pub fn new() -> Self {
        let open = |fd: OwnedFd, writable| {
            let flags = if writable { O_RDWR } else { O_RDONLY };
            HostFile::opened(fd, b"file", flags).expect("fstat")
        };
        let fd = rustix::fs::memfd_create("native", MemfdFlags::CLOEXEC).expect("memfd");
        for page in 0..FILE_PAGES {
            let bytes = vec![b'a' + u8::try_from(page).expect("small"); 4096 - 100];
            rustix::io::pwrite(&fd, &bytes, page * PAGE).expect("write");
        }
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let readable = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, 0.into()).expect("reopen");
        Self { writable: open(fd, true), readable: open(readable, false) }
    }

    /// Another holder of the same file.
    pub fn of(other: &Self) -> Self {
        Self { writable: Arc::clone(&other.writable), readable: Arc::clone(&other.readable) }
    }

    pub fn pick(&self, writable: bool) -> &Arc<HostFile> {
        if writable { &self.writable } else { &self.readable }
    }
}

/// The emulated side.
pub struct Emulated {
    pub space: AddressSpace,
    pub memory: FakeMemory,
    pub file: File,
}

impl Emulated {
    pub fn new() -> Self {
        let space = AddressSpace::new(Layout::new(0x7f00_0000_0000, &[]), Limits::default());
        Self { space, memory: FakeMemory::new(), file: File::new() }
    }

    pub fn apply(&mut self, operation: &Operation) -> Result<u64, Errno> {
        let Self { space, memory, file: own } = self;
        match *operation {
            Operation::Map { address, length, protection, flags, file } => {
                let backing = file.map_or(Backing::Anonymous, |(writable, offset)| Backing::File {
                    file: Arc::clone(own.pick(writable)),
                    offset,
                });
                let protection = Protection::from_bits_truncate(u32::try_from(protection).expect("small"));
                let flags = MapFlags::from_bits_retain(flags);
                space.map(memory, MapRequest { address, length, protection, flags, backing, label: None })
            }
            Operation::Unmap { address, length } => space.unmap(memory, address, length).map(|()| 0),
            Operation::Protect { address, length, bits } => space.protect(memory, address, length, bits).map(|()| 0),
            Operation::Remap { address, old_length, new_length, flags, new_address } => {
                let flags = RemapFlags::from_bits_retain(flags);
                space.remap(memory, RemapRequest { address, old_length, new_length, flags, new_address })
            }
            Operation::Advise { address, length, advice } => space.advise(memory, address, length, advice).map(|()| 0),
            Operation::Sync { address, length, flags } => {
                space.sync(address, length, SyncFlags::from_bits_retain(flags)).map(|()| 0)
            }
            Operation::Unlock { address, length } => space.lock(address, length).map(|()| 0),
            Operation::Resident { address, length } => {
                let mapped = space.mapped_part(address, length)?;
                if mapped.whole { Ok(0) } else { Err(Errno::ENOMEM) }
            }
            Operation::Write { address, value, length } => Ok(memory.write_some(address, &vec![value; length]) as u64),
        }
    }

    pub fn lines(&self) -> Vec<(Span, String, u64, u64)> {
        let maps = String::from_utf8(warmfork_memory::maps::maps(self.space.areas())).expect("text");
        maps.lines().filter_map(parse).collect()
    }
}

pub fn parse(line: &str) -> Option<(Span, String, u64, u64)> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let span = Span { start: hex(start)?, end: hex(end)? };
    let access = fields.next()?.to_owned();
    let offset = hex(fields.next()?)?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some((span, access, offset, inode))
}

fn address() -> impl Strategy<Value = u64> {
    let aligned = (0..PAGES).prop_map(|page| WINDOW.start + page * PAGE);
    prop_oneof![
        30 => aligned,
        1 => (0..PAGES * PAGE).prop_map(|offset| WINDOW.start + offset),
        1 => prop::sample::select(vec![USER_END, u64::MAX - 4095, 1 << 63, USER_END - PAGE]),
    ]
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![
        30 => (0..=MAX_PAGES).prop_map(|pages| pages * PAGE),
        3 => 1..3 * PAGE,
        1 => prop::sample::select(vec![u64::MAX, u64::MAX - 4095, USER_END, USER_END + PAGE, 1 << 63]),
    ]
}

fn map_flags() -> impl Strategy<Value = u64> {
    let flag =
        |flag: MapFlags, weight| prop::bool::weighted(weight).prop_map(move |on| if on { flag.bits() } else { 0 });
    let kind = prop_oneof![10 => Just(2_u64), 5 => Just(1), 1 => Just(3), 1 => prop::sample::select(vec![0, 4, 15])];
    let parts = (
        kind,
        flag(MapFlags::FIXED, 0.7),
        flag(MapFlags::FIXED_NOREPLACE, 0.1),
        flag(MapFlags::NORESERVE, 0.1),
        flag(MapFlags::STACK, 0.1),
        flag(MapFlags::SYNC, 0.02),
    );
    parts.prop_map(|(kind, fixed, noreplace, noreserve, stack, sync)| {
        kind | fixed | noreplace | noreserve | stack | sync
    })
}

fn advice() -> impl Strategy<Value = u64> {
    let likely = vec![
        madvise::MADV_DONTNEED,
        madvise::MADV_REMOVE,
        madvise::MADV_WIPEONFORK,
        madvise::MADV_KEEPONFORK,
        madvise::MADV_POPULATE_READ,
        madvise::MADV_POPULATE_WRITE,
        madvise::MADV_WILLNEED,
        madvise::MADV_COLD,
        madvise::MADV_DONTFORK,
        madvise::MADV_DOFORK,
        madvise::MADV_DONTDUMP,
    ];
    prop_oneof![10 => prop::sample::select(likely), 1 => prop::sample::select(vec![5, 6, 7, 26, 99, 1000, u64::MAX >> 32])]
}

fn map() -> impl Strategy<Value = Operation> {
    let file = prop::option::of((
        any::<bool>(),
        prop_oneof![10 => (0..8_u64).prop_map(|page| page * PAGE), 1 => Just(i64::MAX as u64 - 4095)],
    ));
    (address(), length(), 0..8_u64, map_flags(), file).prop_map(|(address, length, protection, flags, file)| {
        let anonymous = if file.is_none() { MapFlags::ANONYMOUS.bits() } else { 0 };
        Operation::Map { address, length, protection, flags: flags | anonymous, file }
    })
}

fn remap() -> impl Strategy<Value = Operation> {
    // Not MREMAP_MAYMOVE by itself: the old range would go to an address of the kernel's choice.
    let flags = prop_oneof![6 => Just(0_u64), 6 => Just(3), 3 => Just(7), 1 => prop::sample::select(vec![2, 4, 6, 8])];
    (address(), length(), length(), flags, address()).prop_map(
        |(address, old_length, new_length, flags, new_address)| {
            let new_length = if flags == 7 { old_length } else { new_length };
            Operation::Remap { address, old_length, new_length, flags, new_address }
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let bits = prop_oneof![20 => 0..16_u64, 1 => prop::sample::select(vec![16, 0x0100_0003, 0x0200_0003, 0x0300_0003])];
    let range = || (address(), length());
    prop_oneof![
        10 => map(),
        4 => range().prop_map(|(address, length)| Operation::Unmap { address, length }),
        4 => (address(), length(), bits).prop_map(|(address, length, bits)| Operation::Protect { address, length, bits }),
        6 => remap(),
        4 => (address(), length(), advice()).prop_map(|(address, length, advice)| Operation::Advise { address, length, advice }),
        1 => (range(), 0..9_u64).prop_map(|((address, length), flags)| Operation::Sync { address, length, flags }),
        1 => range().prop_map(|(address, length)| Operation::Unlock { address, length }),
        1 => range().prop_map(|(address, length)| Operation::Resident { address, length }),
        6 => (address(), any::<u8>(), 1..9000_usize)
            .prop_map(|(address, value, length)| Operation::Write { address, value, length }),
    ]
}

/// The same without a length that reaches the rest of a process: some calls pass over holes.
pub fn short(mut operation: Operation) -> Operation {
    if let Operation::Protect { length, .. } | Operation::Advise { length, .. } = &mut operation
        && (1 << 40..u64::MAX - PAGE).contains(length)
    {
        *length = PAGE;
    }
    operation
}

pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..40)
}

/// So many cases unless PROPTEST_CASES asks for others.
pub fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    let cases = asked.unwrap_or(cases);
    ProptestConfig { cases, max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() }
}
