//! Checks that a fork is pristine: compares every byte, register, descriptor, timer, mask and mapping with the snapshot's.

use warmfork_abi::{PAGE, Registers};
use warmfork_linux::Kernel;
use warmfork_linux::ids::{FIRST_PID, SpaceId};
use warmfork_linux::own_files::Difference;
use warmfork_memory::image::Content;
use warmfork_memory::{Area, HostFile, Span, SpanSet};

use crate::error::EngineError;
use crate::fork::Fork;
use crate::machine::Machine;

/// Bytes compared at a time.
const CHUNK: u64 = 256 * PAGE;

/// The host's mappings of a machine. A fork's own copy of a file has the original's name there, and every clock page has the same
/// name.
fn host_mappings(machine: &Machine) -> Result<Vec<String>, EngineError> {
    let mut mappings = machine.executor.platform.mappings()?;
    let mut names = vec![(inode(machine.guest.clock.file())?, "clock".into())];
    for copy in machine.kernel().own_files.iter() {
        names.push((inode(copy.file())?, inode(copy.original())?.to_string()));
    }
    for (own, original) in names {
        let (own, original) = (format!(":{own} at "), format!(":{original} at "));
        mappings.iter_mut().for_each(|mapping| *mapping = mapping.replace(&own, &original));
    }
    Ok(mappings)
}

/// The host's inode number of `file`.
fn inode(file: &HostFile) -> Result<u64, EngineError> {
    let status = rustix::fs::fstat(file).map_err(std::io::Error::from);
    status.map(|status| status.st_ino).map_err(EngineError::host("examining a file"))
}

impl Fork {
    /// The differences between this fork and a new one, in words; none when it is pristine. Reads all of the guest's memory, so it
    /// is for tests and for verification, not for the request path.
    ///
    /// # Errors
    /// [`EngineError`] when the guest cannot be examined.
    pub fn differences(&mut self) -> Result<Vec<String>, EngineError> {
        let mut found = Vec::new();
        self.compare_kernel(&mut found);
        self.compare_own_files(&mut found)?;
        let mut fresh = Fork::new(std::sync::Arc::clone(self.snapshot()))?;
        for (space, owner, _) in self.snapshot().spaces() {
            let mut differs = Vec::new();
            self.machine_mut().visit_process(owner)?;
            fresh.machine_mut().visit_process(owner)?;
            self.compare_memory(space, &mut differs)?;
            self.compare_platforms(&mut fresh, &mut differs)?;
            let name = |text| if owner == FIRST_PID { text } else { format!("process {owner}: {text}") };
            found.extend(differs.into_iter().map(name));
        }
        self.machine_mut().visit_process(FIRST_PID)?;
        Ok(found)
    }

    /// Compares the FPU state and the host's mappings of the current process with those in a new fork.
    fn compare_platforms(&mut self, fresh: &mut Fork, found: &mut Vec<String>) -> Result<(), EngineError> {
        let (own, new) = (self.machine_mut().executor.platform.fpu()?, fresh.machine_mut().executor.platform.fpu()?);
        if !are_equal_vectors(&own, &new) {
            found.push("FPU and vector registers".into());
        }
        let (own, new) = (host_mappings(self.machine())?, host_mappings(fresh.machine())?);
        for mapping in own.iter().filter(|mapping| !new.contains(mapping)) {
            found.push(format!("host mapping {mapping} is not in a new fork"));
        }
        for mapping in new.iter().filter(|mapping| !own.contains(mapping)) {
            found.push(format!("host mapping {mapping} of a new fork is missing"));
        }
        Ok(())
    }

    fn compare_kernel(&self, found: &mut Vec<String>) {
        let (own, new) = (self.machine().kernel(), self.snapshot().kernel());
        let mut differs = |name: &str, same: bool| {
            if !same {
                found.push(name.into());
            }
        };
        let Kernel { processes, files, shared, policy, own_files: _ } = own;
        let mut of_processes = processes.differences(&new.processes);
        if *files != new.files && !of_processes.contains(&"descriptors") {
            of_processes.push("descriptors");
        }
        of_processes.into_iter().for_each(|name| differs(name, false));
        differs("pipes, socket pairs or what else objects share", *shared == new.shared);
        differs("TCP connections that are plain data", shared.connections == new.shared.connections);
        differs("datagrams on their way", shared.mailboxes == new.shared.mailboxes);
        differs("file locks", shared.locks == new.shared.locks);
        differs("policy", *policy == new.policy);
        let current: &Registers = &new.process().tasks.running().registers;
        differs("registers", self.machine().executor.registers == *current);
    }

