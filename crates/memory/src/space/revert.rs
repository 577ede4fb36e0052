//! Undoing what a fork did to its mappings since it was marked.

use super::AddressSpace;
use crate::areas::Span;
use crate::changes::Changes;
use crate::host::{GuestMemory, MapError};
use crate::image::Image;
use crate::spans::SpanSet;

impl AddressSpace {
    /// Makes this again what `pristine` is: the same address space as it was when last marked, with `image` holding
    /// its memory. Whatever was remapped is as the image has it; pages written in mappings that stayed are the
    /// caller's to restore (and to list, after this). Without a change in between this makes no call and costs nothing.
    ///
    /// # Errors
    /// The host's refusal. Then host and tree may differ, and the fork has to go.
    pub fn revert(&mut self, memory: &mut dyn GuestMemory, pristine: &Self, image: &Image) -> Result<(), MapError> {
        let Changes { remapped, protected } = std::mem::take(&mut self.changes);
        for span in protected.iter() {
            self.revert_protection(memory, pristine, span, &remapped)?;
        }
        for span in remapped.iter() {
            for gone in self.mapped_beside(pristine, span) {
                memory.unmap(gone)?;
            }
            image.install(memory, &pristine.areas, span)?;
            self.imaged.remove(span);
            pristine.imaged.within(span).for_each(|imaged| self.imaged.insert(imaged));
        }
        for span in remapped.iter().chain(protected.iter()) {
            self.areas.remove(span);
            for area in pristine.areas.pieces(span) {
                self.areas.insert(area);
            }
        }
        self.heap = pristine.heap;
        self.limits = pristine.limits;
        debug_assert!(self == pristine, "the record of changes is not complete");
        Ok(())
    }

    fn revert_protection(
        &self,
        memory: &mut dyn GuestMemory,
        pristine: &Self,
        span: Span,
        remapped: &SpanSet,
    ) -> Result<(), MapError> {
        for was in pristine.areas.pieces(span) {
            for is in self.areas.pieces(was.span).filter(|is| is.protection != was.protection) {
                for kept in remapped.outside(is.span) {
                    memory.protect(kept, was.protection)?;
                }
            }
        }
        Ok(())
    }

    /// What of `span` is mapped now and is not in `pristine`.
    fn mapped_beside(&self, pristine: &Self, span: Span) -> Vec<Span> {
        let was: SpanSet = pristine.areas.mapped_runs(span).into_iter().collect();
        self.areas.mapped_runs(span).into_iter().flat_map(|is| was.outside(is)).collect()
    }
}
