//! O_PATH descriptors.

use crate::objects::Operations;

/// O_PATH descriptors.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Path {}

impl Operations for Path {}
