//! Boots the guests of the tests.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use warmfork_engine::boot::MachineLimits;
use warmfork_engine::{Goal, Machine, Outcome, PlatformChoice, PlatformKind, Program, RunLimits, boot};
use warmfork_linux::policy::Rules;

/// More than the guests need.
const LIMITS: MachineLimits =
    MachineLimits { memory_bytes: 1 << 30, address_space_bytes: 1 << 47, files: 64, threads: 4, processes: 4 };

/// The guest `name`, ready, and where it reads from.
pub fn boot_guest(name: &str, platform: PlatformKind) -> (Machine, File) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let program = std::env::temp_dir().join(format!("warmfork-{name}-{}-{number}", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/guests/{name}.c"));
    let status = Command::new("gcc").args(["-O1", "-static", "-o"]).arg(&program).arg(source).status().unwrap();
    assert!(status.success(), "gcc: {status}");
    let (input, requests) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let null = || OwnedFd::from(File::options().write(true).open("/dev/null").unwrap());
    let machine = boot(Program {
        path: program.clone().into_os_string().into_encoded_bytes(),
        arguments: vec![name.as_bytes().to_vec()],
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
    (machine, requests.into())
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
