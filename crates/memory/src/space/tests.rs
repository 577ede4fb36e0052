//! Tests of parts that random calls against a kernel do not reach: limits, layout, the heap, images, the record of changes.

use proptest::prelude::*;
use warmfork_abi::mman::madvise::{MADV_DONTNEED, MADV_WIPEONFORK};
use warmfork_abi::mman::prot::PROT_GROWSDOWN;
use warmfork_abi::mman::{MMAP_MIN_ADDR, RemapFlags};
use warmfork_abi::{PAGE, page_down};

use super::*;
use crate::fake::FakeMemory;
use crate::host::Source;
use crate::tree::Direction;

const BASE: u64 = 0x7fff_0000_0000;
const RESERVED: Span = Span { start: USER_END & !0xffff, end: USER_END };
const GIB: u64 = 1 << 30;
const READ: Protection = Protection::READ;
const BOTH: Protection = Protection::READ.union(Protection::WRITE);

/// An empty space and the memory behind it.
struct Guest {
    space: AddressSpace,
    memory: FakeMemory,
}

impl Guest {
    fn new() -> Self {
        Self { space: AddressSpace::new(Layout::new(BASE, &[RESERVED]), Limits::default()), memory: FakeMemory::new() }
    }

    fn limited(limits: Limits) -> Self {
        let mut guest = Self::new();
        guest.space.set_limits(limits);
        guest
    }

    fn map(&mut self, request: MapRequest) -> Result<u64, Errno> {
        self.space.map(&mut self.memory, request)
    }

    fn map_flags(&mut self, address: u64, pages: u64, flags: MapFlags) -> Result<u64, Errno> {
        let mut request = MapRequest::anonymous(pages * PAGE, READ);
        request.address = address;
        request.flags |= flags;
        self.map(request)
    }

    fn fixed(&mut self, address: u64, pages: u64, protection: Protection) -> Result<u64, Errno> {
        self.map(MapRequest::anonymous(pages * PAGE, protection).fixed(address))
    }

    fn unmap(&mut self, address: u64, pages: u64) -> Result<(), Errno> {
        self.space.unmap(&mut self.memory, address, pages * PAGE)
    }

    fn protect(&mut self, address: u64, pages: u64, bits: u64) -> Result<(), Errno> {
        self.space.protect(&mut self.memory, address, pages * PAGE, bits)
    }

    fn advise(&mut self, address: u64, pages: u64, advice: u64) -> Result<(), Errno> {
        self.space.advise(&mut self.memory, address, pages * PAGE, advice)
    }

    fn set_break(&mut self, address: u64) -> u64 {
        self.space.set_break(&mut self.memory, address)
    }

    fn byte(&self, address: u64) -> u8 {
        let mut byte = [0];
        assert_eq!(self.memory.read_some(address, &mut byte), 1, "{address:#x}");
        byte[0]
    }
}

fn span(start: u64, pages: u64) -> Span {
    Span { start, end: start + pages * PAGE }
}

#[test]
fn maps_from_the_top_down_and_into_gaps() {
    let mut guest = Guest::new();
    let first = guest.map(MapRequest::anonymous(1, READ)).expect("first");
    let second = guest.map(MapRequest::anonymous(8192, BOTH)).expect("second");
    assert_eq!((first, second), (BASE - PAGE, BASE - 3 * PAGE));
    guest.unmap(first, 1).expect("unmap");
    assert_eq!(guest.map(MapRequest::anonymous(PAGE + 1, READ)), Ok(BASE - 5 * PAGE));
    assert_eq!(guest.map(MapRequest::anonymous(PAGE, READ)), Ok(first));
}

#[test]
fn above_the_base_when_nothing_else_is_left() {
    let mut guest = Guest::new();
    let all = (BASE - MMAP_MIN_ADDR) / PAGE;
    guest.fixed(MMAP_MIN_ADDR, all, Protection::empty()).expect("everything below");
    assert_eq!(guest.map(MapRequest::anonymous(PAGE, READ)), Ok(BASE));
}

