//! Resets of a fork whose requests differ.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use warmfork_engine::boot::MachineLimits;
use warmfork_engine::{Choice, Fork, Outcome, PlatformKind, Program, Snapshot, Until, boot};
use warmfork_linux::policy::Rules;

/// Pages that each request dirties, and those that some dirty too; beside them a few of the stack and the C library.
const FEW: u64 = 10;
const MANY: u64 = 100;

/// A fork of the guest, and what it reads requests from.
fn fork() -> (Fork, File) {
    let program = std::env::temp_dir().join(format!("warmfork-touch-{}", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/touch.c");
    let status = Command::new("gcc").args(["-O1", "-static", "-o"]).arg(&program).arg(source).status().unwrap();
    assert!(status.success(), "gcc: {status}");
    let (input, requests) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let null = || OwnedFd::from(File::options().write(true).open("/dev/null").unwrap());
    let machine = boot(Program {
        path: program.clone().into_os_string().into_encoded_bytes(),
        arguments: vec![b"touch".to_vec()],
        environment: Vec::new(),
        cwd: b"/".to_vec(),
        rules: Rules::everything(),
        limits: MachineLimits::default(),
        stdio: [input, null(), null()],
        platform: Choice::Only(PlatformKind::Process),
    });
    std::fs::remove_file(program).unwrap();
    let mut machine = machine.unwrap();
    assert_eq!(machine.run(&ready()).unwrap(), Outcome::Ready);
    (Snapshot::freeze(machine).unwrap().fork().unwrap(), requests.into())
}

fn ready() -> Until<'static> {
    Until { ready: true, ..Until::default() }
}

/// Has the fork serve `request`, and resets it; how many pages that rewrote.
fn serve(fork: &mut Fork, requests: &mut File, request: u8) -> u64 {
    requests.write_all(&[request]).unwrap();
    assert_eq!(fork.run(&ready()).unwrap(), Outcome::Ready);
    let before = fork.resets.pages;
    fork.reset().unwrap();
    fork.resets.pages - before
}

#[test]
fn pages_that_requests_leave_alone_are_given_back() {
    let (mut fork, mut requests) = fork();
    assert!(serve(&mut fork, &mut requests, b'a') >= FEW + MANY);
    for _ in 1..7 {
        assert!(serve(&mut fork, &mut requests, b'b') >= FEW + MANY, "touched once is rewritten from then on");
    }
    for _ in 7..12 {
        let pages = serve(&mut fork, &mut requests, b'b');
        assert!((FEW..MANY).contains(&pages), "{pages} pages");
        assert_eq!(fork.differences().unwrap(), [""; 0]);
    }
    assert!(serve(&mut fork, &mut requests, b'a') >= FEW + MANY);
    assert_eq!(fork.differences().unwrap(), [""; 0]);
}
