//! The ids of things that have changed since threads were last asked whether their waits are over.
//!
//! News are no state that a guest can observe: all are equal, and a copy begins with none. Whoever drives a machine asks every
//! thread when a run begins, so that none are missed in a fork.

/// Changes of things that have an id.
#[derive(Debug)]
pub struct News<T> {
    changed: Vec<T>,
    /// More have changed than are named.
    many: bool,
}

/// So many ids are named at most.
const MAX_NAMED: usize = 64;

impl<T> Default for News<T> {
    fn default() -> Self {
        Self { changed: Vec::new(), many: false }
    }
}

impl<T> Clone for News<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> PartialEq for News<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T: PartialEq> News<T> {
    /// `id` has changed.
    pub fn add(&mut self, id: T) {
        if self.many || self.changed.last() == Some(&id) {
            return;
        }
        if self.changed.len() == MAX_NAMED {
            return self.add_all();
        }
        self.changed.push(id);
    }

    /// Anything may have changed.
    pub fn add_all(&mut self) {
        self.many = true;
        self.changed.clear();
    }

    /// Takes all news: `each` is told of every id. Whether anything may have changed.
    #[must_use]
    pub fn take(&mut self, each: impl FnMut(T)) -> bool {
        self.changed.drain(..).for_each(each);
        std::mem::take(&mut self.many)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && !self.many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(news: &mut News<usize>) -> (Vec<usize>, bool) {
        let mut all = Vec::new();
        let many = news.take(|id| all.push(id));
        (all, many)
    }

    #[test]
    fn news_are_told_once() {
        let mut news = News::default();
        [3, 3, 5, 3].into_iter().for_each(|id| news.add(id));
        assert_eq!(taken(&mut news), (vec![3, 5, 3], false));
        assert_eq!(taken(&mut news), (vec![], false));
        assert!(news.is_empty());
    }

    #[test]
    fn a_guest_cannot_make_them_grow() {
        let mut news = News::default();
        (0..1_000_000).for_each(|id| news.add(id));
        assert!(news.changed.capacity() <= MAX_NAMED && !news.is_empty());
        assert_eq!(taken(&mut news), (vec![], true));
        news.add(7);
        assert_eq!(taken(&mut news), (vec![7], false));
    }

    #[test]
    fn they_are_no_state() {
        let mut news = News::default();
        news.add(1);
        assert!(news == News::default() && news.clone().is_empty());
    }
}
