//! Tests of the address space against `FakeMemory`.

use warmfork_abi::USER_END;

use super::*;
use crate::fake::FakeMemory;

const BASE: u64 = 0x7fff_0000_0000;

fn space() -> AddressSpace {
    let reserved = Span { start: USER_END & !0xffff, end: USER_END };
    AddressSpace::new(Layout::new(BASE, &[reserved]), Limits::default())
}

#[test]
fn maps_from_the_top_down() {
    let (mut space, mut memory) = (space(), FakeMemory::new());
    let first = space.map(&mut memory, MapRequest::anonymous(1, Protection::READ)).expect("first");
    let second = space.map(&mut memory, MapRequest::anonymous(8192, Protection::READ)).expect("second");
    assert_eq!((first, second), (BASE - 4096, BASE - 3 * 4096));
    assert_eq!(space.areas(), memory.areas());
}
