//! Files of which each fork has its own: memory files, and those without a name.

use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::fcntl::*;
use warmfork_abi::mman::MapFlags;
use warmfork_abi::mman::madvise::MADV_REMOVE;
use warmfork_abi::numbers::*;
use warmfork_memory::{Backing, HostFile, HostFileId, MapRequest, Origin, Protection, Span};

use super::file_tests::{BUFFER, Guest, PATH};
use crate::files::Description;
use crate::kernel::Kernel;
use crate::objects::Object;
use crate::objects::memfd::Memfd;
use crate::objects::stream::Stream;
use crate::own_files::{Difference, MappedWrites};

/// F_SEAL_SEAL and F_SEAL_WRITE.
const SEAL_SEAL: u64 = 1;
const SEAL_WRITE: u64 = 8;

impl Guest {
    /// Freezes the machine and goes on as a fork of it; the snapshot and another fork.
    fn freeze(&mut self) -> (Kernel, Kernel) {
        let snapshot = self.bench.frozen().unwrap();
        snapshot.seal_own_files().unwrap();
        let sibling = snapshot.fork().unwrap();
        self.bench.kernel = snapshot.fork().unwrap();
        self.bench.kernel.seal_own_files().unwrap();
        assert!(self.bench.kernel == sibling && self.bench.kernel == snapshot, "copies count as the same");
        (snapshot, sibling)
    }

    /// Resets the fork; the files that were made anew.
    fn reset(&mut self, snapshot: &Kernel) -> Vec<HostFileId> {
        let anew = self.bench.kernel.restore_own_files(&MappedWrites::Anything).unwrap();
        self.bench.kernel.seal_own_files().unwrap();
        self.bench.kernel.reset_from(snapshot);
        assert_eq!(self.differences(), []);
        anew
    }

    fn differences(&self) -> Vec<Difference> {
        self.bench.kernel.own_files.iter().flat_map(|file| file.differences().unwrap()).collect()
    }

    fn create(&mut self, flags: u32) -> u64 {
        self.put(PATH, "name");
        self.bench.call(MEMFD_CREATE, &[PATH, flags.into()]).unwrap()
    }

    /// A file that has a text and no name any more.
    fn unlinked(&mut self, text: &str) -> u64 {
        let fd = self.open("w/gone", O_RDWR | O_CREAT).unwrap();
        self.write(fd, text).unwrap();
        self.with_path(UNLINK, "w/gone", &[]).unwrap();
        fd
    }

    /// Device, inode, links and size, as fstat has them.
    fn status(&mut self, fd: u64) -> [u64; 4] {
        self.bench.call(FSTAT, &[fd, BUFFER]).unwrap();
        let bytes = self.bytes(56);
        let word = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        [word(0), word(8), word(16), word(48)]
    }

    fn link_text(&mut self, fd: u64) -> String {
        let length = self.with_path(READLINK, &format!("/proc/self/fd/{fd}"), &[BUFFER, 256]).unwrap();
        String::from_utf8(self.bytes(usize::try_from(length).unwrap())).unwrap()
    }
}

#[test]
fn memory_files_are_copied_for_a_fork_and_restored_by_a_reset() {
    let mut guest = Guest::new("memfd");
    let fd = guest.create(MFD_ALLOW_SEALING);
    guest.write(fd, "snapshot").unwrap();
    let status = guest.status(fd);
    let (snapshot, mut sibling) = guest.freeze();
    assert_eq!(guest.status(fd), status);

    guest.bench.call(PWRITE64, &[fd, BUFFER, 4, 0]).unwrap();
    guest.bench.call(FTRUNCATE, &[fd, 4]).unwrap();
    std::mem::swap(&mut guest.bench.kernel, &mut sibling);
    assert_eq!(guest.pread(fd, 0).as_deref(), Ok("snapshot"));
    std::mem::swap(&mut guest.bench.kernel, &mut sibling);
    for _ in 0..2 {
        guest.bench.call(CLOSE, &[fd]).unwrap();
        assert_eq!(guest.reset(&snapshot), []);
        assert_eq!(guest.pread(fd, 0).as_deref(), Ok("snapshot"));
        assert_eq!(guest.status(fd), status);
        assert_eq!(guest.bench.call(PWRITE64, &[fd, PATH, 4, 2]), Ok(4));
    }
}

