//! Pseudo-terminals: /dev/ptmx and /dev/pts of one machine. Plain data, like everything that no host file is behind.
//!
//! ```text
//!   TerminalEnd (master) --types, reads the screen-->  Terminal { discipline, size, session, foreground }
//!   TerminalEnd (slave)  --reads lines, writes----->       |
//!                                                          +-> notices: signals for a group or a session's leader,
//!                                                              which the kernel sends after each operation
//! ```
//!
//! Whether a process may read and write, being in the foreground, is asked before: see `syscalls/terminal.rs`.

pub mod discipline;
pub mod end;
pub mod settings;
pub mod terminals;

#[cfg(test)]
mod tests;
