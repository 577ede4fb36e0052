//! Keeps the set of pages that a reset rewrites small.
//!
//! A fork's first requests touch pages that later ones leave alone: they fill caches and look up code for the first time. Each
//! reset would rewrite those pages. So some resets look for touched pages that have not changed, and give them back to the
//! image. A page that is given back too early costs one page fault, and is not given back again: requests write to it and then
//! restore it, as they do with reference counts.

use warmfork_abi::PAGE;
use warmfork_memory::{Span, SpanSet};
use warmfork_platform::{Platform, Pristine};

const PAGE_BYTES: usize = 4096;
static ZEROES: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// Whether the reset after `resets` others looks for such pages: the 8th does, the 64th, the 512th, and so on, because looking
/// costs more than rewriting.
pub const fn is_due(resets: u64) -> bool {
    let number = resets.saturating_add(1);
    number >= 8 && number.is_power_of_two() && number.trailing_zeros().is_multiple_of(3)
}

/// Sorts the pages of `span`, which are to be `pristine`, into those that are the `same` already and the `changed` ones,
/// among which are all that were `given_back` before.
///
/// # Errors
/// The host's refusal to read them.
pub fn sort(
    platform: &dyn Platform,
    image: &[u8],
    span: Span,
    pristine: Pristine,
    given_back: &SpanSet,
    same: &mut Vec<Span>,
    changed: &mut Vec<(Span, Pristine)>,
) -> std::io::Result<()> {
    let mut own = [0; PAGE_BYTES];
    for start in (span.start..span.end).step_by(PAGE_BYTES) {
        let (expected, pristine) = match pristine {
            Pristine::Zero => (Some(&ZEROES[..]), Pristine::Zero),
            Pristine::Image(offset) => {
                let offset = offset + (start - span.start);
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                (image.get(from..from.saturating_add(PAGE_BYTES)), Pristine::Image(offset))
            }
        };
        let page = Span { start, end: start + PAGE };
        if given_back.contains(start) {
            changed.push((page, pristine));
            continue;
        }
        platform.read_any(start, &mut own)?;
        if expected == Some(&own[..]) {
            push(same, page);
        } else {
            changed.push((page, pristine));
        }
    }
    Ok(())
}

/// Appends `page`, joined to the last span when they touch.
fn push(spans: &mut Vec<Span>, page: Span) {
    match spans.last_mut() {
        Some(last) if last.end == page.start => last.end = page.end,
        _ => spans.push(page),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_ever_more_seldom() {
        let due: Vec<u64> = (0..5000).filter(|&resets| is_due(resets)).map(|resets| resets + 1).collect();
        assert_eq!(due, [8, 64, 512, 4096]);
    }
}
