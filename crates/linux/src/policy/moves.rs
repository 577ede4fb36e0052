//! Moving and linking. A policy goes by paths, so two things have to hold: no file comes to a path that lets the guest do more
//! with it, and no path that a rule or a volume is about comes to lead elsewhere.

use warmfork_abi::Errno;

use super::{Access, Decision, Denial, Policy};
use crate::guest_path;

impl Policy {
    /// Refuses to give what is at `from` the path `to`, if it could be read there and not at `from`. Both may be written, as the
    /// caller has found out; no other access is left to be won.
    ///
    /// # Errors
    /// The denial of reading `from`.
    pub fn check_move(&self, from: &[u8], to: &[u8]) -> Result<(), Denial> {
        // A directory of which only shared libraries may be read shows that in them alone.
        let library = |path| guest_path::child(path, b".so");
        let shown = self.readable(to) && !self.readable(from);
        if shown || self.readable(&library(to)) && !self.readable(&library(from)) {
            return Err(Denial { errno: Errno::EACCES, flag: Some("--allow-read") });
        }
        Ok(())
    }

    fn readable(&self, path: &[u8]) -> bool {
        !matches!(self.decide(path, Access::READ), Decision::Denied(_))
    }

    /// Whether `path` has to go on leading where it does: it is above a volume or what a rule is about, or it is a directory that
    /// one is about, which is open.
    #[must_use]
    pub fn is_fixed(&self, path: &[u8]) -> bool {
        self.roots.iter().any(|root| match guest_path::beneath(&root.guest, path) {
            Some(rest) => !rest.is_empty() || root.rest.is_empty(),
            None => false,
        })
    }
}
