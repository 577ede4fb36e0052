//! Files, directories and memory files against real directories, within a policy.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::fcntl::*;
use warmfork_abi::numbers::*;
use warmfork_memory::{MapRequest, Protection};

use crate::policy::{Policy, Rule, Rules};
use crate::testing::{Bench, DATA, Scratch};

pub(super) const PATH: u64 = DATA.start;
pub(super) const OTHER_PATH: u64 = DATA.start + 0x1000;
pub(super) const BUFFER: u64 = DATA.start + 0x2000;
const CWD: u64 = AT_FDCWD.cast_unsigned() as u64;

/// A guest that may read one directory and write a part of it.
pub(super) struct Guest {
    pub(super) bench: Bench,
    top: PathBuf,
    _scratch: Scratch,
}

impl Guest {
    pub(super) fn new(name: &str) -> Self {
        let scratch = Scratch::new(&format!("files-{name}"));
        let top = scratch.0.clone();
        std::fs::create_dir(top.join("w")).unwrap();
        let mut bench = Bench::new();
        let rules =
            Rules { read: Rule::Only(vec![top.clone()]), write: Rule::Only(vec![top.join("w")]), ..Rules::default() };
        bench.kernel.policy = Arc::new(Policy::new(rules).unwrap());
        bench.kernel.process_mut().fs.cwd = top.as_os_str().as_bytes().to_vec();
        Self { bench, top, _scratch: scratch }
    }

    pub(super) fn put(&mut self, address: u64, text: &str) {
        let bytes = [text.as_bytes(), b"\0"].concat();
        warmfork_memory::GuestMemory::write_some(&self.bench.guest, address, &bytes);
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        warmfork_memory::GuestMemory::read_some(&self.bench.guest, BUFFER, &mut bytes);
        bytes
    }

    /// A call whose first path argument is `path`, after `before`.
    pub(super) fn with_path(&mut self, number: u64, path: &str, rest: &[u64]) -> Result<u64, Errno> {
        self.put(PATH, path);
        self.bench.call(number, &[&[PATH], rest].concat())
    }

    pub(super) fn with_paths(&mut self, number: u64, old: &str, new: &str) -> Result<u64, Errno> {
        self.put(PATH, old);
        self.put(OTHER_PATH, new);
        self.bench.call(number, &[PATH, OTHER_PATH])
    }

    pub(super) fn open(&mut self, path: &str, flags: u32) -> Result<u64, Errno> {
        self.put(PATH, path);
        self.bench.call(OPENAT, &[CWD, PATH, flags.into(), 0o666])
    }

    pub(super) fn write(&mut self, fd: u64, text: &str) -> Result<u64, Errno> {
        self.put(BUFFER, text);
        self.bench.call(WRITE, &[fd, BUFFER, text.len() as u64])
    }

    pub(super) fn read(&mut self, fd: u64) -> Result<String, Errno> {
        let count = self.bench.call(READ, &[fd, BUFFER, 256])?;
        Ok(String::from_utf8(self.bytes(usize::try_from(count).unwrap())).unwrap())
    }

    pub(super) fn pread(&mut self, fd: u64, at: u64) -> Result<String, Errno> {
        let count = self.bench.call(PREAD64, &[fd, BUFFER, 256, at])?;
        Ok(String::from_utf8(self.bytes(usize::try_from(count).unwrap())).unwrap())
    }

    pub(super) fn host(&self, path: &str) -> PathBuf {
        self.top.join(path)
    }
}

