//! A guest that dirties pages for each request, for tests of its forks.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use warmfork_engine::boot::MachineLimits;
use warmfork_engine::outside::OutsideRules;
use warmfork_engine::{Fork, Goal, Outcome, PlatformChoice, PlatformKind, Program, RunLimits, Snapshot, boot};
use warmfork_linux::policy::Rules;

/// Pages that each request dirties, and those that some dirty too; beside them a few of the stack and the C library.
pub const FEW: u64 = 10;
pub const MANY: u64 = 100;
/// More than the guest needs.
const LIMITS: MachineLimits =
    MachineLimits { memory_bytes: 1 << 30, address_space_bytes: 1 << 47, files: 64, threads: 4, processes: 4 };

/// A snapshot of the guest, and where its forks get requests from.
pub fn snapshot(platform: PlatformKind) -> (Arc<Snapshot>, File) {
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
        platform: PlatformChoice::Only(platform),
        huge_pages: false,
    });
    std::fs::remove_file(program).unwrap();
    let mut machine = machine.unwrap();
    assert_eq!(machine.run(Goal::Ready, RunLimits::default()).unwrap(), Outcome::Ready);
    (Snapshot::freeze(machine, &OutsideRules::default()).unwrap(), requests.into())
}

/// Has the fork serve `request`, and resets it; how many pages that rewrote.
pub fn serve(fork: &mut Fork, requests: &mut File, request: u8) -> u64 {
    requests.write_all(&[request]).unwrap();
    assert_eq!(fork.run(Goal::Ready, RunLimits::default()).unwrap(), Outcome::Ready);
    let before = fork.resets.pages;
    fork.reset().unwrap();
    fork.resets.pages - before
}

/// The platforms that work here.
pub fn platforms() -> Vec<PlatformKind> {
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
