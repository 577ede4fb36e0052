use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::policy::{Rule, Rules, Volume, guest_view};
use crate::testing::{Bench, Scratch};

impl Scratch {
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// The answer of [`read`] for a file that warmfork makes up.
const MADE_UP: Errno = Errno::ENXIO;

/// Reads a file as a guest with `policy` would; also the path it is told.
fn read(policy: &Policy, base: &Path, path: &str) -> Result<(String, String), Errno> {
    let base = guest_view(base).unwrap();
    let mut bench = Bench::new();
    let request = Request { base: &base, path: path.as_bytes(), follow: true, access: Access::READ, bounds: 0 };
    let found = Resolver { policy, kernel: &bench.kernel, host: &mut bench.host }.with(&request, |place| {
        let mut flags = OFlags::RDONLY;
        flags.set(OFlags::DIRECTORY, request.wants_directory());
        let fd = place.open(flags, Mode::empty())?;
        let mut text = vec![0; 64];
        let count = rustix::io::read(&fd, &mut text[..]).map_err(errno)?;
        text.truncate(count);
        Ok((String::from_utf8(text).unwrap(), String::from_utf8(place.path.clone()).unwrap()))
    });
    match found? {
        Found::Host(result) => Ok(result),
        Found::Synthetic(..) => Err(MADE_UP),
        Found::Descriptor(fd) => panic!("{fd:?}"),
    }
}

fn text(policy: &Policy, base: &Path, path: &str) -> Result<String, Errno> {
    read(policy, base, path).map(|(text, _)| text)
}

fn reading(paths: &[PathBuf]) -> Policy {
    Policy::new(Rules { read: Rule::Only(paths.to_vec()), ..Rules::default() }).unwrap()
}

#[test]
fn plain_relative_and_dotted_paths() {
    let top = Scratch::new("resolve-plain");
    top.file("a/b/file", "content");
    let policy = reading(std::slice::from_ref(&top.0));
    for path in ["a/b/file", "./a//b/./file", "a/b/../b/file", "a/../a/b/file"] {
        assert_eq!(text(&policy, &top.0, path).as_deref(), Ok("content"), "{path}");
    }
    assert_eq!(text(&policy, &top.0, "a/missing"), Err(Errno::ENOENT));
    assert_eq!(text(&policy, &top.0, "a/missing/../b/file"), Err(Errno::ENOENT));
    assert_eq!(text(&policy, &top.0, "a/b/file/"), Err(Errno::ENOTDIR));
    assert_eq!(text(&policy, &top.0, "a/b/file/x"), Err(Errno::ENOTDIR));
    assert_eq!(text(&policy, &top.0, "a/b/file/../file"), Err(Errno::ENOTDIR));
    assert_eq!(text(&policy, &top.0, &"n".repeat(256)), Err(Errno::ENAMETOOLONG));
    assert_eq!(text(&policy, &top.0, ""), Err(Errno::ENOENT));
}

#[test]
fn dots_do_not_leave_the_allowed_directory() {
    let top = Scratch::new("resolve-dots");
    top.file("inside/file", "inside");
    top.file("secret", "secret");
    let inside = top.0.join("inside");
    let policy = reading(std::slice::from_ref(&inside));
    assert_eq!(text(&policy, &inside, "file").as_deref(), Ok("inside"));
    assert_eq!(text(&policy, &inside, "../secret"), Err(Errno::EACCES));
    assert_eq!(text(&policy, &inside, "../inside/file").as_deref(), Ok("inside"));
    assert_eq!(text(&policy, &inside, "../../../../../../etc/hostname"), Err(Errno::EACCES));
}

#[test]
fn symlinks_lead_only_where_the_policy_allows() {
    let top = Scratch::new("resolve-links");
    let file = top.file("inside/sub/file", "inside");
    let secret = top.file("secret", "secret");
    let inside = top.0.join("inside");
    symlink(&secret, inside.join("absolute")).unwrap();
    symlink("../secret", inside.join("relative")).unwrap();
    symlink(&file, inside.join("good-absolute")).unwrap();
    symlink("sub", inside.join("good-directory")).unwrap();
    symlink("../inside/sub/../sub/file", inside.join("good-winding")).unwrap();
    symlink("/proc/self/environ", inside.join("proc")).unwrap();
    symlink("loop", inside.join("loop")).unwrap();
    let policy = reading(std::slice::from_ref(&inside));
    assert_eq!(text(&policy, &inside, "absolute"), Err(Errno::EACCES));
    assert_eq!(text(&policy, &inside, "relative"), Err(Errno::EACCES));
    assert_eq!(text(&policy, &inside, "loop"), Err(Errno::ELOOP));
    assert_eq!(text(&policy, &inside, "proc"), Err(MADE_UP), "never the host's");
    for path in ["good-absolute", "good-directory/file", "good-winding", "good-directory/../sub/file"] {
        let expected = ("inside".to_owned(), file.to_str().unwrap().to_owned());
        assert_eq!(read(&policy, &inside, path), Ok(expected), "{path}");
    }
}

#[test]
fn everything_allowed_still_leaves_proc_to_us() {
    let top = Scratch::new("resolve-everything");
    let up = "../".repeat(top.0.components().count() + 2);
    symlink(format!("{up}proc/self/environ"), top.0.join("environ")).unwrap();
    let policy = Policy::new(Rules::everything()).unwrap();
    assert_eq!(text(&policy, &top.0, "environ"), Err(MADE_UP));
    assert_eq!(text(&policy, &top.0, &format!("{up}proc/self/environ")), Err(MADE_UP));
}

#[test]
fn volumes_are_where_the_guest_sees_them() {
    let top = Scratch::new("resolve-volume");
    top.file("host/data/file", "volume");
    top.file("host/secret", "secret");
    symlink("../secret", top.0.join("host/data/up")).unwrap();
    symlink("/guest/place/file", top.0.join("host/data/guest-link")).unwrap();
    symlink(top.0.join("host/data/file"), top.0.join("host/data/host-link")).unwrap();
    let volume = Volume { host: top.0.join("host/data"), guest: "/guest/place".into(), writable: false };
    let policy = Policy::new(Rules { volumes: vec![volume], ..Rules::default() }).unwrap();
    let root = Path::new("/");
    assert_eq!(text(&policy, root, "/guest/place/file").as_deref(), Ok("volume"));
    assert_eq!(text(&policy, root, "/guest/place/../place/file").as_deref(), Ok("volume"));
    assert_eq!(text(&policy, root, "/guest/other"), Err(Errno::EACCES));
    assert_eq!(text(&policy, root, "/guest/place/guest-link").as_deref(), Ok("volume"));
    assert_eq!(text(&policy, root, "/guest/place/up"), Err(Errno::EACCES));
    assert_eq!(text(&policy, root, "/guest/place/host-link"), Err(Errno::EACCES));
}

#[test]
fn a_file_rule_allows_that_file_alone() {
    let top = Scratch::new("resolve-file-rule");
    let file = top.file("config", "config");
    top.file("config2", "other");
    symlink("config", top.0.join("name")).unwrap();
    let policy = reading(&[file.clone(), top.0.join("name")]);
    assert_eq!(text(&policy, &top.0, "config").as_deref(), Ok("config"));
    assert_eq!(text(&policy, &top.0, "name").as_deref(), Ok("config"));
    assert_eq!(text(&policy, &top.0, "config2"), Err(Errno::EACCES));
    assert_eq!(text(&policy, &top.0, "config/x"), Err(Errno::ENOTDIR));
}

#[test]
fn a_directory_swapped_for_a_symlink_leads_nowhere_else() {
    let top = Scratch::new("resolve-race");
    top.file("inside/real/file", "inside");
    top.file("outside/file", "secret");
    let inside = top.0.join("inside");
    let policy = reading(std::slice::from_ref(&inside));
    let (there, away, link) = (inside.join("real"), inside.join("away"), inside.join("link"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                symlink("../outside", &link).unwrap();
                std::fs::rename(&there, &away).unwrap();
                std::fs::rename(&link, &there).unwrap();
                std::fs::remove_file(&there).unwrap();
                std::fs::rename(&away, &there).unwrap();
            }
        });
        let mut inside_seen = 0;
        for round in 0..3000 {
            let path = if round % 2 == 0 { "real/file" } else { "real/../real/file" };
            match text(&policy, &inside, path) {
                Ok(content) => {
                    assert_eq!(content, "inside");
                    inside_seen += 1;
                }
                Err(error) => assert!([Errno::ENOENT, Errno::EACCES, Errno::ELOOP].contains(&error), "{error}"),
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(inside_seen > 0);
    });
}

#[test]
fn the_hosts_own_kernel_is_shown_only_where_it_is_named() {
    let volume = |host: &str, guest: &str| Volume { host: host.into(), guest: guest.into(), writable: false };
    let with = |volumes| Policy::new(Rules { volumes, ..Rules::default() }).unwrap();
    let root = Path::new("/");
    let behind = with(vec![volume("/", "/host")]);
    for path in ["/host/proc/self/maps", "/host/proc/1/status", "/host/proc/sys/kernel/ostype", "/host/sys/kernel/mm"] {
        assert_eq!(text(&behind, root, path), Err(Errno::EACCES), "{path}");
    }
    assert_eq!(text(&behind, root, "/host/proc/missing"), Err(Errno::ENOENT));
    let setting = "kernel/fscaps";
    let expected = std::fs::read_to_string(format!("/sys/{setting}")).unwrap();
    assert_eq!(text(&with(vec![volume("/sys", "/s")]), root, &format!("/s/{setting}")), Ok(expected));
}
