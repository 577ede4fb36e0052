//! From the path that was asked for to the ELF files to load: `#!` scripts as Linux runs them, and the program
//! interpreter. Called by [`crate::load`].

use std::sync::Arc;

use warmfork_memory::HostFile;

use crate::elf::{self, ElfProblem, Image, ReadAt};
use crate::error::LoadError;
use crate::file::{ProgramFiles, RegularFile};
use crate::script::{self, LINE_LIMIT, MAX_SCRIPTS};

/// An ELF file, opened and checked.
pub(crate) struct Program {
    /// The file.
    pub file: Arc<HostFile>,
    /// Its path as the guest names it.
    pub path: Vec<u8>,
    /// Its parsed headers.
    pub image: Image,
}

/// Opens `path`; while that is a script, goes on to its interpreter and puts that before `argv`.
pub(crate) fn open_program(
    path: &[u8],
    argv: &mut Vec<Vec<u8>>,
    files: &mut dyn ProgramFiles,
) -> Result<Program, LoadError> {
    let mut path = path.to_vec();
    let mut file = files.open(&path).map_err(|errno| LoadError::Open { path: text(&path), errno })?;
    for _ in 0..=MAX_SCRIPTS {
        let regular = regular(&file, &path)?;
        let mut start = [0; LINE_LIMIT];
        let length = regular.read_at(0, &mut start).map_err(|errno| LoadError::Read { path: text(&path), errno })?;
        let Some(line) = script::parse_line(&start[..length]) else {
            let image = elf::parse(&regular).map_err(|problem| LoadError::Elf { path: text(&path), problem })?;
            return Ok(Program { file, path, image });
        };
        let line = line.map_err(|problem| LoadError::Script { path: text(&path), problem })?;
        file = files.open(&line.interpreter).map_err(|errno| LoadError::OpenInterpreter {
            path: text(&line.interpreter),
            wanted_by: text(&path),
            errno,
        })?;
        // The script's own name in argv[0] gives way to: interpreter, its argument, the script's path.
        let front = [Some(line.interpreter.clone()), line.argument, Some(path)];
        argv.splice(..argv.len().min(1), front.into_iter().flatten());
        path = line.interpreter;
    }
    Err(LoadError::ScriptDepth { path: text(&path) })
}

/// Opens the program interpreter of `program`, if it names one.
pub(crate) fn open_interpreter(program: &Program, files: &mut dyn ProgramFiles) -> Result<Option<Program>, LoadError> {
    let Some(path) = program.image.interpreter.clone() else { return Ok(None) };
    let file = files.open(&path).map_err(|errno| LoadError::OpenInterpreter {
        path: text(&path),
        wanted_by: text(&program.path),
        errno,
    })?;
    let refuse =
        |problem: ElfProblem| LoadError::ElfInterpreter { path: text(&path), wanted_by: text(&program.path), problem };
    let image = elf::parse(&regular(&file, &path)?).map_err(refuse)?;
    Ok(Some(Program { file, path, image }))
}

fn regular<'a>(file: &'a HostFile, path: &[u8]) -> Result<RegularFile<'a>, LoadError> {
    match RegularFile::new(file) {
        Ok(Some(regular)) => Ok(regular),
        Ok(None) => Err(LoadError::NotRegular { path: text(path) }),
        Err(errno) => Err(LoadError::Read { path: text(path), errno }),
    }
}

/// A path for a message.
pub(crate) fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
