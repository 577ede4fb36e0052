use std::path::Path;

use std::path::PathBuf;

use super::*;
use crate::testing::Scratch;

fn bytes(path: &Path) -> Vec<u8> {
    guest_view(path).unwrap()
}

fn reading(paths: &[PathBuf]) -> Policy {
    Policy::new(Rules { read: Rule::Only(paths.to_vec()), ..Rules::default() }).unwrap()
}

fn errno(decision: Decision<'_>) -> Option<Errno> {
    match decision {
        Decision::Denied(denial) => Some(denial.errno),
        _ => None,
    }
}

#[test]
fn nothing_is_allowed_by_default_but_libraries() {
    let policy = Policy::new(Rules::default()).unwrap();
    assert_eq!(errno(policy.decide(b"/etc/passwd", Access::READ)), Some(Errno::EACCES));
    assert_eq!(errno(policy.decide(b"/usr/lib/python3/os.py", Access::READ)), Some(Errno::EACCES));
    assert_eq!(errno(policy.decide(b"/usr/lib/x86_64-linux-gnu/libc.so.6", Access::READ)), None);
    assert_eq!(errno(policy.decide(b"/usr/lib/x86_64-linux-gnu/libm.so", Access::READ)), None);
    assert_eq!(errno(policy.decide(b"/usr/lib/libx.so", Access::WRITE)), Some(Errno::EACCES));
    assert_eq!(policy.decide(b"/proc/self/maps", Access::READ), Decision::Synthetic);
}

#[test]
fn a_list_covers_what_lies_beneath_and_shows_the_way_there() {
    let scratch = Scratch::new("policy-cover");
    let top = scratch.0.clone();
    let inner = top.join("inner");
    std::fs::create_dir(&inner).unwrap();
    let policy = reading(std::slice::from_ref(&inner));
    assert_eq!(errno(policy.decide(&bytes(&inner.join("file")), Access::READ)), None);
    assert_eq!(errno(policy.decide(&bytes(&inner.join("file")), Access::WRITE)), Some(Errno::EACCES));
    assert_eq!(errno(policy.decide(&bytes(&top), Access::READ)), Some(Errno::EACCES));
    assert_eq!(errno(policy.decide(&bytes(&top), Access::empty())), None);
    assert_eq!(errno(policy.decide(&bytes(&top.join("other")), Access::empty())), Some(Errno::EACCES));
    assert_eq!(errno(policy.decide(&bytes(&top.join("inner2")), Access::READ)), Some(Errno::EACCES));
}

#[test]
fn a_symlinked_root_is_allowed_where_it_leads() {
    let scratch = Scratch::new("policy-link");
    let top = scratch.0.clone();
    std::fs::create_dir(top.join("real")).unwrap();
    std::os::unix::fs::symlink("real", top.join("name")).unwrap();
    let policy = reading(&[top.join("name")]);
    assert_eq!(errno(policy.decide(&bytes(&top.join("real/x")), Access::READ)), None);
    assert_eq!(errno(policy.decide(&bytes(&top.join("name/x")), Access::READ)), Some(Errno::EACCES), "never asked");
    assert_eq!(errno(policy.decide(&bytes(&top.join("name")), Access::empty())), None);
}

#[test]
fn reading_and_writing_are_separate() {
    let scratch = Scratch::new("policy-rights");
    let top = scratch.0.clone();
    std::fs::create_dir(top.join("w")).unwrap();
    let rules =
        Rules { read: Rule::Only(vec![top.clone()]), write: Rule::Only(vec![top.join("w")]), ..Rules::default() };
    let policy = Policy::new(rules).unwrap();
    let both = Access::READ | Access::WRITE;
    assert_eq!(errno(policy.decide(&bytes(&top.join("w/x")), both)), None);
    assert_eq!(errno(policy.decide(&bytes(&top.join("x")), both)), Some(Errno::EACCES));
    let inner =
        Rules { read: Rule::Only(vec![top.join("w")]), write: Rule::Only(vec![top.clone()]), ..Rules::default() };
    for policy in [&policy, &Policy::new(inner).unwrap()] {
        let path = bytes(&top.join("w/x"));
        let Decision::Host { root, relative } = policy.decide(&path, both) else { panic!("denied") };
        assert_eq!((&root.guest, &relative[..]), (&bytes(&top.join("w")), &b"x"[..]), "the inner root");
    }
    let path = bytes(&top);
    let Decision::Host { root, relative } = policy.decide(&path, Access::READ) else { panic!("denied") };
    assert_eq!((root.guest.clone(), relative), (path.clone(), Vec::new()));
}

