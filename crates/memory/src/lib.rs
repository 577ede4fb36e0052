//! A guest's address space: its mappings (plain data), and the one trait through which everything else
//! touches guest memory.
//!
//! ```text
//!   linux (mmap, munmap, ...) -> space::AddressSpace -> tree::AreaTree       the guest's view
//!                                        |
//!                                        v
//!                                 host::GuestMemory                          the platform's part
//! ```
//!
//! A frozen machine's memory is an [`Image`]; [`mapping`] has warmfork's own mappings for it.
//!
//! The host kernel is the truth for contents and faults; [`AreaTree`] is the truth for what the guest was
//! told. `AddressSpace` keeps the two equal.

pub mod access;
pub mod areas;
pub mod changes;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod host;
pub mod host_file;
pub mod image;
pub mod mapping;
pub mod maps;
pub mod space;
mod span;
pub mod spans;
pub mod tree;

pub use access::Fault;
pub use areas::{Accessible, Area, Backing};
pub use changes::Changes;
#[cfg(any(test, feature = "fake"))]
pub use fake::FakeMemory;
pub use host::{GuestMemory, MapError, Source};
pub use host_file::{HostFile, HostFileId, Inode, Origin};
pub use image::{Content, Image, ImageBuilder, ImageError, Segment, SegmentSource};
pub use mapping::SharedPage;
pub use space::{AddressSpace, Heap, Layout, Limits, MapRequest, Mapped, RemapRequest, ResourceLimits, Totals};
pub use span::{Protection, Span};
pub use spans::SpanSet;
pub use tree::{AreaTree, Direction};
