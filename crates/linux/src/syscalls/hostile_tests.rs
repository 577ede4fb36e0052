//! Every system call with hostile arguments: errors, never a panic.

use warmfork_abi::USER_END;

use crate::call::Guest;
use crate::table::TABLE;
use crate::testing::{Bench, DATA};

/// Rounds over the whole table.
const ROUNDS: u32 = 150;

/// A small generator of the same numbers in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn choice(&mut self, values: &[u64]) -> u64 {
        let index = self.next() % values.len() as u64;
        values[usize::try_from(index).unwrap()]
    }

    /// An argument: a small number, a flag, a pointer that works or one that does not, an extreme.
    fn argument(&mut self) -> u64 {
        let number = self.next();
        match number % 8 {
            0 => self.next() % 20,
            1 => 1 << (self.next() % 64),
            2 | 3 => DATA.start + (self.next() % 0x200) * 8,
            4 => DATA.end - self.next() % 64,
            5 => self.choice(&[u64::MAX, 1 << 63, u64::MAX >> 1, USER_END, USER_END - 1, 0x8000_0000, 0x7fff_ffff]),
            6 => self.next() & 0xffff_ffff,
            _ => self.next(),
        }
    }
}

#[test]
fn no_argument_makes_a_call_panic() {
    let mut numbers = Numbers(1);
    let mut bench = Bench::new();
    for _ in 0..ROUNDS {
        for entry in TABLE {
            let content: Vec<u8> = (0..0x200).flat_map(|_| numbers.argument().to_le_bytes()).collect();
            if bench.guest.memory().write(DATA.start, &content).is_err() {
                bench = Bench::new(); // the last calls took the memory away
                continue;
            }
            let arguments = [(); 6].map(|()| numbers.argument());
            let pid = bench.pid();
            bench.start(pid, entry.number, &arguments);
            // Whatever became of it, the next call begins afresh.
            if bench.kernel.process().tasks.lookup(pid).is_none() || numbers.next().is_multiple_of(256) {
                bench = Bench::new();
                continue;
            }
            bench.kernel.wake(&mut bench.host);
            bench.registers(pid).rsp = DATA.end - 0x4000;
            bench.deliver(pid);
            bench.kernel.process_mut().tasks.wake(pid);
            bench.kernel.process_mut().tasks.begin_call(pid);
        }
    }
}
