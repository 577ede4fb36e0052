//! The state of one guest's kernel: plain data that clones (fork), compares (pristine check) and is assigned (reset).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::stat::S_IFREG;
use warmfork_memory::{AddressSpace, Area, Backing, HostFile, HostFileId, Inode, Origin};

use crate::assign::assign;
use crate::events::{DescriptionId, Events};
use crate::files::{Description, Files};
use crate::host::Host;
use crate::memory_file;
use crate::metadata::host_metadata;
use crate::objects::{Context, Kept, Object, Operations, Shared};
use crate::own_files::{MappedWrites, OwnFiles};
use crate::policy::Policy;
use crate::process::Process;
use crate::processes::ProcessTable;

pub use crate::signal::TaskSignals;

/// Everything a guest can observe of its kernel.
#[derive(Clone, PartialEq, Debug)]
pub struct Kernel {
    /// The processes, with their threads and memory.
    pub processes: ProcessTable,
    /// The open file descriptions of all processes.
    pub files: Files,
    /// State that several objects share: pipes, socket pairs.
    pub shared: Shared,
    /// The files and addresses that the guest may touch. Never changes.
    pub policy: Arc<Policy>,
    /// The files that a fork has in the place of its snapshot's.
    pub own_files: OwnFiles,
}

impl Kernel {
    /// A kernel with these processes and nothing else.
    #[must_use]
    pub fn new(processes: ProcessTable, policy: Arc<Policy>) -> Self {
        Self { processes, files: Files::default(), shared: Shared::default(), policy, own_files: OwnFiles::default() }
    }

    /// The current process: the one that runs, or whose system call is answered.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.processes.current()
    }

    /// As [`Kernel::process`], to change it.
    pub fn process_mut(&mut self) -> &mut Process {
        self.processes.current_mut()
    }

    /// The current process's mappings.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        self.processes.space()
    }

    /// As [`Kernel::space`], to change them.
    pub fn space_mut(&mut self) -> &mut AddressSpace {
        self.processes.space_mut()
    }

    /// Runs `operation` on the object behind `id`, with the context that the object may use.
    pub fn with_object<T>(
        &mut self,
        host: &mut Host,
        id: DescriptionId,
        operation: impl FnOnce(&mut dyn Operations, &mut Context<'_>) -> T,
    ) -> T {
        let (object, mut context) = self.object(host, id);
        let result = operation(object.operations(), &mut context);
        self.release_orphans(host);
        result
    }

    /// The object behind `id`, with the context that it may use. Call [`Kernel::release_orphans`] after operations
    /// that may give up descriptions.
    pub fn object<'a>(&'a mut self, host: &'a mut Host, id: DescriptionId) -> (&'a mut Object, Context<'a>) {
        let asking = self.process().credentials();
        let description = self.files.description_mut(id);
        let context = Context {
            shared: &mut self.shared,
            host,
            id,
            flags: description.flags,
            offset: &mut description.offset,
            asking,
            interest: Events::all(),
        };
        (&mut description.object, context)
    }

    /// As [`Kernel::with_object`], for a question about `interest`, which changes nothing that others wait for.
    pub(crate) fn with_interest<T>(
        &mut self,
        host: &mut Host,
        id: DescriptionId,
        interest: Events,
        operation: impl FnOnce(&mut dyn Operations, &mut Context<'_>) -> T,
    ) -> T {
        let asking = self.process().credentials();
        let description = self.files.unchanged_mut(id);
        let mut context = Context {
            shared: &mut self.shared,
            host,
            id,
            flags: description.flags,
            offset: &mut description.offset,
            asking,
            interest,
        };
        operation(description.object.operations(), &mut context)
    }

    /// Gives up one reference to description `id`; ends it when that was the last.
    pub fn release(&mut self, host: &mut Host, id: DescriptionId) {
        self.release_one(host, id);
        self.release_orphans(host);
    }

    fn release_one(&mut self, host: &mut Host, id: DescriptionId) {
        if let Some(mut description) = self.files.release(id) {
            let asking = self.process().credentials();
            host.gate.closed(id);
            let mut context = Context {
                shared: &mut self.shared,
                host,
                id,
                flags: description.flags,
                offset: &mut description.offset,
                asking,
                interest: Events::empty(),
            };
            description.object.operations().close(&mut context);
        }
    }

    /// Releases the descriptions that objects gave up; ending one may give up more. Sends the signals that terminals cause.
    pub fn release_orphans(&mut self, host: &mut Host) {
        while let Some(id) = self.shared.orphans.pop() {
            self.release_one(host, id);
        }
        self.send_notices();
    }

    /// Closes descriptor `fd`.
    ///
    /// # Errors
    /// EBADF when `fd` is not open.
    pub fn close(&mut self, host: &mut Host, fd: i32) -> Result<(), Errno> {
        let id = self.process_mut().descriptors.take(fd)?;
        self.release(host, id);
        Ok(())
    }

    /// When the next timer or timeout of any kind runs out, in monotonic nanoseconds.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let waits = self.processes.iter().filter_map(|process| process.tasks.next_deadline());
        let timers = self.processes.iter().filter_map(|process| process.timers.next_deadline());
        waits.chain(self.shared.timers.next()).chain(timers).min()
    }
}

