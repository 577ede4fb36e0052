//! A set of addresses kept as spans that never touch each other. Plain data; used for changes and for what is
//! mapped from an image.

use std::collections::BTreeMap;

use crate::span::Span;

/// A set of addresses as disjoint spans in address order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SpanSet {
    spans: BTreeMap<u64, u64>,
}

impl SpanSet {
    /// How many separate spans there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether no address is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The spans in address order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Span> {
        self.spans.iter().map(|(&start, &end)| Span { start, end })
    }

    /// Whether `address` is in the set.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        self.spans.range(..=address).next_back().is_some_and(|(_, &end)| address < end)
    }

    /// The parts of the set within `span`, in address order.
    pub fn within(&self, span: Span) -> impl Iterator<Item = Span> {
        let first = self.spans.range(..=span.start).next_back().map_or(span.start, |(&start, _)| start);
        self.spans.range(first..span.end).filter_map(move |(&start, &end)| Span { start, end }.intersection(span))
    }

    /// Adds `span`.
    pub fn insert(&mut self, span: Span) {
        let Span { mut start, mut end } = span;
        while let Some((&other, &other_end)) = self.spans.range(..=end).next_back().filter(|&(_, &e)| e >= start) {
            self.spans.remove(&other);
            start = start.min(other);
            end = end.max(other_end);
        }
        self.spans.insert(start, end);
    }

    /// Takes `span` out.
    pub fn remove(&mut self, span: Span) {
        while let Some((&other, &other_end)) =
            self.spans.range(..span.end).next_back().filter(|&(_, &e)| e > span.start)
        {
            self.spans.remove(&other);
            if other_end > span.end {
                self.spans.insert(span.end, other_end);
            }
            if other < span.start {
                self.spans.insert(other, span.start);
            }
        }
    }

    /// Fills the smallest holes until at most `most` (at least one) spans are left: a superset of the set.
    pub fn coalesce(&mut self, most: usize) {
        let excess = self.spans.len().saturating_sub(most.max(1));
        if excess == 0 {
            return;
        }
        let ends = self.iter().map(|span| span.end);
        let mut holes: Vec<Span> =
            ends.zip(self.iter().skip(1)).map(|(start, next)| Span { start, end: next.start }).collect();
        holes.sort_by_key(|hole| hole.len());
        for hole in holes.into_iter().take(excess) {
            self.insert(hole);
        }
    }
}

impl FromIterator<Span> for SpanSet {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut set = Self::default();
        spans.into_iter().for_each(|span| set.insert(span));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn span() -> impl Strategy<Value = Span> {
        (0..60_u64, 1..20_u64).prop_map(|(start, length)| Span { start, end: start + length })
    }

    proptest! {
        #[test]
        fn set_is_its_addresses(
            operations in prop::collection::vec((any::<bool>(), span()), 1..40),
            asked in span(),
            most in 1..5_usize,
        ) {
            let (mut set, mut model) = (SpanSet::default(), BTreeSet::new());
            for (add, span) in operations {
                if add {
                    set.insert(span);
                    model.extend(span.start..span.end);
                } else {
                    set.remove(span);
                    model.retain(|&address| !span.contains(address));
                }
                prop_assert!(set.iter().flat_map(|span| span.start..span.end).eq(model.iter().copied()));
                prop_assert!(set.iter().zip(set.iter().skip(1)).all(|(low, high)| low.end < high.start));
                prop_assert_eq!(set.contains(asked.start), model.contains(&asked.start));
                let within = set.within(asked).flat_map(|span| span.start..span.end);
                prop_assert!(within.eq(model.range(asked.start..asked.end).copied()));
            }
            let before = set.clone();
            set.coalesce(most);
            prop_assert!(set.len() <= most);
            prop_assert!(model.iter().all(|&address| set.contains(address)));
            prop_assert!(before.len() > most || set == before);
        }
    }

    #[test]
    fn smallest_holes_are_filled_first() {
        let span = |start, end| Span { start, end };
        let mut set: SpanSet = [span(0, 1), span(2, 3), span(10, 11), span(13, 14)].into_iter().collect();
        set.coalesce(2);
        assert!(set.iter().eq([span(0, 3), span(10, 14)]));
    }
}
