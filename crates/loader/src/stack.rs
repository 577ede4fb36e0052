//! The block at the top of a new stack: arguments, environment and the auxiliary vector, as Linux lays it out.
//! Called by [`crate::load`].
//!
//! ```text
//!   stack top   8 zero bytes
//!               AT_EXECFN string
//!               environment strings
//!               argument strings
//!               (up to 8 KiB left free at random)
//!               AT_PLATFORM string, AT_RANDOM bytes
//!               auxiliary vector, ending with AT_NULL
//!               environment pointers, 0
//!               argument pointers, 0
//!   rsp (16n)   argument count
//! ```

use warmfork_memory::Span;

/// Entry numbers of the auxiliary vector (the kernel's uapi auxvec.h).
pub(crate) mod auxv {
    pub const AT_NULL: u64 = 0;
    pub const AT_PHDR: u64 = 3;
    pub const AT_PHENT: u64 = 4;
    pub const AT_PHNUM: u64 = 5;
    pub const AT_PAGESZ: u64 = 6;
    pub const AT_BASE: u64 = 7;
    pub const AT_FLAGS: u64 = 8;
    pub const AT_ENTRY: u64 = 9;
    pub const AT_UID: u64 = 11;
    pub const AT_EUID: u64 = 12;
    pub const AT_GID: u64 = 13;
    pub const AT_EGID: u64 = 14;
    pub const AT_PLATFORM: u64 = 15;
    pub const AT_HWCAP: u64 = 16;
    pub const AT_CLKTCK: u64 = 17;
    pub const AT_SECURE: u64 = 23;
    pub const AT_RANDOM: u64 = 25;
    pub const AT_HWCAP2: u64 = 26;
    pub const AT_EXECFN: u64 = 31;
    pub const AT_SYSINFO_EHDR: u64 = 33;
    pub const AT_MINSIGSTKSZ: u64 = 51;
}

/// Longest single argument with its NUL (MAX_ARG_STRLEN: 32 pages).
const MAX_STRING: usize = 32 * 4096;
/// Bytes that arguments and environment may take even with a small stack (ARG_MAX).
const ALWAYS_ALLOWED: u64 = 128 * 1024;
/// Bytes that they may take at most, with any stack (three quarters of the default stack).
const NEVER_EXCEEDED: u64 = 6 * 1024 * 1024;
/// The smallest stack that can be asked for: twice the bytes that arguments may always take.
pub(crate) const MIN_STACK: u64 = 2 * ALWAYS_ALLOWED;
/// AT_PLATFORM
const PLATFORM: &[u8] = b"x86_64";

/// Why arguments and environment cannot be passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StackProblem {
    /// One string is too long.
    #[error("an argument or environment string has {length} bytes; {MAX_STRING} are possible, with its NUL")]
    StringTooLong {
        /// Its length without the NUL.
        length: usize,
    },
    /// All together are too long.
    #[error("arguments and environment take {size} bytes; {limit} are possible (a quarter of the stack)")]
    TooBig {
        /// The bytes that they take, with their pointers.
        size: u64,
        /// The largest possible number of bytes.
        limit: u64,
    },
    /// A string holds a NUL: it would be cut there.
    #[error("an argument or environment string contains a NUL byte")]
    Nul,
}

/// The content of a new stack.
pub(crate) struct Content<'a> {
    /// One past the stack's last byte; a whole page.
    pub top: u64,
    /// The stack's size.
    pub size: u64,
    /// Bytes to leave free, less than 8 KiB.
    pub jitter: u64,
    /// Arguments; Linux passes an empty one where there is none, and so does the caller.
    pub argv: &'a [Vec<u8>],
    /// Environment.
    pub envp: &'a [Vec<u8>],
    /// AT_EXECFN: the program's path as it was asked for.
    pub execfn: &'a [u8],
    /// AT_RANDOM
    pub random: [u8; 16],
    /// The auxiliary vector without AT_NULL; the values of AT_RANDOM, AT_EXECFN and AT_PLATFORM are filled in.
    pub auxv: &'a [(u64, u64)],
}

