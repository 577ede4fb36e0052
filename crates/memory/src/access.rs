//! Checked copies between warmfork and a guest: the one place where guest pointers are followed.

use warmfork_abi::{Errno, USER_END};

use crate::host::GuestMemory;

/// A guest pointer that does not lead to accessible memory: EFAULT to the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("guest address {0:#x} is not accessible")]
pub struct Fault(pub u64);

impl From<Fault> for Errno {
    fn from(_: Fault) -> Self {
        Errno::EFAULT
    }
}

impl dyn GuestMemory + '_ {
    /// Fills `into` from guest memory, all or nothing.
    ///
    /// # Errors
    /// [`Fault`] with the first address that could not be read.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        self.read_all(&[(address, into.len())], into)
    }

    /// Writes all of `from` to guest memory.
    ///
    /// # Errors
    /// [`Fault`] with the first address that could not be written; the bytes before it are written.
    pub fn write(&self, address: u64, from: &[u8]) -> Result<(), Fault> {
        self.write_all(&[(address, from.len())], from)
    }

    /// As `read`, of several buffers (see [`GuestMemory::read_parts`]).
    ///
    /// # Errors
    /// As `read`.
    pub fn read_all(&self, parts: &[(u64, usize)], into: &mut [u8]) -> Result<(), Fault> {
        parts.iter().try_for_each(|&(address, length)| check(address, length))?;
        let copied = self.read_parts(parts, into);
        if copied == into.len() { Ok(()) } else { Err(Fault(behind(parts, copied))) }
    }

    /// As `write`, to several buffers (see [`GuestMemory::write_parts`]).
    ///
    /// # Errors
    /// As `write`.
    pub fn write_all(&self, parts: &[(u64, usize)], from: &[u8]) -> Result<(), Fault> {
        parts.iter().try_for_each(|&(address, length)| check(address, length))?;
        let copied = self.write_parts(parts, from);
        if copied == from.len() { Ok(()) } else { Err(Fault(behind(parts, copied))) }
    }

    /// `length` bytes from guest memory. The caller has bounded `length`.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_vec(&self, address: u64, length: usize) -> Result<Vec<u8>, Fault> {
        check(address, length)?;
        let mut bytes = vec![0; length];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// An array of bytes, for decoding a structure.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_array<const N: usize>(&self, address: u64) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// A little-endian 32-bit word.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_u32(&self, address: u64) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.read_array(address)?))
    }

    /// A little-endian 64-bit word.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_u64(&self, address: u64) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.read_array(address)?))
    }

    /// Writes a little-endian 32-bit word.
    ///
    /// # Errors
    /// As `write`.
    pub fn write_u32(&self, address: u64, value: u32) -> Result<(), Fault> {
        self.write(address, &value.to_le_bytes())
    }

    /// Writes a little-endian 64-bit word.
    ///
    /// # Errors
    /// As `write`.
    pub fn write_u64(&self, address: u64, value: u64) -> Result<(), Fault> {
        self.write(address, &value.to_le_bytes())
    }

    /// The bytes before the first NUL at `address`, at most `limit` of them with the NUL.
    ///
    /// # Errors
    /// EFAULT when unreadable memory comes before the NUL, ENAMETOOLONG when `limit` bytes hold no NUL.
    pub fn read_cstring(&self, address: u64, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        let mut at = address;
        while text.len() < limit {
            // To the end of the page, so that an unmapped next page does not spoil a short string.
            let to_page_end = usize::try_from(4096 - at % 4096).unwrap_or(4096);
            let mut chunk = [0; 256];
            let want = to_page_end.min(chunk.len()).min(limit - text.len());
            check(at, want)?;
            let got = self.read_some(at, &mut chunk[..want]);
            if let Some(end) = chunk[..got].iter().position(|&byte| byte == 0) {
                text.extend_from_slice(&chunk[..end]);
                return Ok(text);
            }
            if got < want {
                return Err(Errno::EFAULT);
            }
            text.extend_from_slice(&chunk[..got]);
            at += got as u64;
        }
        Err(Errno::ENAMETOOLONG)
    }
}

