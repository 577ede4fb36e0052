//! Random calls are made both on an `AddressSpace` over fake memory and, at the same addresses, in this process.
//! Results, errors, mappings and contents must agree.

use std::os::fd::{AsFd, AsRawFd};

use proptest::prelude::*;
use warmfork_abi::mman::madvise;
use warmfork_abi::{Errno, PAGE, USER_END};
use warmfork_memory::{Area, GuestMemory, Protection, Span};

use crate::calls::{Emulated, File, Operation, WINDOW, operations, parse, short};

const WINDOW_BYTES: usize = 32 * 4096;
const _: () = assert!(WINDOW_BYTES as u64 == WINDOW.end - WINDOW.start);

/// This process's own window.
struct Native {
    file: File,
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: only these tests map anything in the window, and they keep no references into it.
        unsafe { libc::munmap(WINDOW.start as *mut libc::c_void, WINDOW_BYTES) };
    }
}

fn call(number: libc::c_long, args: [u64; 6]) -> Result<u64, Errno> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: the calls change mappings only in the window, where this process keeps nothing, or at an address that
    // the kernel has chosen.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 {
        return Err(Errno(std::io::Error::last_os_error().raw_os_error().expect("an error number")));
    }
    Ok(result.cast_unsigned())
}

impl Native {
    fn apply(&self, operation: &Operation) -> Result<u64, Errno> {
        match *operation {
            Operation::Map { address, length, protection, flags, file } => {
                let (fd, offset) =
                    file.map_or((-1, 0), |(writable, offset)| (self.file.pick(writable).as_fd().as_raw_fd(), offset));
                let args = [address, length, protection, flags, i64::from(fd).cast_unsigned(), offset];
                call(libc::SYS_mmap, args)
            }
            Operation::Unmap { address, length } => call(libc::SYS_munmap, [address, length, 0, 0, 0, 0]),
            Operation::Protect { address, length, bits } => call(libc::SYS_mprotect, [address, length, bits, 0, 0, 0]),
            Operation::Remap { address, old_length, new_length, flags, new_address } => {
                call(libc::SYS_mremap, [address, old_length, new_length, flags, new_address, 0])
            }
            Operation::Advise { address, length, advice } => {
                call(libc::SYS_madvise, [address, length, advice, 0, 0, 0])
            }
            Operation::Sync { address, length, flags } => call(libc::SYS_msync, [address, length, flags, 0, 0, 0]),
            Operation::Unlock { address, length } => call(libc::SYS_munlock, [address, length, 0, 0, 0, 0]),
            Operation::Resident { address, length } => {
                let mut vector = [0_u8; 100];
                call(libc::SYS_mincore, [address, length, vector.as_mut_ptr() as u64, 0, 0, 0])
            }
            Operation::Write { address, value, length } => {
                let mut bytes = vec![value; length];
                Ok(copy(address, bytes.as_mut_ptr(), length, true))
            }
        }
    }

    /// The lines of /proc/self/maps within the window: span, access, offset and inode.
    fn lines(&self) -> Vec<(Span, String, u64, u64)> {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        maps.lines().filter_map(parse).filter(|(span, ..)| span.intersection(WINDOW).is_some()).collect()
    }

    fn read(&self, address: u64) -> Option<u8> {
        let mut byte = 0;
        (copy(address, &raw mut byte, 1, false) == 1).then_some(byte)
    }
}

