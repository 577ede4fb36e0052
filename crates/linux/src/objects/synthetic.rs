//! Files that warmfork makes up: /proc, parts of /sys and /etc.

use crate::objects::Operations;

/// Files that warmfork makes up: /proc, parts of /sys and /etc.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Synthetic {}

impl Operations for Synthetic {}
