//! Which thread runs a guest: one may own many, and a pristine one may go to another.

mod touching;

use touching::{FEW, MANY, platforms, serve, snapshot};
use warmfork_engine::{Goal, Outcome, RunLimits};

/// Forks of one thread, and what they are forks of.
const FORKS: usize = 200;
const SNAPSHOTS: usize = 3;

#[test]
fn a_thread_serves_forks_of_several_snapshots_by_turns() {
    for platform in platforms() {
        let mut snapshots: Vec<_> = (0..SNAPSHOTS).map(|_| snapshot(platform)).collect();
        let mut forks: Vec<_> = (0..FORKS).map(|number| snapshots[number % SNAPSHOTS].0.fork().unwrap()).collect();
        for _ in 0..2 {
            for (number, fork) in forks.iter_mut().enumerate() {
                let pages = serve(fork, &mut snapshots[number % SNAPSHOTS].1, b'b');
                assert!(pages >= FEW, "{pages} pages of fork {number} on {platform:?}");
            }
        }
        for fork in &mut forks {
            assert_eq!(fork.differences().unwrap(), [""; 0], "{platform:?}");
        }
    }
}

#[test]
fn a_guest_is_driven_by_one_thread_and_then_by_another() {
    for platform in platforms() {
        let (snapshot, mut requests) = snapshot(platform);
        let mut fork = snapshot.fork().unwrap();
        let handle = fork.machine().handle();
        assert!(serve(&mut fork, &mut requests, b'a') >= FEW + MANY);
        assert_eq!(fork.differences().unwrap(), [""; 0], "{platform:?}");
        let detached = fork.detach().unwrap();
        // No thread runs the guest: its next run, on any thread, is interrupted.
        handle.interrupt();
        let elsewhere = std::thread::spawn(move || {
            let mut fork = detached.attach().unwrap();
            assert_eq!(fork.run(Goal::Ready, RunLimits::default()).unwrap(), Outcome::Interrupted, "{platform:?}");
            let calls = fork.machine().counters().syscalls;
            serve(&mut fork, &mut requests, b'b');
            let differences = fork.differences().unwrap();
            (differences, fork.machine().counters().syscalls > calls, fork.detach().unwrap(), requests)
        });
        let (differences, ran, detached, mut requests) = elsewhere.join().unwrap();
        assert!(differences.is_empty() && ran, "{differences:?} on {platform:?}");
        let mut fork = detached.attach().unwrap();
        serve(&mut fork, &mut requests, b'b');
        assert_eq!(fork.differences().unwrap(), [""; 0], "{platform:?}");
    }
}

#[test]
fn a_guest_that_has_run_stays_with_its_thread() {
    for platform in platforms() {
        let (snapshot, mut requests) = snapshot(platform);
        let mut fork = snapshot.fork().unwrap();
        std::io::Write::write_all(&mut requests, b"b").unwrap();
        fork.run(Goal::Ready, RunLimits::default()).unwrap();
        let error = fork.detach().err().unwrap();
        assert!(error.to_string().contains("reset it first"), "{error}");
    }
}
