//! Why a vDSO cannot be made.

use warmfork_abi::Errno;

/// The vDSO cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VdsoError {
    /// No memory file for the clock page or the library.
    #[error("making the memory file of the {what} failed: {errno}")]
    MemoryFile {
        /// Which one.
        what: &'static str,
        /// The host's error.
        errno: Errno,
    },
}
