//! A call that the stub makes for warmfork.

/// A host call: its number and arguments.
#[derive(Clone, Copy, Debug)]
pub struct HostCall {
    pub number: libc::c_long,
    pub arguments: [u64; 6],
}

impl HostCall {
    pub fn new(number: libc::c_long, arguments: [u64; 6]) -> Self {
        Self { number, arguments }
    }
}