#[test]
fn what_may_be_read_may_not_be_written() {
    let mut guest = Guest::new("rights");
    std::fs::write(guest.host("file"), "content").unwrap();
    let fd = guest.open("file", O_RDONLY).unwrap();
    assert_eq!(guest.read(fd).as_deref(), Ok("content"));
    assert_eq!(guest.write(fd, "x"), Err(Errno::EBADF));
    for flags in [O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT | O_TRUNC] {
        assert_eq!(guest.open("file", flags), Err(Errno::EACCES), "{flags:#o}");
    }
    assert_eq!(guest.open("new", O_RDONLY | O_CREAT), Err(Errno::EACCES));
    assert_eq!(guest.with_path(UNLINK, "file", &[]), Err(Errno::EACCES));
    assert_eq!(guest.with_path(MKDIR, "new", &[0o777]), Err(Errno::EACCES));
    assert_eq!(guest.with_path(MKDIR, "file", &[0o777]), Err(Errno::EEXIST), "told before the denial");
    assert_eq!(guest.with_path(TRUNCATE, "file", &[0]), Err(Errno::EACCES));
    assert_eq!(guest.with_path(CHMOD, "file", &[0o600]), Err(Errno::EPERM));
    assert_eq!(guest.bench.call(FCHMOD, &[fd, 0o600]), Err(Errno::EPERM), "nor through a descriptor");
    assert_eq!(guest.with_path(CHMOD, "missing", &[0o600]), Err(Errno::ENOENT));
    assert_eq!(std::fs::read_to_string(guest.host("file")).unwrap(), "content");
}

#[test]
fn new_files_have_the_guests_umask() {
    let mut guest = Guest::new("umask");
    assert_eq!(guest.bench.call(UMASK, &[0o137]), Ok(0o022));
    guest.open("w/file", O_RDWR | O_CREAT | O_EXCL).unwrap();
    guest.with_path(MKDIR, "w/directory", &[0o777]).unwrap();
    let mode = |path| std::fs::metadata(guest.host(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("w/file"), mode("w/directory")), (0o640, 0o640));
}

#[test]
fn links_and_renames_need_both_ends_writable() {
    let mut guest = Guest::new("links");
    std::fs::write(guest.host("frozen"), "frozen").unwrap();
    std::fs::write(guest.host("w/own"), "own").unwrap();
    assert_eq!(guest.with_paths(LINK, "frozen", "w/alias"), Err(Errno::EACCES), "or it could be written there");
    assert_eq!(guest.with_paths(RENAME, "frozen", "w/frozen"), Err(Errno::EACCES));
    assert_eq!(guest.with_paths(RENAME, "w/own", "own"), Err(Errno::EACCES));
    assert_eq!(guest.with_paths(LINK, "w/own", "w/alias"), Ok(0));
    assert_eq!(guest.with_paths(SYMLINK, "../frozen", "w/link"), Ok(0));
    assert_eq!(guest.open("w/link", O_RDWR), Err(Errno::EACCES));
    assert!(guest.open("w/link", O_RDONLY).is_ok());
    assert_eq!(guest.with_path(RMDIR, "w", &[]), Err(Errno::EBUSY), "the root of what is allowed stays");
    assert_eq!(guest.with_path(MKDIR, "w", &[0o700]), Err(Errno::EEXIST));
}

#[test]
fn open_files_and_the_working_directory_follow_renames() {
    let mut guest = Guest::new("rename");
    std::fs::create_dir_all(guest.host("w/a/b")).unwrap();
    guest.with_path(CHDIR, "w/a/b", &[]).unwrap();
    let fd = guest.open("file", O_RDWR | O_CREAT).unwrap();
    let (old, new) = (guest.host("w/a"), guest.host("w/z"));
    guest.with_paths(RENAME, old.to_str().unwrap(), new.to_str().unwrap()).unwrap();
    let length = guest.bench.call(GETCWD, &[BUFFER, 256]).unwrap();
    let cwd = guest.bytes(usize::try_from(length).unwrap() - 1);
    assert_eq!(cwd, new.join("b").as_os_str().as_bytes());
    let length = guest.with_path(READLINK, &format!("/proc/self/fd/{fd}"), &[BUFFER, 256]).unwrap();
    assert_eq!(guest.bytes(usize::try_from(length).unwrap()), new.join("b/file").as_os_str().as_bytes());
    assert!(guest.open("file", O_RDONLY).is_ok());
}

#[test]
fn an_append_goes_to_the_end_whoever_wrote_before() {
    let mut guest = Guest::new("append");
    let fd = guest.open("w/log", O_WRONLY | O_CREAT | O_APPEND).unwrap();
    guest.write(fd, "one ").unwrap();
    std::fs::write(guest.host("w/log"), "from outside ").unwrap();
    guest.write(fd, "two").unwrap();
    assert_eq!(std::fs::read_to_string(guest.host("w/log")).unwrap(), "from outside two");
    assert_eq!(guest.bench.call(LSEEK, &[fd, 0, SEEK_CUR.into()]), Ok(16));
}

