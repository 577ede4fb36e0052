//! The tree against a model that knows each page by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use warmfork_abi::PAGE;
use warmfork_abi::fcntl::O_RDWR;

use super::*;
use crate::areas::Backing;
use crate::host_file::HostFile;

/// Pages of the window that tests work in.
const PAGES: u64 = 48;
/// The window's first page.
const BASE: u64 = 0x10_0000;

#[derive(Clone, Debug)]
enum Operation {
    Insert { span: Span, protection: Protection, shared: bool, label: bool, file: Option<(usize, u64)> },
    Remove(Span),
    Protect(Span, Protection),
    Wipe(Span, bool),
}

/// All that is to be known of one page.
type Model = BTreeMap<u64, Area>;

fn span() -> impl Strategy<Value = Span> {
    (0..PAGES, 1..=PAGES).prop_map(|(start, length)| {
        let end = (start + length).min(PAGES);
        Span { start: BASE + start * PAGE, end: BASE + end * PAGE }
    })
}

fn protection() -> impl Strategy<Value = Protection> {
    (0..4_u32).prop_map(Protection::from_bits_truncate)
}

fn operation() -> impl Strategy<Value = Operation> {
    let file = prop::option::of((0..2_usize, (0..4_u64).prop_map(|page| page * PAGE)));
    prop_oneof![
        4 => (span(), protection(), prop::bool::weighted(0.2), prop::bool::weighted(0.2), file).prop_map(
            |(span, protection, shared, label, file)| Operation::Insert { span, protection, shared, label, file }
        ),
        2 => span().prop_map(Operation::Remove),
        2 => (span(), protection()).prop_map(|(span, protection)| Operation::Protect(span, protection)),
        1 => (span(), any::<bool>()).prop_map(|(span, wipe)| Operation::Wipe(span, wipe)),
    ]
}

fn files() -> Vec<Arc<HostFile>> {
    let open = |_| {
        let fd = std::fs::File::open("/dev/null").expect("/dev/null").into();
        HostFile::opened(fd, b"", O_RDWR).expect("fstat")
    };
    (0..2).map(open).collect()
}

fn pages_of(span: Span) -> impl Iterator<Item = u64> {
    (span.start..span.end).step_by(4096)
}

fn area(span: Span, protection: Protection, backing: Backing) -> Area {
    Area { span, protection, shared: false, backing, wipe_on_fork: false, unreserved: false, label: None }
}

fn apply(tree: &mut AreaTree, model: &mut Model, operation: Operation, files: &[Arc<HostFile>]) {
    match operation {
        Operation::Insert { span, protection, shared, label, file } => {
            let backing = file.map_or(Backing::Anonymous, |(index, offset)| Backing::File {
                file: Arc::clone(&files[index]),
                offset: offset + span.start - BASE,
            });
            let label = label.then_some("heap");
            let area = Area { span, protection, shared, backing, wipe_on_fork: false, unreserved: false, label };
            let removed = tree.insert(area.clone());
            assert_eq!(flatten(removed.iter()), take(model, span));
            model.extend(flatten([&area].into_iter()));
        }
        Operation::Remove(span) => {
            let removed = tree.remove(span);
            assert_eq!(flatten(removed.iter()), take(model, span));
        }
        Operation::Protect(span, protection) => {
            tree.protect(span, protection);
            model.range_mut(span.start..span.end).for_each(|(_, page)| page.protection = protection);
        }
        Operation::Wipe(span, wipe) => {
            tree.set_wipe_on_fork(span, wipe);
            model.range_mut(span.start..span.end).for_each(|(_, page)| page.wipe_on_fork = wipe);
        }
    }
}

fn take(model: &mut Model, span: Span) -> Model {
    pages_of(span).filter_map(|page| model.remove_entry(&page)).collect()
}

fn flatten<'a>(areas: impl Iterator<Item = &'a Area>) -> Model {
    let page = |area: &Area, start| area.clipped(Span { start, end: start + PAGE }).map(|page| (start, page));
    areas.flat_map(|area| pages_of(area.span).filter_map(move |start| page(area, start))).collect()
}

fn check(tree: &AreaTree, model: &Model) {
    assert_eq!(&flatten(tree.iter()), model);
    let areas: Vec<&Area> = tree.iter().collect();
    for pair in areas.windows(2) {
        assert!(pair[0].span.end <= pair[1].span.start, "{pair:?} overlap");
        assert!(!pair[0].continues_into(pair[1]), "{pair:?} are one");
    }
    let accessible = model.values().map(Area::accessible).sum();
    assert_eq!(tree.mapped_bytes(), model.len() as u64 * PAGE);
    assert_eq!(tree.accessible_bytes(), accessible);
}

