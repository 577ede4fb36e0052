//! Where things lie in a new address space: random, as Linux does it, or made from a seed for tests. Called by
//! [`crate::load`].
//!
//! ```text
//!   0x1_0000 .. ET_EXEC programs at their own addresses, brk after them
//!   2/3 of the space + up to 1 TiB: position-independent programs, brk after them
//!   ... mmap base: shared libraries, the program interpreter, vvar and vDSO, downwards from here
//!   stack gap: 16 GiB and the stack's size
//!   stack top: up to 16 GiB below the end
//! ```

use rustix::rand::{GetRandomFlags, getrandom};
use warmfork_abi::{PAGE, USER_END, page_down};

use crate::elf::Image;

/// Distance between two random bases: 28 bits of pages, Linux's default mmap_rnd_bits on x86-64.
const BASE_PAGES: u64 = 1 << 28;
/// Pages by which the stack's top may lie below the end of user space.
const STACK_PAGES: u64 = 1 << 22;
/// Pages between a program's end and its brk, at most (32 MiB).
const BRK_PAGES: u64 = 1 << 13;
/// Bytes by which the stack pointer may lie below its highest place within a page or two.
const STACK_JITTER: u64 = 8192;
/// Room below the stack that no mapping takes by default, as Linux keeps for a stack that grows (stack_guard_gap).
const GUARD: u64 = 1 << 20;

/// Where random numbers come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Randomness {
    /// The host's getrandom(2).
    #[default]
    Host,
    /// A seed: the same load lays out the same every time, AT_RANDOM included. For tests.
    Seed(u64),
}

/// The host gave no random numbers.
pub(crate) type NoRandom = rustix::io::Errno;

/// Draws random numbers for one load.
pub(crate) struct Dice(Randomness);

impl Dice {
    pub(crate) fn new(randomness: Randomness) -> Self {
        Self(randomness)
    }

    pub(crate) fn word(&mut self) -> Result<u64, NoRandom> {
        match &mut self.0 {
            Randomness::Host => {
                let mut bytes = [0; 8];
                // Such short requests are never interrupted or cut short once the host's pool is ready.
                getrandom(&mut bytes, GetRandomFlags::empty())?;
                Ok(u64::from_le_bytes(bytes))
            }
            Randomness::Seed(state) => {
                // SplitMix64 (Steele, Lea, Flood 2014).
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = *state;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                Ok(mixed ^ (mixed >> 31))
            }
        }
    }

    /// The 16 bytes of AT_RANDOM.
    pub(crate) fn bytes(&mut self) -> Result<[u8; 16], NoRandom> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.word()?.to_le_bytes());
        bytes[8..].copy_from_slice(&self.word()?.to_le_bytes());
        Ok(bytes)
    }

    /// A multiple of the page size, less than `pages` pages (a power of two).
    fn pages(&mut self, pages: u64) -> Result<u64, NoRandom> {
        Ok((self.word()? & (pages - 1)) * PAGE)
    }
}

/// The bases of one address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// One past the last address of the stack.
    pub stack_top: u64,
    /// Bytes to leave free at the stack's top, so that the stack pointer is random within a page.
    pub stack_jitter: u64,
    /// Mappings go downwards from here.
    pub mmap_base: u64,
    /// The lowest address of a position-independent program.
    pub program_base: u64,
    /// Bytes between the program's last page and its brk.
    pub brk_gap: u64,
}

impl Layout {
    /// Draws the bases of a space that ends at `end`, not far from where Linux's own ends, and holds a stack of `stack_size` bytes (whole pages, checked
    /// by the caller to be small against the space).
    pub(crate) fn draw(dice: &mut Dice, end: u64, stack_size: u64) -> Result<Self, NoRandom> {
        let gap = stack_size + GUARD + STACK_PAGES * PAGE;
        Ok(Self {
            stack_top: page_down(end) - dice.pages(STACK_PAGES)?,
            stack_jitter: dice.word()? % STACK_JITTER,
            mmap_base: page_down(end) - gap - dice.pages(BASE_PAGES)?,
            program_base: page_down(USER_END / 3 * 2) + dice.pages(BASE_PAGES)?,
            brk_gap: dice.pages(BRK_PAGES)?,
        })
    }

    /// The offset to add to the addresses of `image`, a relocatable one; `None` when it cannot fit.
    pub(crate) fn program_bias(&self, image: &Image) -> Option<u64> {
        let base = self.program_base.checked_next_multiple_of(image.alignment)?;
        let bias = base.checked_sub(image.span.start & !(image.alignment - 1))?;
        let end = image.span.end.checked_add(bias)?;
        // The brk area comes next; a program that reaches this far leaves it no room.
        (end < self.mmap_base).then_some(bias)
    }
}