#[test]
fn a_file_that_is_only_named_is_a_forks_own_too() {
    let mut guest = Guest::new("only-named");
    let fd = guest.open("w/gone", O_RDWR | O_CREAT).unwrap();
    guest.write(fd, "snapshot").unwrap();
    let handle = guest.open("w/gone", O_PATH).unwrap();
    guest.with_path(UNLINK, "w/gone", &[]).unwrap();
    guest.bench.call(CLOSE, &[fd]).unwrap();
    let memory = guest.create(0);
    guest.write(memory, "snapshot").unwrap();
    let named = guest.open(&format!("/proc/self/fd/{memory}"), O_PATH).unwrap();
    guest.bench.call(CLOSE, &[memory]).unwrap();
    let status = [handle, named].map(|fd| guest.status(fd));
    let (snapshot, mut sibling) = guest.freeze();
    for _ in 0..2 {
        assert_eq!([handle, named].map(|fd| guest.status(fd)), status);
        for fd in [handle, named] {
            let again = guest.open(&format!("/proc/self/fd/{fd}"), O_RDWR).unwrap();
            assert_eq!(guest.pread(again, 0).as_deref(), Ok("snapshot"));
            guest.write(again, "changed").unwrap();
            let other = guest.open(&format!("/proc/self/fd/{fd}"), O_RDONLY).unwrap();
            assert_eq!(guest.pread(other, 0).as_deref(), Ok("changedt"));
            std::mem::swap(&mut guest.bench.kernel, &mut sibling);
            let other = guest.open(&format!("/proc/self/fd/{fd}"), O_RDONLY).unwrap();
            assert_eq!(guest.pread(other, 0).as_deref(), Ok("snapshot"), "no other fork sees it");
            std::mem::swap(&mut guest.bench.kernel, &mut sibling);
        }
        assert_eq!(guest.with_path(TRUNCATE, &format!("/proc/self/fd/{handle}"), &[3]), Ok(0));
        assert_eq!(guest.reset(&snapshot), []);
    }
}

#[test]
fn a_memory_file_that_was_sealed_is_made_anew() {
    let mut guest = Guest::new("sealed");
    let fd = guest.create(MFD_ALLOW_SEALING);
    let (snapshot, _) = guest.freeze();
    for _ in 0..2 {
        guest.bench.call(FCNTL, &[fd, F_ADD_SEALS.into(), SEAL_WRITE]).unwrap();
        assert_eq!(guest.write(fd, "text"), Err(Errno::EPERM));
        assert_eq!(guest.differences(), [Difference::Seals]);
        assert_eq!(guest.reset(&snapshot).len(), 1);
        assert_eq!(guest.bench.call(FCNTL, &[fd, F_GET_SEALS.into()]), Ok(0));
        assert_eq!(guest.write(fd, "text"), Ok(4));
        assert_eq!(guest.differences(), [Difference::Length]);
        assert_eq!(guest.reset(&snapshot), []);
    }
}

#[test]
fn a_memory_file_has_its_seals_in_a_fork_and_stays() {
    let mut guest = Guest::new("seals");
    let fd = guest.create(MFD_ALLOW_SEALING);
    guest.write(fd, "text").unwrap();
    guest.bench.call(FCNTL, &[fd, F_ADD_SEALS.into(), SEAL_WRITE | SEAL_SEAL]).unwrap();
    let (snapshot, _) = guest.freeze();
    assert_eq!(guest.bench.call(FCNTL, &[fd, F_GET_SEALS.into()]), Ok(SEAL_WRITE | SEAL_SEAL));
    assert_eq!(guest.write(fd, "more"), Err(Errno::EPERM));
    assert_eq!(guest.reset(&snapshot), []);
}

