//! Resets of a fork whose requests differ.

mod touching;

use touching::{FEW, MANY, platforms, serve, snapshot};
use warmfork_engine::PlatformKind;

/// Calls of the host that an interrupted virtual CPU takes at most.
const CALLS_OF_AN_INTERRUPT: u64 = 4;

#[test]
fn a_fork_in_steady_state_takes_no_fault_and_no_call_of_the_host() {
    for platform in platforms() {
        let (snapshot, mut requests) = snapshot(platform);
        let mut fork = snapshot.fork().unwrap();
        // The last of these gives pages back; the next ones may take a few again.
        for _ in 0..70 {
            serve(&mut fork, &mut requests, b'b');
        }
        let (before, calls) = (fork.machine().counts(), fork.machine().counters().syscalls);
        for _ in 0..100 {
            serve(&mut fork, &mut requests, b'b');
        }
        let (after, calls) = (fork.machine().counts(), fork.machine().counters().syscalls - calls);
        assert_eq!(after.fills - before.fills, 0, "{platform:?}");
        // The alarm may interrupt a request on a slow machine: one more entry, what it takes to read where the CPU is, and
        // perhaps a fault: only interrupts look at the page with the thread's restartable sequence, which was given back.
        let entries = after.entries - before.entries;
        assert!((calls..calls + 20).contains(&entries), "{entries} entries for {calls} system calls on {platform:?}");
        assert!(after.faults - before.faults <= entries - calls, "{} page faults", after.faults - before.faults);
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
    let (snapshot, mut requests) = snapshot(platform);
    let mut fork = snapshot.fork().unwrap();
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

#[test]
fn pages_that_requests_write_to_and_leave_as_they_were_are_given_back_once() {
    for platform in platforms() {
        let (snapshot, mut requests) = snapshot(platform);
        let mut fork = snapshot.fork().unwrap();
        // The 8th reset gives pages back.
        let pages: Vec<u64> = (0..12).map(|_| serve(&mut fork, &mut requests, b'c')).collect();
        assert!(pages[7] < MANY && pages[11] >= FEW + MANY, "{pages:?} pages on {platform:?}");
        let before = fork.machine().counts();
        for _ in 12..70 {
            assert!(serve(&mut fork, &mut requests, b'c') >= FEW + MANY, "on {platform:?}");
        }
        let after = fork.machine().counts();
        let faults = after.faults + after.fills - before.faults - before.fills;
        assert!(faults < FEW, "{faults} faults on {platform:?}");
    }
}
