//! The serving gate: one connection for each pristine fork.
//!
//! A fork that serves sees its listening sockets readable only until it has accepted a connection; closing or
//! shutting down that connection ends the request.

use crate::files::DescriptionId;

/// How many connections a guest may accept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Admission {
    /// As many as come.
    #[default]
    Any,
    /// One; then the fork is reset.
    One,
}

/// Which connection a fork serves, and whether it is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gate {
    admission: Admission,
    connection: Option<DescriptionId>,
    accepted: u64,
    finished: bool,
}

impl Gate {
    /// A gate that lets `admission` in.
    #[must_use]
    pub fn new(admission: Admission) -> Self {
        Self { admission, ..Self::default() }
    }

    /// Whether a listening socket may show or hand out a connection now.
    #[must_use]
    pub fn open(&self) -> bool {
        self.admission == Admission::Any || self.accepted == 0
    }

    /// A connection was accepted as `id`.
    pub fn accepted(&mut self, id: DescriptionId) {
        self.accepted += 1;
        if self.admission == Admission::One {
            self.connection = Some(id);
        }
    }

    /// Description `id` was closed for good, or its sending side shut down.
    pub fn closed(&mut self, id: DescriptionId) {
        if self.connection == Some(id) {
            self.connection = None;
            self.finished = true;
        }
    }

    /// Whether the one connection has been served.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Connections accepted since the gate was made.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.accepted
    }
}
