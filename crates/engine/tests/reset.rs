//! Resets of a fork whose requests differ.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use warmfork_engine::boot::MachineLimits;
use warmfork_engine::outside::OutsideRules;
use warmfork_engine::{Choice, Fork, Goal, Outcome, PlatformKind, Program, RunLimits, Snapshot, boot};
use warmfork_linux::policy::Rules;

/// Pages that each request dirties, and those that some dirty too; beside them a few of the stack and the C library.
const FEW: u64 = 10;
const MANY: u64 = 100;
/// Calls of the host that an interrupted virtual CPU takes at most.
const CALLS_OF_AN_INTERRUPT: u64 = 4;
/// More than the guest needs.
const LIMITS: MachineLimits =
    MachineLimits { memory_bytes: 1 << 30, address_space_bytes: 1 << 47, files: 64, threads: 4, processes: 4 };

/// A fork of the guest, and what it reads requests from.
fn fork(platform: PlatformKind) -> (Fork, File) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let program = std::env::temp_dir().join(format!("warmfork-touch-{}-{number}", std::process::id()));
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
        limits: LIMITS,
        stdio: [input, null(), null()],
        platform: Choice::Only(platform),
        huge_pages: false,
    });
    std::fs::remove_file(program).unwrap();
    let mut machine = machine.unwrap();
    assert_eq!(machine.run(Goal::Ready, RunLimits::default()).unwrap(), Outcome::Ready);
    (Snapshot::freeze(machine, &OutsideRules::default()).unwrap().fork().unwrap(), requests.into())
}

/// Has the fork serve `request`, and resets it; how many pages that rewrote.
fn serve(fork: &mut Fork, requests: &mut File, request: u8) -> u64 {
    requests.write_all(&[request]).unwrap();
    assert_eq!(fork.run(Goal::Ready, RunLimits::default()).unwrap(), Outcome::Ready);
    let before = fork.resets.pages;
    fork.reset().unwrap();
    fork.resets.pages - before
}

/// The platforms that work here.
fn platforms() -> Vec<PlatformKind> {
    let mut platforms = vec![PlatformKind::Process];
    match warmfork_platform::kvm::probe() {
        Ok(_) => platforms.push(PlatformKind::Kvm),
        Err(error) => warn_of(&error),
    }
    platforms
}

#[expect(clippy::print_stderr, reason = "a test that was skipped must say so")]
fn warn_of(error: &warmfork_platform::kvm::KvmError) {
    eprintln!("skipped: the kvm platform does not work here: {error}");
}

#[test]
fn a_fork_in_steady_state_takes_no_fault_and_no_call_of_the_host() {
    for platform in platforms() {
        let (mut fork, mut requests) = fork(platform);
        // The last of these gives pages back; the next ones may take a few again.
        for _ in 0..70 {
            serve(&mut fork, &mut requests, b'b');
        }
        let (before, calls) = (fork.machine().counts(), fork.machine().counters.syscalls);
        for _ in 0..100 {
            serve(&mut fork, &mut requests, b'b');
        }
        let (after, calls) = (fork.machine().counts(), fork.machine().counters.syscalls - calls);
        assert_eq!((after.fills - before.fills, after.faults - before.faults), (0, 0), "{platform:?}");
        // The alarm may interrupt a request on a slow machine: one more entry, and what it takes to read where the CPU is.
        let entries = after.entries - before.entries;
        assert!((calls..calls + 20).contains(&entries), "{entries} entries for {calls} system calls on {platform:?}");
        let most = CALLS_OF_AN_INTERRUPT * (entries - calls);
        assert!(after.calls - before.calls <= most, "{} calls of the host on {platform:?}", after.calls - before.calls);
    }
}

#[test]
fn pages_that_requests_leave_alone_are_given_back() {
    for platform in platforms() {
        pages_are_given_back(platform);
    }
}

fn pages_are_given_back(platform: PlatformKind) {
    let (mut fork, mut requests) = fork(platform);
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
