//! Why rules cannot be used.

use std::path::PathBuf;

/// A rule that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A volume that is not `HOST:GUEST[:rw]`.
    #[error("reading volume {text:?} failed: it is not HOST:GUEST or HOST:GUEST:rw with an absolute GUEST")]
    Volume {
        /// The text as it was given.
        text: String,
    },
    /// A host pattern that is not HOST, HOST:PORT or :PORT.
    #[error("reading network address {text:?} failed: {reason}")]
    Address {
        /// The text as it was given.
        text: String,
        /// The problem.
        reason: &'static str,
    },
    /// A host name without an address.
    #[error("looking up host {name:?} failed: {source}")]
    Lookup {
        /// The name.
        name: String,
        /// The resolver's error.
        source: std::io::Error,
    },
    /// A path that cannot be opened.
    #[error("opening allowed path {path:?} failed: {source}")]
    Open {
        /// The host path.
        path: PathBuf,
        /// The host's error.
        source: std::io::Error,
    },
}