/// The finished block.
pub(crate) struct Block {
    /// rsp at the program's entry; the block's first address.
    pub pointer: u64,
    /// The bytes from there to the stack's top.
    pub bytes: Vec<u8>,
    /// The argument strings with their NULs.
    pub arguments: Option<Span>,
    /// The environment strings with their NULs.
    pub environment: Option<Span>,
    /// The auxiliary vector with AT_NULL.
    pub auxv: Vec<u8>,
}

/// Lays out the block.
pub(crate) fn build(content: &Content<'_>) -> Result<Block, StackProblem> {
    check(content)?;
    let arguments = Strings::new(content.argv);
    let environment = Strings::new(content.envp);

    let execfn_at = content.top - 8 - (content.execfn.len() as u64 + 1);
    let environment_at = execfn_at - environment.bytes.len() as u64;
    let arguments_at = environment_at - arguments.bytes.len() as u64;
    let platform_at = ((arguments_at - content.jitter) & !15) - (PLATFORM.len() as u64 + 1);
    let random_at = platform_at - content.random.len() as u64;

    let mut auxv = Vec::new();
    for &(number, value) in content.auxv.iter().chain(&[(auxv::AT_NULL, 0)]) {
        let value = match number {
            auxv::AT_RANDOM => random_at,
            auxv::AT_EXECFN => execfn_at,
            auxv::AT_PLATFORM => platform_at,
            _ => value,
        };
        auxv.extend_from_slice(&number.to_le_bytes());
        auxv.extend_from_slice(&value.to_le_bytes());
    }
    let mut vector = (content.argv.len() as u64).to_le_bytes().to_vec();
    arguments.push_pointers(arguments_at, &mut vector);
    environment.push_pointers(environment_at, &mut vector);
    vector.extend_from_slice(&auxv);

    let pointer = (random_at - vector.len() as u64) & !15;
    let mut bytes = vec![0; usize::try_from(content.top - pointer).unwrap_or_default()];
    for (at, part) in [
        (pointer, vector.as_slice()),
        (random_at, &content.random),
        (platform_at, PLATFORM),
        (arguments_at, &arguments.bytes),
        (environment_at, &environment.bytes),
        (execfn_at, content.execfn),
    ] {
        let start = usize::try_from(at - pointer).unwrap_or_default();
        bytes[start..start + part.len()].copy_from_slice(part);
    }
    Ok(Block {
        pointer,
        bytes,
        arguments: Span::new(arguments_at, arguments.bytes.len() as u64),
        environment: Span::new(environment_at, environment.bytes.len() as u64),
        auxv,
    })
}

/// The rules of execve(2) for the size of it all.
fn check(content: &Content<'_>) -> Result<(), StackProblem> {
    let mut size = (content.argv.len() as u64 + content.envp.len() as u64) * 8;
    for string in content.argv.iter().chain(content.envp).map(Vec::as_slice).chain([content.execfn]) {
        if string.len() >= MAX_STRING {
            return Err(StackProblem::StringTooLong { length: string.len() });
        }
        if string.contains(&0) {
            return Err(StackProblem::Nul);
        }
        size += string.len() as u64 + 1;
    }
    let limit = (content.size / 4).clamp(ALWAYS_ALLOWED, NEVER_EXCEEDED);
    if size > limit { Err(StackProblem::TooBig { size, limit }) } else { Ok(()) }
}

/// Strings one after another, each with its NUL.
struct Strings {
    bytes: Vec<u8>,
    offsets: Vec<u64>,
}

impl Strings {
    fn new(strings: &[Vec<u8>]) -> Self {
        let mut bytes = Vec::new();
        let mut offsets = Vec::new();
        for string in strings {
            offsets.push(bytes.len() as u64);
            bytes.extend_from_slice(string);
            bytes.push(0);
        }
        Self { bytes, offsets }
    }

    /// Appends a pointer to each string, the first of them being at `base`, and a null pointer.
    fn push_pointers(&self, base: u64, into: &mut Vec<u8>) {
        for offset in &self.offsets {
            into.extend_from_slice(&(base + offset).to_le_bytes());
        }
        into.extend_from_slice(&[0; 8]);
    }
}

#[cfg(test)]
#[path = "stack_tests.rs"]
mod tests;