    fn compare_own_files(&self, found: &mut Vec<String>) -> Result<(), EngineError> {
        for file in self.machine().kernel().own_files.iter() {
            let differences =
                file.differences().map_err(|source| EngineError::Kernel { operation: "comparing files", source })?;
            let name = file.file().name().escape_ascii();
            found.extend(differences.into_iter().map(|differs| match differs {
                Difference::Length => format!("length of {name}"),
                Difference::Mode => format!("mode of {name}"),
                Difference::Seals => format!("seals of {name}"),
                Difference::Bytes(at) => format!("{name} from {at:#x} on"),
            }));
        }
        Ok(())
    }

    fn compare_memory(&mut self, space: SpaceId, found: &mut Vec<String>) -> Result<(), EngineError> {
        let spans = self.machine().private_spans();
        let touched: SpanSet = self.machine_mut().executor.platform.touched(&spans)?.into_iter().collect();
        let image = self.snapshot().image(space)?;
        let Some(pristine) = self.snapshot().kernel().processes.find_space(space) else { return Ok(()) };
        let areas: Vec<Area> = pristine.areas().iter().filter(|area| !area.is_shared_file()).cloned().collect();
        for area in areas {
            for (part, content) in image.pieces(area.span) {
                // Zeroes may be a huge reservation: of those, only touched pages can have changed.
                let read: Vec<Span> = match content {
                    Content::Zero => touched.within(part).collect(),
                    Content::Bytes(..) | Content::File(..) => vec![part],
                };
                for span in read {
                    let mut at = span.start;
                    while at < span.end {
                        let chunk = Span { start: at, end: span.end.min(at + CHUNK) };
                        self.compare_chunk(chunk, part, content, found)?;
                        at = chunk.end;
                    }
                }
            }
        }
        Ok(())
    }

    fn compare_chunk(
        &self,
        chunk: Span,
        part: Span,
        content: Content<'_>,
        found: &mut Vec<String>,
    ) -> Result<(), EngineError> {
        let length = usize::try_from(chunk.len()).unwrap_or(0);
        let skipped = chunk.start - part.start;
        let mut own = vec![0; length];
        let mut expected = vec![0; length];
        match content {
            Content::Zero => {}
            Content::Bytes(bytes, _) => {
                let first = usize::try_from(skipped).unwrap_or(0);
                expected.copy_from_slice(&bytes[first..first + length]);
            }
            Content::File(file, offset) => {
                let file = self.snapshot().kernel().own_file(file);
                let mut done = 0;
                while done < length {
                    match rustix::io::pread(file, &mut expected[done..], offset + skipped + done as u64) {
                        Ok(0) => break,
                        Ok(got) => done += got,
                        Err(rustix::io::Errno::INTR) => {}
                        Err(error) => {
                            return Err(EngineError::Host { operation: "reading a mapped file", source: error.into() });
                        }
                    }
                }
                // Pages wholly behind the file's end cannot be read in the guest either.
                let end = done.next_multiple_of(4096).min(length);
                own.truncate(end);
                expected.truncate(end);
            }
        }
        if own.is_empty() {
            return Ok(());
        }
        if let Err(source) = self.machine().executor.platform.read_any(chunk.start, &mut own) {
            if chunk.len() == PAGE {
                // Unmapped, or behind the end of a file.
                found.push(format!("memory at {:#x}: {source}", chunk.start));
                return Ok(());
            }
            let middle = chunk.start + warmfork_abi::page_down(chunk.len() / 2);
            self.compare_chunk(Span { end: middle, ..chunk }, part, content, found)?;
            return self.compare_chunk(Span { start: middle, ..chunk }, part, content, found);
        }
        for (page, (own, expected)) in own.chunks(4096).zip(expected.chunks(4096)).enumerate() {
            if own != expected {
                found.push(format!("memory at {:#x}", chunk.start + page as u64 * PAGE));
            }
        }
        Ok(())
    }
}

/// The word of a vector state that says which of its parts are in use.
const PARTS_IN_USE: std::ops::Range<usize> = 512..520;

/// Whether two vector states hold the same values. A part in its initial state may be in use or not, as the CPU likes: it has its
/// initial bytes in either case.
fn are_equal_vectors(one: &[u8], other: &[u8]) -> bool {
    let (before, after) = (..PARTS_IN_USE.start, PARTS_IN_USE.end..);
    one.get(before) == other.get(before) && one.get(after.clone()) == other.get(after)
}
