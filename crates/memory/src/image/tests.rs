//! Images of made-up memory.

use std::sync::Arc;

use proptest::prelude::*;
use warmfork_abi::PAGE;
use warmfork_abi::fcntl::O_RDONLY;

use super::*;
use crate::areas::{Area, Backing};
use crate::span::Protection;

const BASE: u64 = 0x10_0000;
const MIB: u64 = 1 << 20;

fn span(start: u64, pages: u64) -> Span {
    Span { start, end: start + pages * PAGE }
}

fn anonymous(span: Span) -> Area {
    let protection = Protection::READ;
    Area {
        span,
        protection,
        shared: false,
        backing: Backing::Anonymous,
        wipe_on_fork: false,
        unreserved: false,
        label: None,
    }
}

/// Copies the page at `address` of `image` into `into`; false when it is zero or not mapped.
fn read_page(image: &Image, address: u64, into: &mut [u8; 4096]) -> bool {
    match image.pieces(Span { start: address, end: address + PAGE }).next() {
        Some((_, Content::Bytes(bytes, _))) => into.copy_from_slice(bytes),
        Some((_, Content::File(file, offset))) => {
            let read = rustix::io::pread(file, &mut into[..], offset).expect("a file's page");
            // Of a page that the file ends in, the rest is zeroes.
            into[read..].fill(0);
            return read > 0;
        }
        _ => return false,
    }
    true
}

/// A file of `length` bytes, page `n` full of the letter `a + n`.
fn file(length: u64) -> Arc<HostFile> {
    let fd = crate::mapping::memory_file("test").expect("memfd");
    for page in 0..length.div_ceil(PAGE) {
        let bytes = [b'a' + u8::try_from(page % 26).expect("small"); 4096];
        rustix::io::pwrite(&fd, &bytes, page * PAGE).expect("write");
    }
    rustix::fs::ftruncate(&fd, length).expect("truncate");
    HostFile::opened(fd, b"test", O_RDONLY).expect("fstat")
}

fn mapped(span: Span, file: &Arc<HostFile>, offset: u64) -> Area {
    Area { backing: Backing::File { file: Arc::clone(file), offset }, ..anonymous(span) }
}

/// Reads bytes that tell their page: its number in every byte.
fn numbered(span: Span, into: &mut [u8]) -> std::io::Result<()> {
    for (page, bytes) in (span.start / PAGE..).zip(into.chunks_mut(4096)) {
        bytes.fill(u8::try_from(page % 251).expect("small"));
    }
    Ok(())
}

fn build(areas: &[Area], touched: &[Span]) -> Image {
    let mut builder = ImageBuilder::new().expect("builder");
    for area in areas {
        builder.area(area, touched, &mut numbered).expect("area");
    }
    builder.finish().expect("image")
}

/// The segments in words: kind, pages and offset.
fn outline(image: &Image) -> Vec<(char, u64, u64)> {
    let kind = |source: &SegmentSource| match source {
        SegmentSource::Memory { offset } => ('m', *offset),
        SegmentSource::File { offset, .. } => ('f', *offset),
        SegmentSource::Shared { offset, .. } => ('s', *offset),
        SegmentSource::Zero => ('z', 0),
    };
    image
        .segments()
        .iter()
        .map(|segment| (kind(&segment.source).0, segment.span.len() / PAGE, kind(&segment.source).1))
        .collect()
}

#[test]
fn each_kind_of_area_has_its_source() {
    let data = file(8 * PAGE);
    let mut wiped = anonymous(span(BASE + 40 * PAGE, 2));
    wiped.wipe_on_fork = true;
    let mut shared = mapped(span(BASE + 50 * PAGE, 2), &data, PAGE);
    shared.shared = true;
    let mut own = anonymous(span(BASE + 60 * PAGE, 1));
    own.shared = true;
    let areas = [
        anonymous(span(BASE, 4)),
        anonymous(span(BASE + 10 * PAGE, 4)),
        mapped(span(BASE + 20 * PAGE, 4), &data, 2 * PAGE),
        mapped(span(BASE + 30 * PAGE, 4), &data, 3 * PAGE),
        wiped,
        shared,
        own,
    ];
    let touched = [10, 31, 40, 50, 60].map(|page| span(BASE + page * PAGE, 1));
    let image = build(&areas, &touched);
    let expected = [
        ('z', 4, 0),
        ('m', 4, 0),
        ('f', 4, 2 * PAGE),
        ('m', 4, 4 * PAGE),
        ('z', 2, 0),
        ('s', 2, PAGE),
        ('m', 1, 8 * PAGE),
    ];
    assert_eq!(outline(&image), expected);
    // One page of the heap, all four of the touched file mapping, one of shared anonymous memory.
    assert_eq!(image.resident_bytes(), 6 * PAGE);

    let number = |page: u64| vec![u8::try_from((BASE / PAGE + page) % 251).expect("small"); 4096];
    let mut bytes = [0; 4096];
    assert!(read_page(&image, BASE + 10 * PAGE, &mut bytes));
    assert_eq!(bytes, *number(10));
    assert!(read_page(&image, BASE + 33 * PAGE, &mut bytes));
    assert_eq!(bytes, *number(33));
    assert!(read_page(&image, BASE + 20 * PAGE, &mut bytes));
    assert_eq!(bytes, [b'c'; 4096]);
    for unknown in [0, 5, 11, 40, 50] {
        assert!(!read_page(&image, BASE + unknown * PAGE, &mut bytes), "{unknown}");
    }
}

