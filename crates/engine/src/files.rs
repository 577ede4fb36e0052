//! Opens the program itself for the loader: from the host, through the volumes. The rules do not matter here, because the user has
//! named the program. The files that were opened become readable for the guest.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_RDONLY;
use warmfork_linux::policy::{Rules, Volume};
use warmfork_loader::ProgramFiles;
use warmfork_memory::HostFile;

/// Opens program files and remembers their paths.
pub struct HostFiles<'a> {
    rules: &'a Rules,
    cwd: PathBuf,
    opened: Vec<PathBuf>,
}

impl<'a> HostFiles<'a> {
    /// Opens relative paths from the guest's `cwd`.
    pub fn new(rules: &'a Rules, cwd: &[u8]) -> Self {
        Self { rules, cwd: PathBuf::from(std::ffi::OsString::from_vec(cwd.to_vec())), opened: Vec::new() }
    }

    /// The guest paths of the files that were opened.
    pub fn opened(self) -> Vec<PathBuf> {
        self.opened
    }

    /// The volume that guest path `path` is in: the one with the longest guest path decides.
    fn volume(&self, path: &Path) -> Option<&Volume> {
        let volumes = self.rules.volumes.iter().filter(|volume| path.starts_with(&volume.guest));
        volumes.max_by_key(|volume| volume.guest.as_os_str().len())
    }

    /// The host's path of guest path `path`.
    fn host_path(&self, path: &Path) -> PathBuf {
        match self.volume(path).and_then(|volume| Some((volume, path.strip_prefix(&volume.guest).ok()?))) {
            Some((volume, rest)) if rest.as_os_str().is_empty() => volume.host.clone(),
            Some((volume, rest)) => volume.host.join(rest),
            None => path.to_owned(),
        }
    }

    /// The guest's path, without symlinks, of `file`, which was opened as `path`: the name of its mappings and of /proc/self/exe. A
    /// file outside of the volume, to which a symlink in the volume leads, keeps `path`.
    fn real_path(&self, file: &File, path: &Path) -> PathBuf {
        let Ok(host) = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) else {
            return path.to_owned();
        };
        let Some(volume) = self.volume(path) else { return host };
        let root = volume.host.canonicalize().unwrap_or_else(|_| volume.host.clone());
        match host.strip_prefix(root) {
            Ok(rest) => volume.guest.join(rest),
            Err(_) => path.to_owned(),
        }
    }
}

impl ProgramFiles for HostFiles<'_> {
    fn open(&mut self, path: &[u8]) -> Result<Arc<HostFile>, Errno> {
        let guest = self.cwd.join(Path::new(std::ffi::OsStr::from_bytes(path)));
        let host = self.host_path(&guest);
        // Non-blocking, so that a FIFO given as a program is refused and not waited for.
        let file = OpenOptions::new().read(true).custom_flags(0o4000).open(&host).map_err(|error| errno(&error))?;
        let metadata = file.metadata().map_err(|error| errno(&error))?;
        if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
            return Err(Errno::EACCES);
        }
        let real = self.real_path(&file, &guest);
        self.opened.push(guest);
        HostFile::opened(file.into(), real.as_os_str().as_bytes(), O_RDONLY)
            .map_err(|error| Errno(error.raw_os_error()))
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(Errno::EIO.0))
}
