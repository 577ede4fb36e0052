//! A frozen machine: an immutable memory image plus the kernel's plain data.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use warmfork_linux::gate::Accepted;
use warmfork_linux::gate::Offer;
use warmfork_linux::ids::{FIRST_PID, Pid, SpaceId};
use warmfork_linux::outside::{Outside, OutsideRules};
use warmfork_linux::{Kernel, Tid};
use warmfork_loader::vdso::MachineClock;
use warmfork_memory::image::{Image, ImageBuilder, SegmentSource};
use warmfork_memory::{Backing, HostFile, Source, Span};
use warmfork_platform::Mapping;

use crate::clock::FrozenAt;
use crate::error::EngineError;
use crate::fork::Fork;
use crate::machine::Machine;
use crate::platform_choice::SelectedPlatform;

/// The most bytes of a working set; a fork that has written to more is not typical.
const MAX_WORKING_SET: u64 = 16 << 20;

/// A frozen machine, shared by all its forks on all threads.
pub struct Snapshot {
    /// The platform of the machine, which its forks have too.
    pub(crate) platform: SelectedPlatform,
    /// The memory of each process, by address space.
    images: BTreeMap<SpaceId, FrozenSpace>,
    pub(crate) kernel: Kernel,
    /// The clocks at the freeze, from which its forks continue.
    pub(crate) frozen: FrozenAt,
    /// Its listening sockets.
    pub(crate) listeners: Arc<Vec<Arc<HostFile>>>,
    /// The connections to the outside that it had, and whether each is kept.
    outside: Vec<Outside>,
    /// The connection that it has accepted early. Each fork gets a connection of its own in its place.
    pub(crate) accepted: Option<Accepted>,
    /// Over each of its connections so far, the client has said something first: or it waits for that over the one that it has
    /// accepted early.
    pub(crate) clients_speak_first: bool,
    /// Connections that came before it was frozen, the last first. The lock is held briefly.
    waiting: Mutex<Vec<Offer>>,
    /// The pages that the last typical fork's first process has written to. The lock is held briefly.
    working_set: Mutex<Vec<Span>>,
}

/// One address space of a frozen machine.
struct FrozenSpace {
    image: Image,
    /// A process that has it.
    owner: Pid,
    /// The thread whose FPU state a platform with it has loaded.
    loaded: Tid,
}

/// The sizes of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotInfo {
    /// Mappings.
    pub areas: usize,
    /// Bytes that the image keeps in host memory.
    pub resident_bytes: u64,
    /// Bytes mapped.
    pub mapped_bytes: u64,
    /// Guest threads.
    pub threads: usize,
    /// Open descriptors.
    pub files: usize,
    /// Whether it has accepted a connection early, in whose place each fork gets its own.
    pub accepted: bool,
}

impl Snapshot {
    /// Freezes `machine`, which ends with it.
    ///
    /// # Errors
    /// [`EngineError::State`] when the program has ended; [`EngineError::Outside`] when it has connections that `outside`
    /// refuses; [`EngineError`] when its memory can't be read or stored.
    pub fn freeze(mut machine: Machine, outside: &OutsideRules) -> Result<Arc<Self>, EngineError> {
        let mut snapshot = Self::capture(&mut machine, None, outside)?;
        snapshot.kernel.own_files.let_go_of_memory();
        snapshot.keep_waiting(machine.take_waiting());
        snapshot.log_outside_connections();
        Ok(Arc::new(snapshot))
    }

