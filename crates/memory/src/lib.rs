//! A guest's address space: what is mapped where (plain data), and the one trait through which everything else
//! touches guest memory.
//!
//! ```text
//!   linux (mmap, munmap, ...) -> space::AddressSpace -> areas::AreaTree      what the guest believes
//!                                        |
//!                                        v
//!                                 host::GuestMemory                          what a platform does about it
//! ```
//!
//! The host kernel is the truth for contents and faults; [`areas::AreaTree`] is the truth for what the guest was
//! told. `AddressSpace` keeps the two equal.

pub mod access;
pub mod areas;
pub mod host;

pub use access::Fault;
pub use areas::{Area, AreaTree, Backing, MappedFile, Protection, Span};
pub use host::{GuestMemory, MapError, Source};
