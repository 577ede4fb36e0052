//! Directories of the host.

use crate::objects::Operations;

/// Directories of the host.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Directory {}

impl Operations for Directory {}
