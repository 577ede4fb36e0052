//! mmap and its relatives: arguments to [`warmfork_memory::AddressSpace`], which has the semantics.

use std::collections::HashSet;

use warmfork_abi::mman::{MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, MLOCK_ONFAULT, MapFlags, RemapFlags, SyncFlags};
use warmfork_abi::{Errno, PAGE, USER_END};
use warmfork_memory::{AreaTree, Backing, HostFile, MapRequest, Protection, RemapRequest, Span};

use crate::call::{Call, SyscallResult};
use crate::objects::{Mappable, Object};

/// How many pages mincore looks at in one go, and before the machine looks at its limits.
const MINCORE_PAGES: usize = 4096;
pub(super) const MINCORE_PAGES_AT_ONCE: usize = 1 << 16;

/// Most files, each as it was opened, that may be mapped at once.
const MAX_MAPPED_FILES: usize = 2048;

/// mmap(2)
pub fn mmap(call: &mut Call<'_>) -> SyscallResult {
    let [address, length, protection, flags, _, offset] = call.args;
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL.into());
    }
    let mut flags = MapFlags::from_bits_retain(flags);
    let backing = if flags.contains(MapFlags::ANONYMOUS) { Backing::Anonymous } else { backing(call, offset)? };
    if backing == Backing::Anonymous {
        flags |= MapFlags::ANONYMOUS;
    }
    #[expect(clippy::cast_possible_truncation, reason = "Linux ignores what is no access bit")]
    let protection = Protection::from_bits_truncate(protection as u32);
    let request = MapRequest { address, length, protection, flags, backing, label: None };
    Ok(call.kernel.space_mut().map(call.guest.memory(), request)?)
}

/// The memory behind the descriptor given to mmap.
fn backing(call: &mut Call<'_>, offset: u64) -> Result<Backing, Errno> {
    let id = call.description_id(call.int(4))?;
    let description = call.kernel.files.description(id);
    if matches!(description.object, Object::Path(_)) {
        return Err(Errno::EBADF);
    }
    if call.args[1] == 0 {
        return Err(Errno::EINVAL);
    }
    if !description.readable() {
        return Err(Errno::EACCES);
    }
    match call.kernel.with_object(call.host, id, |object, context| object.mappable(context))? {
        Mappable::File(file) if too_many_mapped(call.kernel.space().areas(), &file) => Err(Errno::ENOMEM),
        Mappable::File(file) => Ok(Backing::File { file, offset }),
        Mappable::Anonymous => Ok(Backing::Anonymous),
    }
}

/// Whether `file` would be one more than may be mapped at once: each keeps a descriptor of the host's open, whether the
/// guest closes its own or not.
fn too_many_mapped(areas: &AreaTree, file: &HostFile) -> bool {
    if areas.len() < MAX_MAPPED_FILES {
        return false;
    }
    let mapped = areas.iter().filter_map(|area| match &area.backing {
        Backing::File { file, .. } => Some(file.id()),
        Backing::Anonymous => None,
    });
    let mapped: HashSet<_> = mapped.collect();
    mapped.len() >= MAX_MAPPED_FILES && !mapped.contains(&file.id())
}

/// munmap(2)
pub fn munmap(call: &mut Call<'_>) -> SyscallResult {
    let [address, length, ..] = call.args;
    call.kernel.space_mut().unmap(call.guest.memory(), address, length)?;
    Ok(0)
}

/// mprotect(2)
pub fn mprotect(call: &mut Call<'_>) -> SyscallResult {
    let [address, length, protection, ..] = call.args;
    call.kernel.space_mut().protect(call.guest.memory(), address, length, protection)?;
    Ok(0)
}

/// mremap(2)
pub fn mremap(call: &mut Call<'_>) -> SyscallResult {
    let [address, old_length, new_length, flags, new_address, _] = call.args;
    let flags = RemapFlags::from_bits_retain(flags);
    if old_length == 0 && flags.contains(RemapFlags::MAYMOVE) {
        put_in_file(call, address)?;
    }
    let request = RemapRequest { address, old_length, new_length, flags, new_address };
    Ok(call.kernel.space_mut().remap(call.guest.memory(), request)?)
}