impl Kernel {
    /// A copy for a snapshot. In its descriptors and behind its mappings, it has copies of memory files and of files without a
    /// name.
    ///
    /// # Errors
    /// The host's refusal to copy files (ENOMEM, EMFILE); ENOSPC when they hold more than the guest may map.
    pub(crate) fn copy(&self) -> Result<Self, Errno> {
        let mut copy = self.clone();
        copy.own_files = OwnFiles::of(self.files_to_copy()?.into_values())?;
        copy.put_own_files();
        Ok(copy)
    }

    /// A copy of a snapshot's kernel for a fork, with copies of the snapshot's own files. The caller maps those (see
    /// [`Kernel::own_file`]), and then calls [`Kernel::seal_own_files`].
    ///
    /// # Errors
    /// The host's refusal to copy files (ENOMEM, EMFILE).
    pub fn fork(&self) -> Result<Self, Errno> {
        let mut fork = self.clone();
        let all = self.open_files().chain(self.mapped_files().map(|(file, _)| file));
        let own: BTreeMap<_, _> =
            all.filter(|file| self.own_files.contains(file)).map(|file| (file.id(), file)).collect();
        fork.own_files = OwnFiles::of(own.into_values())?;
        fork.put_own_files();
        Ok(fork)
    }

    /// Takes from the host the state that a snapshot needs of objects, for it does not have their host side.
    pub fn settle_objects(&mut self, host: &mut Host) {
        let ids: Vec<_> = self.files.descriptions().map(|(id, _)| id).collect();
        for id in ids {
            let (object, mut context) = self.object(host, id);
            object.operations().prepare_freeze(&mut context);
        }
    }

    /// Has objects begin as they do in a fork that runs for the first time since it was made or reset.
    pub fn begin(&mut self) {
        self.files.objects_mut().for_each(|object| object.operations().begin());
    }

    /// The host's parts that objects keep over a reset.
    fn take_kept(&mut self) -> Vec<(DescriptionId, Kept)> {
        let kept = |(id, description): (_, &mut Description)| Some((id, description.object.operations().take_kept()?));
        self.files.descriptions_mut().filter_map(kept).collect()
    }

    /// Gives the objects of a fork that is reset the host's parts that they keep.
    fn keep(&mut self, all: Vec<(DescriptionId, Kept)>) {
        for (id, kept) in all {
            // If the snapshot does not have the object, dropping the kept part closes it.
            if self.files.find(id).is_some() {
                self.files.description_mut(id).object.operations().keep(kept);
            }
        }
    }

    /// The files that no fork may share with this machine: memory files, and files without a name that are open or mapped
    /// shared. Forks share files that have a name, as the policy says.
    fn files_to_copy(&self) -> Result<BTreeMap<HostFileId, &Arc<HostFile>>, Errno> {
        let shared = self.mapped_files().filter(|(_, area)| area.shared).map(|(file, _)| file);
        // Not the clock page, nor the library that reads it: each machine has its own anyway.
        let guests = |file: &&Arc<HostFile>| matches!(file.origin(), Origin::Opened { .. } | Origin::Memory { .. });
        let open = self.open_files().chain(shared).filter(guests);
        let open: BTreeMap<_, _> = open.map(|file| (file.id(), file)).collect();
        let mut inodes = BTreeSet::new();
        let mut bytes = 0_u64;
        for file in open.values() {
            let metadata = host_metadata(file.to_look())?;
            let private = metadata.links == 0 && metadata.file_type() == S_IFREG;
            if private && inodes.insert(file.inode()) {
                bytes = bytes.saturating_add(metadata.blocks.saturating_mul(512));
            }
        }
        if bytes > self.space().limits().accessible_bytes {
            return Err(Errno::ENOSPC);
        }
        // Private mappings of the same file show later writes to it.
        let all = open.into_values().chain(self.mapped_files().map(|(file, _)| file));
        Ok(all.filter(|file| inodes.contains(&file.inode())).map(|file| (file.id(), file)).collect())
    }

