//! Segment selectors where KVM leaves the guest's in the CPU, and knows nothing of them: some clouds' does. They are then
//! this thread's own from when the guest stops until it runs again, and would be the next guest's.
//!
//! In 64-bit code DS, ES and GS mean nothing to this process, and FS only by its base, which is kept.

use crate::PlatformError;

/// DS, ES, FS, GS.
pub type Selectors = [u64; 4];

/// Those that this thread has.
pub fn own() -> Selectors {
    let (ds, es, fs, gs): (u64, u64, u64, u64);
    // SAFETY: reads registers only.
    unsafe {
        core::arch::asm!(
            "mov {0:r}, ds", "mov {1:r}, es", "mov {2:r}, fs", "mov {3:r}, gs",
            out(reg) ds, out(reg) es, out(reg) fs, out(reg) gs,
            options(nomem, nostack, preserves_flags),
        );
    }
    [ds, es, fs, gs].map(|selector| selector & 0xffff)
}

/// Gives this thread `selectors`, all of which a program may load on Linux, and leaves the bases of FS and GS.
pub fn load(selectors: Selectors) -> Result<(), PlatformError> {
    let present = own();
    if present == selectors {
        return Ok(());
    }
    if present[2..] == selectors[2..] {
        // SAFETY: 64-bit code addresses nothing by DS and ES.
        unsafe {
            core::arch::asm!(
                "mov ds, {0:x}", "mov es, {1:x}",
                in(reg) selectors[0], in(reg) selectors[1],
                options(nomem, nostack, preserves_flags),
            );
        }
        return Ok(());
    }
    with_signals_blocked(|| {
        // SAFETY: as above for DS, ES and GS. FS is thread-local storage by its base, which is put back before
        // anything uses it: no signal handler runs in between.
        unsafe {
            core::arch::asm!(
                "rdfsbase {fs_base}", "rdgsbase {gs_base}",
                "mov ds, {0:x}", "mov es, {1:x}", "mov fs, {2:x}", "mov gs, {3:x}",
                "wrfsbase {fs_base}", "wrgsbase {gs_base}",
                in(reg) selectors[0], in(reg) selectors[1], in(reg) selectors[2], in(reg) selectors[3],
                fs_base = out(reg) _, gs_base = out(reg) _,
                options(nomem, nostack, preserves_flags),
            );
        }
    })
}

fn with_signals_blocked(action: impl FnOnce()) -> Result<(), PlatformError> {
    let failed = |code: i32| PlatformError::Host {
        operation: "blocking signals",
        source: std::io::Error::from_raw_os_error(code),
    };
    // SAFETY: sets of signals are plain bytes, for which zero is valid.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: `all` is ours to write.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: both sets are locals.
    let code = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    if code != 0 {
        return Err(failed(code));
    }
    action();
    // SAFETY: what the call above has filled.
    let code = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    if code == 0 { Ok(()) } else { Err(failed(code)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_its_storage_whatever_selectors_it_has() {
        thread_local!(static KEPT: std::cell::Cell<u32> = const { std::cell::Cell::new(7) });
        let before = own();
        for selectors in [[0x2b, 0x33, 0, 0], [0x2b, 0x2b, 0x2b, 0x33], [0, 0x2b, 0x33, 0x2b]] {
            load(selectors).unwrap();
            assert_eq!(own(), selectors);
            KEPT.with(|kept| kept.set(kept.get() + 1));
        }
        load(before).unwrap();
        assert_eq!(own(), before);
        assert_eq!(KEPT.with(std::cell::Cell::get), 10);
    }
}
