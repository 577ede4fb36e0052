//! What a guest may touch.

/// Paths, environment, network.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Policy {}
