//! A machine made from a snapshot, and its way back to the snapshot's exact state.
//!
//! ```text
//!   reset:  1. mappings that changed (space.changes) are made again, protections put back
//!           2. every page that the fork has privately touched is rewritten from the image - mappings, page tables
//!              and TLB stay as they are, so the next request takes no fault - or, above a limit, dropped; pages that
//!              requests leave alone after all are given back (trim.rs)
//!              (1 and 2, and the FPU state, for each process of the snapshot; other processes' memory is dropped first)
//!           3. the kernel's plain data is assigned, registers are loaded; clocks stand still until it runs
//! ```
//!
//! If a process of the snapshot has ended or runs another program, or the host refuses a call, the fork is rebuilt instead: it
//! gets new platforms, mapped as a new fork's are. Its handles stay valid.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use warmfork_linux::gate::{Gate, Offer};
use warmfork_linux::host::Host;
use warmfork_linux::ids::{Pid, SpaceId};
use warmfork_linux::{Kernel, Tid};
use warmfork_loader::vdso::MachineClock;
use warmfork_memory::image::{Content, Image};
use warmfork_memory::{Area, Backing, HostFile, HostFileId, Span, SpanSet};
use warmfork_platform::{Platform, Pristine};

use crate::error::EngineError;
use crate::executor::NO_THREAD;
use crate::goal::{Goal, Outcome, RunLimits};
use crate::guest::Guest;
use crate::machine::Machine;
use crate::mapped_writes::mapped_writes;
use crate::snapshot::Snapshot;
use crate::trim;

/// How a reset was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetKind {
    /// Touched pages were rewritten in place.
    Rewritten,
    /// Private pages were dropped, because there were too many to rewrite.
    Dropped,
    /// The fork could not be put back: it got new platforms.
    Rebuilt,
}

/// Counters of a fork's resets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ResetCounters {
    /// Resets that rewrote pages.
    pub rewritten: u64,
    /// Resets that dropped pages.
    pub dropped: u64,
    /// Resets that rebuilt the fork.
    pub rebuilt: u64,
    /// Pages rewritten in all.
    pub pages: u64,
}

/// Above this many touched bytes a reset drops pages instead of rewriting them.
pub const DEFAULT_REWRITE_LIMIT: u64 = 128 << 20;

/// A pristine fork that no thread runs: it may go to another thread, which makes it its own.
pub struct DetachedFork {
    guest: Guest,
    snapshot: Arc<Snapshot>,
    rewrite_limit: u64,
    resets: ResetCounters,
}

impl DetachedFork {
    /// Makes it a fork of the calling thread: with new platforms, and with its host side and handles as before.
    ///
    /// # Errors
    /// The host's refusal of a process or its memory.
    pub fn attach(self) -> Result<Fork, EngineError> {
        let Self { mut guest, snapshot, rewrite_limit, resets } = self;
        let Parts { kernel, platform, others } = Parts::of(&snapshot, &guest.clock)?;
        guest.kernel = kernel;
        let machine = Machine::of(guest, platform);
        let mut fork = Fork { machine, snapshot, plans: BTreeMap::new(), rewrite_limit, resets };
        fork.begin(others)?;
        Ok(fork)
    }
}

/// One pristine copy of a frozen machine at a time.
pub struct Fork {
    machine: Machine,
    snapshot: Arc<Snapshot>,
    /// The last reset's plan of each address space.
    plans: BTreeMap<SpaceId, Plan>,
    /// Above this many touched bytes, private pages are dropped and not rewritten.
    pub rewrite_limit: u64,
    /// Counters of its resets.
    pub resets: ResetCounters,
}

impl Fork {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Result<Self, EngineError> {
        let clock = MachineClock::new()?;
        let Parts { kernel, platform, others } = Parts::of(&snapshot, &clock)?;
        let host = Host::new().map_err(|error| EngineError::Kernel { operation: "forking", source: errno(error) })?;
        let machine = Machine::new(snapshot.platform, platform, kernel, host, clock);
        let (plans, resets) = (BTreeMap::new(), ResetCounters::default());
        let mut fork = Self { machine, snapshot, plans, rewrite_limit: DEFAULT_REWRITE_LIMIT, resets };
        fork.begin(others)?;
        Ok(fork)
    }