#[test]
fn hints_are_taken_where_they_can_be() {
    let mut guest = Guest::new();
    let hint = 0x1234_5000;
    assert_eq!(guest.map_flags(hint + 7, 2, MapFlags::empty()), Ok(hint));
    assert_eq!(guest.map_flags(hint + PAGE, 1, MapFlags::empty()), Ok(BASE - PAGE));
    assert_eq!(guest.map_flags(PAGE, 1, MapFlags::empty()), Ok(MMAP_MIN_ADDR));
    assert_eq!(guest.map_flags(5, 1, MapFlags::empty()), Ok(BASE - 2 * PAGE));
    for taken in [RESERVED.start, USER_END, u64::MAX] {
        assert!(guest.map_flags(taken, 1, MapFlags::empty()).expect("elsewhere") < BASE);
    }
}

#[test]
fn low_and_high_addresses_on_demand() {
    let mut guest = Guest::new();
    let low = guest.map_flags(0, 1, MapFlags::BIT32).expect("low");
    assert_eq!(low, 0x4000_0000);
    assert_eq!(guest.map_flags(0x7fff_f000, 1, MapFlags::BIT32), Ok(0x7fff_f000));
    assert_eq!(guest.map_flags(0x8000_0000, 1, MapFlags::BIT32), Ok(low + PAGE));
    assert_eq!(guest.map_flags(0, GIB / PAGE, MapFlags::BIT32), Err(Errno::ENOMEM));
    assert!(guest.map_flags(0, 1, MapFlags::ABOVE4G).expect("high") >= 4 * GIB);
}

#[test]
fn fixed_places_are_checked_as_linux_does() {
    let mut guest = Guest::new();
    assert_eq!(guest.fixed(0, 1, READ), Err(Errno::EPERM));
    assert_eq!(guest.fixed(MMAP_MIN_ADDR - PAGE, 1, READ), Err(Errno::EPERM));
    assert_eq!(guest.fixed(MMAP_MIN_ADDR, 1, READ), Ok(MMAP_MIN_ADDR));
    assert_eq!(guest.fixed(MMAP_MIN_ADDR + 1, 1, READ), Err(Errno::EINVAL));
    assert_eq!(guest.fixed(RESERVED.start, 1, READ), Err(Errno::ENOMEM));
    assert_eq!(guest.fixed(RESERVED.start - PAGE, 2, READ), Err(Errno::ENOMEM));
    assert_eq!(guest.fixed(RESERVED.start - PAGE, 1, READ), Ok(RESERVED.start - PAGE));
    assert_eq!(guest.unmap(RESERVED.start, 1), Err(Errno::EINVAL));
    let there = MapFlags::FIXED_NOREPLACE;
    assert_eq!(guest.map_flags(MMAP_MIN_ADDR, 1, there), Err(Errno::EEXIST));
    assert_eq!(guest.map_flags(MMAP_MIN_ADDR + PAGE, 1, there), Ok(MMAP_MIN_ADDR + PAGE));
    assert_eq!(guest.map_flags(0, 1, MapFlags::HUGETLB), Err(Errno::ENOMEM));
}

#[test]
fn reserved_spans_in_the_middle_are_nobodys() {
    let middle = span(0x5000_0000, 4);
    let mut guest = Guest::new();
    guest.space = AddressSpace::new(Layout::new(0x5000_8000, &[middle, RESERVED]), Limits::default());
    assert_eq!(guest.space.layout().top(), RESERVED.start);
    assert_eq!(guest.map(MapRequest::anonymous(4 * PAGE, READ)), Ok(0x5000_4000));
    assert_eq!(guest.map(MapRequest::anonymous(PAGE, READ)), Ok(0x5000_0000 - PAGE));
    assert_eq!(guest.fixed(0x5000_3000, 1, READ), Err(Errno::ENOMEM));
    // The host is never asked to unmap what is not the guest's.
    let calls = guest.memory.calls();
    guest.unmap(0x5000_0000, 4).expect("nothing there");
    assert_eq!(guest.memory.calls(), calls);
}