#[test]
fn a_file_behind_its_end_stays_the_files() {
    let data = file(PAGE + 100);
    let image = build(&[mapped(span(BASE, 6), &data, 0)], &[span(BASE, 1)]);
    assert_eq!(outline(&image), [('m', 2, 0), ('f', 4, 2 * PAGE)]);
    let mut bytes = [0; 4096];
    assert!(!read_page(&image, BASE + 2 * PAGE, &mut bytes));
    let untouched = build(&[mapped(span(BASE, 6), &data, 0)], &[]);
    assert!(read_page(&untouched, BASE + PAGE, &mut bytes));
    assert_eq!((bytes[99], bytes[100]), (b'b', 0));
}

#[test]
fn long_untouched_stretches_take_no_room() {
    let huge = Span { start: BASE, end: BASE + (1 << 40) };
    let data = file(8 * MIB);
    let areas = [anonymous(huge), mapped(Span { start: huge.end, end: huge.end + 8 * MIB }, &data, 0)];
    let far = BASE + (1 << 39);
    let touched = [span(far, 1), span(far + 32 * MIB, 1), span(huge.end + 4 * MIB, 1)];
    let image = build(&areas, &touched);
    let before = (far - BASE) / PAGE;
    let kept = 32 * MIB / PAGE + 1;
    let half = 4 * MIB / PAGE;
    assert_eq!(
        outline(&image),
        [
            ('z', before, 0),
            ('m', kept, 0),
            ('z', huge.len() / PAGE - before - kept, 0),
            ('f', half, 0),
            ('m', 1, kept * PAGE),
            ('f', half - 1, 4 * MIB + PAGE),
        ]
    );
    assert_eq!(image.resident_bytes(), 3 * PAGE);
}

#[test]
fn zero_pages_are_holes() {
    let mut builder = ImageBuilder::new().expect("builder");
    let area = span(BASE, 6);
    let mut odd = |span: Span, into: &mut [u8]| {
        for (page, bytes) in (span.start / PAGE..).zip(into.chunks_mut(4096)) {
            bytes[4095] = u8::from(page % 3 != 0);
        }
        Ok(())
    };
    builder.area(&anonymous(area), &[area], &mut odd).expect("area");
    let image = builder.finish().expect("image");
    let kinds: Vec<(u64, bool)> =
        image.pieces(area).map(|(span, content)| (span.len() / PAGE, matches!(content, Content::Bytes(..)))).collect();
    let first = u64::from(!(BASE / PAGE).is_multiple_of(3));
    assert!(first == 1, "the first page is not a zero page");
    assert_eq!(image.resident_bytes() / PAGE, 4);
    assert_eq!(kinds.iter().filter(|(_, bytes)| *bytes).map(|(pages, _)| pages).sum::<u64>(), 4);
    assert_eq!(kinds.iter().map(|(pages, _)| pages).sum::<u64>(), 6);
    let stat = rustix::fs::fstat(image.file()).expect("fstat");
    assert_eq!(u64::try_from(stat.st_blocks).expect("blocks") * 512, 4 * PAGE);
}

