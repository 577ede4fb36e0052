//! The address space under random calls: against the kernel that runs the tests, as a fork, and with a host that
//! refuses.

mod calls;
mod forks;
mod native;
mod refusals;
