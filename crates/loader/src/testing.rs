//! Parts that the tests of this crate share: programs made by the C compiler, files in memory, an opener of files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_RDONLY;
use warmfork_memory::HostFile;

use crate::ProgramFiles;

/// Compiles a file of tests/programs with `flags`, as `name` in the build's directory.
pub(crate) fn compile(name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let output = Path::new(env!("OUT_DIR")).join(name);
    let unfinished = output.with_extension(std::process::id().to_string());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(source);
    let arguments = [OsStr::new("-o"), unfinished.as_os_str(), source.as_os_str()];
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let result = Command::new(compiler).args(flags).args(arguments).output().expect("run cc");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    std::fs::rename(&unfinished, &output).expect("rename");
    output
}

/// `fd` as a program's file.
pub(crate) fn mapped(fd: impl Into<OwnedFd>) -> Arc<HostFile> {
    HostFile::opened(fd.into(), b"test", O_RDONLY).expect("fstat")
}

/// A file in memory.
pub(crate) fn file_of(bytes: &[u8]) -> Arc<HostFile> {
    let fd = memfd_create("test", MemfdFlags::CLOEXEC).expect("memfd");
    assert_eq!(rustix::io::pwrite(&fd, bytes, 0).expect("write"), bytes.len());
    mapped(fd)
}

/// Files by path. Remembers the paths that were asked for.
#[derive(Default)]
pub(crate) struct Files {
    known: HashMap<Vec<u8>, Result<Arc<HostFile>, Errno>>,
    pub asked: Vec<String>,
}

impl Files {
    pub(crate) fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.known.insert(path.into(), Ok(file_of(bytes)));
        self
    }

    pub(crate) fn with_host(mut self, path: &Path) -> Self {
        let file = std::fs::File::open(path).expect("open");
        self.known.insert(path.as_os_str().as_encoded_bytes().to_vec(), Ok(mapped(file)));
        self
    }

    pub(crate) fn refusing(mut self, path: &str, errno: Errno) -> Self {
        self.known.insert(path.into(), Err(errno));
        self
    }
}

impl ProgramFiles for Files {
    fn open(&mut self, path: &[u8]) -> Result<Arc<HostFile>, Errno> {
        self.asked.push(String::from_utf8_lossy(path).into_owned());
        self.known.get(path).cloned().unwrap_or(Err(Errno::ENOENT))
    }
}
