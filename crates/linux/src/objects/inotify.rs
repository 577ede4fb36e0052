//! File events: inotify(7). The host's own watches, on files that the policy lets the guest read.
//!
//! Each machine has host instances of its own. Events that had come by the freeze are plain data in the snapshot. Its forks
//! begin to watch when they are made: the same files, under the same numbers.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::inotify::{IN_IGNORED, IN_MASK_ADD, IN_MASK_CREATE, IN_ONESHOT, INOTIFY_EVENT_SIZE};
use warmfork_memory::{HostFile, Origin};

use crate::edges::HostEdges;
use crate::events::Events;
use crate::host::errno;
use crate::metadata::magic_path;
use crate::objects::{Context, Kept, Operations};

/// Most entries of a directory among which a watched file that was renamed is looked for.
const MAX_ENTRIES: usize = 10_000;

/// Most files that one instance watches: each keeps a descriptor of the host.
const MAX_WATCHES: usize = 512;

/// A file that a guest watches.
#[derive(Clone, PartialEq, Debug)]
pub struct Inotify {
    host: Own,
    watches: Vec<WatchedFile>,
    next: i32,
    /// Events that have been taken from the host's instance and that the guest has not read, whole ones.
    queued: Vec<u8>,
    edges: HostEdges,
}

/// The host's instance of one machine. A snapshot has none. Any two are equal: watches and events are stored beside
/// it.
#[derive(Clone, Debug, Default)]
struct Own(Option<Instance>);

impl PartialEq for Own {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

#[derive(Clone, Debug)]
struct Instance {
    handle: Arc<HostFile>,
    /// The host's number of each watch, with the one that the guest knows; of those that were forgotten too, until the
    /// host has told.
    numbers: Vec<(i32, i32)>,
    /// The guest has changed its watches.
    changed: bool,
}

/// One watched file.
#[derive(Clone, PartialEq, Debug)]
struct WatchedFile {
    /// Its number, as the guest knows it.
    number: i32,
    place: WatchedPlace,
    mask: u32,
}

/// Where a watched file is found again. Not the file itself, which would live on when it has been deleted, so that nobody
/// would be told.
#[derive(Clone, PartialEq, Debug)]
pub struct WatchedPlace {
    /// Its directory (O_PATH).
    pub directory: Arc<HostFile>,
    /// Its name there; a dot for a directory that is itself a root of the policy.
    pub name: Vec<u8>,
    /// Its device and inode: another may have the name by now.
    pub file: (u64, u64),
}

impl WatchedPlace {
    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, &self.name[..], flags, Mode::empty()).map_err(errno)?;
        if identity(&file)? == self.file { Ok(file) } else { Err(Errno::ENOENT) }
    }

    /// Looks for the file's new name in its directory, when it has been renamed there.
    fn follow(&mut self) {
        if self.open().is_ok() {
            return;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let entries = rustix::fs::openat(&self.directory, ".", flags, Mode::empty()).and_then(rustix::fs::Dir::new);
        for entry in entries.into_iter().flatten().take(MAX_ENTRIES).flatten() {
            let found = Self { name: entry.file_name().to_bytes().to_vec(), ..self.clone() };
            if entry.ino() == self.file.1 && found.open().is_ok() {
                return *self = found;
            }
        }
    }
}

/// Device and inode of `file`.
///
/// # Errors
/// The host's.
pub fn identity(file: &OwnedFd) -> Result<(u64, u64), Errno> {
    let found = rustix::fs::fstat(file).map_err(errno)?;
    Ok((found.st_dev, found.st_ino))
}

impl Instance {
    fn new() -> Result<Self, Errno> {
        let handle = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(errno)?;
        let handle = HostFile::new(handle, Origin::Inotify);
        Ok(Self { handle, numbers: Vec::new(), changed: false })
    }

    /// One that watches the files of `watches`. A file that is gone has no events.
    fn watching(watches: &[WatchedFile]) -> Result<Self, Errno> {
        let mut instance = Self::new()?;
        for watch in watches {
            let flags = WatchFlags::from_bits_retain(watch.mask & !(IN_MASK_ADD | IN_MASK_CREATE));
            let added =
                watch.place.open().map(|file| inotify::add_watch(&instance.handle, magic_path(file.as_fd()), flags));
            if let Ok(Ok(host)) = added {
                instance.numbers.push((host, watch.number));
            }
        }
        Ok(instance)
    }

    /// Discards the events that have come. Returns whether it still watches everything that it did.
    fn discard(&self) -> bool {
        let mut bytes = vec![0; SETTLED];
        while let Ok(count @ 1..) = rustix::io::read(&self.handle, &mut bytes) {
            if events(&bytes[..count]).any(|event| word(event, 4) & IN_IGNORED != 0) {
                return false;
            }
        }
        true
    }