#[test]
fn a_mode_is_put_back() {
    let mut guest = Guest::new("mode");
    let fd = guest.create(0);
    guest.bench.call(FCHMOD, &[fd, 0o640]).unwrap();
    let (snapshot, _) = guest.freeze();
    assert_eq!(guest.differences(), []);
    guest.bench.call(FCHMOD, &[fd, 0o400]).unwrap();
    assert_eq!(guest.differences(), [Difference::Mode]);
    assert_eq!(guest.reset(&snapshot), []);
}

#[test]
fn a_mapping_of_a_memory_file_without_a_descriptor_is_copied_too() {
    let mut guest = Guest::new("mapped");
    let fd = guest.create(0);
    guest.bench.call(FTRUNCATE, &[fd, 4096]).unwrap();
    let address = guest.bench.call(MMAP, &[0, 4096, 3, 1, fd, 0]).unwrap();
    guest.bench.call(CLOSE, &[fd]).unwrap();
    let word = guest.bench.kernel.futex_word(address, false);
    let (snapshot, _) = guest.freeze();
    let file = |kernel: &Kernel| match &kernel.space().areas().find(address).unwrap().backing {
        Backing::File { file, .. } => Arc::clone(file),
        Backing::Anonymous => panic!("not a file"),
    };
    let (own, snapshots) = (file(&guest.bench.kernel), file(&snapshot));
    assert!(!Arc::ptr_eq(&own, &snapshots) && Arc::ptr_eq(guest.bench.kernel.own_file(&snapshots), &own));
    assert_eq!(own.id(), snapshots.id(), "and goes by the same name");
    assert!(guest.bench.kernel.futex_word(address, false) == word, "so that those who wait for a futex are found");
}

