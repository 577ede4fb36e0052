//! Where the stub lives in a guest's address space, and its code.

use warmfork_abi::USER_END;
use warmfork_memory::Span;

/// The stub's program, run as it is.
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub"));
/// The code that stays.
pub const RESIDENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/resident.bin"));

mod offsets {
    include!(concat!(env!("OUT_DIR"), "/offsets.rs"));
}

/// The top of the address space, which guests cannot map: the image, the stub's code page and the pages that it
/// shares with its parent.
pub const RESERVED: Span = Span { start: IMAGE.start, end: USER_END };
/// Where a fork's memory image is mapped, so that the stub can copy pages back by itself: four times as fast as the
/// parent can. The guest can read it: it is its own memory of the moment when it was frozen. Sanitizers know Linux's
/// address layout, and refuse to run where mappings would begin much further down.
pub const IMAGE: Span = Span { start: CODE - (256 << 30), end: CODE };
/// Address of the resident code (one page, read and execute).
pub const CODE: u64 = USER_END - 0xf000;
/// Address of the shared pages. The guest can read and write them, so every use writes them before it reads them.
pub const TABLE: u64 = CODE + 0x1000;
/// Bytes of the shared pages: the call table, and above it the stack for signal frames.
pub const SHARED_SIZE: usize = 0xa000;
/// Bytes of the call table.
pub const TABLE_SIZE: usize = 0x2000;
/// Bytes of the stack that the host writes signal frames to; a frame with all of AVX-512 and AMX takes 12 KiB.
pub const FRAMES_SIZE: usize = SHARED_SIZE - TABLE_SIZE;
/// Address of that stack.
pub const FRAMES: u64 = TABLE + TABLE_SIZE as u64;
/// Bytes of one entry: number, six arguments, result.
pub const ENTRY: usize = 64;
/// Entries in the table; its last half page holds a message header.
pub const ENTRIES: usize = (TABLE_SIZE - 0x800) / ENTRY;
/// Offset in the table of the message that receives a file.
pub const MESSAGE: usize = TABLE_SIZE - 0x800;

/// Entry for one call given in registers.
pub const SINGLE: u64 = CODE + offsets::SINGLE;
/// Where RIP is when the single call is checked by the seccomp filter.
pub const SINGLE_END: u64 = CODE + offsets::SINGLE_END;
/// Entry for a table of calls.
pub const BATCH: u64 = CODE + offsets::BATCH;
/// Where RIP is when a table's call is checked by the seccomp filter.
pub const BATCH_CALL_END: u64 = CODE + offsets::BATCH_CALL_END;
/// Entry for a table of copies.
pub const COPY: u64 = CODE + offsets::COPY;
/// Words of one copy in the table: to, from, bytes.
pub const COPY_WORDS: usize = 3;
/// Copies in one stop: they may take all of the shared pages.
pub const COPIES: usize = SHARED_SIZE / 8 / COPY_WORDS;
/// Offset in the shared pages of the vector state that the stub loads behind its copies, where these leave room for it.
pub const VECTORS: usize = SHARED_SIZE - 0x3000;
/// The handler of faults: a breakpoint.
pub const CAUGHT: u64 = CODE + offsets::CAUGHT;
/// The stub's descriptor that brings files from its parent.
pub const SOCKET: i32 = 3;
/// The stub's descriptor that is the call table's memory file, until it is mapped.
pub const TABLE_FILE: i32 = 4;
