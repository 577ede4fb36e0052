//! Finds the parts of a fork's own files that it may have written to through mappings: a reset compares only those.
//!
//! A page that a process has touched through a shared mapping is in its page tables, and stays there: the host takes pages out
//! of them only when it swaps or joins them to huge ones, or with the mapping. So a fork, whose page tables began empty, has not
//! written to a page that is not in them. Pages that were only read are in them too, as are neighbours that the host maps.
//! Writes by descriptor are known otherwise ([`HostFile::take_used`](warmfork_memory::HostFile::take_used)).

use std::collections::BTreeMap;

use warmfork_abi::PAGE;
use warmfork_linux::own_files::MappedWrites;
use warmfork_memory::{Area, Backing, Inode, Span, SpanSet};

use crate::error::EngineError;
use crate::machine::Machine;
use crate::snapshot::Snapshot;

/// Pages looked at at a time.
const PAGES: usize = 4096;

/// The parts of its own files that the processes of `machine`, a fork of `snapshot` about to be reset, may have written to
/// through mappings.
pub(crate) fn mapped_writes(machine: &mut Machine, snapshot: &Snapshot) -> Result<MappedWrites, EngineError> {
    if machine.guest.kernel.own_files.is_empty() {
        return Ok(MappedWrites::Parts(BTreeMap::new()));
    }
    if machine.guest.kernel.has_made_spaces(&snapshot.kernel) || page_tables_may_shrink() {
        return Ok(MappedWrites::Anything);
    }
    let mut parts: BTreeMap<Inode, SpanSet> = BTreeMap::new();
    for (space, owner, _) in snapshot.spaces() {
        machine.visit_process(owner)?;
        let Some(pristine) = snapshot.kernel.processes.find_space(space) else { continue };
        for area in pristine.areas().iter().filter(|area| area.shared) {
            let Backing::File { file, offset } = &area.backing else { continue };
            if !machine.guest.kernel.own_files.contains(file) {
                continue;
            }
            let found = parts.entry(file.inode()).or_default();
            if machine.guest.kernel.space().changes().remapped().within(area.span).next().is_some() {
                return Ok(MappedWrites::Anything);
            }
            touched(machine, area, *offset, found);
        }
    }
    Ok(MappedWrites::Parts(parts))
}

/// Adds the pages of `area`, a mapping of a file from `offset` on, that are in the current process's page tables to `found`, as
/// spans of the file.
fn touched(machine: &Machine, area: &Area, offset: u64, found: &mut SpanSet) {
    let mut present = [0; PAGES];
    let mut at = area.span.start;
    while at < area.span.end {
        let chunk = Span { start: at, end: area.span.end.min(at + PAGES as u64 * PAGE) };
        let pages = &mut present[..usize::try_from(chunk.len() / PAGE).unwrap_or(PAGES)];
        machine.executor.platform.resident(chunk, pages);
        let mut first = offset + (at - area.span.start);
        for run in pages.chunk_by(|one, other| one == other) {
            let end = first + run.len() as u64 * PAGE;
            if run[0] & 1 != 0 {
                found.insert(Span { start: first, end });
            }
            first = end;
        }
        at = chunk.end;
    }
}

/// Whether the host may take pages that were written to out of page tables: it has somewhere to swap to, or may join pages of
/// shared memory to huge ones.
fn page_tables_may_shrink() -> bool {
    const HUGE: &str = "/sys/kernel/mm/transparent_hugepage";
    let is_one_of = |path: &str, wanted: &[&str]| match std::fs::read_to_string(path) {
        Ok(text) => wanted.iter().any(|wanted| text.contains(wanted)),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    // Its first line names the columns.
    let no_swap = std::fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() <= 1);
    !no_swap
        || !is_one_of(&format!("{HUGE}/shmem_enabled"), &["[never]", "[deny]"])
        || !is_one_of(&format!("{HUGE}/hugepages-2048kB/shmem_enabled"), &["[never]", "[inherit]"])
}
