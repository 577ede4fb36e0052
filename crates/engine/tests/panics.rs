//! A bug that a connection meets costs that connection, and the server goes on.

#![cfg(debug_assertions)]

mod guests;

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

use guests::{boot_guest, platforms};
use warmfork_engine::outside::OutsideRules;
use warmfork_engine::serve::{Address, planted};
use warmfork_engine::{ServeOptions, Server, Snapshot};

/// The answer to one connection; nothing where it was lost.
fn ask(address: &Address) -> Vec<u8> {
    let Address::Internet(address) = address else { panic!("{address} is no Internet address") };
    let mut answer = Vec::new();
    // A connection that is lost may end by a reset.
    let _ = TcpStream::connect(address).unwrap().read_to_end(&mut answer);
    answer
}

#[test]
fn a_worker_survives_a_panic() {
    for platform in platforms() {
        for ephemeral in [true, false] {
            let (machine, _input) = boot_guest("answer", platform);
            let address = machine.listening().pop().unwrap();
            let snapshot = Snapshot::freeze(machine, &OutsideRules::default()).unwrap();
            let options = ServeOptions {
                threads: 1,
                ephemeral,
                max_request_time: None,
                max_idle_time: None,
                max_request_memory: None,
                limit_request_memory: 1 << 20,
            };
            let server = Server::start(&snapshot, options).unwrap();
            assert_eq!(ask(&address), b"!");
            for panics in 1..=3 {
                planted::plant(1);
                // A fork that accepts by itself has answered already when its worker hears of the connection.
                assert!(ask(&address).len() <= usize::from(!ephemeral), "{platform:?}, {ephemeral}");
                while server.statistics().panics.load(Ordering::SeqCst) < panics {
                    std::thread::yield_now();
                }
                assert_eq!(ask(&address), b"!", "{platform:?}, {ephemeral}");
            }
            server.stop(Duration::from_secs(60));
            assert_eq!(server.statistics().panics.load(Ordering::SeqCst), 3);
        }
    }
}
