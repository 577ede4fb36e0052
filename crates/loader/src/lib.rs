//! From a program's path to a guest that can run: mapped segments, a stack, entry registers, a vDSO. It does what
//! execve(2) does after the old program is gone.
//!
//! ```text
//!   path, argv, envp -> interpreter: #! scripts, PT_INTERP   (files through the caller's policy)
//!                    -> elf: headers, checked
//!                    -> layout: where things go
//!                    -> segments, vdso, stack: into AddressSpace and GuestMemory
//!                    -> Loaded
//! ```
//!
//! The engine calls [`load`], for the first program and for execve.

#![deny(unsafe_code)]

pub mod elf;
mod error;
mod file;
mod interpreter;
mod layout;
mod script;
mod segments;
mod stack;
pub mod vdso;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustix::param::{linux_hwcap, linux_minsigstksz};
use warmfork_abi::{PAGE, Registers, page_up};
use warmfork_memory::{AddressSpace, GuestMemory, HostFile, Protection, Span};

pub use elf::ElfProblem;
pub use error::LoadError;
pub use file::ProgramFiles;
pub use layout::Randomness;
pub use script::ScriptProblem;
pub use stack::StackProblem;
pub use vdso::VdsoSpans;

use elf::{ENTRY_SIZE, Kind};
use interpreter::{Program, text};
use layout::{Dice, Layout};
use segments::Target;
use stack::auxv;

/// Size of a stack that nobody asked another size for (RLIMIT_STACK's usual value).
pub const DEFAULT_STACK: u64 = 8 << 20;
/// The largest stack that can be asked for.
const MAX_STACK: u64 = 64 << 30;
/// AT_CLKTCK: USER_HZ of every Linux on x86-64.
const CLOCK_TICKS: u64 = 100;

/// Whom the program runs as: AT_UID and its like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names are Linux's own")]
pub struct Identity {
    pub uid: u32,
    pub euid: u32,
    pub gid: u32,
    pub egid: u32,
}

/// A request to load a program.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The program's path as the guest names it.
    pub path: &'a [u8],
    /// Its arguments, the first being its name. Where there is none, it gets an empty one, as on Linux.
    pub argv: &'a [Vec<u8>],
    /// Its environment, `NAME=value` each.
    pub envp: &'a [Vec<u8>],
    /// Whom it runs as.
    pub identity: Identity,
    /// Bytes of stack, rounded up to pages: 256 KiB to 64 GiB.
    pub stack_size: u64,
    /// The clock page of the machine that it is loaded into, for its vDSO; without one it gets none, and tells the time
    /// with system calls.
    pub clock: Option<&'a Arc<HostFile>>,
    /// Where addresses and AT_RANDOM come from.
    pub randomness: Randomness,
}

impl<'a> Request<'a> {
    /// A request with a default stack, a vDSO that reads `clock` and random addresses, for root in its own world.
    #[must_use]
    pub fn new(path: &'a [u8], argv: &'a [Vec<u8>], envp: &'a [Vec<u8>], clock: &'a Arc<HostFile>) -> Self {
        Self {
            path,
            argv,
            envp,
            identity: Identity::default(),
            stack_size: DEFAULT_STACK,
            clock: Some(clock),
            randomness: Randomness::Host,
        }
    }
}

/// Where the program itself has gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramInfo {
    /// From its lowest segment's first page to its highest one's last.
    pub span: Span,
    /// The offset that was added to the addresses in its file; 0 for ET_EXEC.
    pub bias: u64,
    /// Its entry point (AT_ENTRY); execution may begin in the program interpreter.
    pub entry: u64,
    /// Its program headers in memory (AT_PHDR); 0 when no segment holds them.
    pub headers: u64,
    /// How many of them (AT_PHNUM).
    pub header_count: u16,
    /// The offset that was added to the addresses of the program interpreter (AT_BASE); 0 without one.
    pub interpreter_base: u64,
}

