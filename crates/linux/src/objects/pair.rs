//! One end of a socketpair, kept as plain data.

use crate::objects::Operations;

/// One end of a socketpair, kept as plain data.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PairEnd {}

impl Operations for PairEnd {}
