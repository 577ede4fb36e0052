//! A fork of an image behaves as the machine that was frozen, and becomes pristine again.

use proptest::prelude::*;
use warmfork_abi::mman::madvise::MADV_REMOVE;
use warmfork_abi::{PAGE, USER_END};
use warmfork_memory::image::Content;
use warmfork_memory::{AreaTree, FakeMemory, GuestMemory, Image, ImageBuilder, SegmentSource, Source, Span};

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

/// Maps what the image holds of `areas` within `span`.
fn install(memory: &mut FakeMemory, image: &Image, areas: &AreaTree, span: Span) {
    for area in areas.pieces(span) {
        for segment in image.segments() {
            let Some(part) = segment.span.intersection(area.span) else { continue };
            let here = area.clipped(part).expect("a part of it");
            let source = match segment.source {
                SegmentSource::Zero => Source::Anonymous,
                SegmentSource::Memory { offset } => {
                    Source::File { fd: image.file(), offset: offset + (part.start - segment.span.start), shared: false }
                }
                SegmentSource::File { .. } | SegmentSource::Shared { .. } => here.backing.source(here.shared),
            };
            memory.map(part, area.protection, source).expect("map");
        }
    }
}

fn fork(machine: &Emulated, image: &Image) -> Emulated {
    let (mut space, mut memory) = (machine.space.clone(), FakeMemory::new());
    install(&mut memory, image, space.areas(), EVERYTHING);
    let in_memory = |source: &SegmentSource| matches!(source, SegmentSource::Memory { .. });
    let segments = image.segments().iter();
    space.set_imaged(segments.filter(|segment| in_memory(&segment.source)).map(|segment| segment.span));
    space.mark();
    Emulated { space, memory, file: File::of(&machine.file) }
}

/// Undoes what the record of changes names, and then restores every page written since the fork was made.
fn reset(fork: &mut Emulated, pristine: &Emulated, image: &Image) {
    let changes = fork.space.changes().clone();
    for span in changes.remapped().iter() {
        for run in fork.space.areas().mapped_runs(span) {
            fork.memory.unmap(run).expect("unmap");
        }
        install(&mut fork.memory, image, pristine.space.areas(), span);
    }
    for span in changes.protected().iter() {
        for area in pristine.space.areas().pieces(span) {
            fork.memory.protect(area.span, area.protection).expect("protect");
        }
    }
    fork.space = pristine.space.clone();
    for page in fork.memory.touched().into_iter().flat_map(|span| (span.start..span.end).step_by(4096)) {
        if fork.space.areas().find(page).is_some_and(|area| !area.is_shared_file()) {
            let mut bytes = [0; 4096];
            match image.pieces(Span { start: page, end: page + PAGE }).next() {
                Some((_, Content::Bytes(content, _))) => bytes.copy_from_slice(content),
                Some((_, Content::File(file, offset))) => {
                    rustix::io::pread(file, &mut bytes[..], offset).expect("a file's page");
                }
                _ => {}
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
        let mut new = fork(&original, &image);
        same(&used, &new)?;
        run_both(&next, &mut used, &mut new)?;
    }
}
