//! The allowed directories and files, each opened once, before the guest runs and could put a symlink in the way.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use warmfork_abi::fcntl::{O_DIRECTORY, O_PATH};
use warmfork_memory::HostFile;

use super::error::PolicyError;
use super::rules::{Rule, Rules, guest_view};
use crate::guest_path;

bitflags::bitflags! {
    /// The accesses that a root allows beneath it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Grants: u8 {
        /// Metadata and symlink targets.
        const LOOKUP = 1;
        /// Reading and listing.
        const READ = 2;
        /// Creating, writing, renaming, removing.
        const WRITE = 4;
    }
}

/// One allowed directory or file.
#[derive(Clone, PartialEq, Debug)]
pub struct Root {
    /// Where the guest sees it (a plain path).
    pub guest: Vec<u8>,
    /// The host directory from which paths are resolved: the root itself, or the closest directory above it that
    /// was there at the start.
    pub anchor: Arc<HostFile>,
    /// From the anchor to the root; empty when the anchor is the root.
    pub rest: Vec<u8>,
    /// The accesses that it allows.
    pub grants: Grants,
    /// It comes from `--volume`.
    pub volume: bool,
    /// Only shared libraries are readable beneath it.
    pub libraries: bool,
    /// It is itself in a file system that shows the kernel: see [`shows_kernel`].
    pub kernel: bool,
}

impl Root {
    /// The rest of `path` when the root covers it.
    pub(super) fn covering<'p, 'q>(&'p self, path: &'q [u8]) -> Option<(&'p Root, &'q [u8])> {
        guest_path::beneath(path, &self.guest).map(|relative| (self, relative))
    }

    /// The accesses to `path` that the root allows, if it covers `path`.
    pub(super) fn grant(&self, path: &[u8]) -> Grants {
        if guest_path::beneath(path, &self.guest).is_none() {
            Grants::empty()
        } else if self.libraries && !is_library(path) {
            self.grants & Grants::LOOKUP
        } else {
            self.grants
        }
    }

    /// The path of `relative` from the anchor on; `.` for the anchor itself.
    #[must_use]
    pub fn from_anchor(&self, relative: &[u8]) -> Vec<u8> {
        let mut path = self.rest.clone();
        if !relative.is_empty() {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(relative);
        }
        if path.is_empty() {
            path.push(b'.');
        }
        path
    }
}

/// Where loaders look for shared libraries.
const LIBRARY_DIRECTORIES: [&str; 6] =
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"];

/// The files that loaders read beside shared libraries.
const LOADER_FILES: [&str; 3] = ["/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/ld-musl-x86_64.path"];

/// `name.so`, `name.so.6`, and the C library's index of its character set modules.
fn is_library(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.") || name.starts_with(b"gconv-modules")
}

/// Opens the roots of `rules`; also returns the symlinks on the way to them.
pub(super) fn open(rules: &Rules) -> Result<(Vec<Root>, BTreeSet<Vec<u8>>), PolicyError> {
    let mut builder = Builder { roots: Vec::new(), links: BTreeSet::new() };
    // For looking at directories on the way to other roots; grants nothing by itself.
    builder.add(Path::new("/"), Grants::empty(), false)?;
    builder.add_rule(&rules.read, Grants::LOOKUP | Grants::READ)?;
    builder.add_rule(&rules.write, Grants::LOOKUP | Grants::WRITE)?;
    for program in &rules.programs {
        builder.add(program, Grants::LOOKUP | Grants::READ, false)?;
    }
    for directory in LIBRARY_DIRECTORIES {
        builder.add(Path::new(directory), Grants::LOOKUP | Grants::READ, true)?;
    }
    for file in LOADER_FILES {
        builder.add(Path::new(file), Grants::LOOKUP | Grants::READ, false)?;
    }
    for volume in &rules.volumes {
        let guest = guest_path::plain(volume.guest.as_os_str().as_bytes());
        let host = volume.host.canonicalize().map_err(|source| open_error(&volume.host, source))?;
        let write = if volume.writable { Grants::WRITE } else { Grants::empty() };
        builder.push(guest, &host, Grants::LOOKUP | Grants::READ | write, false, true)?;
    }
    Ok(builder.finish())
}

struct Builder {
    roots: Vec<Root>,
    links: BTreeSet<Vec<u8>>,
}

impl Builder {
    fn add_rule(&mut self, rule: &Rule<PathBuf>, grants: Grants) -> Result<(), PolicyError> {
        match rule {
            Rule::Nothing => Ok(()),
            Rule::Everything => self.add(Path::new("/"), grants, false),
            Rule::Only(paths) => paths.iter().try_for_each(|path| self.add(path, grants, false)),
        }
    }