    /// Adds the platforms of the `others` to the machine, whose first process has its own, and loads each platform's FPU state.
    fn begin(&mut self, others: Vec<(SpaceId, Box<dyn Platform>)>) -> Result<(), EngineError> {
        self.machine.guest.frozen = Some(self.snapshot.frozen);
        for (space, platform) in others {
            self.machine.executor.add(space, platform, NO_THREAD);
        }
        for (space, _, loaded) in self.snapshot.spaces() {
            self.machine.executor.load_fpu(&self.snapshot.kernel, space, loaded)?;
        }
        Ok(())
    }

    /// Takes the page faults of the pages that forks of this snapshot usually write to, so that the first run takes none for them.
    ///
    /// # Errors
    /// The platform's failure: throw the fork away then.
    pub fn prepare(&mut self) -> Result<(), EngineError> {
        let pages = self.snapshot.working_set();
        Ok(self.machine.executor.platform.prepare(&pages)?)
    }

    /// Detaches a pristine fork from this thread; another thread can [`DetachedFork::attach`] it.
    ///
    /// # Errors
    /// [`EngineError::State`] when it has run since it was made or reset: its memory stays with this thread.
    pub fn detach(self) -> Result<DetachedFork, EngineError> {
        let Self { machine, snapshot, rewrite_limit, resets, .. } = self;
        if machine.guest.frozen.is_none() {
            return Err(EngineError::State("moving a fork that has run: reset it first"));
        }
        Ok(DetachedFork { guest: machine.into_guest(), snapshot, rewrite_limit, resets })
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine, to run or change it.
    pub fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Its snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Hands `connection` to the guest, as one that came to its listening socket `listener`. It is the only one that the guest can
    /// accept until the next reset; if the snapshot has accepted early, the guest has accepted it already. The next run ends as
    /// [`Outcome::Served`] when the guest closes it or shuts it down.
    pub fn offer(&mut self, listener: Arc<HostFile>, connection: OwnedFd) {
        self.take(Offer { listener, connection: HostFile::socket(connection), peer: None });
    }

    /// The same with a connection that is an offer already.
    pub(crate) fn take(&mut self, offer: Offer) {
        let Guest { kernel, host, frozen, .. } = &mut self.machine.guest;
        let listeners = Arc::clone(&self.snapshot.listeners);
        let gate = match &self.snapshot.accepted {
            // A fork that has run has seen that its accepted connection has no peer.
            Some(accepted) if frozen.is_some() && kernel.connect_accepted(host, accepted, &offer) => {
                Gate::serving(listeners, accepted.id)
            }
            _ => Gate::offering(listeners, offer),
        };
        host.gate = gate;
    }

    /// Lets the guest accept connections from the snapshot's listening sockets, and counts them.
    pub fn open(&mut self) {
        let waiting = std::iter::from_fn(|| self.snapshot.take_waiting()).collect();
        self.machine.guest.host.gate = Gate::open(Arc::clone(&self.snapshot.listeners), waiting);
    }

    /// Hides further connections from the guest. The next run ends as [`Outcome::Served`] when it has ended those that
    /// it has.
    pub fn shut(&mut self) {
        self.machine.guest.host.gate.shut();
    }

    /// Runs the fork; see [`Machine::run`].
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn run(&mut self, goal: Goal<'_>, limits: RunLimits) -> Result<Outcome, EngineError> {
        self.machine.run(goal, limits)
    }

    /// Returns the fork to the snapshot's state.
    ///
    /// # Errors
    /// [`EngineError`] when the host refuses the resources of a new fork: throw the fork away then.
    pub fn reset(&mut self) -> Result<ResetKind, EngineError> {
        let spaces = self.snapshot.spaces();
        let whole = self.machine.executor.keep_only(&mut self.machine.guest, &spaces);
        match whole.and_then(|whole| whole.then(|| self.rewind(&spaces)).transpose()) {
            Ok(Some(kind)) => return Ok(kind),
            Ok(None) => {}
            Err(error) => log::warn!("a fork cannot be put back and is made anew: {error}"),
        }
        self.rebuild()?;
        self.resets.rebuilt += 1;
        Ok(ResetKind::Rebuilt)
    }

    /// Gives the fork new platforms. Its host side stays, because handles refer to it.
    fn rebuild(&mut self) -> Result<(), EngineError> {
        let Parts { kernel, platform, others } = Parts::of(&self.snapshot, &self.machine.guest.clock)?;
        self.machine.replace(platform, kernel);
        self.plans.clear();
        self.begin(others)?;
        self.prepare()
    }

    /// Returns the fork to the snapshot's state on its present platforms.
    fn rewind(&mut self, spaces: &[(SpaceId, Pid, Tid)]) -> Result<ResetKind, EngineError> {
        let resetting = |source| EngineError::Kernel { operation: "resetting", source };
        let written = mapped_writes(&mut self.machine, &self.snapshot)?;
        let anew = self.machine.guest.kernel.restore_own_files(&written).map_err(resetting)?;
        let mut pages = Some(0);
        // The first process comes last and stays the current one: a visit may load another thread's FPU state.
        for &(space, owner, loaded) in spaces.iter().rev() {
            self.machine.visit_process(owner)?;
            self.restore_mappings(space, &anew)?;
            let rewritten = self.restore_pages(space, loaded)?;
            pages = pages.zip(rewritten).map(|(all, more)| all + more);
        }
        self.machine.guest.kernel.seal_own_files().map_err(resetting)?;
        self.machine.reset_kernel(&self.snapshot.kernel);
        for &(space, _, loaded) in spaces {
            self.machine.executor.has_loaded(space, loaded);
        }
        self.machine.guest.frozen = Some(self.snapshot.frozen);
        let Some(pages) = pages else {
            self.resets.dropped += 1;
            return Ok(ResetKind::Dropped);
        };
        self.resets.rewritten += 1;
        self.resets.pages += pages;
        Ok(ResetKind::Rewritten)
    }

    /// Undoes every mapping call of the current process, which has `id`'s memory, since the snapshot, and maps the files in
    /// `anew`, which are others now.
    fn restore_mappings(&mut self, id: SpaceId, anew: &[HostFileId]) -> Result<(), EngineError> {
        let space = self.machine.guest.kernel.space();
        if space.changes().is_empty() && anew.is_empty() {
            return Ok(());
        }
        let pristine = self
            .snapshot
            .kernel
            .processes
            .find_space(id)
            .ok_or(EngineError::State("a snapshot lacks a process"))?
            .areas();
        let mut remapped = space.changes().remapped().clone();
        let of_others = |area: &&Area| matches!(&area.backing, Backing::File { file, .. } if anew.contains(&file.id()));
        pristine.iter().filter(of_others).for_each(|area| remapped.insert(area.span));
        let remapped: Vec<Span> = remapped.iter().collect();
        let mut reprotected = Vec::new();
        for span in space.changes().protected().iter() {
            for area in pristine.overlapping(span) {
                let part = area.span.intersection(span);
                reprotected.extend(part.map(|part| (part, area.protection)));
            }
        }
        let platform = self.machine.executor.platform.as_mut();
        for &span in &remapped {
            // Present mappings are removed where the snapshot has none; elsewhere the new mapping replaces them.
            let mut gone = SpanSet::default();
            for area in self.machine.guest.kernel.space().areas().overlapping(span) {
                gone.insert(area.span.intersection(span).unwrap_or(area.span));
            }
            for area in pristine.overlapping(span) {
                gone.remove(area.span);
            }
            for span in gone.iter() {
                platform.unmap(span).map_err(map_error)?;
            }
            platform.map_all(&self.snapshot.mappings(
                id,
                span,
                &self.machine.guest.kernel,
                &self.machine.guest.clock,
            )?)?;
        }
        for (span, protection) in reprotected {
            platform.protect(span, protection).map_err(map_error)?;
        }
        Ok(())
    }

    /// Restores every private page of the current process, which has `id`'s memory, from the image, and the FPU state of thread
    /// `loaded`. Returns how many pages were rewritten; `None` when they were dropped.
    fn restore_pages(&mut self, id: SpaceId, loaded: Tid) -> Result<Option<u64>, EngineError> {
        let vectors = self.snapshot.kernel.processes.fpu_of(loaded);
        let spans = self.machine.private_spans();
        let platform = self.machine.executor.platform.as_mut();
        let touched = platform.touched(&spans)?;
        let image = self.snapshot.image(id)?;
        if touched.iter().map(|span| span.len()).sum::<u64>() > self.rewrite_limit {
            platform.discard_all(&touched)?;
            platform.put_back(image.all_bytes(), &[], vectors)?;
            return Ok(None);
        }
        let plan = self.plans.entry(id).or_default();
        if touched != plan.touched {
            if id == self.snapshot.kernel.process().space {
                self.snapshot.learn_working_set(&touched);
            }
            *plan = Plan { given_back: std::mem::take(&mut plan.given_back), ..Plan::new(image, touched) };
        }
        let settled;
        let plan = if trim::is_due(self.resets.rewritten) {
            settled = plan.settled(platform, image).map_err(EngineError::host("reading the guest's memory"))?;
            &settled
        } else {
            &*plan
        };
        platform.discard_all(&plan.returned)?;
        platform.put_back(image.all_bytes(), &plan.pages, vectors)?;
        Ok(Some(plan.pages.iter().map(|(span, _)| span.len()).sum::<u64>() / warmfork_abi::PAGE))
    }
}

/// The parts of a new fork.
struct Parts {
    kernel: Kernel,
    /// The first process's.
    platform: Box<dyn Platform>,
    /// The other processes', by address space.
    others: Vec<(SpaceId, Box<dyn Platform>)>,
}

impl Parts {
    /// The parts of a fork of `snapshot` that has `clock`.
    fn of(snapshot: &Snapshot, clock: &MachineClock) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Kernel { operation: "forking", source };
        let mut kernel = snapshot.kernel.fork().map_err(failed)?;
        // It begins again when it runs; this call makes the host's resources for that now.
        kernel.begin();
        let mut platforms = Vec::new();
        for (space, ..) in snapshot.spaces() {
            let mut platform = snapshot.platform.guest()?;
            let everything = Span { start: 0, end: kernel.space().layout().top() };
            platform.map_all(&snapshot.mappings(space, everything, &kernel, clock)?)?;
            let image = snapshot.image(space)?;
            platform.set_image(image.file(), image.all_bytes().len() as u64)?;
            platforms.push((space, platform));
        }
        kernel.seal_own_files().map_err(failed)?;
        let mut platforms = platforms.into_iter();
        let (_, platform) = platforms.next().ok_or(EngineError::State("a snapshot has no process"))?;
        Ok(Self { kernel, platform, others: platforms.collect() })
    }
}