#[test]
fn huge_reservations_fit() {
    let mut guest = Guest::new();
    for gigabytes in [512, 1024, 16384] {
        let request = MapRequest::anonymous(gigabytes * GIB, Protection::empty());
        let address = guest.map(request).expect("a reservation");
        guest.protect(address + GIB, 16, 3).expect("a part of it");
    }
    assert_eq!(guest.space.areas().accessible_bytes().all(), 48 * PAGE);
}

#[test]
fn limits_hold() {
    let limits = Limits { reserved_bytes: 100 * PAGE, accessible_bytes: 10 * PAGE, areas: 1000 };
    let mut guest = Guest::limited(limits);
    let address = guest.map(MapRequest::anonymous(90 * PAGE, Protection::empty())).expect("reserved");
    assert_eq!(guest.map(MapRequest::anonymous(11 * PAGE, Protection::empty())), Err(Errno::ENOMEM));
    assert_eq!(guest.protect(address, 11, 1), Err(Errno::ENOMEM));
    guest.protect(address, 10, 1).expect("within");
    assert_eq!(guest.map(MapRequest::anonymous(PAGE, READ)), Err(Errno::ENOMEM));
    assert_eq!(guest.fixed(address + 50 * PAGE, 1, READ), Err(Errno::ENOMEM));
    // Replacing is not adding.
    guest.fixed(address, 10, BOTH).expect("in place");
    let grown = RemapRequest {
        address,
        old_length: 10 * PAGE,
        new_length: 11 * PAGE,
        flags: RemapFlags::MAYMOVE,
        new_address: 0,
    };
    assert_eq!(guest.space.remap(&mut guest.memory, grown), Err(Errno::ENOMEM));
    guest.space.start_heap(0x1000_0000);
    assert_eq!(guest.set_break(0x1000_1000), 0x1000_0000);
    // What is there when a limit is lowered may stay and shrink.
    guest.space.set_limits(Limits { accessible_bytes: PAGE, ..limits });
    guest.protect(address, 5, 0).expect("less");
    assert_eq!(guest.protect(address, 1, 1), Err(Errno::ENOMEM));
    assert_eq!(guest.space.areas(), guest.memory.areas());
}

#[test]
fn what_needs_no_reservation_is_not_counted_as_accessible() {
    let limits = Limits { reserved_bytes: 270 * PAGE, accessible_bytes: 10 * PAGE, areas: 1000 };
    let mut guest = Guest::limited(limits);
    let unreserved = |pages, protection| {
        let mut request = MapRequest::anonymous(pages * PAGE, protection);
        request.flags |= MapFlags::NORESERVE;
        request
    };
    let address = guest.map(unreserved(50, BOTH)).expect("more than may be accessible with a reservation");
    guest.map(MapRequest::anonymous(10 * PAGE, BOTH)).expect("which all is left");
    assert_eq!(guest.map(MapRequest::anonymous(PAGE, BOTH)), Err(Errno::ENOMEM));
    let more = guest.map(unreserved(200, Protection::empty())).expect("without access");
    guest.protect(more, 160, 3).expect("with access");
    assert_eq!(guest.map(unreserved(11, READ)), Err(Errno::ENOMEM), "more than there are addresses");
    guest.protect(address, 50, 0).expect("none");
    let expected = Accessible { reserved: 10 * PAGE, unreserved: 160 * PAGE };
    assert_eq!(guest.space.areas().accessible_bytes(), expected);
}

