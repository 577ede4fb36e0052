//! Event counters (eventfd(2)).

use crate::objects::Operations;

/// Event counters (eventfd(2)).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EventFd {}

impl Operations for EventFd {}
