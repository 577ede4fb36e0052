//! Timers read through a descriptor (timerfd_create(2)).

use crate::objects::Operations;

/// Timers read through a descriptor (timerfd_create(2)).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TimerFd {}

impl Operations for TimerFd {}
