//! From a guest's path to a host file, within the policy.
//!
//! ```text
//!   path --(no `..`)--> policy root + relative path --> openat2(root, BENEATH | NO_SYMLINKS)       the fast way
//!     |                                                       | ELOOP: a symlink is on the way
//!     +--(`..`)--> walk: name by name, symlinks read and <----+
//!                  followed in the guest's view, policy asked for each; then the same openat2
//! ```
//!
//! Every host call starts from a root that was opened before the guest ran and follows no symlink by itself, so that
//! nothing that a guest does meanwhile (swapping a directory for a symlink, say) leads it elsewhere.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Once;

use log::warn;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use warmfork_abi::Errno;
use warmfork_abi::fcntl::{RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS};
use warmfork_memory::HostFile;

use crate::events::DescriptionId;
use crate::guest_path;
use crate::host::{DENIED, Host, errno};
use crate::kernel::Kernel;
use crate::metadata::read_link;
use crate::policy::{Access, Decision, Denial, Policy, Root, shows_kernel};
use crate::proc::{self, Node};

/// Most symlinks in one path, as in Linux.
const MAX_LINKS: usize = 40;
/// How often a path is walked again when it changes meanwhile.
const ATTEMPTS: usize = 4;

/// A place on the host that the policy allows.
#[derive(Clone, Debug)]
pub struct Place<'p> {
    root: &'p Root,
    relative: Vec<u8>,
    /// It is where a volume is mounted.
    mount: bool,
    /// The guest's plain path of it, without symlinks but perhaps the last name's.
    pub path: Vec<u8>,
}

impl<'p> Place<'p> {
    fn new(root: &'p Root, relative: &[u8], path: &[u8]) -> Self {
        let mount = root.volume && relative.is_empty();
        Self { root, relative: root.from_anchor(relative), mount, path: path.to_vec() }
    }

    /// Opens it, following no symlink on the way; with O_PATH | O_NOFOLLOW a symlink itself can be opened.
    ///
    /// # Errors
    /// ELOOP when a symlink is on the way; the host's others.
    pub fn open(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        self.open_beneath(&self.relative, flags | OFlags::CLOEXEC, mode)
    }

    fn open_beneath(&self, relative: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        static SAID: Once = Once::new();
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let opened = rustix::fs::openat2(&self.root.anchor, relative, flags, mode, resolve).map_err(errno)?;
        if self.root.kernel || !shows_kernel(opened.as_fd()).map_err(errno)? {
            return Ok(opened);
        }
        SAID.call_once(|| {
            let path = String::from_utf8_lossy(&self.path);
            warn!(target: DENIED, "access to {path} is denied, as to all that shows the host's kernel: a rule or a volume of its own would allow it");
        });
        Err(Errno::EACCES)
    }

    /// Opens its directory (O_PATH); returns that and the last name in it.
    ///
    /// # Errors
    /// EBUSY when it is a root of the policy, like a mount point; others as [`Place::open`].
    pub fn open_parent(&self) -> Result<(OwnedFd, &[u8]), Errno> {
        let (directory, name) = match self.relative.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&self.relative[..slash], &self.relative[slash + 1..]),
            None => (&b"."[..], &self.relative[..]),
        };
        if name == b"." || self.mount {
            return Err(Errno::EBUSY);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok((self.open_beneath(directory, flags, Mode::empty())?, name))
    }
}

/// The target of a path.
#[derive(Debug)]
pub enum Found<T> {
    /// The host; the result of the operation there.
    Host(T),
    /// A file that warmfork makes up, with its plain path.
    Synthetic(Node, Vec<u8>),
    /// What a descriptor of the guest has open, through /proc/PID/fd.
    Descriptor(DescriptionId),
}

