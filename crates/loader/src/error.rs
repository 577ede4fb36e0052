//! Why a program cannot be loaded: for the user one line and a hint, for a guest the errno of execve(2).

use warmfork_abi::Errno;
use warmfork_memory::Span;

use crate::elf::ElfProblem;
use crate::script::ScriptProblem;
use crate::stack::StackProblem;
use crate::vdso::error::VdsoError;

/// A program cannot be loaded. The message begins with the operation that failed and names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The program's file cannot be opened.
    #[error("open of program {path} failed: {errno}")]
    Open {
        /// The file.
        path: String,
        /// The opener's error.
        errno: Errno,
    },
    /// The interpreter that a script or an ELF file names cannot be opened.
    #[error("open of interpreter {path}, which {wanted_by} names, failed: {errno}")]
    OpenInterpreter {
        /// The interpreter.
        path: String,
        /// The script or program.
        wanted_by: String,
        /// The opener's error.
        errno: Errno,
    },
    /// A directory, a device, a socket.
    #[error("load of {path} failed: it is not a regular file")]
    NotRegular {
        /// The file.
        path: String,
    },
    /// The file cannot be read.
    #[error("read of {path} failed: {errno}")]
    Read {
        /// The file.
        path: String,
        /// The host's error.
        errno: Errno,
    },
    /// Not a program for this machine.
    #[error("load of {path} failed: {problem}")]
    Elf {
        /// The file.
        path: String,
        /// The problem.
        problem: ElfProblem,
    },
    /// The program interpreter (PT_INTERP) is not one.
    #[error("load of interpreter {path}, which {wanted_by} names, failed: {problem}")]
    ElfInterpreter {
        /// The interpreter.
        path: String,
        /// The program.
        wanted_by: String,
        /// The interpreter's problem.
        problem: ElfProblem,
    },
    /// The `#!` line makes no sense.
    #[error("load of script {path} failed: {problem}")]
    Script {
        /// The script.
        path: String,
        /// The problem.
        problem: ScriptProblem,
    },
    /// Scripts that are each other's interpreters.
    #[error(
        "load of script {path} failed: more than {} interpreters in a row are scripts themselves",
        crate::script::MAX_SCRIPTS
    )]
    ScriptDepth {
        /// The script that was one too many.
        path: String,
    },
    /// Arguments and environment do not fit, or cannot be passed.
    #[error("load of {path} failed: {problem}")]
    Stack {
        /// The program.
        path: String,
        /// The problem.
        problem: StackProblem,
    },
    /// A stack of this size is not possible.
    #[error("load of {path} failed: a stack of {size} bytes is not possible")]
    StackSize {
        /// The program.
        path: String,
        /// The requested size.
        size: u64,
    },
    /// The program is larger than the room there is for it.
    #[error("load of {path} failed: {size:#x} bytes of address space, aligned to {alignment:#x}, are not free")]
    NoRoom {
        /// The program or interpreter.
        path: String,
        /// The bytes that it needs.
        size: u64,
        /// Their alignment.
        alignment: u64,
    },
    /// The address space or the host refused a mapping.
    #[error("mapping {what} of {path} at {span:?} failed: {errno}")]
    Map {
        /// The program or interpreter.
        path: String,
        /// Which part of it.
        what: &'static str,
        /// Where.
        span: Span,
        /// Why.
        errno: Errno,
    },
    /// Memory that was just mapped cannot be written.
    #[error("filling {what} of {path} failed: guest address {address:#x} is not accessible")]
    Fill {
        /// The program or interpreter.
        path: String,
        /// Which part of it.
        what: &'static str,
        /// Where.
        address: u64,
    },
    /// The address space holds mappings already.
    #[error("load of {path} failed: the address space is not empty")]
    Occupied {
        /// The program.
        path: String,
    },
    /// The host gave no random numbers for addresses and AT_RANDOM.
    #[error("load of {path} failed: getrandom failed: {errno}")]
    Random {
        /// The program.
        path: String,
        /// The host's error.
        errno: Errno,
    },
    /// The vDSO cannot be made.
    #[error("load of {path} failed: {source}")]
    Vdso {
        /// The program.
        path: String,
        /// Why.
        source: VdsoError,
    },
}

impl LoadError {
    /// The errno of execve(2).
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::Open { errno, .. }
            | Self::OpenInterpreter { errno, .. }
            | Self::Map { errno, .. }
            | Self::Read { errno, .. } => *errno,
            Self::NotRegular { .. } => Errno::EACCES,
            Self::Elf { problem: ElfProblem::Read { errno, .. }, .. }
            | Self::ElfInterpreter { problem: ElfProblem::Read { errno, .. }, .. } => *errno,
            Self::Elf { .. } | Self::Script { .. } => Errno::ENOEXEC,
            Self::ElfInterpreter { .. } => Errno::ELIBBAD,
            Self::ScriptDepth { .. } => Errno::ELOOP,
            Self::Stack { problem: StackProblem::Nul, .. } | Self::Occupied { .. } => Errno::EINVAL,
            Self::Stack { .. } => Errno::E2BIG,
            Self::StackSize { .. } | Self::NoRoom { .. } | Self::Random { .. } | Self::Vdso { .. } => Errno::ENOMEM,
            Self::Fill { .. } => Errno::EFAULT,
        }
    }

    /// A hint for the user, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Open { errno, .. } => hint_of_open(*errno),
            Self::OpenInterpreter { errno: Errno::ENOENT, .. } => Some(
                "the interpreter must exist where the program names it: install it, or make its path visible to the guest",
            ),
            Self::OpenInterpreter { errno, .. } => hint_of_open(*errno),
            Self::NotRegular { .. } => Some("name the program's file itself"),
            Self::Elf { problem, .. } => hint_of_elf(problem),
            Self::ElfInterpreter { .. } => Some("the file that the program names as its interpreter is damaged"),
            Self::Script { .. } => Some("the first line of a script must be #! and the path of its interpreter"),
            Self::ScriptDepth { .. } => Some("let the first line name a program that is not a script"),
            Self::Stack { problem: StackProblem::Nul, .. } => Some("remove the NUL byte"),
            Self::Stack { problem: StackProblem::StringTooLong { .. }, .. } => {
                Some("pass long texts in a file or through standard input")
            }
            Self::Stack { problem: StackProblem::TooBig { .. }, .. } => {
                Some("pass less, or give the program a larger stack")
            }
            Self::StackSize { .. } => Some("ask for a stack of 256 KiB to 64 GiB"),
            Self::Map { errno: Errno::ENOMEM, .. } => Some("raise the memory limit of the program"),
            _ => None,
        }
    }
}

fn hint_of_open(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::ENOENT => Some("check the path as the guest sees it"),
        Errno::EACCES | Errno::EPERM => {
            Some("the policy must allow the guest to read the file, and the file must be executable")
        }
        _ => None,
    }
}

fn hint_of_elf(problem: &ElfProblem) -> Option<&'static str> {
    match problem {
        ElfProblem::Magic => Some("a script needs a first line of #! and the path of its interpreter"),
        ElfProblem::Class(_) | ElfProblem::Endianness(_) | ElfProblem::Machine(_) => {
            Some("build the program for x86-64 Linux")
        }
        ElfProblem::Type(_) => Some("link the object file into a program"),
        ElfProblem::Truncated { .. } => Some("the file is incomplete: build or copy it again"),
        _ => None,
    }
}
