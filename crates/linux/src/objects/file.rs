//! Regular files of the host.

use crate::objects::Operations;

/// Regular files of the host.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct File {}

impl Operations for File {}
