//! Resets of a fork whose requests differ.

mod touching;

use std::fs::File;

use touching::{FEW, MANY, platforms, serve, snapshot};
use warmfork_engine::{Fork, PlatformKind};
use warmfork_platform::Counts;

/// Hundreds of requests that are looked at.
const ROUNDS: usize = 8;

#[test]
fn a_fork_in_steady_state_takes_no_fault_and_no_call_of_the_host() {
    for platform in platforms() {
        let (snapshot, mut requests) = snapshot(platform);
        let mut fork = snapshot.fork().unwrap();
        // The last of these gives pages back; the next ones may take a few again.
        for _ in 0..70 {
            serve(&mut fork, &mut requests, b'b');
        }
        // Now and then the alarm interrupts a request, and takes a page that only interrupts look at, such as that of the
        // restartable sequences, where it was given back: that is not the steady state.
        let taken: Vec<_> = (0..ROUNDS).map(|_| take_a_hundred(&mut fork, &mut requests)).collect();
        // A reset of a traced process stops it once, and has it rewrite its pages.
        let copies = if platform == PlatformKind::Process { 100 } else { 0 };
        let steady = taken.iter().filter(|taken| **taken == Counts { copies, ..Counts::default() }).count();
        assert!(steady > 0, "more than entries for system calls in each hundred requests on {platform:?}: {taken:?}");
    }
}

/// What a hundred requests take of the host, beside one entry for each system call.
fn take_a_hundred(fork: &mut Fork, requests: &mut File) -> Counts {
    let (before, calls) = (fork.machine().counts(), fork.machine().counters().syscalls);
    for _ in 0..100 {
        serve(fork, requests, b'b');
    }
    let (after, calls) = (fork.machine().counts(), fork.machine().counters().syscalls - calls);
    Counts {
        entries: after.entries - before.entries - calls,
        calls: after.calls - before.calls,
        faults: after.faults - before.faults,
        fills: after.fills - before.fills,
        copies: after.copies - before.copies,
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
