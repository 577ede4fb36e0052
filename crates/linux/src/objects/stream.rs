//! Host streams that the guest inherits: standard input, output and error.

use crate::objects::Operations;

/// Host streams that the guest inherits: standard input, output and error.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stream {}

impl Operations for Stream {}