fn check_questions(tree: &AreaTree, model: &Model, span: Span) {
    let pages: Vec<u64> = pages_of(span).filter(|page| model.contains_key(page)).collect();
    assert_eq!(tree.mapped_bytes_in(span), pages.len() as u64 * PAGE);
    assert_eq!(tree.is_fully_mapped(span), pages.len() as u64 * PAGE == span.len());
    let accessible = pages.iter().map(|page| model[page].accessible()).sum();
    assert_eq!(tree.accessible_bytes_in(span), accessible);
    assert_eq!(flatten(tree.pieces(span).collect::<Vec<_>>().iter()).into_keys().collect::<Vec<_>>(), pages);
    assert_eq!(tree.mapped_runs(span).into_iter().flat_map(pages_of).collect::<Vec<_>>(), pages);
    assert!(tree.mapped_runs(span).windows(2).all(|pair| pair[0].end < pair[1].start));

    let address = span.start + 5;
    assert_eq!(tree.find(address).is_some(), model.contains_key(&span.start));
    let next = model.range(span.start..).next().map(|(page, _)| *page);
    assert_eq!(tree.next(address).map(|area| area.span.start.max(span.start)), next);
    let prev = model.range(..address).next_back().map(|(page, _)| *page);
    assert_eq!(tree.prev(address).map(|area| area.span.end.min(span.start + PAGE) - PAGE), prev);
}

fn check_gap(tree: &AreaTree, model: &Model, within: Span, pages: u64, alignment: u64, reserved: Span) {
    let free = |page: u64| !model.contains_key(&page) && !reserved.contains(page);
    let fits = |start: &u64| {
        let span = Span { start: *start, end: *start + pages * PAGE };
        start.is_multiple_of(alignment) && span.end <= within.end && pages_of(span).all(free)
    };
    let lowest = pages_of(within).find(fits);
    let highest = pages_of(within).filter(fits).last();
    let gap = |direction| tree.find_gap(pages * PAGE, within, alignment, direction, &[reserved]);
    assert_eq!(gap(Direction::BottomUp), lowest);
    assert_eq!(gap(Direction::TopDown), highest);
}

proptest! {
    #[test]
    fn tree_is_its_pages(operations in prop::collection::vec(operation(), 1..40), asked in span()) {
        let files = files();
        let (mut tree, mut model) = (AreaTree::default(), Model::new());
        for operation in operations {
            apply(&mut tree, &mut model, operation, &files);
            check(&tree, &model);
            check_questions(&tree, &model, asked);
        }
    }

    #[test]
    fn gaps_are_the_outermost(
        operations in prop::collection::vec(operation(), 1..12),
        within in span(),
        reserved in span(),
        pages in 1..8_u64,
        alignment in (0..3_u32).prop_map(|shift| PAGE << shift),
    ) {
        let files = files();
        let (mut tree, mut model) = (AreaTree::default(), Model::new());
        for operation in operations {
            apply(&mut tree, &mut model, operation, &files);
        }
        check_gap(&tree, &model, within, pages, alignment, reserved);
    }
}

#[test]
fn equal_histories_do_not_matter() {
    let whole = Span { start: BASE, end: BASE + 4 * PAGE };
    let middle = Span { start: BASE + PAGE, end: BASE + 2 * PAGE };
    let file = Backing::File { file: Arc::clone(&files()[0]), offset: 0 };
    for backing in [Backing::Anonymous, file] {
        let mut tree = AreaTree::default();
        tree.insert(area(whole, Protection::READ, backing));
        let before = tree.clone();
        tree.protect(middle, Protection::WRITE);
        assert_eq!(tree.len(), 3);
        assert_ne!(tree, before);
        tree.protect(middle, Protection::READ);
        assert_eq!(tree, before);
    }
}

#[test]
fn file_pages_join_only_in_order() {
    let file = &files()[0];
    let at = |offset| Backing::File { file: Arc::clone(file), offset };
    let low = Span { start: BASE, end: BASE + PAGE };
    let high = Span { start: BASE + PAGE, end: BASE + 2 * PAGE };
    let mut tree = AreaTree::default();
    tree.insert(area(low, Protection::READ, at(PAGE)));
    tree.insert(area(high, Protection::READ, at(0)));
    assert_eq!(tree.len(), 2);
    tree.insert(area(high, Protection::READ, at(2 * PAGE)));
    assert_eq!(tree.len(), 1);
}

#[test]
fn cuts_are_counted() {
    let mut tree = AreaTree::default();
    tree.insert(area(Span { start: BASE, end: BASE + 4 * PAGE }, Protection::READ, Backing::Anonymous));
    let cuts = |start, end| tree.cuts(Span { start: BASE + start * PAGE, end: BASE + end * PAGE });
    assert_eq!([cuts(0, 4), cuts(1, 4), cuts(0, 3), cuts(1, 3), cuts(4, 5)], [0, 1, 1, 2, 0]);
}
