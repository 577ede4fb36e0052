//! Adapts a platform to the emulated kernel, which sees its memory and vector registers.

use warmfork_abi::Errno;
use warmfork_linux::Guest;
use warmfork_memory::{GuestMemory, MapError, Protection, Source, Span};
use warmfork_platform::Platform;

/// Lends a platform to the kernel for one system call.
pub struct PlatformGuest<'a>(pub &'a mut dyn Platform);

impl GuestMemory for PlatformGuest<'_> {
    fn read_some(&self, address: u64, into: &mut [u8]) -> usize {
        self.0.read_some(address, into)
    }

    fn write_some(&self, address: u64, from: &[u8]) -> usize {
        self.0.write_some(address, from)
    }

    fn read_parts(&self, parts: &[(u64, usize)], into: &mut [u8]) -> usize {
        self.0.read_parts(parts, into)
    }

    fn write_parts(&self, parts: &[(u64, usize)], from: &[u8]) -> usize {
        self.0.write_parts(parts, from)
    }

    fn map(&mut self, span: Span, protection: Protection, source: Source<'_>) -> Result<(), MapError> {
        self.0.map(span, protection, source)
    }

    fn unmap(&mut self, span: Span) -> Result<(), MapError> {
        self.0.unmap(span)
    }

    fn protect(&mut self, span: Span, protection: Protection) -> Result<(), MapError> {
        self.0.protect(span, protection)
    }

    fn relocate(&mut self, from: Span, to: Span) -> Result<(), MapError> {
        self.0.relocate(from, to)
    }

    fn discard(&mut self, span: Span) -> Result<(), MapError> {
        self.0.discard(span)
    }

    fn resident(&self, span: Span, pages: &mut [u8]) {
        self.0.resident(span, pages);
    }
}

impl Guest for PlatformGuest<'_> {
    fn fpu(&mut self) -> Result<Vec<u8>, Errno> {
        self.0.fpu().map_err(|error| lost(&error))
    }

    fn set_fpu(&mut self, state: &[u8]) -> Result<(), Errno> {
        self.0.set_fpu(state).map_err(|error| match error {
            warmfork_platform::PlatformError::Host { source, .. } if source.raw_os_error() == Some(Errno::EINVAL.0) => {
                Errno::EINVAL
            }
            error => lost(&error),
        })
    }

    fn memory(&mut self) -> &mut dyn GuestMemory {
        self
    }
}

fn lost(error: &warmfork_platform::PlatformError) -> Errno {
    log::error!("{error}");
    Errno::EIO
}