#[test]
fn a_forks_offset_is_its_own() {
    let mut guest = Guest::new("offsets");
    std::fs::write(guest.host("file"), "abcdef").unwrap();
    let fd = guest.open("file", O_RDONLY).unwrap();
    guest.bench.call(READ, &[fd, BUFFER, 2]).unwrap();
    let snapshot = guest.bench.frozen().unwrap();
    assert_eq!(guest.read(fd).as_deref(), Ok("cdef"));
    guest.bench.kernel.reset_from(&snapshot);
    assert_eq!(guest.read(fd).as_deref(), Ok("cdef"));
}

#[test]
fn a_listing_goes_on_where_the_snapshot_was() {
    let mut guest = Guest::new("listing");
    for index in 0..40 {
        std::fs::write(guest.host(&format!("w/file-{index}")), "").unwrap();
    }
    let names = |guest: &mut Guest, fd| {
        let length = guest.bench.call(GETDENTS64, &[fd, BUFFER, 400]).unwrap();
        let (bytes, mut names) = (guest.bytes(usize::try_from(length).unwrap()), Vec::new());
        let mut at = 0;
        while at < bytes.len() {
            let record = usize::from(u16::from_le_bytes([bytes[at + 16], bytes[at + 17]]));
            let name = bytes[at + 19..at + record].split(|&byte| byte == 0).next().unwrap();
            names.push(String::from_utf8(name.to_vec()).unwrap());
            at += record;
        }
        names
    };
    let fd = guest.open("w", O_RDONLY | O_DIRECTORY).unwrap();
    let mut all = names(&mut guest, fd);
    let snapshot = guest.bench.frozen().unwrap();
    let second = names(&mut guest, fd);
    guest.bench.kernel.reset_from(&snapshot);
    assert_eq!(names(&mut guest, fd), second);
    all.extend(second);
    loop {
        let more = names(&mut guest, fd);
        if more.is_empty() {
            break;
        }
        all.extend(more);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 42, "40 files, . and ..");
}

#[test]
fn memory_files_count_against_the_machines_memory() {
    let mut guest = Guest::new("memory-limit");
    let mut limits = guest.bench.kernel.space().limits();
    limits.accessible_bytes = 1 << 20;
    guest.bench.kernel.space_mut().set_limits(limits);
    guest.put(PATH, "name");
    let first = guest.bench.call(MEMFD_CREATE, &[PATH, 0]).unwrap();
    let second = guest.bench.call(MEMFD_CREATE, &[PATH, 0]).unwrap();
    assert_eq!(guest.bench.call(FTRUNCATE, &[first, 1 << 19]), Ok(0));
    assert_eq!(guest.bench.call(FTRUNCATE, &[second, (1 << 19) + 1]), Err(Errno::ENOSPC));
    assert_eq!(guest.bench.call(PWRITE64, &[second, BUFFER, 1, 1 << 20]), Err(Errno::ENOSPC));
    assert_eq!(guest.bench.call(FALLOCATE, &[second, 0, 0, 1 << 20]), Err(Errno::ENOSPC));
    assert_eq!(guest.bench.call(FTRUNCATE, &[second, 1 << 19]), Ok(0));
}