/// How to put back a set of touched pages. It seldom changes from one reset to the next.
#[derive(Default)]
struct Plan {
    touched: Vec<Span>,
    /// Rewritten from the image.
    pages: Vec<(Span, Pristine)>,
    /// Dropped, which brings back the image's or the file's own pages.
    returned: Vec<Span>,
    /// Dropped once already, because requests seemed to leave them unchanged.
    given_back: SpanSet,
}

impl Plan {
    fn new(image: &Image, touched: Vec<Span>) -> Self {
        let mut plan = Self::default();
        for (span, content) in touched.iter().flat_map(|&span| image.pieces(span)) {
            match content {
                Content::Bytes(_, offset) => plan.pages.push((span, Pristine::Image(offset))),
                Content::Zero => plan.pages.push((span, Pristine::Zero)),
                Content::File(..) => plan.returned.push(span),
            }
        }
        plan.touched = touched;
        plan
    }

    /// A plan for one reset that also drops the pages that have not changed, each page once.
    fn settled(&mut self, platform: &dyn Platform, image: &Image) -> std::io::Result<Self> {
        let (mut same, mut changed) = (Vec::new(), Vec::new());
        for &(span, pristine) in &self.pages {
            trim::sort(platform, image.all_bytes(), span, pristine, &self.given_back, &mut same, &mut changed)?;
        }
        same.iter().for_each(|&span| self.given_back.insert(span));
        same.extend(&self.returned);
        Ok(Self { pages: changed, returned: same, ..Self::default() })
    }
}

fn map_error(error: warmfork_memory::MapError) -> EngineError {
    EngineError::Host { operation: "undoing a guest's mappings", source: error.source }
}

fn errno(error: rustix::io::Errno) -> warmfork_abi::Errno {
    warmfork_abi::Errno(error.raw_os_error())
}
