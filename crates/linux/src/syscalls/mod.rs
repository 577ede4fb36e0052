//! Handlers, one file a family: decode, look up, call the object, map the error.

pub mod attributes;
pub mod copying;
pub mod descriptors;
pub mod directories;
pub mod events;
pub mod execution;
pub mod extended_attributes;
mod fifos;
pub mod file_systems;
pub mod files;
pub mod fork;
pub mod futex;
pub mod headers;
pub mod identity;
pub mod inotify;
pub mod ioctl;
pub mod limits;
pub mod locks;
pub mod memory;
pub mod messages;
pub mod metadata;
pub mod moves;
pub mod names;
pub mod ownership;
pub mod paths;
pub mod pidfd;
pub mod pipes;
pub mod polling;
pub mod process;
pub mod random;
pub mod refused;
pub mod scheduling;
pub mod sequences;
pub mod signals;
pub mod socket_options;
pub mod sockets;
pub mod splice;
pub mod storage;
pub mod terminal;
pub mod threads;
pub mod time;
pub mod timers;
pub mod transfer;
pub mod vectors;
pub mod within;

#[cfg(test)]
mod early_accept_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod thread_tests;

#[cfg(test)]
mod coalesce_tests;
#[cfg(test)]
mod event_tests;

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod move_tests;
#[cfg(test)]
mod own_files_tests;
#[cfg(test)]
mod pair_tests;
#[cfg(test)]
mod socket_tests;