#[test]
fn the_longest_volume_decides() {
    let scratch = Scratch::new("policy-volumes");
    let top = scratch.0.clone();
    let rules = Rules {
        write: Rule::Everything,
        volumes: vec![
            Volume { host: top.clone(), guest: "/data".into(), writable: true },
            Volume { host: top.clone(), guest: "/data/frozen".into(), writable: false },
        ],
        ..Rules::default()
    };
    let policy = Policy::new(rules).unwrap();
    assert_eq!(errno(policy.decide(b"/data/x", Access::WRITE)), None);
    assert_eq!(errno(policy.decide(b"/data/frozen/x", Access::WRITE)), Some(Errno::EROFS));
    assert_eq!(errno(policy.decide(b"/data/frozen/x", Access::READ)), None);
    assert_eq!(errno(policy.decide(b"/data/frozenx", Access::WRITE)), None);
}

#[test]
fn a_secret_does_not_become_a_shared_library() {
    let scratch = Scratch::new("policy-library");
    let (secret, library) = (bytes(&scratch.0.join("secret")), b"/usr/lib/x/libsecret.so");
    let policy = Policy::new(Rules { write: Rule::Everything, ..Rules::default() }).unwrap();
    let refused = Err(Denial { errno: Errno::EACCES, flag: Some("--allow-read") });
    assert_eq!(policy.check_move(&secret, library), refused);
    assert_eq!(policy.check_move(&secret, b"/usr/lib/x"), refused, "a directory may have some in it");
    assert_eq!(policy.check_move(b"/usr/lib/x/secret", library), refused);
    assert_eq!(policy.check_move(b"/usr/lib/y", b"/usr/lib/x"), Ok(()));
    assert_eq!(policy.check_move(library, &secret), Ok(()));
    assert!(policy.is_fixed(b"/usr") && policy.is_fixed(b"/usr/lib") && !policy.is_fixed(b"/usr/lib/x"));
}

#[test]
fn a_rule_for_a_path_that_is_not_there_yet() {
    let scratch = Scratch::new("policy-missing");
    let top = scratch.0.clone();
    let policy = reading(&[top.join("later/file")]);
    let path = bytes(&top.join("later/file"));
    let Decision::Host { root, relative } = policy.decide(&path, Access::READ) else { panic!("denied") };
    assert_eq!(root.from_anchor(&relative), b"later/file");
}

#[test]
fn volumes_are_parsed() {
    let volume: Volume = "/a:/b:rw".parse().unwrap();
    assert_eq!(volume, Volume { host: "/a".into(), guest: "/b".into(), writable: true });
    assert!(!"/a:/b".parse::<Volume>().unwrap().writable);
    for text in ["/a", "/a:b", ":/b", ""] {
        assert!(text.parse::<Volume>().is_err(), "{text}");
    }
}

#[test]
fn environment_names_may_end_in_a_star() {
    let rules = Rules { environment: Rule::Only(vec!["HOME".into(), "AWS_*".into()]), ..Rules::default() };
    let policy = Policy::new(rules).unwrap();
    assert!(policy.may_see_variable("HOME"));
    assert!(policy.may_see_variable("AWS_REGION"));
    assert!(!policy.may_see_variable("HOMEX"));
}

#[test]
fn a_rule_that_adds_nothing_is_none() {
    let scratch = Scratch::new("policy-needed");
    let top = scratch.0.clone();
    let rules = |write: &str| Rules {
        read: Rule::Only(vec![top.clone(), top.join("a/b")]),
        write: Rule::Only(vec![top.join(write)]),
        programs: vec![top.join("a/program")],
        volumes: vec![Volume { host: top.clone(), guest: top.join("v"), writable: true }],
        ..Rules::default()
    };
    let guests = |write| {
        let policy = Policy::new(rules(write)).unwrap();
        let beneath = policy.roots.iter().filter_map(|root| guest_path::beneath(&root.guest, &bytes(&top)));
        beneath.map(|path| String::from_utf8(path.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(guests("a/c"), ["a/c", "v", ""]);
    assert_eq!(guests("a/b"), ["a/b", "v", ""], "it may be written, too");
    assert_eq!(guests("v/x"), ["v", ""], "the volume decides");
}