    /// The regular files and memory files of the host that are open, or have a name in /dev/shm.
    fn open_files(&self) -> impl Iterator<Item = &Arc<HostFile>> {
        self.files.objects().filter_map(Object::file).chain(self.shared.memory.files())
    }

    /// The files of the host that are mapped, each with a mapping of it.
    fn mapped_files(&self) -> impl Iterator<Item = (&Arc<HostFile>, &Area)> {
        let areas = self.processes.spaces().flat_map(|space| space.areas().iter());
        areas.filter_map(|area| match &area.backing {
            Backing::File { file, .. } => Some((file, area)),
            Backing::Anonymous => None,
        })
    }

    /// Puts its own file in the place of each that it has a copy of.
    fn put_own_files(&mut self) {
        if self.own_files.is_empty() {
            return;
        }
        let own = std::mem::take(&mut self.own_files);
        let objects = self.files.objects_mut().filter_map(Object::file_mut);
        for file in objects.chain(self.shared.memory.files_mut()) {
            if let Some(copy) = own.other(file) {
                *file = Arc::clone(copy);
            }
        }
        for space in self.processes.spaces_mut() {
            space.replace_files(|file| own.other(file).cloned());
        }
        self.own_files = own;
    }

    /// Gives its own files the seals that they have in the snapshot: call it when they are mapped, for some seals are against
    /// that. From now on every call with their descriptors counts as use.
    ///
    /// # Errors
    /// The host's.
    pub fn seal_own_files(&self) -> Result<(), Errno> {
        self.own_files.seal()
    }

    /// Puts its own files back to the snapshot's state. A file that cannot be put back is made anew; those are returned: map
    /// them anew, and then call [`Kernel::seal_own_files`] and [`Kernel::reset_from`]. `written` has the parts that may have
    /// been written to through mappings.
    ///
    /// # Errors
    /// As [`Kernel::fork`].
    pub fn restore_own_files(&mut self, written: &MappedWrites) -> Result<Vec<HostFileId>, Errno> {
        self.own_files.restore(written)
    }

    /// Whether there have been other address spaces since this was `snapshot`.
    #[must_use]
    pub fn has_made_spaces(&self, snapshot: &Self) -> bool {
        self.processes.next_space() != snapshot.processes.next_space()
    }

    /// This machine's own copy of `file`, or `file` if it has none.
    #[must_use]
    pub fn own_file<'a>(&'a self, file: &'a Arc<HostFile>) -> &'a Arc<HostFile> {
        self.own_files.other(file).unwrap_or(file)
    }

    /// Whether the bytes of `file` are memory of the machine's own.
    #[must_use]
    pub fn is_in_memory(&self, file: &HostFile) -> bool {
        matches!(file.origin(), Origin::Memory { .. }) || self.own_files.contains(file)
    }

    /// The open files whose bytes are memory of the machine's own, each once.
    pub(crate) fn open_files_in_memory(&self) -> BTreeMap<Inode, &Arc<HostFile>> {
        self.open_files().filter(|file| self.is_in_memory(file)).map(|file| (file.inode(), file)).collect()
    }

    /// Bytes of host memory in the guest's files that are in memory, open or only mapped; and how many of them its snapshot
    /// has not.
    #[must_use]
    pub fn memory_file_bytes(&self) -> (u64, u64) {
        let mapped = self.mapped_files().map(|(file, _)| file).filter(|file| self.is_in_memory(file));
        let mut all = self.open_files_in_memory();
        all.extend(mapped.map(|file| (file.inode(), file)));
        let bytes = |file: &HostFile| memory_file::resident_bytes(file).unwrap_or(0);
        all.values().fold((0, 0), |(sum, more), file| {
            let before = self.own_files.original(file).map_or(0, |original| bytes(original));
            (sum + bytes(file), more + bytes(file).saturating_sub(before))
        })
    }

    /// Assigns `snapshot` to this kernel, except for the content of its own files. Most parts are still the same, and are
    /// left alone.
    pub fn reset_from(&mut self, snapshot: &Self) {
        let kept = self.take_kept();
        let Self { processes, files, shared, policy: _, own_files: _ } = self;
        processes.assign(&snapshot.processes);
        files.assign(&snapshot.files);
        assign(shared, &snapshot.shared);
        self.put_own_files();
        self.keep(kept);
    }

    /// The host's sockets behind the guest's listening ones, each once.
    #[must_use]
    pub fn listeners(&self) -> Vec<Arc<HostFile>> {
        let mut found: Vec<Arc<HostFile>> = Vec::new();
        for (_, description) in self.files.descriptions() {
            if let Object::Socket(socket) = &description.object
                && socket.listening()
                && !found.contains(socket.handle())
            {
                found.push(socket.handle().clone());
            }
        }
        found
    }
}