#[test]
fn shared_memory_has_names_of_its_own() {
    let mut guest = Guest::new("shm");
    let fd = guest.open("/dev/shm/one", O_RDWR | O_CREAT | O_EXCL).unwrap();
    guest.write(fd, "shared").unwrap();
    assert_eq!(guest.open("/dev/shm/one", O_RDWR | O_CREAT | O_EXCL), Err(Errno::EEXIST));
    let again = guest.open("/dev/shm/one", O_RDONLY).unwrap();
    assert_eq!(guest.read(again).as_deref(), Ok("shared"));
    guest.with_paths(LINK, "/dev/shm/one", "/dev/shm/two").unwrap();
    assert_eq!(guest.with_paths(LINK, "/dev/shm/one", "/dev/shm/two"), Err(Errno::EEXIST));
    guest.with_path(UNLINK, "/dev/shm/one", &[]).unwrap();
    assert_eq!(guest.open("/dev/shm/one", O_RDONLY), Err(Errno::ENOENT));
    let snapshot = guest.bench.frozen().unwrap();
    guest.with_path(UNLINK, "/dev/shm/two", &[]).unwrap();
    guest.bench.kernel.reset_from(&snapshot);
    let two = guest.open("/dev/shm/two", O_RDONLY).unwrap();
    assert_eq!(guest.read(two).as_deref(), Ok("shared"));
    assert_eq!(guest.open("/dev/shm/a/b", O_RDWR | O_CREAT), Err(Errno::ENOENT));
}

#[test]
fn nothing_of_the_hosts_proc_and_dev_is_reached() {
    let mut guest = Guest::new("proc");
    guest.bench.kernel.policy = Arc::new(Policy::new(Rules::everything()).unwrap());
    let up = "../".repeat(guest.top.components().count() + 2);
    symlink(format!("{up}proc/self/cmdline"), guest.host("sneaky")).unwrap();
    guest.bench.kernel.process_mut().arguments = vec![b"guest".to_vec()];
    for path in ["sneaky", "/proc/self/cmdline", "/proc/self/root/proc/self/cmdline", "/../proc/2/task/2/cmdline"] {
        let fd = guest.open(path, O_RDONLY).unwrap();
        assert_eq!(guest.read(fd).as_deref(), Ok("guest\0"), "{path}");
    }
    for path in ["/proc/1/maps", "/proc/self/mem", "/proc/kcore", "/dev/sda", "/dev/kmsg", "/sys/class", "/dev/pts/0"] {
        assert_eq!(guest.open(path, O_RDONLY), Err(Errno::ENOENT), "{path}");
    }
    assert_eq!(guest.open("/proc/self/maps", O_RDWR), Err(Errno::EACCES));
    assert_eq!(guest.with_path(UNLINK, "/proc/self/maps", &[]), Err(Errno::EPERM));
}

#[test]
fn the_host_has_fifos_and_sockets_but_the_guest_does_not_hang_on_them() {
    let mut guest = Guest::new("special");
    let _socket = std::os::unix::net::UnixListener::bind(guest.host("socket")).unwrap();
    assert_eq!(guest.open("socket", O_RDONLY), Err(Errno::ENXIO));
    guest.with_path(MKNOD, "w/fifo", &[0o010_600, 0]).unwrap();
    let reader = guest.open("w/fifo", O_RDONLY | O_NONBLOCK).unwrap();
    assert_eq!(guest.read(reader).as_deref(), Ok(""));
    let writer = guest.open("w/fifo", O_WRONLY | O_NONBLOCK).unwrap();
    assert_eq!(guest.read(reader), Err(Errno::EAGAIN));
    assert_eq!(guest.write(writer, "through"), Ok(7));
    assert_eq!(guest.read(reader).as_deref(), Ok("through"));
    assert_eq!(guest.with_path(MKNOD, "w/device", &[0o020_600, 0x103]), Err(Errno::EPERM));
}

#[test]
fn locks_of_two_descriptions_exclude_each_other() {
    let mut guest = Guest::new("locks");
    let (a, b) = (guest.open("w/file", O_RDWR | O_CREAT).unwrap(), guest.open("w/file", O_RDWR).unwrap());
    assert_eq!(guest.bench.call(FLOCK, &[a, (LOCK_EX | LOCK_NB).into()]), Ok(0));
    assert_eq!(guest.bench.call(FLOCK, &[b, (LOCK_SH | LOCK_NB).into()]), Err(Errno::EAGAIN));
    guest.bench.call(CLOSE, &[a]).unwrap();
    assert_eq!(guest.bench.call(FLOCK, &[b, (LOCK_SH | LOCK_NB).into()]), Ok(0));
    // A write lock of the whole file: type 1, whence 0, start 0, length 0.
    guest.bench.write(BUFFER, &[1, 0, 0, 0]);
    assert_eq!(guest.bench.call(FCNTL, &[b, F_OFD_SETLK.into(), BUFFER]), Ok(0));
    let c = guest.open("w/file", O_RDWR).unwrap();
    assert_eq!(guest.bench.call(FCNTL, &[c, F_SETLK.into(), BUFFER]), Err(Errno::EAGAIN));
    assert_eq!(guest.bench.call(FCNTL, &[c, F_GETLK.into(), BUFFER]), Ok(0));
    assert_eq!(guest.bench.read_half(BUFFER) & 0xffff, 1, "a write lock is in the way");
}