#[test]
fn a_program_can_limit_itself() {
    let mut guest = Guest::new();
    let address = guest.map(MapRequest::anonymous(4 * PAGE, BOTH)).expect("before");
    guest.space.set_resource_limits(ResourceLimits { address_space: 10 * PAGE, data: 6 * PAGE });
    assert_eq!(guest.map(MapRequest::anonymous(7 * PAGE, READ)), Err(Errno::ENOMEM));
    assert_eq!(guest.map(MapRequest::anonymous(3 * PAGE, BOTH)), Err(Errno::ENOMEM));
    guest.space.start_heap(0x1000_0000);
    assert_eq!(guest.set_break(0x1000_3000), 0x1000_0000);
    assert_eq!(guest.set_break(0x1000_2000), 0x1000_2000);
    let code = guest.map(MapRequest::anonymous(2 * PAGE, READ)).expect("no data");
    assert_eq!(guest.protect(code, 1, 3), Err(Errno::ENOMEM));
    // Over what is data already there is nothing more of it.
    guest.fixed(address, 4, BOTH).expect("in place");
    guest.space.set_resource_limits(ResourceLimits::default());
    guest.protect(code, 2, 3).expect("without a limit");
}

#[test]
fn there_are_only_so_many_areas() {
    let mut guest = Guest::limited(Limits { areas: 5, ..Limits::default() });
    let address = guest.map(MapRequest::anonymous(20 * PAGE, READ)).expect("one");
    guest.protect(address + PAGE, 1, 3).expect("three");
    guest.protect(address + 3 * PAGE, 1, 3).expect("five");
    assert_eq!(guest.protect(address + 5 * PAGE, 1, 3), Err(Errno::ENOMEM));
    assert_eq!(guest.unmap(address + 5 * PAGE, 1), Err(Errno::ENOMEM));
    assert_eq!(guest.advise(address + 5 * PAGE, 1, MADV_WIPEONFORK), Err(Errno::EAGAIN));
    guest.unmap(address + 4 * PAGE, 16).expect("an end");
    assert_eq!(guest.space.areas(), guest.memory.areas());
}

#[test]
fn the_heap_grows_and_shrinks() {
    let mut guest = Guest::new();
    let start = 0x1000_0000;
    guest.space.start_heap(start);
    assert_eq!(guest.set_break(0), start);
    assert_eq!(guest.set_break(start + 5), start + 5);
    assert_eq!(guest.set_break(start + 3 * PAGE), start + 3 * PAGE);
    assert_eq!(guest.memory.write_some(start + PAGE, b"x"), 1);
    assert_eq!(guest.set_break(start + PAGE), start + PAGE);
    assert_eq!(guest.set_break(start + 3 * PAGE), start + 3 * PAGE);
    assert_eq!(guest.byte(start + PAGE), 0);
    assert_eq!(guest.set_break(start - 1), start + 3 * PAGE);
    assert_eq!(guest.set_break(u64::MAX), start + 3 * PAGE);
    assert_eq!(guest.space.areas().find(start).and_then(|area| area.label), Some("heap"));
    // A page stays free before the next mapping.
    guest.fixed(start + 6 * PAGE, 1, READ).expect("in the way");
    assert_eq!(guest.set_break(start + 6 * PAGE), start + 3 * PAGE);
    assert_eq!(guest.set_break(start + 5 * PAGE), start + 5 * PAGE);
    // A heap whose end has been unmapped does not shrink over it.
    guest.unmap(start + 4 * PAGE, 1).expect("unmap");
    assert_eq!(guest.set_break(start + 4 * PAGE), start + 5 * PAGE);
    assert_eq!(guest.set_break(start), start);
}

#[test]
fn only_the_stack_grows_down() {
    let mut guest = Guest::new();
    let stack = MapRequest::anonymous(4 * PAGE, BOTH).labelled("stack");
    let stack = guest.map(stack).expect("stack");
    let other = guest.fixed(0x1000_0000, 4, BOTH).expect("other");
    guest.protect(stack + 3 * PAGE, 1, PROT_GROWSDOWN | 7).expect("stack");
    assert_eq!(guest.space.areas().find(stack).map(|area| area.protection), Some(Protection::all()));
    assert_eq!(guest.protect(other + PAGE, 1, PROT_GROWSDOWN | 7), Err(Errno::EINVAL));
}