/// A path as a system call names it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The plain guest path that a relative path starts from.
    pub base: &'a [u8],
    /// The path. Not empty.
    pub path: &'a [u8],
    /// Whether a symlink at the end is followed.
    pub follow: bool,
    /// The access that the call needs.
    pub access: Access,
    /// The RESOLVE_ flags of openat2.
    pub bounds: u64,
}

impl<'a> Request<'a> {
    /// The path ends in a slash (or a dot), so that it must name a directory.
    #[must_use]
    pub fn wants_directory(&self) -> bool {
        let last = self.path.rsplit(|&byte| byte == b'/').next();
        matches!(last, Some(b"" | b"." | b".."))
    }

    fn follows(&self) -> bool {
        self.follow || self.wants_directory()
    }

    /// From where it starts.
    fn start(&self) -> &'a [u8] {
        let absolute = self.path.starts_with(b"/") && self.bounds & RESOLVE_IN_ROOT == 0;
        if absolute { b"/" } else { self.base }
    }
}

/// Resolves paths for one guest.
pub struct Resolver<'a> {
    /// The paths that it may touch.
    pub policy: &'a Policy,
    /// Its kernel, for the files of /proc.
    pub kernel: &'a Kernel,
    /// The host side, for the log of denials.
    pub host: &'a mut Host,
}

impl Resolver<'_> {
    /// Runs `operation` on the place that `request` names.
    ///
    /// `operation` must go through [`Place::open`] or [`Place::open_parent`]; it is run again on ELOOP, with the
    /// place that the symlinks lead to.
    ///
    /// # Errors
    /// The policy's refusal, `operation`'s own, and Linux's for paths that lead nowhere.
    pub fn with<T>(
        &mut self,
        request: &Request<'_>,
        mut operation: impl FnMut(&Place<'_>) -> Result<T, Errno>,
    ) -> Result<Found<T>, Errno> {
        if request.path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if request.bounds & RESOLVE_BENEATH != 0 && request.path.starts_with(b"/") {
            return Err(Errno::EXDEV);
        }
        if let Some(result) = self.at_once(request, &mut operation) {
            return result.map(Found::Host);
        }
        for _ in 0..ATTEMPTS {
            let path = match Walk::new(self, request).run()? {
                Walked::Path(path) => path,
                Walked::Synthetic(node, path) => return Ok(Found::Synthetic(node, path)),
                Walked::Descriptor(id) => return Ok(Found::Descriptor(id)),
            };
            let place = self.place(&path, request.access)?;
            match operation(&place) {
                Err(Errno::ELOOP) => {}
                Err(Errno::ENOENT) if self.leads_to_volume(&path) => {
                    return Ok(Found::Synthetic(Node::Directory, path));
                }
                result => return result.map(Found::Host),
            }
        }
        Err(Errno::ELOOP)
    }

    /// Tries the path as it is named, without a look at the directories on the way. `None` when symlinks or `..` are, or when
    /// the policy has no place for that name.
    fn at_once<T>(
        &self,
        request: &Request<'_>,
        operation: &mut impl FnMut(&Place<'_>) -> Result<T, Errno>,
    ) -> Option<Result<T, Errno>> {
        if !guest_path::is_straight(request.path) {
            return None;
        }
        let mut path = request.start().to_vec();
        guest_path::components(request.path).for_each(|name| guest_path::push(&mut path, name));
        // A denial of this name may still be lifted by a symlink in it: walking finds out, and says so.
        let Decision::Host { root, relative } = self.policy.decide(&path, request.access) else { return None };
        match operation(&Place::new(root, &relative, &path)) {
            Err(Errno::ELOOP) => None,
            Err(Errno::ENOENT) if self.leads_to_volume(&path) => None,
            result => Some(result),
        }
    }

    fn leads_to_volume(&self, path: &[u8]) -> bool {
        !self.policy.names_towards_volumes(path).is_empty()
    }

    /// The place of a plain path without symlinks; logs a denial.
    pub(crate) fn place(&mut self, path: &[u8], access: Access) -> Result<Place<'_>, Errno> {
        match self.policy.decide(path, access) {
            Decision::Host { root, relative } => Ok(Place::new(root, &relative, path)),
            Decision::Synthetic => Err(if access.contains(Access::WRITE) { Errno::EACCES } else { Errno::ENOENT }),
            Decision::Denied(denial) => Err(self.host.denied(path, denial)),
        }
    }
}

