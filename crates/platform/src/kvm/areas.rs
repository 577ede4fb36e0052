//! The guest's mappings, as far as the platform needs them: page table entries and fault reports come from here.

use std::collections::BTreeMap;

use warmfork_memory::{Protection, Span};

/// Where the bytes of an area come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Private zeroes that neither guest nor warmfork has touched, accessible or not: the host has nothing mapped there.
    Untouched,
    /// Private zeroes.
    Anonymous,
    /// Private, of a memory file that has all of it and cannot shrink.
    Sealed,
    /// Private, of a file that may end before the area does.
    PrivateFile,
    /// Shared with a file.
    SharedFile,
}

impl Kind {
    /// Whether an access may find no page there.
    pub fn may_end(self) -> bool {
        matches!(self, Self::PrivateFile | Self::SharedFile)
    }
}

/// One area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    pub span: Span,
    pub protection: Protection,
    pub kind: Kind,
}

/// All areas, in address order, without overlaps.
#[derive(Default, Debug)]
pub struct Areas {
    by_start: BTreeMap<u64, Area>,
    changes: u64,
}

impl Areas {
    /// The area that `address` lies in.
    pub fn find(&self, address: u64) -> Option<Area> {
        self.by_start.range(..=address).next_back().map(|(_, area)| *area).filter(|area| area.span.contains(address))
    }

    /// The parts of areas within `span`.
    pub fn within(&self, span: Span) -> impl Iterator<Item = Area> + '_ {
        let first = self.find(span.start).map_or(span.start, |area| area.span.start);
        self.by_start.range(first..span.end).filter_map(move |(_, area)| {
            let part = area.span.intersection(span)?;
            Some(Area { span: part, ..*area })
        })
    }

    /// A number that grows with each change.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes `span` out.
    pub fn remove(&mut self, span: Span) {
        self.changes += 1;
        let mut cut = Vec::new();
        while let Some((&start, area)) = self.by_start.range(..span.end).next_back() {
            if area.span.end <= span.start {
                break;
            }
            cut.push(*area);
            self.by_start.remove(&start);
        }
        for area in cut {
            if area.span.start < span.start {
                let part = Span { end: span.start, ..area.span };
                self.by_start.insert(part.start, Area { span: part, ..area });
            }
            if area.span.end > span.end {
                let part = Span { start: span.end, ..area.span };
                self.by_start.insert(part.start, Area { span: part, ..area });
            }
        }
    }

    /// Puts `area` in, over the areas there; joined to neighbours that are alike.
    pub fn insert(&mut self, mut area: Area) {
        self.remove(area.span);
        let alike = |other: &Area| other.protection == area.protection && other.kind == area.kind;
        if let Some((&start, before)) = self.by_start.range(..area.span.start).next_back()
            && before.span.end == area.span.start
            && alike(before)
        {
            area.span.start = start;
        }
        if let Some(after) = self.by_start.get(&area.span.end).filter(|after| alike(after)) {
            let end = after.span.end;
            self.by_start.remove(&area.span.end);
            area.span.end = end;
        }
        self.by_start.insert(area.span.start, area);
    }

    /// Every area.
    pub fn iter(&self) -> impl Iterator<Item = &Area> {
        self.by_start.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RW: Protection = Protection::READ.union(Protection::WRITE);

    fn area(start: u64, end: u64, protection: Protection) -> Area {
        Area { span: Span { start, end }, protection, kind: Kind::Anonymous }
    }

    #[test]
    fn areas_are_cut_and_joined() {
        let mut areas = Areas::default();
        areas.insert(area(0, 100, RW));
        areas.insert(area(40, 60, Protection::READ));
        assert_eq!(areas.iter().map(|area| area.span.end).collect::<Vec<_>>(), [40, 60, 100]);
        assert_eq!(areas.find(59).map(|area| area.protection), Some(Protection::READ));
        let parts: Vec<_> = areas.within(Span { start: 30, end: 70 }).map(|area| area.span.len()).collect();
        assert_eq!(parts, [10, 20, 10]);
        areas.insert(area(40, 60, RW));
        assert_eq!(areas.iter().count(), 1);
        areas.remove(Span { start: 10, end: 20 });
        areas.remove(Span { start: 90, end: 200 });
        assert_eq!(
            areas.iter().map(|area| area.span).collect::<Vec<_>>(),
            [Span { start: 0, end: 10 }, Span { start: 20, end: 90 }]
        );
        assert!(areas.find(15).is_none() && areas.find(90).is_none());
    }
}
