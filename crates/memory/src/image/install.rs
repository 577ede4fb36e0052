//! Mapping an image into a fork, and undoing what a fork did to its mappings.

use super::{Image, SegmentSource};
use crate::areas::{Area, Span};
use crate::host::{GuestMemory, MapError, Source};
use crate::tree::AreaTree;

impl Image {
    /// Maps what the image holds of `areas` (those that it was built from) within `span`, in the place of what is
    /// mapped there: memory copied on write, files as they were.
    ///
    /// # Errors
    /// The host's refusal; what comes before is mapped.
    pub fn install(&self, memory: &mut dyn GuestMemory, areas: &AreaTree, span: Span) -> Result<(), MapError> {
        for area in areas.pieces(span) {
            self.install_area(memory, &area)?;
        }
        Ok(())
    }

    /// The spans that [`Self::install`] maps from the image's own file: see [`crate::AddressSpace::set_imaged`].
    pub fn memory_spans(&self) -> impl Iterator<Item = Span> {
        let in_memory = |source: &SegmentSource| matches!(source, SegmentSource::Memory { .. });
        self.segments.iter().filter(move |segment| in_memory(&segment.source)).map(|segment| segment.span)
    }

    fn install_area(&self, memory: &mut dyn GuestMemory, area: &Area) -> Result<(), MapError> {
        let first = self.segments.partition_point(|segment| segment.span.end <= area.span.start);
        for segment in &self.segments[first..] {
            let Some(part) = segment.span.intersection(area.span) else { break };
            let skipped = part.start - segment.span.start;
            let source = match &segment.source {
                SegmentSource::Zero => Source::Anonymous,
                SegmentSource::Memory { offset } => {
                    Source::File { fd: self.file(), offset: offset + skipped, shared: false }
                }
                SegmentSource::File { .. } | SegmentSource::Shared { .. } => {
                    let Some(part) = area.clipped(part) else { break };
                    memory.map(part.span, area.protection, part.backing.source(area.shared))?;
                    continue;
                }
            };
            memory.map(part, area.protection, source)?;
        }
        Ok(())
    }
}