    /// A snapshot of `machine`, which may go on: it keeps the connections that it holds for forks, and the connection that it has
    /// `accepted` early. Each fork gets a connection of its own in the place of that.
    pub(crate) fn capture(
        machine: &mut Machine,
        accepted: Option<Accepted>,
        rules: &OutsideRules,
    ) -> Result<Self, EngineError> {
        if machine.ended().is_some() {
            return Err(EngineError::State("freezing a program that has ended: freeze it while it runs"));
        }
        let mut images = BTreeMap::new();
        for pid in machine.guest.kernel.processes.pids() {
            machine.visit_process(pid)?;
            machine.executor.ensure_current(&mut machine.guest)?;
            machine.executor.save(&mut machine.guest)?;
            let space = machine.guest.kernel.process().space;
            if let Entry::Vacant(place) = images.entry(space) {
                let loaded = machine.executor.save_loaded(&mut machine.guest)?;
                place.insert(FrozenSpace { image: image_of(machine)?, owner: pid, loaded });
            }
        }
        machine.visit_process(FIRST_PID)?;
        // Another process with the same memory (vfork) may have loaded its state since.
        machine.executor.save(&mut machine.guest)?;
        machine.guest.kernel.settle_cpu_time(&mut machine.guest.host);
        machine.guest.kernel.settle_objects(&mut machine.guest.host);
        let failed = |source| EngineError::Kernel { operation: "freezing", source };
        let ahead = accepted.as_ref().map(|accepted| accepted.id);
        let (mut kernel, outside) = machine.guest.kernel.freeze(rules, ahead).map_err(failed)?;
        if rules.refuse && outside.iter().any(|connection| !connection.kept) {
            return Err(EngineError::Outside(outside));
        }
        kernel.seal_own_files().map_err(failed)?;
        if let Some(accepted) = &accepted {
            kernel.hang_up(accepted).map_err(failed)?;
        }
        for (space, frozen) in &images {
            let imaged =
                |segment: &&warmfork_memory::image::Segment| matches!(segment.source, SegmentSource::Memory { .. });
            let spans = frozen.image.segments().iter().filter(imaged).map(|segment| segment.span);
            if let Some(space) = kernel.processes.find_space_mut(*space) {
                space.set_imaged(spans);
                space.mark();
            }
        }
        let listeners = Arc::new(kernel.listeners());
        let (waiting, working_set) = (Mutex::default(), Mutex::default());
        let frozen = FrozenAt::now(&machine.guest.host);
        let platform = machine.guest.kind;
        let clients_speak_first = accepted.is_some() || machine.guest.host.gate.clients_speak_first();
        Ok(Self {
            platform,
            images,
            kernel,
            frozen,
            listeners,
            outside,
            accepted,
            clients_speak_first,
            waiting,
            working_set,
        })
    }

    /// Logs which connections to the outside are kept and which end.
    pub(crate) fn log_outside_connections(&self) {
        for connection in &self.outside {
            if connection.kept {
                log::warn!("all forks share the connection {connection}: what one leaves in it, another gets");
            } else {
                log::info!("the connection {connection} ends in each fork");
            }
        }
    }

    /// Keeps `waiting`, connections in the order in which they came, for forks to serve.
    pub(crate) fn keep_waiting(&mut self, mut waiting: Vec<Offer>) {
        waiting.retain(|offer| self.listeners.contains(&offer.listener));
        waiting.reverse();
        self.waiting = Mutex::new(waiting);
    }

    /// A connection that has waited since before the snapshot was made, for a fork to serve.
    pub(crate) fn take_waiting(&self) -> Option<Offer> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Whether such a connection waits.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The memory of address space `space`.
    pub(crate) fn image(&self, space: SpaceId) -> Result<&Image, EngineError> {
        self.images.get(&space).map(|frozen| &frozen.image).ok_or(EngineError::State("a snapshot lacks a memory image"))
    }

    /// Its address spaces, the first process's first: each with a process that has it and the thread that is loaded.
    pub(crate) fn spaces(&self) -> Vec<(SpaceId, Pid, Tid)> {
        let mut spaces: Vec<_> =
            self.images.iter().map(|(space, frozen)| (*space, frozen.owner, frozen.loaded)).collect();
        spaces.sort_by_key(|(_, owner, _)| *owner != FIRST_PID);
        spaces
    }

    /// A new fork, on the calling thread.
    ///
    /// # Errors
    /// The host's refusal of a process or its memory.
    pub fn fork(self: &Arc<Self>) -> Result<Fork, EngineError> {
        Fork::new(Arc::clone(self))
    }

    /// The connections to the outside that it had.
    #[must_use]
    pub fn outside(&self) -> &[Outside] {
        &self.outside
    }

    /// The platform that its forks run on.
    #[must_use]
    pub fn platform(&self) -> SelectedPlatform {
        self.platform
    }

