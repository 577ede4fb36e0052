//! Anonymous memory files (memfd_create(2)).

use crate::objects::Operations;

/// Anonymous memory files (memfd_create(2)).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Memfd {}

impl Operations for Memfd {}
