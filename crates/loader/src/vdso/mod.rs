//! The vDSO of every guest: our own small library that tells the time without a system call, and the clock page
//! that it reads. Both lie where [`crate::load`] puts them and stay there through forks, resets and snapshots,
//! unlike the kernel's, which differ from process to process and from host to host.
//!
//! The library is made by build.rs from vdso/vdso.c. A platform must let guests read the host's own time stamp
//! counter, without an offset.

mod clock;
pub(crate) mod error;
mod machine;
mod page;
mod tsc;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, OnceLock};

use rustix::fs::ftruncate;
use warmfork_abi::mman::MapFlags;
use warmfork_abi::{Errno, PAGE};
use warmfork_memory::mapping::{memory_file, seal};
use warmfork_memory::{Backing, HostFile, MapRequest, Origin, Protection, Span};

use crate::error::LoadError;
use crate::interpreter::text;
use crate::segments::Target;

pub use self::clock::HostClock;
pub use self::error::VdsoError;
pub use self::machine::MachineClock;

/// The library: an ELF shared object.
static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vdso.so"));

/// Where clock page and library have been mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VdsoSpans {
    /// The clock page.
    pub vvar: Span,
    /// The library; AT_SYSINFO_EHDR is its start.
    pub vdso: Span,
}

/// The library's bytes.
#[must_use]
pub fn image() -> &'static [u8] {
    IMAGE
}

/// The library as a file that guests map, of whole pages. One for the whole process.
///
/// # Errors
/// [`VdsoError`] when the host refuses memory for it.
pub fn image_file() -> Result<Arc<HostFile>, VdsoError> {
    static FILE: OnceLock<Arc<HostFile>> = OnceLock::new();
    if let Some(file) = FILE.get() {
        return Ok(Arc::clone(file));
    }
    let file = make_image_file().map_err(|error| failure("vDSO", &error))?;
    Ok(Arc::clone(FILE.get_or_init(|| file)))
}

fn make_image_file() -> io::Result<Arc<HostFile>> {
    let fd = memory_file("warmfork-vdso")?;
    let mut written = 0;
    while written < IMAGE.len() {
        written += rustix::io::pwrite(&fd, &IMAGE[written..], written as u64)?;
    }
    ftruncate(&fd, pages())?;
    seal(&fd)?;
    Ok(HostFile::new(fd, Origin::Vdso))
}

/// Bytes of the library in whole pages.
fn pages() -> u64 {
    (IMAGE.len() as u64).next_multiple_of(PAGE)
}

fn failure(what: &'static str, error: &io::Error) -> VdsoError {
    VdsoError::MemoryFile { what, errno: error.raw_os_error().map_or(Errno::ENOMEM, Errno) }
}

/// Maps `clock`, a clock page, and the library side by side where mmap finds room, for the program at `path`.
pub(crate) fn map(target: &mut Target<'_>, path: &[u8], clock: &Arc<HostFile>) -> Result<VdsoSpans, LoadError> {
    let image = image_file().map_err(|source| LoadError::Vdso { path: text(path), source })?;
    let start = target.find_room(path, PAGE + pages(), PAGE)?;
    let vvar = Span { start, end: start + PAGE };
    let vdso = Span { start: vvar.end, end: vvar.end + pages() };

    let backing = Backing::File { file: Arc::clone(clock), offset: 0 };
    let mut request = MapRequest::private(backing, PAGE, Protection::READ).labelled("vvar");
    request.flags = MapFlags::SHARED;
    target.map(path, "the clock page", vvar, request)?;

    let backing = Backing::File { file: image, offset: 0 };
    let request = MapRequest::private(backing, vdso.len(), Protection::READ | Protection::EXEC).labelled("vdso");
    target.map(path, "the vDSO", vdso, request)?;
    Ok(VdsoSpans { vvar, vdso })
}
