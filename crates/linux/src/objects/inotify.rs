//! File events: inotify(7). The host's own watches, on files that the policy lets the guest read.
//!
//! The host has an instance once, so a fork makes one of its own when it first uses the one that it has from its snapshot:
//! it watches the same files, under the same numbers, and begins with no events.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};
use warmfork_abi::Errno;
use warmfork_abi::inotify::{IN_IGNORED, IN_MASK_ADD, IN_MASK_CREATE, IN_ONESHOT, INOTIFY_EVENT_SIZE};
use warmfork_memory::{HostFile, Origin};

use crate::files::Events;
use crate::objects::{Context, Operations};
use crate::poller::errno;
use crate::syscalls::metadata::magic_path;

/// Most files that one instance watches: each keeps a descriptor of the host.
const MOST_WATCHES: usize = 512;

/// What a guest watches.
#[derive(Clone, PartialEq, Debug)]
pub struct Inotify {
    handle: Arc<HostFile>,
    watches: Vec<Watch>,
    next: i32,
    /// It is its snapshot's, too.
    shared: bool,
}

/// One watched file.
#[derive(Clone, PartialEq, Debug)]
struct Watch {
    /// Its number, as the guest knows it.
    number: i32,
    /// Its number in the host's instance.
    host: i32,
    place: WatchedPlace,
    mask: u32,
}

/// Where a watched file is found again. Not the file itself, which would live on when it has been deleted, so that nobody
/// would be told.
#[derive(Clone, PartialEq, Debug)]
pub struct WatchedPlace {
    /// Its directory (O_PATH).
    pub directory: Arc<HostFile>,
    /// Its name there; a dot for a directory that is the root of what the guest may see.
    pub name: Vec<u8>,
}

impl WatchedPlace {
    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, &self.name[..], flags, Mode::empty()).map_err(errno)
    }
}

fn instance() -> Result<Arc<HostFile>, Errno> {
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(errno)?;
    Ok(HostFile::new(fd, Origin::Inotify))
}

impl Inotify {
    /// An instance that watches nothing.
    ///
    /// # Errors
    /// EMFILE when the host's user has too many.
    pub fn new() -> Result<Self, Errno> {
        Ok(Self { handle: instance()?, watches: Vec::new(), next: 1, shared: false })
    }

    /// From now on the host's instance is one that forks share.
    pub fn share(&mut self) {
        self.shared = true;
    }

    /// Makes a host instance of its own in the place of one that forks share.
    fn own(&mut self) -> Result<(), Errno> {
        if !self.shared {
            return Ok(());
        }
        let own = instance()?;
        for watch in &mut self.watches {
            let flags = WatchFlags::from_bits_retain(watch.mask & !(IN_MASK_ADD | IN_MASK_CREATE));
            // A file that cannot be watched any more has no events.
            let file = watch.place.open();
            let added = file.map(|file| inotify::add_watch(&own, magic_path(file.as_fd()), flags));
            watch.host = added.map_or(-1, |added| added.unwrap_or(-1));
        }
        self.handle = own;
        self.shared = false;
        Ok(())
    }

    /// Watches `file`, which is at `place`, for what `mask` says; the watch's number, which is that of an earlier watch of the same file.
    ///
    /// # Errors
    /// ENOSPC when there are too many, EEXIST with IN_MASK_CREATE; the host's.
    pub fn watch(&mut self, file: &OwnedFd, place: WatchedPlace, mask: u32) -> Result<i32, Errno> {
        self.own()?;
        if self.watches.len() >= MOST_WATCHES {
            return Err(Errno::ENOSPC);
        }
        let flags = WatchFlags::from_bits_retain(mask);
        let host = inotify::add_watch(&self.handle, magic_path(file.as_fd()), flags).map_err(errno)?;
        if let Some(known) = self.watches.iter_mut().find(|watch| watch.host == host) {
            known.mask = if mask & IN_MASK_ADD != 0 { known.mask | mask } else { mask };
            return Ok(known.number);
        }
        let number = self.next;
        self.next = self.next.checked_add(1).ok_or(Errno::ENOSPC)?;
        self.watches.push(Watch { number, host, place, mask });
        Ok(number)
    }

    /// Ends watch `number`.
    ///
    /// # Errors
    /// EINVAL when there is none.
    pub fn forget(&mut self, number: i32) -> Result<(), Errno> {
        self.own()?;
        let watch = self.watches.iter().find(|watch| watch.number == number).ok_or(Errno::EINVAL)?;
        // The host tells with IN_IGNORED, and then it is forgotten here.
        inotify::remove_watch(&self.handle, watch.host).map_err(errno)
    }

    /// Gives the events in `bytes` the numbers that the guest knows.
    fn translate(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while rest.len() >= INOTIFY_EVENT_SIZE {
            let word = |at: usize| [rest[at], rest[at + 1], rest[at + 2], rest[at + 3]];
            let (host, mask) = (i32::from_le_bytes(word(0)), u32::from_le_bytes(word(4)));
            let length = usize::try_from(u32::from_le_bytes(word(12))).unwrap_or(usize::MAX);
            let watch = self.watches.iter().position(|watch| watch.host == host);
            let number = watch.map_or(-1, |at| self.watches[at].number);
            rest[..4].copy_from_slice(&number.to_le_bytes());
            if let Some(at) = watch.filter(|_| mask & IN_IGNORED != 0) {
                self.watches.remove(at);
            }
            let end = INOTIFY_EVENT_SIZE.saturating_add(length).min(rest.len());
            rest = &mut rest[end..];
        }
    }
}

impl Operations for Inotify {
    fn read(&mut self, _context: &mut Context<'_>, into: &mut [u8], _at: Option<u64>) -> Result<usize, Errno> {
        self.own()?;
        let count = rustix::io::read(&self.handle, &mut *into).map_err(errno)?;
        self.translate(&mut into[..count]);
        Ok(count)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Events {
        if self.own().is_err() {
            return Events::ERR;
        }
        context.host.poll(&self.handle, context.interest) & (Events::IN | Events::RDNORM)
    }

    fn edges(&mut self, context: &mut Context<'_>, _events: Events) -> u64 {
        if self.own().is_err() {
            return 0;
        }
        context.host.edges(&self.handle)
    }

    fn available(&mut self, _context: &mut Context<'_>) -> Result<usize, Errno> {
        self.own()?;
        let count = rustix::io::ioctl_fionread(&self.handle).map_err(errno)?;
        usize::try_from(count).map_err(|_| Errno::EINVAL)
    }

    fn link_text(&self) -> Vec<u8> {
        b"anon_inode:inotify".to_vec()
    }
}

/// What a guest may ask for in a watch's mask.
pub const KNOWN: u32 = warmfork_abi::inotify::IN_ALL_EVENTS
    | warmfork_abi::inotify::IN_ONLYDIR
    | warmfork_abi::inotify::IN_DONT_FOLLOW
    | warmfork_abi::inotify::IN_EXCL_UNLINK
    | IN_MASK_CREATE
    | IN_MASK_ADD
    | IN_ONESHOT;
