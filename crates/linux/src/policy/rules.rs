//! The user's permissions: plain data, from flags.

use std::path::{Path, PathBuf};

use super::error::PolicyError;
use super::network::HostPattern;
use crate::guest_path;

/// The permission of one `--allow-` flag.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Rule<T> {
    /// The flag was not given.
    #[default]
    Nothing,
    /// The flag with a list.
    Only(Vec<T>),
    /// The flag without a list.
    Everything,
}

impl<T> Rule<T> {
    /// Whether some entry of the rule satisfies `test`.
    pub fn allows(&self, test: impl FnMut(&T) -> bool) -> bool {
        match self {
            Self::Nothing => false,
            Self::Only(entries) => entries.iter().any(test),
            Self::Everything => true,
        }
    }
}

/// A host directory or file that the guest sees under another path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Where the guest sees it.
    pub guest: PathBuf,
    /// Whether the guest may write there (it may always read).
    pub writable: bool,
}

impl std::str::FromStr for Volume {
    type Err = PolicyError;

    /// `HOST:GUEST`, `HOST:GUEST:ro` or `HOST:GUEST:rw`.
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let malformed = || PolicyError::Volume { text: text.to_owned() };
        let (paths, writable) = match text.rsplit_once(':').ok_or_else(malformed)? {
            (paths, "rw") => (paths, true),
            (paths, "ro") => (paths, false),
            _ => (text, false),
        };
        let (host, guest) = paths.split_once(':').ok_or_else(malformed)?;
        if host.is_empty() || !guest.starts_with('/') {
            return Err(malformed());
        }
        Ok(Self { host: host.into(), guest: guest.into(), writable })
    }
}

/// The user's permissions. Plain data; relative paths are taken from the host's working directory.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rules {
    /// `--allow-read`: guest directories and files.
    pub read: Rule<PathBuf>,
    /// `--allow-write`: guest directories and files. Does not imply reading.
    pub write: Rule<PathBuf>,
    /// `--allow-env`: names of environment variables; a trailing `*` stands for any rest.
    pub environment: Rule<String>,
    /// `--allow-connect`, `--allow-net`: where the guest may connect and send to.
    pub connect: Rule<HostPattern>,
    /// `--allow-listen`, `--allow-net`: where the guest may bind and listen.
    pub listen: Rule<HostPattern>,
    /// `--volume`: the longest guest path that covers a path decides about it.
    pub volumes: Vec<Volume>,
    /// Files readable without a rule: the program, its script's interpreter, its ELF interpreter.
    pub programs: Vec<PathBuf>,
}

impl Rules {
    /// `--allow-all`
    #[must_use]
    pub fn everything() -> Self {
        Self {
            read: Rule::Everything,
            write: Rule::Everything,
            environment: Rule::Everything,
            connect: Rule::Everything,
            listen: Rule::Everything,
            ..Self::default()
        }
    }
}

/// The guest's view of a host path (a rule's, the program's): absolute and plain.
///
/// # Errors
/// The host's refusal to name its working directory, when `path` is relative.
pub fn guest_view(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(guest_path::plain(std::path::absolute(path)?.as_os_str().as_bytes()))
}