    /// How many bytes of events wait.
    fn waiting(&self) -> usize {
        let count = rustix::io::ioctl_fionread(&self.handle).unwrap_or(0);
        usize::try_from(count).unwrap_or(usize::MAX)
    }
}

impl Inotify {
    /// An instance that watches nothing.
    ///
    /// # Errors
    /// EMFILE when the host's user has too many.
    pub fn new() -> Result<Self, Errno> {
        Ok(Self {
            host: Own(Some(Instance::new()?)),
            watches: Vec::new(),
            next: 1,
            queued: Vec::new(),
            edges: HostEdges::default(),
        })
    }

    /// Begins to watch where the snapshot left off. Events between the freeze and now are not this fork's.
    ///
    /// # Errors
    /// EMFILE when the host's user has too many instances.
    fn watch_again(&mut self) -> Result<(), Errno> {
        self.edges.forget();
        if self.host.0.as_mut().is_none_or(|instance| instance.changed || !instance.discard()) {
            self.host = Own(Some(Instance::watching(&self.watches)?));
        }
        Ok(())
    }

    /// The host's instance; a new one where there was none to have when this machine was made.
    fn instance(&mut self) -> Result<&mut Instance, Errno> {
        match &mut self.host.0 {
            Some(instance) => Ok(instance),
            none => Ok(none.insert(Instance::watching(&self.watches)?)),
        }
    }

    /// Watches `file`, which is at `place`, for the events of `mask`. Returns the watch's number, which is that of an earlier
    /// watch of the same file.
    ///
    /// # Errors
    /// ENOSPC when there are too many, EEXIST with IN_MASK_CREATE; the host's.
    pub fn watch(&mut self, file: &OwnedFd, place: WatchedPlace, mask: u32) -> Result<i32, Errno> {
        if self.watches.len() >= MAX_WATCHES {
            return Err(Errno::ENOSPC);
        }
        let flags = WatchFlags::from_bits_retain(mask);
        let instance = self.instance()?;
        instance.changed = true;
        let host = inotify::add_watch(&instance.handle, magic_path(file.as_fd()), flags).map_err(errno)?;
        let known = instance.numbers.iter().find(|(known, _)| *known == host).map(|(_, number)| *number);
        if let Some(known) = self.watches.iter_mut().find(|watch| Some(watch.number) == known) {
            known.mask = if mask & IN_MASK_ADD != 0 { known.mask | mask } else { mask };
            return Ok(known.number);
        }
        let number = self.next;
        self.next = self.next.checked_add(1).ok_or(Errno::ENOSPC)?;
        self.instance()?.numbers.push((host, number));
        self.watches.push(WatchedFile { number, place, mask });
        Ok(number)
    }

    /// Ends watch `number`.
    ///
    /// # Errors
    /// EINVAL when there is none.
    pub fn forget(&mut self, number: i32) -> Result<(), Errno> {
        if !self.watches.iter().any(|watch| watch.number == number) {
            return Err(Errno::EINVAL);
        }
        self.watches.retain(|watch| watch.number != number);
        let instance = self.instance()?;
        instance.changed = true;
        // The host tells with IN_IGNORED, and then its number is forgotten here.
        match instance.numbers.iter().find(|(_, known)| *known == number) {
            Some((host, _)) => inotify::remove_watch(&instance.handle, *host).map_err(errno),
            None => {
                self.queue(&ended(number));
                Ok(())
            }
        }
    }

    /// Takes up to `most` bytes of events from the host; how many came.
    fn take(&mut self, most: usize) -> Result<usize, Errno> {
        let mut bytes = vec![0; most];
        let count = rustix::io::read(&self.instance()?.handle, &mut bytes).map_err(errno)?;
        let mut rest = &mut bytes[..count];
        while let Some((event, others)) = split(rest) {
            self.translate(event);
            let event = event.to_vec();
            self.queue(&event);
            rest = others;
        }
        Ok(count)
    }

    /// Gives `event` the number that the guest knows.
    fn translate(&mut self, event: &mut [u8]) {
        let (host, mask) = (word(event, 0).cast_signed(), word(event, 4));
        let Some(instance) = &mut self.host.0 else { return };
        let at = instance.numbers.iter().position(|(known, _)| *known == host);
        let number = at.map_or(-1, |at| instance.numbers[at].1);
        event[..4].copy_from_slice(&number.to_le_bytes());
        if let Some(at) = at.filter(|_| mask & IN_IGNORED != 0) {
            instance.numbers.remove(at);
            instance.changed = true;
            self.watches.retain(|watch| watch.number != number);
        }
    }

