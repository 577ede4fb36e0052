//! Descriptor tables and the open file descriptions behind them. Plain data: host handles are shared by reference.

use std::collections::BTreeMap;

use warmfork_abi::Errno;
use warmfork_abi::fcntl::O_NONBLOCK;

use crate::assign::assign_entries;
use crate::events::DescriptionId;
use crate::news::News;
use crate::objects::Object;

/// An open file description (open(2)), which descriptors made by dup share.
#[derive(Clone, PartialEq, Debug)]
pub struct Description {
    /// The open object.
    pub object: Object,
    /// Access mode and status flags: O_RDONLY/O_WRONLY/O_RDWR, O_APPEND, O_NONBLOCK, O_DIRECT, O_PATH, ...
    pub flags: u32,
    /// File offset in bytes.
    pub offset: u64,
    /// Descriptors (and in-flight SCM_RIGHTS messages) that refer to it.
    pub references: u32,
    /// Whom SIGIO is for.
    pub owner: SignalOwner,
}

/// The receiver of SIGIO, and the signal sent in its place. Nothing of a guest raises it: it is kept for F_GETOWN and F_GETSIG.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SignalOwner {
    /// F_OWNER_TID, F_OWNER_PID or F_OWNER_PGRP.
    pub kind: u32,
    /// Which thread, process or group; zero for none.
    pub id: i32,
    /// F_SETSIG
    pub signal: u32,
}

impl Description {
    /// A description with no descriptor yet.
    #[must_use]
    pub fn new(object: Object, flags: u32) -> Self {
        Self { object, flags, offset: 0, references: 0, owner: SignalOwner::default() }
    }

    /// Whether O_NONBLOCK is set.
    #[must_use]
    pub fn nonblocking(&self) -> bool {
        self.flags & O_NONBLOCK != 0
    }

    /// Whether reading is allowed by the access mode.
    #[must_use]
    pub fn readable(&self) -> bool {
        self.flags & 3 != 1
    }

    /// Whether writing is allowed by the access mode.
    #[must_use]
    pub fn writable(&self) -> bool {
        matches!(self.flags & 3, 1 | 2)
    }
}

/// One slot of the descriptor table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// The description that it refers to.
    pub description: DescriptionId,
    /// FD_CLOEXEC.
    pub close_on_exec: bool,
}

/// The descriptor table of a process.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DescriptorTable(Vec<Option<Descriptor>>);

impl DescriptorTable {
    /// The description that descriptor `fd` refers to.
    ///
    /// # Errors
    /// EBADF when `fd` is not open.
    pub fn lookup(&self, fd: i32) -> Result<DescriptionId, Errno> {
        Ok(self.get(fd)?.description)
    }

    /// The slot for `fd`.
    ///
    /// # Errors
    /// EBADF when `fd` is not open.
    pub fn get(&self, fd: i32) -> Result<Descriptor, Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.0.get(index).copied().flatten().ok_or(Errno::EBADF)
    }

    /// Changes FD_CLOEXEC of `fd`.
    ///
    /// # Errors
    /// EBADF when `fd` is not open.
    pub fn set_close_on_exec(&mut self, fd: i32, on: bool) -> Result<(), Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.0.get_mut(index).and_then(Option::as_mut).ok_or(Errno::EBADF)?.close_on_exec = on;
        Ok(())
    }

    /// Gives `id` the lowest free descriptor from `minimum` on, taking over the caller's reference.
    ///
    /// # Errors
    /// EMFILE when none is free below `limit`; the reference stays the caller's.
    pub fn install(
        &mut self,
        id: DescriptionId,
        minimum: usize,
        limit: usize,
        close_on_exec: bool,
    ) -> Result<i32, Errno> {
        let free = (minimum..limit).find(|&index| self.0.get(index).is_none_or(Option::is_none));
        let index = free.ok_or(Errno::EMFILE)?;
        let fd = i32::try_from(index).map_err(|_| Errno::EMFILE)?;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index] = Some(Descriptor { description: id, close_on_exec });
        Ok(fd)
    }

    /// Whether a descriptor below `limit` is free.
    #[must_use]
    pub fn has_room(&self, limit: usize) -> bool {
        self.0.len() < limit || self.0.iter().take(limit).any(Option::is_none)
    }

    /// Takes descriptor `fd` out of the table. The caller then holds its reference: give it to
    /// [`crate::Kernel::release`], which ends descriptions that nobody refers to.
    ///
    /// # Errors
    /// EBADF when `fd` is not open.
    pub fn take(&mut self, fd: i32) -> Result<DescriptionId, Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let slot = self.0.get_mut(index).ok_or(Errno::EBADF)?;
        Ok(slot.take().ok_or(Errno::EBADF)?.description)
    }

    /// Open descriptors in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (i32, Descriptor)> {
        (0..).zip(&self.0).filter_map(|(fd, slot)| slot.map(|slot| (fd, slot)))
    }
}

