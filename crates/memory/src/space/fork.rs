//! Memory in a fork that the guest makes itself.

use std::sync::Arc;

use warmfork_abi::Errno;

use super::AddressSpace;
use crate::areas::{Area, Backing};
use crate::host::GuestMemory;
use crate::host_file::HostFile;
use crate::span::Span;

impl AddressSpace {
    /// The mappings that are shared and have no file: private memory of the host, until there is a process to share them.
    #[must_use]
    pub fn shared_without_file(&self) -> Vec<Area> {
        self.areas.iter().filter(|area| area.shared && area.is_anonymous()).cloned().collect()
    }

    /// Maps `file`, which has the bytes of the mapping at `span`, in its place.
    ///
    /// # Errors
    /// ENOMEM when the host refuses.
    pub fn put_file(&mut self, memory: &mut dyn GuestMemory, span: Span, file: &Arc<HostFile>) -> Result<(), Errno> {
        let pieces: Vec<Area> = self.areas.pieces(span).collect();
        for piece in pieces {
            let backing = Backing::File { file: Arc::clone(file), offset: piece.span.start - span.start };
            self.install(memory, Area { backing, ..piece })?;
        }
        Ok(())
    }

    /// The pages that a child does not get: pages that MADV_WIPEONFORK names are zeroes there.
    ///
    /// # Errors
    /// ENOMEM when the host refuses.
    pub fn wipe_for_child(&mut self, memory: &mut dyn GuestMemory) -> Result<(), Errno> {
        let wiped: Vec<Area> = self.areas.iter().filter(|area| area.wipe_on_fork).cloned().collect();
        wiped.into_iter().try_for_each(|area| self.install(memory, area))
    }
}
