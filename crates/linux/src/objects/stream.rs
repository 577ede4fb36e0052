//! Host streams that the guest inherits: standard input, output and error.
use crate::objects::{Context, Operations};
use crate::poller::HostHandle;
use warmfork_abi::Errno;

/// Host streams that the guest inherits: standard input, output and error.
#[derive(Clone, PartialEq, Debug)]
pub struct Stream {
    h: HostHandle,
}
impl Stream {
    /// x
    /// # Errors
    /// x
    pub fn adopt(h: HostHandle) -> Result<Self, Errno> {
        Ok(Self { h })
    }
}
impl Operations for Stream {
    fn write(&mut self, _context: &mut Context<'_>, from: &[u8], _at: Option<u64>) -> Result<usize, Errno> {
        rustix::io::write(&self.h, from).map_err(|e| Errno(e.raw_os_error()))
    }
}
