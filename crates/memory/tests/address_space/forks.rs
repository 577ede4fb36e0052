//! A fork of an image behaves as the machine that was frozen, and becomes pristine again.

use proptest::prelude::*;
use warmfork_abi::mman::madvise::MADV_REMOVE;
use warmfork_abi::{PAGE, USER_END};
use warmfork_memory::{FakeMemory, GuestMemory, Image, ImageBuilder, Span};

use crate::calls::{Emulated, File, Operation, WINDOW, config, operations};

const EVERYTHING: Span = Span { start: 0, end: USER_END };

fn booted(operations: &[Operation]) -> Emulated {
    let mut machine = Emulated::new();
    for operation in operations {
        let _ = machine.apply(operation);
    }
    machine
}

fn freeze(machine: &Emulated) -> Image {
    let touched = machine.memory.touched();
    let mut builder = ImageBuilder::new().expect("a builder");
    for area in machine.space.areas().iter() {
        let mut read = |span, into: &mut [u8]| machine.memory.read_anyway(span, into);
        builder.area(area, &touched, &mut read).expect("an area");
    }
    builder.finish().expect("an image")
}

fn fork(machine: &Emulated, image: &Image) -> Emulated {
    let (mut space, mut memory) = (machine.space.clone(), FakeMemory::new());
    image.install(&mut memory, space.areas(), EVERYTHING).expect("install");
    space.set_imaged(image.memory_spans());
    space.mark();
    Emulated { space, memory, file: File::of(&machine.file) }
}

/// Restores what a platform would: every page written since the fork was made.
fn reset(fork: &mut Emulated, pristine: &Emulated, image: &Image) {
    fork.space.revert(&mut fork.memory, &pristine.space, image).expect("revert");
    for page in fork.memory.touched().into_iter().flat_map(|span| (span.start..span.end).step_by(4096)) {
        if fork.space.areas().find(page).is_some_and(|area| !area.is_shared_file()) {
            let mut bytes = [0; 4096];
            if !image.page(page, &mut bytes) {
                bytes.fill(0);
            }
            fork.memory.restore(page, &bytes);
        }
    }
}

fn contents(machine: &Emulated, page: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    machine.memory.read_anyway(Span { start: page, end: page + PAGE }, &mut bytes).ok().map(|()| bytes)
}

fn same(a: &Emulated, b: &Emulated) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.lines(), b.lines());
    prop_assert_eq!(a.space.areas(), b.space.areas());
    for page in (WINDOW.start..WINDOW.end).step_by(4096) {
        let protection = |machine: &Emulated| machine.memory.areas().find(page).map(|area| area.protection);
        prop_assert_eq!(protection(a), protection(b), "{:x}", page);
        prop_assert!(contents(a, page) == contents(b, page), "contents of {:x}", page);
    }
    Ok(())
}

/// Whether `operation` would change the file: then private mappings of it may or may not see that.
fn changes_file(operation: &Operation, machine: &Emulated) -> bool {
    let shared = machine.space.areas().iter().any(|area| area.is_shared_file());
    shared && matches!(operation, Operation::Write { .. } | Operation::Advise { advice: MADV_REMOVE, .. })
}

fn run_both(operations: &[Operation], a: &mut Emulated, b: &mut Emulated) -> Result<(), TestCaseError> {
    for operation in operations {
        if !changes_file(operation, a) {
            prop_assert_eq!(a.apply(operation), b.apply(operation), "{:x?}", operation);
            same(a, b)?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn fork_behaves_as_the_original(boot in operations(), request in operations()) {
        let mut original = booted(&boot);
        let image = freeze(&original);
        let mut fork = fork(&original, &image);
        for area in original.space.areas().iter().filter(|area| area.wipe_on_fork) {
            original.memory.discard(area.span).expect("discard");
        }
        same(&original, &fork)?;
        run_both(&request, &mut original, &mut fork)?;
    }

    #[test]
    fn reset_fork_is_pristine(boot in operations(), request in operations(), next in operations()) {
        let original = booted(&boot);
        let image = freeze(&original);
        let pristine = fork(&original, &image);
        let mut used = fork(&original, &image);
        for operation in request.iter().filter(|operation| !changes_file(operation, &pristine)) {
            let _ = used.apply(operation);
        }
        reset(&mut used, &pristine, &image);
        prop_assert!(used.space == pristine.space);
        prop_assert!(used.space.changes().is_empty());
        let mut new = fork(&original, &image);
        same(&used, &new)?;
        run_both(&next, &mut used, &mut new)?;
    }

    #[test]
    fn unchanged_mappings_cost_nothing(boot in operations(), writes in prop::collection::vec(any::<u8>(), 5)) {
        let original = booted(&boot);
        let image = freeze(&original);
        let pristine = fork(&original, &image);
        let mut used = fork(&original, &image);
        let calls = used.memory.calls();
        for (index, value) in (0..).zip(writes) {
            used.memory.write_some(WINDOW.start + index * 5 * PAGE, &[value]);
        }
        used.space.revert(&mut used.memory, &pristine.space, &image).expect("revert");
        prop_assert_eq!(used.memory.calls(), calls);
    }
}