fn check(address: u64, length: usize) -> Result<(), Fault> {
    match address.checked_add(length as u64) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(Fault(address)),
    }
}

/// The address of byte `count` of several buffers.
fn behind(parts: &[(u64, usize)], mut count: usize) -> u64 {
    for &(address, length) in parts {
        if count < length {
            return address + count as u64;
        }
        count -= length;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeMemory;
    use crate::host::Source;
    use crate::span::{Protection, Span};

    const PAGE: u64 = 0x10_0000;

    /// A writable page at [`PAGE`], a readable one behind it, and then nothing.
    fn memory() -> FakeMemory {
        let mut memory = FakeMemory::new();
        let page = |index: u64| Span { start: PAGE + index * 4096, end: PAGE + (index + 1) * 4096 };
        memory.map(page(0), Protection::READ | Protection::WRITE, Source::Anonymous).expect("map");
        memory.map(page(1), Protection::READ, Source::Anonymous).expect("map");
        memory
    }

    #[test]
    fn copies_are_whole_or_name_the_fault() {
        let mut memory = memory();
        let memory: &mut dyn GuestMemory = &mut memory;
        let end = PAGE + 8192;
        assert_eq!(memory.write_u64(PAGE + 8, 0x0102_0304_0506_0708), Ok(()));
        assert_eq!(memory.read_u64(PAGE + 8), Ok(0x0102_0304_0506_0708));
        assert_eq!(memory.read_u32(PAGE + 12), Ok(0x0102_0304));
        assert_eq!(memory.write(PAGE + 4090, &[1; 10]), Err(Fault(PAGE + 4096)));
        assert_eq!(memory.read_vec(PAGE + 4088, 10), Ok(vec![0, 0, 1, 1, 1, 1, 1, 1, 0, 0]));
        assert_eq!(memory.read_u64(end - 4), Err(Fault(end)));
        assert_eq!(memory.write_u32(end - 4, 1), Err(Fault(end - 4)));
        for wild in [0, USER_END - 4, USER_END, u64::MAX - 3, u64::MAX] {
            assert_eq!(memory.read_u64(wild), Err(Fault(wild)), "{wild:#x}");
            assert_eq!(memory.write(wild, &[0; 8]), Err(Fault(wild)), "{wild:#x}");
        }
        assert_eq!(memory.read_vec(PAGE, usize::MAX), Err(Fault(PAGE)));
    }

    #[test]
    fn strings_end_at_their_nul() {
        let mut memory = memory();
        let memory: &mut dyn GuestMemory = &mut memory;
        memory.write(PAGE, &[b'x'; 4096]).expect("write");
        memory.write(PAGE + 10, b"path\0").expect("write");
        assert_eq!(memory.read_cstring(PAGE + 10, 4096), Ok(b"path".to_vec()));
        assert_eq!(memory.read_cstring(PAGE + 14, 1), Ok(Vec::new()));
        assert_eq!(memory.read_cstring(PAGE + 10, 4), Err(Errno::ENAMETOOLONG));
        // Into the next page, which is zero.
        assert_eq!(memory.read_cstring(PAGE + 15, 8192), Ok(vec![b'x'; 4081]));
        assert_eq!(memory.read_cstring(PAGE + 8192, 10), Err(Errno::EFAULT));
        assert_eq!(memory.read_cstring(u64::MAX, 10), Err(Errno::EFAULT));
        // A string may end right before unmapped memory, but not run into it.
        assert_eq!(memory.read_cstring(PAGE + 8191, 4096), Ok(Vec::new()));
        let mut last = FakeMemory::new();
        let page = Span { start: USER_END - 4096, end: USER_END };
        last.map(page, Protection::READ | Protection::WRITE, Source::Anonymous).expect("map");
        let last: &mut dyn GuestMemory = &mut last;
        last.write(USER_END - 2, b"xy").expect("write");
        assert_eq!(last.read_cstring(USER_END - 2, 100), Err(Errno::EFAULT));
    }
}
