//! Numbered entries: pipes, connections and the like, which several objects share.

use std::collections::BTreeMap;

use crate::news::News;

/// Parts that several objects share, each by its id; ids are never reused.
#[derive(Clone, PartialEq, Debug)]
pub struct Registry<T> {
    entries: BTreeMap<u64, T>,
    next: u64,
    /// The entries that may have changed, or are gone.
    news: News<u64>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), next: 0, news: News::default() }
    }
}

impl<T> Registry<T> {
    /// Adds an entry; its id.
    pub fn insert(&mut self, entry: T) -> u64 {
        let id = self.next;
        self.next += 1;
        self.entries.insert(id, entry);
        id
    }

    /// The entry `id`, if it is there.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&T> {
        self.entries.get(&id)
    }

    /// As [`Registry::get`], to change it.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        self.news.add(id);
        self.entries.get_mut(&id)
    }

    /// The entries that may have changed since this was last asked for.
    pub fn news(&mut self) -> &mut News<u64> {
        &mut self.news
    }

    /// All entries.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values()
    }

    /// Removes the entry `id`.
    pub fn remove(&mut self, id: u64) -> Option<T> {
        self.news.add(id);
        self.entries.remove(&id)
    }
}
