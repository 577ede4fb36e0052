//! Tests of waiting for host files.

use super::*;

fn pair() -> (Arc<HostFile>, Arc<HostFile>) {
    let (one, other) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    (HostFile::socket(one), HostFile::socket(other))
}

#[test]
fn an_idle_file_becomes_ready() {
    let mut host = Host::new().unwrap();
    let (one, other) = pair();
    assert_eq!(host.poll(&one, Events::IN), Events::empty());
    assert_eq!(host.poll(&one, Events::OUT), Events::OUT);
    rustix::io::write(&other, b"x").unwrap();
    host.guest_ran();
    assert_eq!(host.poll(&one, Events::IN), Events::IN);
    rustix::io::read(&one, &mut [0; 8]).unwrap();
    host.guest_ran();
    assert_eq!(host.poll(&one, Events::IN), Events::empty());
}

#[test]
fn a_hang_up_is_told_without_being_asked_for() {
    let mut host = Host::new().unwrap();
    let (one, other) = pair();
    assert_eq!(host.poll(&one, Events::empty()), Events::empty());
    drop(other);
    host.guest_ran();
    assert_eq!(host.poll(&one, Events::empty()), Events::HUP);
}

#[test]
fn an_edge_collected_by_a_question_ends_the_next_wait() {
    let mut host = Host::new().unwrap();
    let (one, other) = pair();
    let (third, _fourth) = pair();
    host.begin_round();
    assert_eq!(host.poll(&one, Events::IN), Events::empty());
    rustix::io::write(&other, b"x").unwrap();
    host.guest_ran();
    assert_eq!(host.poll(&third, Events::IN), Events::empty());
    assert_eq!(host.wait(None), Woken::Events);
}

#[test]
fn a_wake_collected_by_a_question_is_not_lost() {
    let mut host = Host::new().unwrap();
    let (one, _other) = pair();
    assert_eq!(host.poll(&one, Events::IN), Events::empty());
    host.waker().wake();
    host.guest_ran();
    assert_eq!(host.poll(&one, Events::IN), Events::empty());
    assert_eq!(host.wait(None), Woken::Interrupted);
}

#[test]
fn a_wake_before_the_wait_ends_it() {
    let mut host = Host::new().unwrap();
    host.waker().wake();
    assert_eq!(host.wait(None), Woken::Interrupted);
}

#[test]
fn a_deadline_ends_a_wait() {
    let mut host = Host::new().unwrap();
    let at = host.monotonic() + 300_000;
    assert_eq!(host.wait(Some(at)), Woken::Events);
    assert!(host.monotonic() >= at);
}

#[test]
fn each_edge_has_its_own_number() {
    let mut host = Host::new().unwrap();
    let (one, other) = pair();
    let before = host.edges(&one);
    rustix::io::write(&other, b"x").unwrap();
    host.guest_ran();
    let first = host.edges(&one);
    assert_ne!(before, first);
    host.guest_ran();
    assert_eq!(host.edges(&one), first);
    rustix::io::write(&other, b"x").unwrap();
    host.guest_ran();
    assert_ne!(host.edges(&one), first);
    assert_ne!(Host::new().unwrap().edges(&one), first);
}

#[test]
fn more_files_than_one_batch_are_all_seen() {
    let mut host = Host::new().unwrap();
    let pairs: Vec<_> = (0..200).map(|_| pair()).collect();
    for (one, other) in &pairs {
        assert_eq!(host.poll(one, Events::IN), Events::empty());
        rustix::io::write(other, b"x").unwrap();
    }
    host.guest_ran();
    assert!(pairs.iter().all(|(one, _)| host.poll(one, Events::IN) == Events::IN));
}