    /// Adds an event, unless it is the last one again: those the host counts as one too.
    fn queue(&mut self, event: &[u8]) {
        let last = events(&self.queued).last();
        if last != Some(event) {
            self.queued.extend_from_slice(event);
        }
    }
}

/// Bytes of events taken at a time.
const SETTLED: usize = 64 << 10;

/// So many bytes of events, at least, are kept over a freeze: as many as the host keeps by default, with short names.
const MAX_QUEUED: usize = 1 << 20;

/// The event with which watch `number` ends.
fn ended(number: i32) -> [u8; INOTIFY_EVENT_SIZE] {
    let mut event = [0; INOTIFY_EVENT_SIZE];
    event[..4].copy_from_slice(&number.to_le_bytes());
    event[4..8].copy_from_slice(&IN_IGNORED.to_le_bytes());
    event
}

fn word(event: &[u8], at: usize) -> u32 {
    event.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// The length of the first event of `bytes`, if there is a whole one.
fn length(bytes: &[u8]) -> Option<usize> {
    let name = usize::try_from(word(bytes, 12)).ok()?;
    let length = INOTIFY_EVENT_SIZE.checked_add(name)?;
    (bytes.len() >= length).then_some(length)
}

fn split(bytes: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let length = length(bytes)?;
    Some(bytes.split_at_mut(length))
}

/// The events in `bytes`.
fn events(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (event, rest) = bytes.split_at(length(bytes)?);
        bytes = rest;
        Some(event)
    })
}

impl Operations for Inotify {
    fn read(&mut self, _context: &mut Context<'_>, into: &mut [u8], _at: Option<u64>) -> Result<usize, Errno> {
        // As many as fit, those that were taken before first.
        let fitting = |queued: &[u8]| {
            let ends = events(queued).scan(0, |end, event| {
                *end += event.len();
                Some(*end)
            });
            ends.take_while(|end| *end <= into.len()).last().unwrap_or(0)
        };
        let mut count = fitting(&self.queued);
        if count == self.queued.len() {
            match self.take(into.len() - count) {
                Err(error) if count == 0 => return Err(error),
                _ => count = fitting(&self.queued),
            }
        }
        if count == 0 {
            return Err(Errno::EINVAL);
        }
        into[..count].copy_from_slice(&self.queued[..count]);
        self.queued.drain(..count);
        Ok(count)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        if !self.queued.is_empty() {
            return Events::IN | Events::RDNORM;
        }
        let interest = context.interest;
        match self.instance() {
            Ok(instance) => context.host.poll(&instance.handle, interest) & (Events::IN | Events::RDNORM),
            Err(_) => Events::ERR,
        }
    }

    fn edges(&mut self, context: &mut Context<'_>, _events: Events) -> u64 {
        let mut edges = self.edges;
        let Ok(instance) = self.instance() else { return 0 };
        let number = edges.number(context.host, &instance.handle);
        self.edges = edges;
        number
    }

    fn available(&mut self, _context: &mut Context<'_>) -> Result<usize, Errno> {
        Ok(self.queued.len() + self.instance()?.waiting())
    }

    fn link_text(&self) -> Vec<u8> {
        b"anon_inode:inotify".to_vec()
    }

    fn prepare_freeze(&mut self, context: &mut Context<'_>) {
        if let Some(instance) = &self.host.0 {
            self.edges.freeze(context.host, &instance.handle);
        }
        while let Ok(length) = self.take(SETTLED) {
            if length == 0 || self.queued.len() > MAX_QUEUED {
                break;
            }
        }
        self.watches.iter_mut().for_each(|watch| watch.place.follow());
    }

    /// A snapshot watches nothing.
    fn share(&mut self) {
        self.host = Own(None);
    }

    fn begin(&mut self) {
        if let Err(error) = self.watch_again() {
            // It is tried again when the guest uses it.
            log::warn!("a fork cannot watch files yet: {error}");
        }
    }

    fn take_kept(&mut self) -> Option<Kept> {
        Some(Box::new(self.host.0.take()?))
    }

    fn keep(&mut self, kept: Kept) {
        self.host = Own(kept.downcast().ok().map(|instance| *instance));
    }
}

/// The bits that a guest may set in a watch's mask.
pub const KNOWN: u32 = warmfork_abi::inotify::IN_ALL_EVENTS
    | warmfork_abi::inotify::IN_ONLYDIR
    | warmfork_abi::inotify::IN_DONT_FOLLOW
    | warmfork_abi::inotify::IN_EXCL_UNLINK
    | IN_MASK_CREATE
    | IN_MASK_ADD
    | IN_ONESHOT;