/// A program that is ready to run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The registers to begin with.
    pub registers: Registers,
    /// The path of the program's file as it was opened; of a script, its interpreter's.
    pub path: Vec<u8>,
    /// That file's path as the opener reports it, without symlinks, for /proc/self/exe.
    pub real_path: Vec<u8>,
    /// The arguments as the program sees them.
    pub argv: Vec<Vec<u8>>,
    /// The argument strings on the stack, for /proc/self/cmdline.
    pub arguments: Option<Span>,
    /// The environment strings on the stack, for /proc/self/environ.
    pub environment: Option<Span>,
    /// The auxiliary vector, for /proc/self/auxv.
    pub auxv: Vec<u8>,
    /// Where the program is.
    pub program: ProgramInfo,
    /// The stack.
    pub stack: Span,
    /// Where brk begins, as set in the address space.
    pub start_brk: u64,
    /// Where vDSO and clock page are, if asked for.
    pub vdso: Option<VdsoSpans>,
}

/// Loads a program into `space`, which must be empty, and into `memory`, which must have nothing mapped. The space
/// gets a new layout: the platform's reserved spans stay, where mappings go is chosen here.
///
/// # Errors
/// [`LoadError`]; `space` and `memory` are then good for nothing but being dropped.
pub fn load(
    request: &Request<'_>,
    files: &mut dyn ProgramFiles,
    space: &mut AddressSpace,
    memory: &mut dyn GuestMemory,
) -> Result<Loaded, LoadError> {
    let mut argv = request.argv.to_vec();
    if argv.is_empty() {
        argv.push(Vec::new());
    }
    let program = interpreter::open_program(request.path, &mut argv, files)?;
    let path = program.path.as_slice();
    let interpreter = interpreter::open_interpreter(&program, files)?;
    if !space.areas().is_empty() {
        return Err(LoadError::Occupied { path: text(path) });
    }

    let mut dice = Dice::new(request.randomness);
    let random = |error| LoadError::Random { path: text(path), errno: file::errno(error) };
    let stack_size = stack_size(request, space.layout().top(), path)?;
    let layout = Layout::draw(&mut dice, space.layout().top(), stack_size).map_err(random)?;
    let reserved = space.layout().reserved().to_vec();
    *space = AddressSpace::new(warmfork_memory::Layout::new(layout.mmap_base, &reserved), space.limits());

    let mut target = Target { space, memory };
    let info = map_program(&mut target, &program, &layout)?;
    let stack = Span { start: layout.stack_top - stack_size, end: layout.stack_top };
    let stack_protection =
        if program.image.executable_stack { Protection::all() } else { Protection::READ | Protection::WRITE };
    target.map_stack(path, stack, stack_protection)?;
    let (info, entry) = map_interpreter(&mut target, &program, interpreter.as_ref(), info)?;
    let vdso = request.clock.map(|clock| vdso::map(&mut target, path, clock)).transpose()?;

    let block = stack::build(&stack::Content {
        top: stack.end,
        size: stack_size,
        jitter: layout.stack_jitter,
        argv: &argv,
        envp: request.envp,
        execfn: request.path,
        random: dice.bytes().map_err(random)?,
        auxv: &auxiliary_vector(request.identity, &info, vdso),
    })
    .map_err(|problem| LoadError::Stack { path: text(path), problem })?;
    target.fill(path, "the stack", block.pointer, &block.bytes)?;

    Ok(Loaded {
        registers: Registers::at_entry(entry, block.pointer),
        real_path: program.file.name().to_vec(),
        path: program.path,
        argv,
        arguments: block.arguments,
        environment: block.environment,
        auxv: block.auxv,
        program: info,
        stack,
        start_brk: space.heap().start,
        vdso,
    })
}

fn stack_size(request: &Request<'_>, top: u64, path: &[u8]) -> Result<u64, LoadError> {
    let possible = stack::MIN_STACK..=MAX_STACK.min(top / 16);
    page_up(request.stack_size)
        .filter(|size| possible.contains(size))
        .ok_or(LoadError::StackSize { path: text(path), size: request.stack_size })
}

