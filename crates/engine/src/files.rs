//! How the loader opens the program itself: from the host, through the volumes, whatever the rules say. The user has
//! named the program; what was opened for it becomes readable for the guest.

use std::fs::OpenOptions;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_linux::policy::Rules;
use warmfork_loader::ProgramFiles;
use warmfork_memory::MappedFile;

/// Opens program files and remembers which.
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

    /// The guest paths of what was opened.
    pub fn opened(self) -> Vec<PathBuf> {
        self.opened
    }

    /// The host's path of guest path `path`: the volume with the longest guest path decides.
    fn host_path(&self, path: &Path) -> PathBuf {
        let volumes = self.rules.volumes.iter().filter(|volume| path.starts_with(&volume.guest));
        let volume = volumes.max_by_key(|volume| volume.guest.as_os_str().len());
        match volume.and_then(|volume| Some((volume, path.strip_prefix(&volume.guest).ok()?))) {
            Some((volume, rest)) if rest.as_os_str().is_empty() => volume.host.clone(),
            Some((volume, rest)) => volume.host.join(rest),
            None => path.to_owned(),
        }
    }
}

impl ProgramFiles for HostFiles<'_> {
    fn open(&mut self, path: &[u8]) -> Result<Arc<MappedFile>, Errno> {
        let guest = self.cwd.join(Path::new(std::ffi::OsStr::from_bytes(path)));
        let host = self.host_path(&guest);
        // Non-blocking, so that a FIFO given as a program is refused and not waited for.
        let file = OpenOptions::new().read(true).custom_flags(0o4000).open(&host).map_err(|error| errno(&error))?;
        let metadata = file.metadata().map_err(|error| errno(&error))?;
        if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
            return Err(Errno::EACCES);
        }
        self.opened.push(guest.clone());
        Ok(Arc::new(MappedFile {
            fd: file.into(),
            path: String::from_utf8_lossy(guest.as_os_str().as_bytes()).into_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            writable: false,
        }))
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(Errno::EIO.0))
}
