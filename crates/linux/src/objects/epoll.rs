//! epoll sets.

use crate::files::{DescriptionId, Events};
use crate::kernel::Kernel;
use crate::objects::Operations;
use crate::poller::Host;

/// An epoll set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Epoll {}

impl Operations for Epoll {}

/// Whether the set `id` has something to report: POLLIN.
pub fn poll(_kernel: &mut Kernel, _host: &mut Host, _id: DescriptionId) -> Events {
    Events::empty()
}

/// The descriptions that the set `id` watches for input, nested sets included.
pub fn members(_kernel: &Kernel, _id: DescriptionId) -> Vec<DescriptionId> {
    Vec::new()
}
