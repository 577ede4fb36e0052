//! Sockets of the host: TCP, UDP, named Unix sockets.

use crate::objects::Operations;

/// Sockets of the host: TCP, UDP, named Unix sockets.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Socket {}

impl Operations for Socket {}