#[test]
fn bad_vectors_are_refused_before_anything_moves() {
    let mut guest = Guest::new("vectors");
    let fd = guest.open("w/file", O_RDWR | O_CREAT).unwrap();
    guest.bench.write(BUFFER, &[PATH, 4, PATH, u64::MAX]);
    assert_eq!(guest.bench.call(WRITEV, &[fd, BUFFER, 2]), Err(Errno::EINVAL));
    guest.bench.write(BUFFER, &[PATH, 4, u64::MAX - 10, 4]);
    assert_eq!(guest.bench.call(WRITEV, &[fd, BUFFER, 2]), Err(Errno::EFAULT));
    assert_eq!(guest.bench.call(WRITEV, &[fd, BUFFER, 1025]), Err(Errno::EINVAL));
    assert_eq!(guest.bench.call(WRITEV, &[fd, 0x10, 1]), Err(Errno::EFAULT));
    assert_eq!(guest.bench.call(LSEEK, &[fd, 0, SEEK_END.into()]), Ok(0));
    // Readable bytes are written, up to the hole.
    guest.bench.write(BUFFER, &[PATH, 4, 0x10, 4]);
    assert_eq!(guest.bench.call(WRITEV, &[fd, BUFFER, 2]), Ok(4));
}

#[test]
fn a_read_takes_from_a_pipe_only_what_the_guest_can_hold() {
    let mut guest = Guest::new("pipe-fault");
    guest.bench.call(PIPE2, &[BUFFER, O_NONBLOCK.into()]).unwrap();
    let (reader, writer) = (guest.bench.read_half(BUFFER).into(), guest.bench.read_half(BUFFER + 4).into());
    guest.write(writer, "precious").unwrap();
    assert_eq!(guest.bench.call(READ, &[reader, 0x10, 8]), Err(Errno::EFAULT));
    let request = MapRequest::anonymous(4096, Protection::READ | Protection::WRITE);
    let page = guest.bench.kernel.space_mut().map(&mut guest.bench.guest, request).unwrap();
    assert_eq!(guest.bench.call(READ, &[reader, page + 4092, 8]), Err(Errno::EFAULT));
    assert_eq!(guest.bench.call(READ, &[reader, page + 4092, 4]), Ok(4));
    assert_eq!(guest.bench.call(READ, &[reader, page, 8]), Ok(4));
    assert_eq!(guest.bench.read_half(page), u32::from_le_bytes(*b"ious"));
}

#[test]
fn proc_stat_has_its_fields_where_linux_has_them() {
    let mut guest = Guest::new("proc-stat");
    guest.bench.kernel.process_mut().parent = 1;
    guest.bench.kernel.space_mut().start_heap(0x1234_5000);
    guest.bench.kernel.process_mut().tasks.get_mut(2).name = b"a) name".to_vec();
    let fd = guest.open("/proc/self/stat", O_RDONLY).unwrap();
    let text = guest.read(fd).unwrap();
    let (before, after) = text.rsplit_once(") ").unwrap();
    assert_eq!(before, "2 (a) name");
    let fields: Vec<&str> = after.split_whitespace().collect();
    assert_eq!(fields.len(), 50, "{text}");
    // Numbers as in proc_pid_stat(5), whose third is the first here.
    let field = |number: usize| fields[number - 3];
    assert_eq!((field(3), field(4), field(5), field(8)), ("R", "1", "2", "-1"));
    assert_eq!((field(18), field(19), field(20), field(38)), ("20", "0", "1", "17"));
    assert_eq!(field(47), 0x1234_5000.to_string());
}
