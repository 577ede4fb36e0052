//! The files, variables and addresses that a guest may touch. Built once, from the user's [`Rules`], before the guest runs; shared by all its forks.
//!
//! ```text
//!   Rules (--allow-..., --volume)  ->  Policy::new: opens every allowed root  ->  resolve.rs asks Policy::decide
//! ```
//!
//! A guest sees the host's paths, with volumes laid over them. A guest may touch only paths that a rule covers, the
//! program, and the files that its loader needs: shared libraries in the system's library directories.

mod error;
mod moves;
pub mod network;
pub mod roots;
pub mod rules;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use warmfork_abi::Errno;
use warmfork_memory::{HostFile, Origin};

pub use error::PolicyError;
pub use network::HostPattern;
pub(crate) use roots::shows_kernel;
pub use roots::{Grants, Root};
pub use rules::{Rule, Rules, Volume, guest_view};

use crate::guest_path;

bitflags::bitflags! {
    /// The access that a call wants to a path. Nothing set: to know whether it is there, and its metadata.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Access: u8 {
        /// To read it, or to list it.
        const READ = 1;
        /// To write it, to change its metadata, or to create, rename or remove it.
        const WRITE = 2;
    }
}

/// A path that a policy does not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The error that the guest gets.
    pub errno: Errno,
    /// The flag that would allow it; `None` for a read-only volume.
    pub flag: Option<&'static str>,
}

/// Where a plain guest path leads.
#[derive(Clone, PartialEq, Debug)]
pub enum Decision<'a> {
    /// Into the files that warmfork makes up: /proc, /dev, /sys.
    Synthetic,
    /// To the host, beneath `root`.
    Host {
        /// The root that covers it.
        root: &'a Root,
        /// The path from the root on; empty for the root itself.
        relative: Vec<u8>,
    },
    /// Nowhere.
    Denied(Denial),
}

/// The directories that warmfork makes up.
const SYNTHETIC: [&[u8]; 3] = [b"/proc", b"/dev", b"/sys"];

/// The policy of a guest, ready for questions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Policy {
    rules: Rules,
    /// Longest guest path first, so that the first match is the closest.
    roots: Vec<Root>,
    /// Symlinks on the way to allowed paths, which may be looked at.
    links: BTreeSet<Vec<u8>>,
}

impl Policy {
    /// Opens the paths that `rules` allow. Paths that are not there (yet) are no error.
    ///
    /// # Errors
    /// [`PolicyError::Open`] for a path that is there but cannot be opened.
    pub fn new(rules: Rules) -> Result<Self, PolicyError> {
        let (roots, links) = roots::open(&rules)?;
        Ok(Self { rules, roots, links })
    }

    /// The rules it was made from.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether `access` to the plain guest path `path` is allowed, and beneath which root it lies.
    #[must_use]
    pub fn decide(&self, path: &[u8], access: Access) -> Decision<'_> {
        let volume = self.roots.iter().filter(|root| root.volume).find_map(|root| root.covering(path));
        if let Some((root, relative)) = volume {
            if access.contains(Access::WRITE) && !root.grants.contains(Grants::WRITE) {
                return Decision::Denied(Denial { errno: Errno::EROFS, flag: None });
            }
            return Decision::Host { root, relative: relative.to_vec() };
        }
        if SYNTHETIC.iter().any(|prefix| guest_path::beneath(path, prefix).is_some()) {
            return Decision::Synthetic;
        }
        self.decide_by_rules(path, access)
    }

    /// Whether `access` to a file that is open, or named by a descriptor, was allowed when it was opened: by the path that it had
    /// then. No later rename changes that.
    ///
    /// # Errors
    /// The denial.
    pub fn check_opened(&self, file: &HostFile, access: Access) -> Result<(), Denial> {
        match file.origin() {
            Origin::Opened { path, .. } => match self.decide(path, access) {
                Decision::Denied(denial) => Err(denial),
                Decision::Host { .. } | Decision::Synthetic => Ok(()),
            },
            // The machine's own memory: no rule is about that.
            _ => Ok(()),
        }
    }

    fn decide_by_rules(&self, path: &[u8], access: Access) -> Decision<'_> {
        let denied = |flag| Decision::Denied(Denial { errno: Errno::EACCES, flag: Some(flag) });
        let read = if access.contains(Access::READ) { Grants::READ } else { Grants::LOOKUP };
        let reader = self.granting(path, read);
        if !access.contains(Access::WRITE) {
            let Some((root, relative)) = reader else { return denied("--allow-read") };
            return Decision::Host { root, relative: relative.to_vec() };
        }
        let Some(writer) = self.granting(path, Grants::WRITE) else { return denied("--allow-write") };
        if !access.contains(Access::READ) {
            return Decision::Host { root: writer.0, relative: writer.1.to_vec() };
        }
        let Some(reader) = reader else { return denied("--allow-read") };
        // The inner one: the host checks that the file is beneath it even when directories move meanwhile.
        let (root, relative) = if reader.1.len() < writer.1.len() { reader } else { writer };
        Decision::Host { root, relative: relative.to_vec() }
    }

    /// The closest root that grants `wanted` for `path`.
    fn granting<'p, 'q>(&'p self, path: &'q [u8], wanted: Grants) -> Option<(&'p Root, &'q [u8])> {
        let covering = self.roots.iter().filter(|root| !root.volume && root.grant(path).contains(wanted));
        if let Some(found) = covering.filter_map(|root| root.covering(path)).next() {
            return Some(found);
        }
        // The way to something allowed may be looked at, though not listed.
        if wanted == Grants::LOOKUP && self.on_the_way(path) {
            return self.roots.iter().find(|root| root.guest == b"/" && !root.volume)?.covering(path);
        }
        None
    }

    fn on_the_way(&self, path: &[u8]) -> bool {
        self.links.contains(path) || self.roots.iter().any(|root| guest_path::beneath(&root.guest, path).is_some())
    }

    /// The names in `path` that lead to volumes: such a directory is there for the guest even when the host has none.
    pub fn names_towards_volumes(&self, path: &[u8]) -> BTreeSet<Vec<u8>> {
        let below = self.volumes().filter_map(|(volume, _)| guest_path::beneath(volume, path));
        below.filter_map(|rest| guest_path::components(rest).next()).map(<[u8]>::to_vec).collect()
    }

    /// Where volumes are, and whether they may be written.
    pub fn volumes(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let volumes = self.roots.iter().filter(|root| root.volume);
        volumes.map(|root| (root.guest.as_slice(), root.grants.contains(Grants::WRITE)))
    }

    /// Whether the guest may see environment variable `name`.
    #[must_use]
    pub fn may_see_variable(&self, name: &str) -> bool {
        self.rules.environment.allows(|pattern| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        })
    }

    /// Whether the guest may connect or send to `address`.
    #[must_use]
    pub fn may_connect(&self, address: &SocketAddr) -> bool {
        self.rules.connect.allows(|pattern| pattern.matches(address))
    }

    /// Whether the guest may bind a socket to `address`, to listen or to receive there. A rule for an unspecified
    /// address (`0.0.0.0`, `[::]`) allows every local address.
    #[must_use]
    pub fn may_listen(&self, address: &SocketAddr) -> bool {
        self.rules.listen.allows(|pattern| pattern.matches_local(address))
    }
}

#[cfg(test)]
mod tests;