/// Maps the program and begins its heap.
fn map_program(target: &mut Target<'_>, program: &Program, layout: &Layout) -> Result<ProgramInfo, LoadError> {
    let image = &program.image;
    let bias = match image.kind {
        Kind::Fixed => 0,
        Kind::Relocatable => layout.program_bias(image).ok_or_else(|| LoadError::NoRoom {
            path: text(&program.path),
            size: image.span.end - image.span.start,
            alignment: image.alignment,
        })?,
    };
    target.map_segments(program, bias)?;
    let span = Span { start: image.span.start.wrapping_add(bias), end: image.span.end.wrapping_add(bias) };
    target.space.start_heap(span.end.saturating_add(layout.brk_gap));
    Ok(ProgramInfo {
        span,
        bias,
        entry: entry(target, program, bias).map_err(|problem| LoadError::Elf { path: text(&program.path), problem })?,
        headers: if image.table_address == 0 { 0 } else { image.table_address.wrapping_add(bias) },
        header_count: image.table_count,
        interpreter_base: 0,
    })
}

/// Maps the program interpreter, if there is one, and says where execution begins.
fn map_interpreter(
    target: &mut Target<'_>,
    program: &Program,
    interpreter: Option<&Program>,
    info: ProgramInfo,
) -> Result<(ProgramInfo, u64), LoadError> {
    let Some(interpreter) = interpreter else { return Ok((info, info.entry)) };
    let bias = target.interpreter_bias(interpreter)?;
    target.map_segments(interpreter, bias)?;
    let entry = entry(target, interpreter, bias).map_err(|problem| LoadError::ElfInterpreter {
        path: text(&interpreter.path),
        wanted_by: text(&program.path),
        problem,
    })?;
    Ok((ProgramInfo { interpreter_base: bias, ..info }, entry))
}

/// Where `program` begins; not where no program may be.
fn entry(target: &Target<'_>, program: &Program, bias: u64) -> Result<u64, ElfProblem> {
    let entry = program.image.entry.wrapping_add(bias);
    if entry < target.space.layout().top() { Ok(entry) } else { Err(ElfProblem::Entry(program.image.entry)) }
}

/// In the order in which Linux puts them. What points into the stack is filled in there.
fn auxiliary_vector(identity: Identity, program: &ProgramInfo, vdso: Option<VdsoSpans>) -> Vec<(u64, u64)> {
    let (hwcap, hwcap2) = linux_hwcap();
    let secure = identity.uid != identity.euid || identity.gid != identity.egid;
    let mut vector = Vec::new();
    vector.extend(vdso.map(|spans| (auxv::AT_SYSINFO_EHDR, spans.vdso.start)));
    vector.extend([
        (auxv::AT_MINSIGSTKSZ, linux_minsigstksz() as u64),
        (auxv::AT_HWCAP, hwcap as u64),
        (auxv::AT_PAGESZ, PAGE),
        (auxv::AT_CLKTCK, CLOCK_TICKS),
        (auxv::AT_PHDR, program.headers),
        (auxv::AT_PHENT, u64::from(ENTRY_SIZE)),
        (auxv::AT_PHNUM, u64::from(program.header_count)),
        (auxv::AT_BASE, program.interpreter_base),
        (auxv::AT_FLAGS, 0),
        (auxv::AT_ENTRY, program.entry),
        (auxv::AT_UID, u64::from(identity.uid)),
        (auxv::AT_EUID, u64::from(identity.euid)),
        (auxv::AT_GID, u64::from(identity.gid)),
        (auxv::AT_EGID, u64::from(identity.egid)),
        (auxv::AT_SECURE, u64::from(secure)),
        (auxv::AT_RANDOM, 0),
        (auxv::AT_HWCAP2, hwcap2 as u64),
        (auxv::AT_EXECFN, 0),
        (auxv::AT_PLATFORM, 0),
    ]);
    vector
}
