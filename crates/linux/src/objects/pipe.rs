//! One end of a pipe.

use crate::objects::Operations;

/// One end of a pipe.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PipeEnd {}

impl Operations for PipeEnd {}
