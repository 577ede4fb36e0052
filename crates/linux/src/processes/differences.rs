//! Differences between two machines' processes, in words: to verify that a fork is as its snapshot.

use super::ProcessTable;
use crate::process::Process;

impl ProcessTable {
    /// The differences from `other`: each part of the current process, and one word if others differ.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let mut found = self.current().differences(other.current());
        if self.space() != other.space() {
            found.push("mappings");
        }
        let mut rest = self.clone();
        *rest.current_mut() = other.current().clone();
        rest.spaces.insert(rest.current().space, other.space().clone());
        if rest != *other {
            found.push("processes");
        }
        found
    }
}

impl Process {
    fn differences(&self, other: &Self) -> Vec<&'static str> {
        let rest = Self {
            tasks: other.tasks.clone(),
            descriptors: other.descriptors.clone(),
            fs: other.fs.clone(),
            signals: other.signals.clone(),
            timers: other.timers.clone(),
            ..self.clone()
        };
        let parts = [
            ("threads", self.tasks == other.tasks),
            ("descriptors", self.descriptors == other.descriptors),
            ("working directory or umask", self.fs == other.fs),
            ("signal actions or pending signals", self.signals == other.signals),
            ("timers", self.timers == other.timers),
            ("process attributes", rest == *other),
        ];
        parts.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}