#[test]
fn what_is_misplaced_is_refused() {
    let mut builder = ImageBuilder::new().expect("builder");
    let misplaced = |outcome: Result<(), ImageError>| matches!(outcome, Err(ImageError::Misplaced { .. }));
    builder.memory(span(BASE, 2)).expect("memory");
    assert!(misplaced(builder.segment(span(BASE + PAGE, 2), SegmentSource::Zero)));
    assert!(misplaced(builder.segment(Span { start: BASE + 8 * PAGE, end: BASE + 8 * PAGE }, SegmentSource::Zero)));
    assert!(misplaced(builder.segment(Span { start: BASE + 8 * PAGE, end: BASE + 8 * PAGE + 1 }, SegmentSource::Zero)));
    assert!(misplaced(builder.segment(span(BASE + 8 * PAGE, 1), SegmentSource::Memory { offset: 0 })));
    assert!(misplaced(builder.write(PAGE, &[1; 2 * 4096])));
    assert!(misplaced(builder.write(5, &[1; 4096])));
    assert!(misplaced(builder.write(0, &[1; 100])));
    builder.write(PAGE, &[1; 4096]).expect("write");
    assert!(misplaced(builder.write(0, &[1; 4096])));
    let image = builder.finish().expect("image");
    let mut bytes = [0; 4096];
    assert!(!read_page(&image, BASE, &mut bytes));
    assert!(read_page(&image, BASE + PAGE, &mut bytes));
    assert_eq!(bytes, [1; 4096]);
}

#[test]
fn nothing_is_an_image_too() {
    let image = ImageBuilder::new().expect("builder").finish().expect("image");
    assert_eq!((image.resident_bytes(), image.pieces(span(0, 100)).count()), (0, 0));
}

#[test]
fn images_never_change() {
    let image = build(&[anonymous(span(BASE, 1))], &[span(BASE, 1)]);
    assert!(rustix::io::pwrite(image.file(), b"x", 0).is_err());
    assert!(rustix::fs::ftruncate(image.file(), 0).is_err());
    assert!(rustix::fs::ftruncate(image.file(), 1 << 20).is_err());
}

#[test]
fn a_reader_that_fails_is_told_of() {
    let mut builder = ImageBuilder::new().expect("builder");
    let mut fail = |_: Span, _: &mut [u8]| Err(std::io::ErrorKind::NotFound.into());
    let outcome = builder.area(&anonymous(span(BASE, 3)), &[span(BASE + PAGE, 1)], &mut fail);
    assert!(matches!(outcome, Err(ImageError::Read { span: failed, .. }) if failed == span(BASE + PAGE, 1)));
}

proptest! {
    /// Every page is what it was, however the areas are cut and whatever was touched.
    #[test]
    fn pages_come_back(
        areas in prop::collection::vec((0..3_u64, 1..9_u64, any::<bool>()), 1..8),
        touched in prop::collection::btree_set(0..80_u64, 0..20),
        asked in (0..80_u64, 1..80_u64),
    ) {
        let data = file(100 * PAGE);
        let (mut at, mut list) = (0, Vec::new());
        for (gap, pages, is_file) in areas {
            let place = span(BASE + (at + gap) * PAGE, pages);
            list.push(if is_file { mapped(place, &data, (at + gap) * PAGE) } else { anonymous(place) });
            at += gap + pages;
        }
        let spans: Vec<Span> = touched.iter().map(|page| span(BASE + page * PAGE, 1)).collect();
        let mut builder = ImageBuilder::new().expect("builder");
        let mut read = |span: Span, into: &mut [u8]| {
            for (page, bytes) in ((span.start - BASE) / PAGE..).zip(into.chunks_mut(4096)) {
                // What was not touched is the file's, which has letters; three of the touched pages are zero.
                let letter = b'a' + u8::try_from(page % 26).expect("small");
                bytes.fill(if !touched.contains(&page) { letter } else if page % 7 == 0 { 0 } else { 1 });
            }
            Ok(())
        };
        for area in &list {
            builder.area(area, &spans, &mut read).expect("area");
        }
        let image = builder.finish().expect("image");
        for page in 0..80_u64 {
            let area = list.iter().find(|area| area.span.contains(BASE + page * PAGE));
            let expected = match area {
                Some(_) if touched.contains(&page) => u8::from(page % 7 != 0),
                Some(area) if !area.is_anonymous() => b'a' + u8::try_from(page % 26).expect("small"),
                _ => 0,
            };
            let mut bytes = [9; 4096];
            if !read_page(&image, BASE + page * PAGE, &mut bytes) {
                bytes.fill(0);
            }
            prop_assert_eq!(bytes, [expected; 4096], "page {}", page);
        }
        let asked = span(BASE + asked.0 * PAGE, asked.1);
        let covered: u64 = image.pieces(asked).map(|(span, _)| span.len()).sum();
        let mapped: u64 = list.iter().filter_map(|area| area.span.intersection(asked)).map(Span::len).sum();
        prop_assert_eq!(covered, mapped);
        prop_assert!(image.pieces(asked).zip(image.pieces(asked).skip(1)).all(|((a, _), (b, _))| a.end <= b.start));
    }
}