    /// Notes that a fork has written to the `touched` pages, as other forks will; ignores a fork that has written to very many.
    pub(crate) fn learn_working_set(&self, touched: &[Span]) {
        if touched.iter().map(|span| span.len()).sum::<u64>() <= MAX_WORKING_SET {
            touched.clone_into(&mut self.working_set.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The pages that forks are expected to write to.
    pub(crate) fn working_set(&self) -> Vec<Span> {
        self.working_set.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The kernel state that every fork begins with.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Its sizes.
    #[must_use]
    pub fn info(&self) -> SnapshotInfo {
        let spaces = || self.kernel.processes.spaces().map(|space| space.areas());
        SnapshotInfo {
            areas: spaces().map(|areas| areas.iter().count()).sum(),
            resident_bytes: self.images.values().map(|frozen| frozen.image.resident_bytes()).sum(),
            mapped_bytes: spaces().map(warmfork_memory::AreaTree::mapped_bytes).sum(),
            threads: self.kernel.processes.thread_count(),
            files: self.kernel.process().descriptors.iter().count(),
            accepted: self.accepted.is_some(),
        }
    }

    /// The host mappings that make up `span` of address space `space` in a pristine fork, whose kernel is `own` and whose
    /// clock page is `clock`: where the snapshot has a memory file mapped shared, the fork has its own copy of it.
    pub(crate) fn mappings<'a>(
        &'a self,
        space: SpaceId,
        span: Span,
        own: &'a Kernel,
        clock: &'a MachineClock,
    ) -> Result<Vec<Mapping<'a>>, EngineError> {
        let image = self.image(space)?;
        let Some(pristine) = self.kernel.processes.find_space(space) else { return Ok(Vec::new()) };
        let mut mappings = Vec::new();
        for segment in image.segments() {
            let Some(part) = segment.span.intersection(span) else { continue };
            for area in pristine.areas().overlapping(part) {
                let Some(part) = area.span.intersection(part) else { continue };
                let skipped = part.start - segment.span.start;
                mappings.push(Mapping {
                    span: part,
                    protection: area.protection,
                    source: match &area.backing {
                        Backing::File { file, offset } if area.shared => Source::File {
                            fd: clock.own_file(own.own_file(file)).as_fd(),
                            offset: offset + (part.start - area.span.start),
                            shared: true,
                        },
                        _ => source(image, &segment.source, skipped, own),
                    },
                });
            }
        }
        Ok(join(mappings))
    }
}

/// The memory of the current process.
fn image_of(machine: &mut Machine) -> Result<Image, EngineError> {
    let spans = machine.private_spans();
    let touched = machine.executor.platform.touched(&spans)?;
    let mut builder = ImageBuilder::new()?;
    let platform = machine.executor.platform.as_ref();
    let mut read = |span: Span, into: &mut [u8]| platform.read_any(span.start, into);
    for area in machine.guest.kernel.space().areas().iter() {
        builder.area(area, within(&touched, area.span), &mut read)?;
    }
    Ok(builder.finish()?)
}

fn source<'a>(image: &'a Image, segment: &'a SegmentSource, skipped: u64, own: &'a Kernel) -> Source<'a> {
    match segment {
        SegmentSource::Memory { offset } => Source::File { fd: image.file(), offset: offset + skipped, shared: false },
        SegmentSource::File { file, offset } => {
            Source::File { fd: own.own_file(file).as_fd(), offset: offset + skipped, shared: false }
        }
        SegmentSource::Shared { file, offset } => {
            Source::File { fd: own.own_file(file).as_fd(), offset: offset + skipped, shared: true }
        }
        SegmentSource::Zero => Source::Anonymous,
    }
}

/// Joins neighbours that one mapping call can make.
fn join(mappings: Vec<Mapping<'_>>) -> Vec<Mapping<'_>> {
    use std::os::fd::AsRawFd;
    let mut joined: Vec<Mapping<'_>> = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        if let Some(last) = joined.last_mut() {
            let follows = last.span.end == mapping.span.start && last.protection == mapping.protection;
            let continues = match (last.source, mapping.source) {
                (Source::Anonymous, Source::Anonymous) => true,
                (
                    Source::File { fd: a, offset: first, shared: c },
                    Source::File { fd: b, offset: second, shared: d },
                ) => a.as_raw_fd() == b.as_raw_fd() && c == d && first + last.span.len() == second,
                _ => false,
            };
            if follows && continues {
                last.span.end = mapping.span.end;
                continue;
            }
        }
        joined.push(mapping);
    }
    joined
}

/// The part of the sorted `spans` that overlaps `span`.
fn within(spans: &[Span], span: Span) -> &[Span] {
    let first = spans.partition_point(|other| other.end <= span.start);
    let last = spans.partition_point(|other| other.start < span.end);
    &spans[first..last.max(first)]
}
