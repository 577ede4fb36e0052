//! The process platform.

mod suite;

use suite::{CODE, DATA, guest};
use warmfork_platform::process::{ProcessPlatform, RESERVED};

type Tested = ProcessPlatform;

#[expect(clippy::unnecessary_wraps, reason = "other platforms cannot be had everywhere")]
fn empty() -> Option<Tested> {
    Some(ProcessPlatform::new().unwrap())
}

#[test]
fn nothing_but_the_guest_is_mapped() {
    let Some((platform, _)) = guest(&[]) else { return };
    // Other tests have stubs of other threads.
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    let pid = children.split_whitespace().next();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", pid.expect("the stub"))).unwrap();
    for line in maps.lines().filter(|line| !line.contains("[vsyscall]")) {
        let start = u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
        assert!([CODE, DATA].contains(&start) || RESERVED.contains(start), "{line}");
    }
    drop(platform);
}
