//! Every area of a guest in address order (the VMA tree): inserting cuts what it overlaps and joins equal neighbours,
//! so that two trees that mean the same are equal. Plain data; [`crate::AddressSpace`] is its only writer.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::areas::{Accessible, Area};
use crate::span::{Protection, Span};

/// From which end of a range [`AreaTree::find_gap`] looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The highest gap, and the highest address in it.
    TopDown,
    /// The lowest gap, and the lowest address in it.
    BottomUp,
}

/// Every area of a guest, in address order, never overlapping, with no two that could be one.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AreaTree {
    areas: BTreeMap<u64, Area>,
    mapped: u64,
    accessible: Accessible,
}

impl AreaTree {
    /// All areas in address order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Area> {
        self.areas.values()
    }

    /// How many areas there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// Bytes in all areas.
    #[must_use]
    pub fn mapped_bytes(&self) -> u64 {
        self.mapped
    }

    /// Bytes in the areas that allow any access.
    #[must_use]
    pub fn accessible_bytes(&self) -> Accessible {
        self.accessible
    }

    /// The area that holds `address`.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<&Area> {
        self.areas.range(..=address).next_back().map(|(_, area)| area).filter(|area| area.span.contains(address))
    }

    /// The first area that ends after `address`: the one that holds it, or else the next (Linux's find_vma).
    #[must_use]
    pub fn next(&self, address: u64) -> Option<&Area> {
        self.find(address).or_else(|| self.areas.range(address..).next().map(|(_, area)| area))
    }

    /// The last area that begins before `address`.
    #[must_use]
    pub fn prev(&self, address: u64) -> Option<&Area> {
        self.areas.range(..address).next_back().map(|(_, area)| area)
    }

    /// The areas that have a part in `span`, whole, in address order.
    pub fn overlapping(&self, span: Span) -> impl DoubleEndedIterator<Item = &Area> {
        let first = self.find(span.start).map_or(span.start, |area| area.span.start);
        self.areas.range(first..span.end).map(|(_, area)| area)
    }

    /// The parts of areas within `span`, in address order.
    pub fn pieces(&self, span: Span) -> impl DoubleEndedIterator<Item = Area> {
        self.overlapping(span).filter_map(move |area| area.clipped(span))
    }

    /// The parts of `span` that are mapped, with all neighbours joined.
    #[must_use]
    pub fn mapped_runs(&self, span: Span) -> Vec<Span> {
        let mut runs: Vec<Span> = Vec::new();
        for piece in self.overlapping(span).filter_map(|area| area.span.intersection(span)) {
            match runs.last_mut() {
                Some(last) if last.end == piece.start => last.end = piece.end,
                _ => runs.push(piece),
            }
        }
        runs
    }

    /// Bytes of `span` that are mapped.
    #[must_use]
    pub fn mapped_bytes_in(&self, span: Span) -> u64 {
        self.overlapping(span).filter_map(|area| area.span.intersection(span)).map(Span::len).sum()
    }

    /// Bytes of `span` that allow any access.
    #[must_use]
    pub fn accessible_bytes_in(&self, span: Span) -> Accessible {
        self.pieces(span).map(|area| area.accessible()).sum()
    }

    /// Whether `span` has no hole.
    #[must_use]
    pub fn is_fully_mapped(&self, span: Span) -> bool {
        self.mapped_bytes_in(span) == span.len()
    }

    /// Adds `area` in the place of the areas that overlap it, and returns the pieces it replaced.
    pub fn insert(&mut self, area: Area) -> Vec<Area> {
        let removed = self.remove(area.span);
        let span = area.span;
        self.place(area);
        self.join_at(span.end);
        self.join_at(span.start);
        removed
    }

    /// Removes the parts that lie in `span`, cutting the areas at its ends, and returns the removed pieces.
    pub fn remove(&mut self, span: Span) -> Vec<Area> {
        self.split_at(span.start);
        self.split_at(span.end);
        let starts: Vec<u64> = self.areas.range(span.start..span.end).map(|(&start, _)| start).collect();
        starts.into_iter().filter_map(|start| self.take(start)).collect()
    }

    /// Gives the areas in `span` another protection.
    pub fn protect(&mut self, span: Span, protection: Protection) {
        self.change(span, |area| area.protection = protection);
    }

    /// Sets or clears MADV_WIPEONFORK for the areas in `span`.
    pub fn set_wipe_on_fork(&mut self, span: Span, wipe: bool) {
        self.change(span, |area| area.wipe_on_fork = wipe);
    }

    /// How many areas more there would be if the areas at the ends of `span` were cut there.
    #[must_use]
    pub fn cuts(&self, span: Span) -> usize {
        let cut = |address| self.find(address).is_some_and(|area| area.span.start < address);
        usize::from(cut(span.start)) + usize::from(cut(span.end))
    }

    /// A free span of `length` bytes within `within`, at a multiple of `alignment` (a power of two), that meets
    /// none of `reserved` (in address order).
    #[must_use]
    pub fn find_gap(
        &self,
        length: u64,
        within: Span,
        alignment: u64,
        direction: Direction,
        reserved: &[Span],
    ) -> Option<u64> {
        let fit = |gap: Span| fit(gap, length, alignment, direction, reserved);
        match direction {
            Direction::TopDown => {
                let mut end = within.end;
                for area in self.overlapping(within).rev() {
                    if let Some(address) = gap(area.span.end, end).and_then(fit) {
                        return Some(address);
                    }
                    end = area.span.start;
                }
                gap(within.start, end).and_then(fit)
            }
            Direction::BottomUp => {
                let mut start = within.start;
                for area in self.overlapping(within) {
                    if let Some(address) = gap(start, area.span.start).and_then(fit) {
                        return Some(address);
                    }
                    start = area.span.end;
                }
                gap(start, within.end).and_then(fit)
            }
        }
    }

    fn change(&mut self, span: Span, mut change: impl FnMut(&mut Area)) {
        for mut area in self.remove(span) {
            change(&mut area);
            self.place(area);
        }
        let joints: Vec<u64> = self.areas.range(span.start..=span.end).map(|(&start, _)| start).collect();
        for joint in joints {
            self.join_at(joint);
        }
    }

    fn place(&mut self, area: Area) {
        self.mapped += area.span.len();
        self.accessible = self.accessible + area.accessible();
        self.areas.insert(area.span.start, area);
    }

    fn take(&mut self, start: u64) -> Option<Area> {
        let area = self.areas.remove(&start)?;
        self.mapped -= area.span.len();
        self.accessible = self.accessible - area.accessible();
        Some(area)
    }

    fn split_at(&mut self, address: u64) {
        let Some(start) = self.find(address).map(|area| area.span.start).filter(|&start| start < address) else {
            return;
        };
        let Some(mut low) = self.take(start) else { return };
        let mut high = low.clone();
        high.span.start = address;
        high.backing = low.backing.advanced(address - start);
        low.span.end = address;
        self.place(low);
        self.place(high);
    }

    /// Joins the area that begins at `address` to the one that ends there, if the two are one.
    fn join_at(&mut self, address: u64) {
        let Some(high) = self.areas.get(&address) else { return };
        let Some(low) = self.prev(address).filter(|low| low.continues_into(high)) else { return };
        let start = low.span.start;
        let (Some(high), Some(mut low)) = (self.take(address), self.take(start)) else { return };
        low.span.end = high.span.end;
        self.place(low);
    }
}

fn gap(start: u64, end: u64) -> Option<Span> {
    (start < end).then_some(Span { start, end })
}

/// Where `length` bytes fit in `gap` around the `reserved` spans.
fn fit(gap: Span, length: u64, alignment: u64, direction: Direction, reserved: &[Span]) -> Option<u64> {
    let mut free = Vec::with_capacity(1);
    let mut start = gap.start;
    for span in reserved.iter().filter_map(|span| span.intersection(gap)) {
        free.push((start, span.start));
        start = span.end;
    }
    free.push((start, gap.end));
    let low = |&(start, end): &(u64, u64)| {
        let address = start.checked_add(alignment - 1)? & !(alignment - 1);
        (address.checked_add(length)? <= end).then_some(address)
    };
    let high = |&(start, end): &(u64, u64)| {
        let address = end.checked_sub(length)? & !(alignment - 1);
        (address >= start).then_some(address)
    };
    match direction {
        Direction::TopDown => free.iter().rev().find_map(high),
        Direction::BottomUp => free.iter().find_map(low),
    }
}
