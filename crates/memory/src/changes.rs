//! Changes of an address space's mappings since it was last marked, which a reset has to undo. Bounded, and
//! then a superset of the truth.

use crate::span::Span;
use crate::spans::SpanSet;

/// Above this many spans, neighbouring ones are joined.
const MAX_SPANS: usize = 1024;

/// Which addresses' mappings changed since the last mark.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    remapped: SpanSet,
    protected: SpanSet,
}

impl Changes {
    /// Spans with a mapping that was made, removed, replaced or moved. May cover more than that.
    #[must_use]
    pub fn remapped(&self) -> &SpanSet {
        &self.remapped
    }

    /// Spans with the same mapping as before but perhaps another protection or MADV_WIPEONFORK. May cover more than that, and may
    /// overlap [`Self::remapped`].
    #[must_use]
    pub fn protected(&self) -> &SpanSet {
        &self.protected
    }

    /// Whether every mapping is as it was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remapped.is_empty() && self.protected.is_empty()
    }

    pub(crate) fn remap(&mut self, span: Span) {
        note(&mut self.remapped, span);
    }

    pub(crate) fn protect(&mut self, span: Span) {
        note(&mut self.protected, span);
    }
}

fn note(set: &mut SpanSet, span: Span) {
    set.insert(span);
    if set.len() > MAX_SPANS {
        set.coalesce(MAX_SPANS / 2);
    }
}
