//! Assigns a snapshot's state. Most of it is the same already, and comparing is far cheaper than copying.

use std::collections::{BTreeMap, BTreeSet};

/// Assigns `from` to `to`, unless they are equal.
pub fn assign<T: Clone + PartialEq>(to: &mut T, from: &T) {
    if to != from {
        to.clone_from(from);
    }
}

/// Assigns `from` to `to`, entry by entry.
pub fn assign_entries<K: Copy + Ord, V: Clone + PartialEq>(to: &mut BTreeMap<K, V>, from: &BTreeMap<K, V>) {
    to.retain(|key, _| from.contains_key(key));
    for (key, value) in from {
        match to.get_mut(key) {
            Some(own) => assign(own, value),
            None => _ = to.insert(*key, value.clone()),
        }
    }
}

/// As [`assign_entries`], for the members of a set.
pub fn assign_members<T: Copy + Ord>(to: &mut BTreeSet<T>, from: &BTreeSet<T>) {
    if to != from {
        to.retain(|member| from.contains(member));
        to.extend(from);
    }
}

#[cfg(test)]
mod tests {
    use super::{assign_entries, assign_members};

    #[test]
    fn members_are_added_and_removed() {
        let from = [1, 3, 4].into();
        let mut to = [0, 3, 9].into();
        assign_members(&mut to, &from);
        assert_eq!(to, from);
        assign_members(&mut to, &[].into());
        assert!(to.is_empty());
    }

    #[test]
    fn entries_are_added_removed_and_changed() {
        let from = [(1, "same"), (3, "there"), (4, "new")].into();
        let mut to = [(0, "first"), (1, "same"), (2, "gone"), (3, "here"), (9, "last")].into();
        assign_entries(&mut to, &from);
        assert_eq!(to, from);
        assign_entries(&mut to, &[].into());
        assert!(to.is_empty());
    }
}