#[test]
fn a_refused_mapping_changes_nothing() {
    let mut guest = Guest::new();
    let address = guest.fixed(0x1000_0000, 4, READ).expect("map");
    let before = guest.space.clone();
    guest.memory.refuse_after(0);
    assert_eq!(guest.fixed(address + PAGE, 1, BOTH), Err(Errno::ENOMEM));
    assert_eq!(guest.space, before);
    guest.memory.refuse_after(0);
    assert_eq!(guest.protect(address, 2, 3), Err(Errno::ENOMEM));
    assert_eq!(guest.space, before);
}

#[test]
fn what_was_moved_and_grown_often_still_moves() {
    let mut guest = Guest::new();
    let mut address = guest.fixed(0x1000_0000, 2, BOTH).expect("map");
    assert_eq!(guest.memory.write_some(address, b"first"), 5);
    for pages in [4, 8, 16, 32] {
        let mut wall = MapRequest::anonymous(PAGE, READ);
        wall.address = address + (pages / 2) * PAGE;
        guest.map(wall).expect("in the way");
        let request = RemapRequest {
            address,
            old_length: pages / 2 * PAGE,
            new_length: pages * PAGE,
            flags: RemapFlags::MAYMOVE,
            new_address: 0,
        };
        let moved = guest.space.remap(&mut guest.memory, request).expect("remap");
        assert_ne!(moved, address);
        address = moved;
        assert_eq!(guest.memory.write_some(address + (pages - 1) * PAGE, b"last"), 4);
        assert_eq!((guest.byte(address), guest.byte(address + (pages - 1) * PAGE)), (b'f', b'l'));
    }
    assert_eq!(guest.space.areas(), guest.memory.areas());
}

/// A guest with `pages` pages at 0x1000_0000 mapped from an "image" full of the letter i.
fn imaged(pages: u64) -> Guest {
    let file = crate::mapping::memory_file("image").expect("memfd");
    rustix::io::pwrite(&file, &vec![b'i'; usize::try_from(pages * PAGE).expect("small")], 0).expect("write");
    let mut guest = Guest::new();
    guest.fixed(0x1000_0000, pages, BOTH).expect("map");
    let fd = std::os::fd::AsFd::as_fd(&file);
    let whole = span(0x1000_0000, pages);
    guest.memory.map(whole, BOTH, Source::File { fd, offset: 0, shared: false }).expect("map the image");
    guest.space.set_imaged([whole]);
    guest.space.mark();
    guest
}

#[test]
fn dropped_pages_of_an_image_are_zero() {
    let mut guest = imaged(8);
    let calls = guest.memory.calls();
    guest.advise(0x1000_2000, 2, MADV_DONTNEED).expect("a little");
    assert_eq!([1, 2, 3, 4].map(|page| guest.byte(0x1000_0000 + page * PAGE)), [b'i', 0, 0, b'i']);
    // Zeroes are written, so that a reset needs no mapping call.
    assert_eq!((guest.memory.calls(), guest.space.changes().is_empty()), (calls, true));
    // Where that can't be, the pages are mapped anew.
    guest.protect(0x1000_4000, 1, 1).expect("read-only");
    guest.advise(0x1000_4000, 1, MADV_DONTNEED).expect("read-only too");
    assert_eq!([4, 5].map(|page| guest.byte(0x1000_0000 + page * PAGE)), [0, b'i']);
    assert!(guest.space.changes().remapped().iter().eq([span(0x1000_4000, 1)]));
    assert!(guest.space.imaged().iter().eq([span(0x1000_0000, 4), span(0x1000_5000, 3)]));
}

#[test]
fn much_of_an_image_is_mapped_anew() {
    let mut guest = imaged(80);
    guest.advise(0x1000_0000, 80, MADV_DONTNEED).expect("all of it");
    assert_eq!(guest.byte(0x1000_0000 + 79 * PAGE), 0);
    assert!(guest.space.imaged().is_empty());
    assert!(guest.memory.touched().is_empty());
}