/// The open file descriptions of a machine, which its processes' descriptors refer to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Files {
    descriptions: BTreeMap<DescriptionId, Description>,
    next_id: u64,
    /// The descriptions that may have changed, or are gone.
    pub(crate) news: News<DescriptionId>,
}

impl Files {
    /// Assigns `from` to these files.
    pub fn assign(&mut self, from: &Self) {
        let Self { descriptions, next_id, news: _ } = self;
        assign_entries(descriptions, &from.descriptions);
        *next_id = from.next_id;
    }

    /// Keeps `description` without a descriptor; the caller holds one reference, see [`Files::release`].
    pub fn insert(&mut self, mut description: Description) -> DescriptionId {
        let id = DescriptionId(self.next_id);
        self.next_id += 1;
        description.references = 1;
        self.descriptions.insert(id, description);
        id
    }

    /// One more reference to `id`.
    pub fn retain(&mut self, id: DescriptionId) {
        self.unchanged_mut(id).references += 1;
    }

    /// One reference to `id` less; the description itself when that was the last.
    pub fn release(&mut self, id: DescriptionId) -> Option<Description> {
        let description = self.unchanged_mut(id);
        description.references -= 1;
        if description.references > 0 {
            return None;
        }
        self.news.add(id);
        self.descriptions.remove(&id)
    }

    /// The description `id`, if it still exists (epoll sets may outlive the descriptions that they watch).
    #[must_use]
    pub fn find(&self, id: DescriptionId) -> Option<&Description> {
        self.descriptions.get(&id)
    }

    /// A description that is referred to.
    ///
    /// # Panics
    /// When it no longer exists: for ids that the caller holds a reference to.
    #[must_use]
    #[expect(clippy::expect_used, reason = "documented: ids that are referred to")]
    pub fn description(&self, id: DescriptionId) -> &Description {
        self.descriptions.get(&id).expect("a live description")
    }

    /// As [`Files::description`], to change it.
    ///
    /// # Panics
    /// As [`Files::description`].
    pub fn description_mut(&mut self, id: DescriptionId) -> &mut Description {
        self.news.add(id);
        self.unchanged_mut(id)
    }

    /// As [`Files::description_mut`], for a change that nobody waits for: asking whether it is ready is one.
    ///
    /// # Panics
    /// As [`Files::description`].
    #[expect(clippy::expect_used, reason = "documented: ids that are referred to")]
    pub(crate) fn unchanged_mut(&mut self, id: DescriptionId) -> &mut Description {
        self.descriptions.get_mut(&id).expect("a live description")
    }

    /// A copy of `table` for another process, which shares the descriptions.
    pub fn share(&mut self, table: &DescriptorTable) -> DescriptorTable {
        for slot in table.0.iter().flatten() {
            if let Some(description) = self.descriptions.get_mut(&slot.description) {
                description.references = description.references.saturating_add(1);
            }
        }
        table.clone()
    }

    /// The objects of all descriptions.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.descriptions.values().map(|description| &description.object)
    }

    /// The objects of all descriptions, to change them.
    pub fn objects_mut(&mut self) -> impl Iterator<Item = &mut Object> {
        self.descriptions_mut().map(|(_, description)| &mut description.object)
    }

    /// All descriptions, to change them.
    pub fn descriptions_mut(&mut self) -> impl Iterator<Item = (DescriptionId, &mut Description)> {
        self.news.add_all();
        self.descriptions.iter_mut().map(|(id, description)| (*id, description))
    }

    /// All descriptions.
    pub fn descriptions(&self) -> impl Iterator<Item = (DescriptionId, &Description)> {
        self.descriptions.iter().map(|(id, description)| (*id, description))
    }
}
