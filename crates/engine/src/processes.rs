//! Several processes of one machine: makes the memory of a forked process, and replaces the program of one that calls execve.
//! `executor.rs` has the platforms that they run on.

use std::os::fd::AsFd;
use std::sync::Arc;

use warmfork_abi::{Errno, PAGE, page_up};
use warmfork_linux::call::ExecRequest;
use warmfork_linux::host::Host;
use warmfork_linux::ids::{Pid, SpaceId};
use warmfork_linux::process::RLIMIT_STACK;
use warmfork_linux::processes::{Executed, Forked};
use warmfork_linux::{Guest as _, Kernel, Tid};
use warmfork_loader::{DEFAULT_STACK, Loaded, ProgramFiles, Request};
use warmfork_memory::{AddressSpace, Backing, HostFile, Source, Span, SpanSet};
use warmfork_platform::{Mapping, Platform};

use crate::error::EngineError;
use crate::executor::NO_THREAD;
use crate::identity::{identity, name};
use crate::machine::Machine;
use crate::platform_guest::PlatformGuest;

impl Machine {
    /// Gives a new process its memory and lets its parent continue, with an error when there is no memory.
    pub(crate) fn finish_fork(&mut self, forked: Forked) {
        let pid = forked.pid;
        let mut child = match self.child_platform(pid) {
            Ok(child) => child,
            Err(error) => {
                log::warn!("a fork of the guest failed: {error}");
                self.guest.kernel.undo_fork(&mut self.guest.host, pid, forked.pidfd);
                self.executor.registers.rax = Errno::EAGAIN.as_result();
                return;
            }
        };
        let space = self.guest.kernel.processes.find(pid).map_or(SpaceId::default(), |process| process.space);
        for (address, platform) in [(forked.parent_tid, &mut self.executor.platform), (forked.child_tid, &mut child)] {
            if address != 0 {
                // Linux ignores a bad pointer here too: the process exists.
                let _ = PlatformGuest(platform.as_mut()).memory().write_u32(address, pid.cast_unsigned());
            }
        }
        self.executor.add(space, child, pid);
        self.executor.registers.rax = u64::from(pid.cast_unsigned());
    }

    /// The new process `pid`'s platform, with a copy of the current process's memory.
    fn child_platform(&mut self, pid: Pid) -> Result<Box<dyn Platform>, EngineError> {
        let mut child = match self.executor.platform.duplicate()? {
            Some(child) => child,
            None => self.copied_platform()?,
        };
        let wiped = self.guest.kernel.wipe_for_child(PlatformGuest(child.as_mut()).memory(), pid);
        wiped.map_err(|source| EngineError::Kernel { operation: "forking", source })?;
        Ok(child)
    }

    /// A new platform with the same mappings and a copy of the private pages, for platforms that cannot duplicate themselves.
    fn copied_platform(&mut self) -> Result<Box<dyn Platform>, EngineError> {
        const CHUNK: u64 = 256 * PAGE;
        let mut child = self.guest.kind.guest()?;
        let space = self.guest.kernel.space();
        let mappings = space.areas().iter().map(|area| Mapping {
            span: area.span,
            protection: area.protection,
            source: match &area.backing {
                Backing::Anonymous => Source::Anonymous,
                Backing::File { file, offset } => {
                    Source::File { fd: self.guest.clock.own_file(file).as_fd(), offset: *offset, shared: area.shared }
                }
            },
        });
        child.map_all(&mappings.collect::<Vec<_>>())?;
        let spans = self.private_spans();
        let mut filled: SpanSet = self.executor.platform.touched(&spans)?.into_iter().collect();
        for span in self.guest.kernel.space().imaged().iter() {
            filled.insert(span);
        }
        for area in self.guest.kernel.space().areas().iter().filter(|area| !area.is_shared_file()) {
            for span in filled.within(area.span) {
                for start in (span.start..span.end).step_by(usize::try_from(CHUNK).unwrap_or(1 << 20)) {
                    let chunk = Span { start, end: span.end.min(start + CHUNK) };
                    self.copy_pages(child.as_mut(), chunk)?;
                }
            }
        }
        child.set_fpu(&self.executor.platform.fpu()?)?;
        Ok(child)
    }

    /// Copies the pages of `span` to `child`.
    fn copy_pages(&self, child: &mut dyn Platform, span: Span) -> Result<(), EngineError> {
        let mut bytes = vec![0; usize::try_from(span.len()).unwrap_or(0)];
        self.executor
            .platform
            .read_any(span.start, &mut bytes)
            .map_err(EngineError::host("copying a guest's memory"))?;
        child.restore(&[(span, &bytes)])?;
        Ok(())
    }

    /// Replaces the program of the current process, or gives thread `tid` the error.
    pub(crate) fn execute(&mut self, tid: Tid, request: &ExecRequest) -> Result<(), EngineError> {
        let (platform, space, loaded) = match self.load_program(request) {
            Ok(program) => program,
            Err(errno) => {
                self.executor.registers.rax = errno.as_result();
                return Ok(());
            }
        };
        let program = Executed {
            space,
            registers: loaded.registers,
            executable: loaded.real_path,
            name: name(&request.path),
            arguments: loaded.argv,
            environment: request.environment.clone(),
            auxiliary_vector: loaded.auxv,
        };
        let mut guest = PlatformGuest(self.executor.platform.as_mut());
        let space = self.guest.kernel.execute(&mut self.guest.host, guest.memory(), tid, program);
        self.executor.add(space, platform, self.guest.kernel.process().pid);
        // The old program's FPU state is not to be stored.
        self.executor.loaded = NO_THREAD;
        self.executor.follow(&mut self.guest)
    }

    fn load_program(&mut self, request: &ExecRequest) -> Result<(Box<dyn Platform>, AddressSpace, Loaded), Errno> {
        let mut platform = self.guest.kind.guest().map_err(|error| {
            log::warn!("execve of the guest failed: {error}");
            Errno::EAGAIN
        })?;
        let old = self.guest.kernel.space();
        let layout = warmfork_memory::Layout::new(old.layout().top(), old.layout().reserved());
        let mut space = AddressSpace::new(layout, old.limits());
        let wanted = Request {
            identity: identity(),
            stack_size: stack_size(&self.guest.kernel),
            ..Request::new(&request.path, &request.arguments, &request.environment, self.guest.clock.file())
        };
        let mut files = GuestFiles { kernel: &mut self.guest.kernel, host: &mut self.guest.host };
        let mut guest = PlatformGuest(platform.as_mut());
        let loaded = warmfork_loader::load(&wanted, &mut files, &mut space, &mut guest).map_err(|error| {
            log::debug!("{error}");
            error.errno()
        })?;
        Ok((platform, space, loaded))
    }
}

/// The bytes of a new program's stack: RLIMIT_STACK, within bounds.
fn stack_size(kernel: &Kernel) -> u64 {
    const MIN_STACK: u64 = 256 << 10;
    const MAX_STACK: u64 = 1 << 30;
    let limit = kernel.process().limits[RLIMIT_STACK].soft;
    let wanted = if limit > MAX_STACK { DEFAULT_STACK } else { limit.max(MIN_STACK) };
    page_up(wanted).unwrap_or(DEFAULT_STACK).max(PAGE)
}

/// Opens programs and their interpreters as the guest may see them.
struct GuestFiles<'a> {
    kernel: &'a mut Kernel,
    host: &'a mut Host,
}

impl ProgramFiles for GuestFiles<'_> {
    fn open(&mut self, path: &[u8]) -> Result<Arc<HostFile>, Errno> {
        self.kernel.open_program(self.host, path, true)
    }
}
