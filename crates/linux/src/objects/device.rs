//! Character devices: null, zero, full, random, tty.

use crate::objects::Operations;

/// Character devices: null, zero, full, random, tty.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Device {}

impl Operations for Device {}
