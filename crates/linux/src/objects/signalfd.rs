//! Signals read through a descriptor (signalfd(2)).

use crate::objects::Operations;

/// Signals read through a descriptor (signalfd(2)).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SignalFd {}

impl Operations for SignalFd {}
