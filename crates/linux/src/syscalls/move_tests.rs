//! Moving, linking and opening anew within a policy: the guest may never do more with a file than by the path it had.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use warmfork_abi::Errno;
use warmfork_abi::fcntl::*;
use warmfork_abi::numbers::*;

use super::file_tests::{Guest, OTHER_PATH, PATH};
use crate::policy::{Policy, Rule, Rules, Volume};

const CWD: u64 = AT_FDCWD.cast_unsigned() as u64;

/// A guest that may read and write as these directories (and files) say; those that end in a slash are made.
fn guest(name: &str, read: &[&str], write: &[&str]) -> Guest {
    let guest = Guest::new(name);
    for path in read.iter().chain(write).filter(|path| path.ends_with('/')) {
        std::fs::create_dir_all(guest.host(path)).unwrap();
    }
    let all = |paths: &[&str]| Rule::Only(paths.iter().map(|path| guest.host(path)).collect());
    with_rules(Rules { read: all(read), write: all(write), ..Rules::default() }, guest)
}

fn with_rules(rules: Rules, mut guest: Guest) -> Guest {
    guest.bench.kernel.policy = Arc::new(Policy::new(rules).unwrap());
    guest
}

fn file(guest: &Guest, path: &str) {
    let path = guest.host(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
}

fn rename(guest: &mut Guest, old: &str, new: &str) -> Result<u64, Errno> {
    guest.with_paths(RENAME, old, new)
}

fn exchange(guest: &mut Guest, one: &str, other: &str) -> Result<u64, Errno> {
    guest.put(PATH, one);
    guest.put(OTHER_PATH, other);
    guest.bench.call(RENAMEAT2, &[CWD, PATH, CWD, OTHER_PATH, RENAME_EXCHANGE.into()])
}

/// Gives the file of descriptor `fd` the name `new`.
fn link_descriptor(guest: &mut Guest, fd: u64, new: &str) -> Result<u64, Errno> {
    guest.put(PATH, &format!("/proc/self/fd/{fd}"));
    guest.put(OTHER_PATH, new);
    guest.bench.call(LINKAT, &[CWD, PATH, CWD, OTHER_PATH, AT_SYMLINK_FOLLOW.into()])
}

#[test]
fn what_may_only_be_written_does_not_come_to_where_it_may_be_read() {
    let mut guest = guest("move-read", &["b/"], &["a/", "b/"]);
    for path in ["a/secret", "a/d/inner", "b/x", "b/e/inner"] {
        file(&guest, path);
    }
    assert_eq!(guest.open("a/secret", O_RDONLY), Err(Errno::EACCES));
    assert_eq!(rename(&mut guest, "a/secret", "b/new"), Err(Errno::EACCES));
    assert_eq!(rename(&mut guest, "a/secret", "b/x"), Err(Errno::EACCES), "in the place of another");
    assert_eq!(rename(&mut guest, "a/d", "b/d"), Err(Errno::EACCES), "a directory");
    assert_eq!(guest.with_paths(LINK, "a/secret", "b/new"), Err(Errno::EACCES));
    assert_eq!(exchange(&mut guest, "a/secret", "b/x"), Err(Errno::EACCES));
    assert_eq!(exchange(&mut guest, "b/x", "a/secret"), Err(Errno::EACCES), "the other way round");
    assert_eq!(exchange(&mut guest, "b/e", "a/d"), Err(Errno::EACCES));
    assert_eq!(rename(&mut guest, "a/missing", "b/new"), Err(Errno::ENOENT), "told before the denial");
    let written = guest.open("a/secret", O_WRONLY).unwrap();
    assert_eq!(link_descriptor(&mut guest, written, "b/new"), Err(Errno::EACCES));
    let unnamed = guest.open("a", O_TMPFILE | O_WRONLY).unwrap();
    assert_eq!(link_descriptor(&mut guest, unnamed, "b/new"), Err(Errno::EACCES));
    assert_eq!(std::fs::read_dir(guest.host("b")).unwrap().count(), 2, "x and e");
    // What is lost may be given away, and moves within one directory are as ever.
    assert_eq!(rename(&mut guest, "b/x", "a/x"), Ok(0));
    assert_eq!(rename(&mut guest, "a/secret", "a/renamed"), Ok(0));
    assert_eq!(guest.with_paths(LINK, "a/renamed", "a/alias"), Ok(0));
    assert_eq!(exchange(&mut guest, "a/renamed", "a/d"), Ok(0));
    let unnamed = guest.open("b", O_TMPFILE | O_RDWR).unwrap();
    assert_eq!(link_descriptor(&mut guest, unnamed, "b/new"), Ok(0));
}

#[test]
fn a_name_that_may_be_read_is_no_name_for_what_may_not() {
    let mut guest = guest("move-file", &["w/public"], &["w/"]);
    file(&guest, "w/secret");
    file(&guest, "w/public");
    assert_eq!(rename(&mut guest, "w/secret", "w/public"), Err(Errno::EACCES));
    assert_eq!(rename(&mut guest, "w/public", "w/before"), Ok(0));
    assert_eq!(rename(&mut guest, "w/secret", "w/public"), Err(Errno::EACCES));
    assert_eq!(guest.with_paths(LINK, "w/secret", "w/public"), Err(Errno::EACCES));
}

#[test]
fn volumes_may_be_read_so_secrets_do_not_come_there() {
    let guest = guest("move-volume", &[], &["w/"]);
    file(&guest, "w/secret");
    file(&guest, "volume/x");
    let volume = Volume { host: guest.host("volume"), guest: "/data".into(), writable: true };
    let rules = Rules { write: Rule::Only(vec![guest.host("w")]), volumes: vec![volume], ..Rules::default() };
    let mut guest = with_rules(rules, guest);
    assert_eq!(rename(&mut guest, "w/secret", "/data/secret"), Err(Errno::EACCES));
    assert_eq!(exchange(&mut guest, "w/secret", "/data/x"), Err(Errno::EACCES));
    assert_eq!(rename(&mut guest, "/data/x", "/data/y"), Ok(0));
    assert_eq!(rename(&mut guest, "/data/y", "w/y"), Ok(0));
}

/// A writable volume with a read-only one in it, and one whose directory the host does not have.
fn with_volumes(name: &str) -> Guest {
    let guest = Guest::new(name);
    for path in ["v/a/frozen/conf", "v/b/file", "frozen/conf"] {
        file(&guest, path);
    }
    std::fs::create_dir(guest.host("v/c")).unwrap();
    let volume = |host: &str, guest_path: &str, writable| Volume {
        host: guest.host(host),
        guest: PathBuf::from(guest_path),
        writable,
    };
    let volumes = vec![
        volume("v", "/data", true),
        volume("v/a/frozen", "/data/a/frozen", false),
        volume("frozen", "/data/c/d/frozen", false),
    ];
    with_rules(Rules { volumes, ..Rules::default() }, guest)
}

#[test]
fn what_a_volume_is_in_stays_where_it_is() {
    let mut guest = with_volumes("move-mounts");
    for above in ["/data/a", "/data", "/data/c"] {
        assert_eq!(rename(&mut guest, above, "/data/new"), Err(Errno::EBUSY), "{above}");
        assert_eq!(rename(&mut guest, "/data/b", above), Err(Errno::EBUSY), "{above}");
        assert_eq!(exchange(&mut guest, above, "/data/b"), Err(Errno::EBUSY), "{above}");
        assert_eq!(exchange(&mut guest, "/data/b", above), Err(Errno::EBUSY), "{above}");
    }
    assert_eq!(guest.with_path(RMDIR, "/data/c", &[]), Err(Errno::ENOTEMPTY), "it has a volume in it");
    assert_eq!(rename(&mut guest, "/data/a/frozen", "/data/new"), Err(Errno::EROFS), "itself may not even be written");
    assert_eq!(guest.with_path(RMDIR, "/data/a/frozen", &[]), Err(Errno::EROFS));
    assert_eq!(guest.with_path(MKDIR, "/data/c/d", &[0o700]), Ok(0));
    assert_eq!(rename(&mut guest, "/data/c/d", "/data/new"), Err(Errno::EBUSY));
    assert_eq!(guest.open("/data/a/frozen/conf", O_RDWR), Err(Errno::EROFS));
    assert_eq!(rename(&mut guest, "/data/b", "/data/a/b"), Ok(0));
}

#[test]
fn a_directory_that_a_rule_is_about_stays_where_it_is() {
    let mut guest = guest("move-roots", &["w/a/open/", "w/later/open"], &["w/"]);
    file(&guest, "w/secret/file");
    for above in ["w/a/open", "w/a", "w/later"] {
        assert_eq!(rename(&mut guest, "w/secret", above), Err(Errno::EBUSY), "{above}");
    }
    for above in ["w/a/open", "w/a"] {
        assert_eq!(rename(&mut guest, above, "w/new"), Err(Errno::EBUSY), "{above}");
        assert_eq!(exchange(&mut guest, "w/secret", above), Err(Errno::EBUSY), "{above}");
    }
    guest.with_path(MKDIR, "w/later", &[0o700]).unwrap();
    assert_eq!(exchange(&mut guest, "w/later", "w/secret"), Err(Errno::EBUSY));
    assert_eq!(guest.with_path(RMDIR, "w/later", &[]), Ok(0), "it is empty, and may be made again");
    assert_eq!(rename(&mut guest, "w/secret", "w/other"), Ok(0));
}

#[test]
fn a_rule_that_adds_nothing_keeps_nothing_in_its_place() {
    let guest = Guest::new("move-covered");
    file(&guest, "w/build/program");
    let rules = Rules { programs: vec![guest.host("w/build/program")], ..Rules::everything() };
    let mut guest = with_rules(rules, guest);
    assert_eq!(rename(&mut guest, "w/build", "w/old"), Ok(0));
    assert_eq!(rename(&mut guest, "w/old/program", "w/program"), Ok(0));
}

#[test]
fn a_directory_does_not_move_between_the_question_and_the_answer() {
    let mut mover = guest("move-race", &["b/"], &["w/", "b/"]);
    file(&mover, "w/secret");
    std::fs::create_dir(mover.host("b/d")).unwrap();
    let (top, policy) = (mover.host(""), Arc::clone(&mover.bench.kernel.policy));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut taker = Guest::new("move-race-taker");
            taker.bench.kernel.policy = policy;
            taker.bench.kernel.process_mut().fs.cwd = top.as_os_str().as_encoded_bytes().to_vec();
            while !over.load(Ordering::Relaxed) {
                assert!(rename(&mut taker, "b/d/x", "b/y").is_err(), "no file is there that may be read");
            }
        });
        for _ in 0..3000 {
            rename(&mut mover, "b/d", "w/d").unwrap();
            rename(&mut mover, "w/secret", "w/d/x").unwrap();
            let back = std::fs::rename(mover.host("w/d/x"), mover.host("w/secret"));
            if back.is_err() {
                break; // taken
            }
            std::fs::rename(mover.host("w/d"), mover.host("b/d")).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn an_open_descriptor_lets_the_guest_change_what_it_did_when_it_was_opened() {
    let mut guest = guest("move-open", &["b/"], &["a/", "b/"]);
    file(&guest, "b/file");
    let rules =
        Rules { read: Rule::Only(vec![guest.host("")]), write: Rule::Only(vec![guest.host("a")]), ..Rules::default() };
    let fd = guest.open("b/file", O_RDONLY).unwrap();
    assert_eq!(guest.bench.call(FCHMOD, &[fd, 0o640]), Ok(0));
    assert_eq!(rename(&mut guest, "b/file", "a/file"), Ok(0));
    let mut guest = with_rules(rules, guest);
    assert_eq!(guest.bench.call(FCHMOD, &[fd, 0o600]), Err(Errno::EPERM), "its present name does not matter");
}

/// Opens the file of descriptor `fd` anew.
fn reopen(guest: &mut Guest, fd: u64, flags: u32) -> Result<u64, Errno> {
    guest.open(&format!("/proc/self/fd/{fd}"), flags)
}

#[test]
fn a_descriptor_is_opened_anew_only_for_what_its_path_allowed() {
    let mut guest = guest("reopen", &["r/", "b/"], &["w/", "b/"]);
    for path in ["r/file", "w/file", "b/file"] {
        file(&guest, path);
        std::fs::set_permissions(guest.host(path), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    for flags in [O_RDONLY, O_PATH] {
        let fd = guest.open("r/file", flags).unwrap();
        let name = format!("/proc/self/fd/{fd}");
        assert_eq!(reopen(&mut guest, fd, O_RDWR), Err(Errno::EACCES));
        assert_eq!(reopen(&mut guest, fd, O_RDONLY | O_TRUNC), Err(Errno::EACCES));
        let named = reopen(&mut guest, fd, O_PATH).unwrap();
        assert_eq!(reopen(&mut guest, named, O_WRONLY), Err(Errno::EACCES));
        let again = reopen(&mut guest, named, O_RDONLY).unwrap();
        assert_eq!(guest.read(again).as_deref(), Ok("file"));
        assert_eq!(guest.with_path(TRUNCATE, &name, &[0]), Err(Errno::EACCES));
        assert_eq!(guest.with_path(CHMOD, &name, &[0o600]), Err(Errno::EPERM));
        assert_eq!(guest.with_path(ACCESS, &name, &[W_OK.into()]), Err(Errno::EACCES));
        assert_eq!(guest.with_path(ACCESS, &name, &[R_OK.into()]), Ok(0));
        assert_eq!(link_descriptor(&mut guest, fd, "b/link"), Err(Errno::EACCES));
    }
    for flags in [O_WRONLY, O_PATH] {
        let fd = guest.open("w/file", flags).unwrap();
        let name = format!("/proc/self/fd/{fd}");
        assert_eq!(reopen(&mut guest, fd, O_RDONLY), Err(Errno::EACCES));
        assert_eq!(reopen(&mut guest, fd, O_RDWR), Err(Errno::EACCES));
        let written = reopen(&mut guest, fd, O_WRONLY).unwrap();
        assert_eq!(reopen(&mut guest, written, O_RDONLY), Err(Errno::EACCES));
        assert_eq!(guest.with_path(ACCESS, &name, &[R_OK.into()]), Err(Errno::EACCES));
        assert_eq!(guest.with_path(EXECVE, &name, &[0, 0]), Err(Errno::EACCES), "running it would be reading it");
        assert_eq!(link_descriptor(&mut guest, fd, "b/link"), Err(Errno::EACCES));
        assert_eq!(guest.with_path(TRUNCATE, &name, &[4]), Ok(0));
    }
    let directory = guest.open("w", O_PATH).unwrap();
    assert_eq!(reopen(&mut guest, directory, O_RDONLY), Err(Errno::EACCES), "nor is it listed");
    // What was allowed when it was opened stays so, wherever the file goes.
    let fd = guest.open("b/file", O_PATH).unwrap();
    assert_eq!(rename(&mut guest, "b/file", "w/moved"), Ok(0));
    let again = reopen(&mut guest, fd, O_RDWR).unwrap();
    assert_eq!(guest.read(again).as_deref(), Ok("file"));
    assert_eq!(link_descriptor(&mut guest, fd, "b/back"), Ok(0));
    assert_eq!(guest.open("w/moved", O_RDONLY), Err(Errno::EACCES));
}