#[test]
fn images_move_with_their_pages() {
    let mut guest = imaged(4);
    let (address, to) = (0x1000_0000, 0x2000_0000);
    let request = RemapRequest {
        address,
        old_length: 2 * PAGE,
        new_length: 3 * PAGE,
        flags: RemapFlags::MAYMOVE | RemapFlags::FIXED,
        new_address: to,
    };
    guest.space.remap(&mut guest.memory, request).expect("remap");
    assert_eq!([0, 1, 2].map(|page| guest.byte(to + page * PAGE)), [b'i', b'i', 0]);
    assert!(guest.space.imaged().iter().eq([span(address + 2 * PAGE, 2), span(to, 2)]));
    guest.advise(to, 3, MADV_DONTNEED).expect("advise");
    assert_eq!(guest.byte(to), 0);
}

#[test]
fn changes_are_recorded_until_marked() {
    let mut guest = Guest::new();
    let address = guest.fixed(0x1000_0000, 8, READ).expect("map");
    guest.space.mark();
    let before = guest.space.clone();
    guest.protect(address, 2, 3).expect("protect");
    guest.unmap(address + 4 * PAGE, 2).expect("unmap");
    assert!(guest.space.changes().protected().iter().eq([span(address, 2)]));
    assert!(guest.space.changes().remapped().iter().eq([span(address + 4 * PAGE, 2)]));
    guest.protect(address, 2, 1).expect("protect back");
    guest.fixed(address + 4 * PAGE, 2, READ).expect("map back");
    // The record is no part of what is compared.
    assert_eq!(guest.space, before);
    assert!(!guest.space.changes().is_empty());
    guest.space.mark();
    assert!(guest.space.changes().is_empty());
    // A call that changes nothing is none.
    guest.protect(address, 8, 1).expect("the same");
    assert!(guest.space.changes().is_empty());
}

#[test]
fn many_changes_are_recorded_as_fewer() {
    let mut guest = Guest::new();
    let address = guest.fixed(0x1000_0000, 8000, READ).expect("map");
    guest.space.mark();
    for page in (0..8000).step_by(3) {
        guest.unmap(address + page * PAGE, 1).expect("unmap");
    }
    let remapped = guest.space.changes().remapped();
    assert!(remapped.len() <= 1024);
    assert!((0..8000).step_by(3).all(|page| remapped.contains(address + page * PAGE)));
    assert!(remapped.iter().all(|span| span.start >= address && span.end <= address + 8000 * PAGE));
}

#[test]
fn totals_add_up() {
    let mut guest = Guest::new();
    guest.map(MapRequest::anonymous(10 * PAGE, Protection::empty())).expect("reserved");
    guest.map(MapRequest::anonymous(4 * PAGE, BOTH).labelled("stack")).expect("stack");
    guest.map(MapRequest::anonymous(2 * PAGE, READ | Protection::EXEC)).expect("code");
    let expected =
        Totals { mapped: 16 * PAGE, accessible: 6 * PAGE, data: 4 * PAGE, stack: 4 * PAGE, code: 2 * PAGE, files: 0 };
    assert_eq!(guest.space.totals(), expected);
    assert_eq!(page_down(guest.space.areas().mapped_bytes()), 16 * PAGE);
}

proptest! {
    /// Wherever the search for room begins, it finds the highest.
    #[test]
    fn room_is_the_highest(steps in prop::collection::vec((0..3_u8, 1..5_u64, 0..40_u64), 1..60)) {
        let mut guest = Guest::new();
        for (kind, pages, at) in steps {
            let address = BASE - (at + 1) * PAGE;
            let all = Span { start: MMAP_MIN_ADDR, end: BASE };
            let highest = guest.space.areas().find_gap(pages * PAGE, all, PAGE, Direction::TopDown, &[]);
            match kind {
                0 => prop_assert_eq!(guest.map(MapRequest::anonymous(pages * PAGE, READ)).ok(), highest),
                1 => prop_assert_eq!(guest.unmap(address, pages), Ok(())),
                _ => {
                    let (old_length, new_length, flags) = (PAGE, pages * PAGE, RemapFlags::MAYMOVE);
                    let request = RemapRequest { address, old_length, new_length, flags, new_address: 0 };
                    let _ = guest.space.remap(&mut guest.memory, request);
                }
            }
        }
    }
}