    /// Allows the file that `path` leads to, and looking at the symlinks on the way there.
    fn add(&mut self, path: &Path, grants: Grants, libraries: bool) -> Result<(), PolicyError> {
        let guest = guest_view(path).map_err(|source| open_error(path, source))?;
        let host = self.follow(&guest);
        self.push(host.as_os_str().as_bytes().to_vec(), &host, grants, libraries, false)
    }

    /// The path without symlinks, as far as it exists; remembers the symlinks met.
    fn follow(&mut self, path: &[u8]) -> PathBuf {
        let mut rest: Vec<Vec<u8>> = guest_path::components(path).rev().map(<[u8]>::to_vec).collect();
        let mut real = b"/".to_vec();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == b".." {
                guest_path::pop(&mut real);
                continue;
            }
            guest_path::push(&mut real, &name);
            let Ok(target) = std::fs::read_link(as_path(&real)) else { continue };
            links += 1;
            if links > 40 {
                break;
            }
            self.links.insert(real.clone());
            let target = target.as_os_str().as_bytes();
            if target.starts_with(b"/") {
                real = b"/".to_vec()
            } else {
                guest_path::pop(&mut real)
            }
            rest.extend(guest_path::components(target).rev().map(<[u8]>::to_vec));
        }
        as_path(&real).to_path_buf()
    }

    fn push(
        &mut self,
        guest: Vec<u8>,
        host: &Path,
        grants: Grants,
        libraries: bool,
        volume: bool,
    ) -> Result<(), PolicyError> {
        let same = |root: &&mut Root| root.guest == guest && root.volume == volume && root.libraries == libraries;
        if let Some(root) = self.roots.iter_mut().find(same) {
            root.grants |= grants;
            return Ok(());
        }
        let (anchor, rest) = anchor(host)?;
        let kernel = shows_kernel(anchor.as_fd()).map_err(|error| open_error(host, error.into()))?;
        self.roots.push(Root { guest, anchor, rest, grants, volume, libraries, kernel });
        Ok(())
    }

    /// Whether `root` makes a difference. No rule does that is within a volume, nor one that allows no more than those above it:
    /// it would only keep its directory in place ([`super::Policy::is_fixed`]).
    fn is_needed(&self, root: &Root) -> bool {
        if root.volume || root.guest == b"/" || root.kernel {
            return true;
        }
        let covering = self.roots.iter().filter(|other| other.covering(&root.guest).is_some());
        let mut allowed = Grants::empty();
        for other in covering {
            if other.volume {
                return false;
            }
            let above = other.guest != root.guest || root.libraries;
            if above && !other.libraries {
                allowed |= other.grants;
            }
        }
        !allowed.contains(root.grants)
    }

    fn finish(mut self) -> (Vec<Root>, BTreeSet<Vec<u8>>) {
        let needed: Vec<_> = self.roots.iter().map(|root| self.is_needed(root)).collect();
        let mut needed = needed.into_iter();
        self.roots.retain(|_| needed.next().unwrap_or(true));
        // Longest first: the closest root decides.
        self.roots.sort_by_key(|root| std::cmp::Reverse(root.guest.len()));
        (self.roots, self.links)
    }
}

/// Whether a file is in a file system in which the kernel shows itself and its processes, this one among them. A guest's own /proc
/// is made up; behind a volume or a rule these are the host's.
pub(crate) fn shows_kernel(file: BorrowedFd<'_>) -> Result<bool, rustix::io::Errno> {
    Ok(KERNEL_FILE_SYSTEMS.contains(&rustix::fs::fstatfs(file)?.f_type))
}

/// `f_type` of procfs, sysfs, cgroups of both kinds, debugfs, tracefs, securityfs, bpf, configfs, efivarfs, pstore, selinuxfs, nsfs
/// and binfmt_misc (linux/magic.h).
const KERNEL_FILE_SYSTEMS: [i64; 14] = [
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xcafe_4a11,
    0x6265_6570,
    0xde5e_81e4,
    0x6165_676c,
    0xf97c_ff8c,
    0x6e73_6673,
    0x4249_4e4d,
];

/// The closest directory at or above `host` that is there, and the way from it to `host`.
fn anchor(host: &Path) -> Result<(Arc<HostFile>, Vec<u8>), PolicyError> {
    let mut directory = host;
    loop {
        match rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => {
                let rest = host.strip_prefix(directory).unwrap_or(Path::new(""));
                let path = directory.as_os_str().as_bytes();
                let anchor = HostFile::opened(fd, path, O_PATH | O_DIRECTORY);
                let anchor = anchor.map_err(|error| open_error(host, error.into()))?;
                return Ok((anchor, rest.as_os_str().as_bytes().to_vec()));
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::ACCESS) => {
                directory = directory.parent().ok_or_else(|| open_error(host, rustix::io::Errno::NOENT.into()))?;
            }
            Err(error) => return Err(open_error(host, error.into())),
        }
    }
}

fn open_error(path: &Path, source: std::io::Error) -> PolicyError {
    PolicyError::Open { path: path.to_path_buf(), source }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