/// Puts the memory that MAP_SHARED | MAP_ANONYMOUS has mapped at `address` into a memory file, for a second view of it:
/// before, nobody else saw it, and it was private memory.
fn put_in_file(call: &mut Call<'_>, address: u64) -> Result<(), Errno> {
    let found = call.kernel.space().areas().find(address);
    let Some(area) = found.filter(|area| area.shared && area.is_anonymous()).cloned() else { return Ok(()) };
    call.kernel.share_area(call.guest.memory(), &area)
}

/// brk(2)
pub fn brk(call: &mut Call<'_>) -> SyscallResult {
    let address = call.args[0];
    Ok(call.kernel.space_mut().set_break(call.guest.memory(), address))
}

/// madvise(2)
pub fn madvise(call: &mut Call<'_>) -> SyscallResult {
    let [address, length, ..] = call.args;
    let advice = u64::from(call.uint(2));
    call.kernel.space_mut().advise(call.guest.memory(), address, length, advice)?;
    Ok(0)
}

/// msync(2)
pub fn msync(call: &mut Call<'_>) -> SyscallResult {
    let [address, length, ..] = call.args;
    let flags = SyncFlags::from_bits_retain(u64::from(call.uint(2)));
    call.kernel.space().sync(address, length, flags)?;
    Ok(0)
}

/// mincore(2)
pub fn mincore(call: &mut Call<'_>) -> SyscallResult {
    let [address, length, vector, ..] = call.args;
    let mapped = call.kernel.space().mapped_part(address, length)?;
    if vector.checked_add(length.div_ceil(PAGE)).is_none_or(|end| end > USER_END) {
        return Err(Errno::EFAULT.into());
    }
    let mut pages = [0; MINCORE_PAGES];
    let (start, end) = mapped.span.map_or((0, 0), |span| (span.start, span.end));
    let done = call.moved();
    let mut at = start.saturating_add(done as u64 * PAGE);
    let pause = at.saturating_add(MINCORE_PAGES_AT_ONCE as u64 * PAGE);
    while at < end {
        if at >= pause {
            return Err(call.pause_only(done + MINCORE_PAGES_AT_ONCE));
        }
        let part = Span { start: at, end: end.min(at + pages.len() as u64 * PAGE) };
        let pages = &mut pages[..usize::try_from(part.len() / PAGE).map_err(|_| Errno::EFAULT)?];
        call.memory().resident(part, pages);
        call.memory().write(vector + (at - address) / PAGE, pages)?;
        at = part.end;
    }
    if mapped.whole { Ok(0) } else { Err(Errno::ENOMEM.into()) }
}

/// mlock(2) and munlock(2): nothing of a guest is locked, as its memory is the host's to page.
pub fn mlock(call: &mut Call<'_>) -> SyscallResult {
    call.kernel.space().lock(call.args[0], call.args[1])?;
    Ok(0)
}

/// mlock2(2)
pub fn mlock2(call: &mut Call<'_>) -> SyscallResult {
    if u64::from(call.uint(2)) & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL.into());
    }
    mlock(call)
}

/// mlockall(2)
pub fn mlockall(call: &mut Call<'_>) -> SyscallResult {
    let flags = u64::from(call.uint(0));
    let known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    if flags == 0 || flags & !known != 0 || flags == MCL_ONFAULT {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}

/// munlockall(2)
pub fn munlockall(_: &mut Call<'_>) -> SyscallResult {
    Ok(0)
}

/// pkey_alloc(2): the guest's CPU has no protection keys, and then Linux says EINVAL.
pub fn pkey_alloc(_: &mut Call<'_>) -> SyscallResult {
    Err(Errno::EINVAL.into())
}

/// pkey_free(2): no key was ever given out.
pub fn pkey_free(_: &mut Call<'_>) -> SyscallResult {
    Err(Errno::EINVAL.into())
}

/// pkey_mprotect(2): as mprotect without a key (-1).
pub fn pkey_mprotect(call: &mut Call<'_>) -> SyscallResult {
    if call.int(3) == -1 { mprotect(call) } else { Err(Errno::EINVAL.into()) }
}