/// Copies by way of the kernel, which checks the access.
fn copy(address: u64, buffer: *mut u8, length: usize, write: bool) -> u64 {
    let local = libc::iovec { iov_base: buffer.cast(), iov_len: length };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: length };
    let function = if write { libc::process_vm_writev } else { libc::process_vm_readv };
    // SAFETY: `local` is the caller's buffer of `length` bytes; `remote` is checked by the kernel, and what is
    // written lies in the window, where this process keeps nothing.
    let copied = unsafe { function(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    u64::try_from(copied).unwrap_or(0)
}

/// What one page is in a list of lines: access, offset and whose.
fn page(lines: &[(Span, String, u64, u64)], page: u64, file: &File) -> Option<(String, u64, &'static str)> {
    let (span, access, offset, inode) = lines.iter().find(|(span, ..)| span.contains(page))?;
    if *inode == file.writable.inode().1 {
        return Some((access.clone(), offset + (page - span.start), "file"));
    }
    // Offsets and inodes of anonymous memory, shared or not, are the kernel's own affair.
    Some((access.clone(), 0, "anonymous"))
}

/// Whether kernels agree about `operation`, and so can be compared with.
fn comparable(operation: &Operation, native: &Native, emulated: &Emulated) -> bool {
    // It copies the file's pages, so that later changes of the file do not show: unspecified in mmap(2).
    if let Operation::Advise { advice: madvise::MADV_POPULATE_WRITE, .. } = operation {
        return emulated.space.areas().iter().all(|area| area.shared || area.is_anonymous());
    }
    // Before 6.7, the mapping had to be writable now, not only in principle.
    if let Operation::Advise { advice: madvise::MADV_REMOVE, .. } = operation {
        let writable = |area: &Area| area.protection.contains(Protection::WRITE);
        return emulated.space.areas().iter().all(|area| !area.shared || writable(area));
    }
    let Operation::Remap { address, old_length, new_length, flags, .. } = *operation else { return true };
    // Before 6.17, lengths beyond user space were told of later, and otherwise.
    if new_length > USER_END {
        return false;
    }
    // Shared memory without a file is an object of its own to the kernel, with a length and other views of it. Here
    // it is not: it grows with zeroes, and a second view is refused.
    let found = emulated.space.areas().find(address);
    let old = warmfork_abi::page_up(old_length).unwrap_or(0);
    if (old < new_length || flags == 7) && found.is_some_and(|area| area.shared && area.is_anonymous()) {
        return false;
    }
    // The kernel keeps some neighbours apart that could be one mapping, and then refuses to move them as one.
    let bounds = |lines: Vec<(Span, String, u64, u64)>| {
        lines.into_iter().map(|(span, ..)| span).find(|span| span.contains(address))
    };
    let area = bounds(native.lines());
    // Since 6.17, mremap moves several mappings at once if it need not resize them.
    let beyond = |area: Span| {
        old_length.div_ceil(PAGE) == new_length.div_ceil(PAGE) && address.saturating_add(old_length) > area.end
    };
    area == bounds(emulated.lines()) && !area.is_some_and(beyond)
}

fn outside(result: Result<u64, Errno>) -> Option<u64> {
    result.ok().filter(|&address| address >= USER_END / 2)
}

fn run(operations: &[Operation]) -> Result<(), TestCaseError> {
    let native = Native { file: File::new() };
    let mut emulated = Emulated::new();
    for (index, operation) in operations.iter().enumerate() {
        let operation = &short(operation.clone());
        if !comparable(operation, &native, &emulated) {
            continue;
        }
        let (real, ours) = (native.apply(operation), emulated.apply(operation));
        if let (Some(real), Some(ours), Operation::Map { length, .. } | Operation::Remap { new_length: length, .. }) =
            (outside(real), outside(ours), operation)
        {
            // Both chose an address of their own: that is the same, and it is not needed any more.
            call(libc::SYS_munmap, [real, *length, 0, 0, 0, 0]).expect("munmap");
            emulated.space.unmap(&mut emulated.memory, ours, *length).expect("unmap");
        } else {
            prop_assert_eq!(real, ours, "{} {:x?}", index, operation);
        }
        let (real, ours) = (native.lines(), emulated.lines());
        for at in (WINDOW.start..WINDOW.end).step_by(4096) {
            let (real, ours) = (page(&real, at, &native.file), page(&ours, at, &emulated.file));
            // process_vm_readv looks at PROT_READ alone, system calls read whatever has any access.
            let readable = ours.as_ref().is_none_or(|(access, ..)| access.starts_with('r'));
            prop_assert_eq!(real, ours, "page {:x} after {} {:x?}", at, index, operation);
            let mut byte = [0];
            let ours = (emulated.memory.read_some(at, &mut byte) == 1).then_some(byte[0]);
            prop_assert!(!readable || native.read(at) == ours, "byte {:x} after {} {:x?}", at, index, operation);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::calls::config(300))]

    #[test]
    fn agrees_with_the_kernel(operations in operations()) {
        run(&operations)?;
    }
}