impl Host {
    /// As [`Policy::check_opened`], with the denial in the log.
    ///
    /// # Errors
    /// The policy's refusal.
    pub fn check_opened(&mut self, policy: &Policy, file: &HostFile, access: Access) -> Result<(), Errno> {
        policy.check_opened(file, access).map_err(|denial| self.denied(file.name(), denial))
    }

    /// Names a denied path in the log, the first time. Returns the error for the guest.
    pub fn denied(&mut self, path: &[u8], denial: Denial) -> Errno {
        if self.is_new_denial(path) {
            let shown = guest_path::display(path);
            let advice = match denial.flag {
                Some(flag) => format!("access to {shown} is denied: {flag}={shown} would allow it"),
                None => format!("writing {shown} is denied: its volume is read-only, :rw would allow it"),
            };
            // Programs look for many files that do not exist; the log names only those that do.
            let missed = denial.flag != Some("--allow-read") || rustix::fs::lstat(path).is_ok();
            log::log!(target: DENIED, if missed { log::Level::Warn } else { log::Level::Info }, "{advice}");
        }
        denial.errno
    }
}

/// Where a walk ends.
enum Walked {
    /// At a plain path without symlinks, but perhaps the last name's; the last name may not be there.
    Path(Vec<u8>),
    /// At something made up.
    Synthetic(Node, Vec<u8>),
    /// At what a descriptor has open.
    Descriptor(DescriptionId),
}

/// One walk along a path.
struct Walk<'w, 'a> {
    resolver: &'w mut Resolver<'a>,
    follow: bool,
    /// RESOLVE_ flags, and the directory that they are about.
    bounds: u64,
    base: Vec<u8>,
    /// The path and the access that were asked for: a denial is logged with them.
    target: Vec<u8>,
    access: Access,
    /// Names still to go, the next one last.
    pending: Vec<Vec<u8>>,
    /// Where the walk is: a plain path without symlinks.
    here: Vec<u8>,
    links: usize,
}

/// The kind of a name.
enum Step {
    /// Go on with the next name.
    On,
    /// The walk is over.
    End(Walked),
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(resolver: &'w mut Resolver<'a>, request: &Request<'_>) -> Self {
        let pending = guest_path::components(request.path).rev().map(<[u8]>::to_vec).collect();
        let mut target = request.start().to_vec();
        target.push(b'/');
        target.extend_from_slice(request.path);
        Self {
            resolver,
            follow: request.follows(),
            bounds: request.bounds,
            base: request.base.to_vec(),
            target: guest_path::plain(&target),
            access: request.access,
            pending,
            here: request.start().to_vec(),
            links: 0,
        }
    }

    fn run(mut self) -> Result<Walked, Errno> {
        while let Some(name) = self.pending.pop() {
            if name.len() > guest_path::NAME_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            if name == b".." {
                self.step_up()?;
                continue;
            }
            let next = guest_path::child(&self.here, &name);
            if let Step::End(end) = self.step(next)? {
                return Ok(end);
            }
        }
        match proc_node(self.resolver, &self.here) {
            Some(node) => Ok(Walked::Synthetic(node, self.here)),
            None => Ok(Walked::Path(self.here)),
        }
    }