#[test]
fn what_each_machine_has_anyway_is_not_copied() {
    let mut guest = Guest::new("clock");
    let fd = rustix::fs::memfd_create("clock", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let backing = Backing::File { file: HostFile::new(fd, Origin::Clock), offset: 0 };
    let flags = MapFlags::SHARED;
    let request = MapRequest { flags, ..MapRequest::private(backing, 4096, Protection::READ) };
    guest.bench.kernel.space_mut().map(&mut guest.bench.guest, request).unwrap();
    guest.freeze();
    assert!(guest.bench.kernel.own_files.is_empty());
}

#[test]
fn what_names_another_file_is_told() {
    let mut guest = Guest::new("identity");
    let fd = guest.create(0);
    guest.bench.call(FTRUNCATE, &[fd, 4096]).unwrap();
    let address = guest.bench.call(MMAP, &[0, 4096, 3, 1, fd, 0]).unwrap();
    let waiter = guest.bench.spawn();
    guest.bench.start(waiter, FUTEX, &[address, 0, 0, 0]);
    let (snapshot, _) = guest.freeze();
    let other = Memfd::create(b"name", false).unwrap();
    rustix::fs::ftruncate(&other.file, 4096).unwrap();
    let kernel = &mut guest.bench.kernel;

    kernel.space_mut().replace_files(|_| Some(Arc::clone(&other.file)));
    assert!(kernel.space() != snapshot.space(), "mappings");
    let key = kernel.futex_word(address, false).key;
    let queued = kernel.process().tasks.get(waiter).queued().unwrap();
    assert!(queued.word.key != key && kernel.process().tasks == snapshot.process().tasks, "as it was frozen");
    kernel.process_mut().tasks.change_queued(waiter, |queued| queued.word.key = key);
    assert!(kernel.process().tasks != snapshot.process().tasks, "futexes");
    for object in kernel.files.objects_mut() {
        object.file_mut().into_iter().for_each(|file| *file = Arc::clone(&other.file));
    }
    assert!(kernel.files != snapshot.files, "descriptors");
    guest.reset(&snapshot);
    assert!(guest.bench.kernel == snapshot);
}

#[test]
fn locks_on_a_memory_file_are_held_in_a_fork() {
    let mut guest = Guest::new("memfd-locks");
    let fd = guest.create(0);
    let other = guest.open(&format!("/proc/self/fd/{fd}"), O_RDWR).unwrap();
    assert_eq!(guest.bench.call(FLOCK, &[fd, LOCK_EX.into()]), Ok(0));
    let (snapshot, _) = guest.freeze();
    for _ in 0..2 {
        assert_eq!(guest.bench.call(FLOCK, &[other, (LOCK_EX | LOCK_NB).into()]), Err(Errno::EAGAIN));
        assert_eq!(guest.bench.call(FLOCK, &[fd, LOCK_UN.into()]), Ok(0));
        assert!(guest.bench.kernel.shared.locks != snapshot.shared.locks);
        assert_eq!(guest.bench.call(FLOCK, &[other, (LOCK_EX | LOCK_NB).into()]), Ok(0));
        guest.reset(&snapshot);
        assert!(guest.bench.kernel == snapshot);
    }
}

#[test]
fn a_file_without_a_name_is_each_forks_own() {
    let mut guest = Guest::new("unlinked");
    let fd = guest.unlinked("snapshot");
    let status = guest.status(fd);
    assert_eq!(status[2..], [0, 8]);
    let (snapshot, mut sibling) = guest.freeze();
    assert_eq!((guest.status(fd), guest.differences()), (status, vec![]));
    assert!(guest.link_text(fd).ends_with("/w/gone (deleted)"));
    for _ in 0..2 {
        assert_eq!(guest.write(fd, " and more"), Ok(9), "at the snapshot's offset");
        guest.bench.call(PWRITE64, &[fd, BUFFER, 4, 2]).unwrap();
        assert_eq!(guest.differences(), [Difference::Length, Difference::Bytes(0)]);
        std::mem::swap(&mut guest.bench.kernel, &mut sibling);
        assert_eq!(guest.pread(fd, 0).as_deref(), Ok("snapshot"));
        std::mem::swap(&mut guest.bench.kernel, &mut sibling);
        guest.bench.call(CLOSE, &[fd]).unwrap();
        assert_eq!(guest.reset(&snapshot), []);
        assert_eq!((guest.pread(fd, 0).as_deref(), guest.status(fd)), (Ok("snapshot"), status));
    }
}

#[test]
fn descriptions_of_one_file_without_a_name_are_of_one_copy() {
    let mut guest = Guest::new("twice");
    let fd = guest.open("w/gone", O_WRONLY | O_CREAT).unwrap();
    let reader = guest.open("w/gone", O_RDONLY).unwrap();
    guest.write(fd, "first").unwrap();
    guest.with_path(UNLINK, "w/gone", &[]).unwrap();
    let (snapshot, _) = guest.freeze();
    assert_eq!(guest.bench.kernel.own_files.iter().count(), 1);
    for _ in 0..2 {
        assert_eq!(guest.write(fd, " second"), Ok(7));
        assert_eq!(guest.read(reader).as_deref(), Ok("first second"));
        guest.reset(&snapshot);
    }
}

#[test]
fn a_reset_looks_at_what_was_mapped_and_written_or_used() {
    let mut guest = Guest::new("parts");
    let fd = guest.unlinked("snapshot");
    guest.bench.call(FTRUNCATE, &[fd, 1 << 20]).unwrap();
    let view = guest.bench.call(MMAP, &[0, 1 << 20, 3, 1, fd, 0]).unwrap();
    let (snapshot, _) = guest.freeze();
    let [_, inode, ..] = guest.status(fd);
    let restore = |guest: &mut Guest, parts: &[Span]| {
        let parts = parts.iter().copied().collect();
        let device = guest.bench.kernel.own_files.iter().next().unwrap().file().inode().0;
        let written = MappedWrites::Parts([((device, inode), parts)].into());
        assert_eq!(guest.bench.kernel.restore_own_files(&written).unwrap(), []);
        guest.bench.kernel.reset_from(&snapshot);
        let found = guest.differences();
        guest.bench.kernel.seal_own_files().unwrap();
        found
    };
    // As the platform would: past the kernel.
    let own = guest.bench.kernel.own_files.iter().next().unwrap().file().to_look().try_clone_to_owned().unwrap();
    for at in [5 << 12, 90 << 12] {
        rustix::io::pwrite(&own, b"secret", at).unwrap();
    }
    let page = |number: u64| Span { start: number << 12, end: (number + 1) << 12 };
    assert_eq!(
        restore(&mut guest, &[page(5)]),
        [Difference::Bytes(90 << 12)],
        "nobody says that the other was written"
    );
    assert_eq!(restore(&mut guest, &[page(0), page(90)]), []);
    // By descriptor.
    assert_eq!(restore(&mut guest, &[]), []);
    guest.bench.call(PWRITE64, &[fd, BUFFER, 4, 200 << 12]).unwrap();
    assert_eq!(restore(&mut guest, &[]), []);
    guest.bench.call(FTRUNCATE, &[fd, 10]).unwrap();
    assert_eq!(restore(&mut guest, &[]), []);
    assert_eq!(guest.bench.call(MADVISE, &[view, 1 << 12, MADV_REMOVE]), Ok(0));
    assert_eq!(restore(&mut guest, &[]), []);
}

#[test]
fn holes_stay_holes() {
    let mut guest = Guest::new("holes");
    let fd = guest.unlinked("");
    guest.bench.call(FTRUNCATE, &[fd, 64 << 30]).unwrap();
    guest.bench.call(PWRITE64, &[fd, PATH, 4, 40 << 30]).unwrap();
    let (snapshot, _) = guest.freeze();
    assert_eq!(guest.bench.kernel.memory_file_bytes(), (4096, 0));
    assert_eq!(guest.bench.call(LSEEK, &[fd, 40 << 30, SEEK_HOLE.into()]), Ok((40 << 30) + 4096));
    guest.bench.call(PWRITE64, &[fd, PATH, 4, 20 << 30]).unwrap();
    assert_eq!(guest.bench.kernel.memory_file_bytes(), (8192, 4096));
    assert_eq!(guest.differences(), [Difference::Bytes(20 << 30)]);
    guest.reset(&snapshot);
    assert_eq!(guest.bench.call(LSEEK, &[fd, 0, SEEK_DATA.into()]), Ok(40 << 30));
}

#[test]
fn a_fork_cannot_have_the_host_keep_more_than_it_may_map() {
    let mut guest = Guest::new("growing");
    let fd = guest.unlinked("text");
    let mut limits = guest.bench.kernel.space().limits();
    limits.accessible_bytes = 1 << 20;
    guest.bench.kernel.space_mut().set_limits(limits);
    assert_eq!(guest.bench.call(PWRITE64, &[fd, PATH, 4, 1 << 20]), Ok(4), "on disk it may");
    guest.bench.call(FTRUNCATE, &[fd, 4]).unwrap();
    let _frozen = guest.freeze();
    assert_eq!(guest.bench.call(PWRITE64, &[fd, PATH, 4, 1 << 20]), Err(Errno::ENOSPC));
    assert_eq!(guest.bench.call(FALLOCATE, &[fd, 0, 0, 1 << 21]), Err(Errno::ENOSPC));
    limits.accessible_bytes = 0;
    guest.bench.kernel.space_mut().set_limits(limits);
    assert_eq!(guest.bench.frozen().map(drop), Err(Errno::ENOSPC));
}

#[test]
fn a_file_with_a_name_is_everybodys() {
    let mut guest = Guest::new("named");
    let fd = guest.open("w/here", O_RDWR | O_CREAT).unwrap();
    let address = guest.bench.call(MMAP, &[0, 4096, 1, 1, fd, 0]).unwrap();
    let (snapshot, _) = guest.freeze();
    assert!(guest.bench.kernel.own_files.is_empty());
    guest.write(fd, "text").unwrap();
    assert_eq!(std::fs::read_to_string(guest.host("w/here")).unwrap(), "text");
    let found = guest.bench.kernel.space().areas().find(address).unwrap();
    let same = |file: &HostFile| {
        guest.bench.kernel.files.objects().filter_map(|object| object.file()).any(|own| **own == *file)
    };
    assert!(matches!(&found.backing, Backing::File { file, .. } if same(file)));
    guest.reset(&snapshot);
}

#[test]
fn the_memory_of_a_machine_that_has_ended_is_not_kept() {
    let mut guest = Guest::new("twice-kept");
    let fd = guest.create(0);
    guest.write(fd, "text").unwrap();
    let mut snapshot = guest.bench.frozen().unwrap();
    let file = guest.bench.kernel.files.objects().find_map(|object| object.file()).map(Arc::downgrade).unwrap();
    snapshot.own_files.let_go_of_memory();
    guest.bench.kernel = snapshot.fork().unwrap();
    assert!(file.upgrade().is_none());
    assert_eq!(guest.pread(fd, 0).as_deref(), Ok("text"));
}

#[test]
fn leases_are_refused() {
    let mut guest = Guest::new("leases");
    let fd = guest.open("w/file", O_RDONLY | O_CREAT).unwrap();
    assert_eq!(guest.bench.call(FCNTL, &[fd, F_SETLEASE.into(), 0]), Err(Errno::EINVAL));
    assert_eq!(guest.bench.call(FCNTL, &[fd, F_GETLEASE.into()]), Ok(F_UNLCK.unsigned_abs().into()));
}

#[test]
fn a_stream_is_every_forks_and_none_moves_it() {
    let mut guest = Guest::new("stream");
    std::fs::write(guest.host("input"), "abcdef").unwrap();
    let input = std::fs::File::open(guest.host("input")).unwrap().into();
    let stream = Stream::adopt(HostFile::new(input, Origin::Stdio(0))).unwrap();
    let description = Description::new(Object::Stream(stream), O_RDONLY);
    let kernel = &mut guest.bench.kernel;
    let id = kernel.files.insert(description);
    let fd = u64::try_from(kernel.process_mut().descriptors.install(id, 0, 1024, false).unwrap()).unwrap();
    assert_eq!(guest.bench.call(LSEEK, &[fd, 2, SEEK_SET.into()]), Ok(2), "before there are forks");
    let (snapshot, _) = guest.freeze();
    assert_eq!(guest.bench.call(LSEEK, &[fd, 0, SEEK_SET.into()]), Err(Errno::ESPIPE));
    assert_eq!(guest.read(fd).as_deref(), Ok("cdef"));
    guest.reset(&snapshot);
    assert_eq!(guest.read(fd).as_deref(), Ok(""), "the host has one position of it");
}

#[test]
fn forks_only_add_to_a_stream_that_is_a_file() {
    let mut guest = Guest::new("stream-grows");
    std::fs::write(guest.host("log"), "first ").unwrap();
    let log = std::fs::File::options().read(true).write(true).open(guest.host("log")).unwrap().into();
    let stream = Stream::adopt(HostFile::new(log, Origin::Stdio(1))).unwrap();
    let kernel = &mut guest.bench.kernel;
    let id = kernel.files.insert(Description::new(Object::Stream(stream), O_RDWR));
    let fd = u64::try_from(kernel.process_mut().descriptors.install(id, 0, 1024, false).unwrap()).unwrap();
    let (_snapshot, _) = guest.freeze();
    guest.put(PATH, "second ");
    assert_eq!(guest.bench.call(PWRITE64, &[fd, PATH, 7, 0]), Ok(7));
    assert_eq!(guest.bench.call(WRITE, &[fd, PATH, 7]), Ok(7));
    assert_eq!(guest.bench.call(FTRUNCATE, &[fd, 0]), Err(Errno::EINVAL));
    assert_eq!(guest.bench.call(FALLOCATE, &[fd, 3, 0, 4]), Err(Errno::ENODEV));
    assert_eq!(guest.bench.call(COPY_FILE_RANGE, &[fd, 0, fd, 0, 5, 0]), Err(Errno::EINVAL));
    assert_eq!(std::fs::read_to_string(guest.host("log")).unwrap(), "first second second ");
}