    fn step_up(&mut self) -> Result<(), Errno> {
        self.check_directory()?;
        if self.here == self.base && self.bounds & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) != 0 {
            return if self.bounds & RESOLVE_BENEATH != 0 { Err(Errno::EXDEV) } else { Ok(()) };
        }
        guest_path::pop(&mut self.here);
        Ok(())
    }

    fn step(&mut self, next: Vec<u8>) -> Result<Step, Errno> {
        let last = self.pending.is_empty();
        let decision = self.resolver.policy.decide(&next, Access::empty());
        if decision == Decision::Synthetic {
            return self.step_synthetic(next, last);
        }
        if let Decision::Denied(denial) = decision {
            return Err(self.denied(denial));
        }
        let place = self.resolver.place(&next, Access::empty())?;
        match place.open(OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) if !last || self.follow => {
                if let Some(target) = read_link(&fd)? {
                    return self.follow_link(&target);
                }
            }
            Ok(_) => {}
            Err(Errno::ENOENT) if last || self.resolver.leads_to_volume(&next) => {}
            Err(error) => return Err(error),
        }
        self.here = next;
        Ok(Step::On)
    }

    /// Logs the whole path with the flag that it needs, not only the name at which the walk had to end.
    fn denied(&mut self, at_name: Denial) -> Errno {
        let denial = match self.resolver.policy.decide(&self.target, self.access) {
            Decision::Denied(denial) => denial,
            Decision::Host { .. } | Decision::Synthetic => at_name,
        };
        self.resolver.host.denied(&self.target, denial)
    }

    fn step_synthetic(&mut self, next: Vec<u8>, last: bool) -> Result<Step, Errno> {
        let node = proc::find(self.resolver.kernel, &next).ok_or(Errno::ENOENT)?;
        let follow = !last || self.follow;
        match node {
            Node::Link(target) if follow => return self.follow_link(&target),
            Node::Descriptor(_) if follow && self.bounds != 0 => return Err(Errno::ELOOP),
            Node::Descriptor(id) if follow && last => return Ok(Step::End(Walked::Descriptor(id))),
            Node::Descriptor(id) if follow => self.here = self.directory_of(id)?,
            Node::Directory => self.here = next,
            _ if last => return Ok(Step::End(Walked::Synthetic(node, next))),
            _ => return Err(Errno::ENOTDIR),
        }
        Ok(Step::On)
    }

    fn follow_link(&mut self, target: &[u8]) -> Result<Step, Errno> {
        self.links += 1;
        if self.links > MAX_LINKS || self.bounds & RESOLVE_NO_SYMLINKS != 0 {
            return Err(Errno::ELOOP);
        }
        if target.starts_with(b"/") {
            if self.bounds & RESOLVE_BENEATH != 0 {
                return Err(Errno::EXDEV);
            }
            let stays = self.bounds & RESOLVE_IN_ROOT != 0;
            self.here = if stays { self.base.clone() } else { b"/".to_vec() };
        }
        self.pending.extend(guest_path::components(target).rev().map(<[u8]>::to_vec));
        Ok(Step::On)
    }

    /// `..` needs a directory to start from, by Linux's rules a real one.
    fn check_directory(&mut self) -> Result<(), Errno> {
        if self.resolver.policy.decide(&self.here, Access::empty()) == Decision::Synthetic {
            return Ok(());
        }
        let here = self.here.clone();
        let place = self.resolver.place(&here, Access::empty())?;
        match place.open(OFlags::PATH | OFlags::DIRECTORY, Mode::empty()) {
            Err(Errno::ENOENT) if self.resolver.leads_to_volume(&here) => Ok(()),
            result => result.map(drop),
        }
    }

    fn directory_of(&self, id: DescriptionId) -> Result<Vec<u8>, Errno> {
        let object = &self.resolver.kernel.files.description(id).object;
        object.directory_path().map(<[u8]>::to_vec).ok_or(Errno::ENOTDIR)
    }
}

fn proc_node(resolver: &Resolver<'_>, path: &[u8]) -> Option<Node> {
    let synthetic = resolver.policy.decide(path, Access::empty()) == Decision::Synthetic;
    if synthetic { proc::find(resolver.kernel, path) } else { None }
}

#[cfg(test)]
mod tests;
