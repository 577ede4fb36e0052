//! Character devices that warmfork answers itself. None of the host's is ever opened.

use warmfork_abi::Errno;
use warmfork_abi::stat::{Metadata, S_IFCHR};

use crate::host::errno;
use crate::metadata::made_up;
use crate::objects::{Context, Mappable, Operations};

/// A character device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    /// /dev/null
    Null,
    /// /dev/zero
    Zero,
    /// /dev/full
    Full,
    /// /dev/random
    Random,
    /// /dev/urandom
    Urandom,
}

impl Device {
    /// Its name in /dev.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Zero => "zero",
            Self::Full => "full",
            Self::Random => "random",
            Self::Urandom => "urandom",
        }
    }

    /// Major and minor number.
    #[must_use]
    pub fn numbers(self) -> (u32, u32) {
        match self {
            Self::Null => (1, 3),
            Self::Zero => (1, 5),
            Self::Full => (1, 7),
            Self::Random => (1, 8),
            Self::Urandom => (1, 9),
        }
    }

    /// The device with these numbers, which a device node of the host stands for.
    #[must_use]
    pub fn from_numbers(numbers: (u32, u32)) -> Option<Self> {
        let all = [Self::Null, Self::Zero, Self::Full, Self::Random, Self::Urandom];
        all.into_iter().find(|device| device.numbers() == numbers)
    }

    /// Its path.
    #[must_use]
    pub fn path(self) -> Vec<u8> {
        format!("/dev/{}", self.name()).into_bytes()
    }
}

/// Fills `into` from the host's random generator.
fn random(into: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < into.len() {
        filled += rustix::rand::getrandom(&mut into[filled..], rustix::rand::GetRandomFlags::empty()).map_err(errno)?;
    }
    Ok(filled)
}

impl Operations for Device {
    fn read(&mut self, _context: &mut Context<'_>, into: &mut [u8], _at: Option<u64>) -> Result<usize, Errno> {
        match self {
            Self::Null => Ok(0),
            Self::Zero | Self::Full => {
                into.fill(0);
                Ok(into.len())
            }
            Self::Random | Self::Urandom => random(into),
        }
    }

    fn write(&mut self, _context: &mut Context<'_>, from: &[u8], _at: Option<u64>) -> Result<usize, Errno> {
        if *self == Self::Full { Err(Errno::ENOSPC) } else { Ok(from.len()) }
    }

    fn seek(&mut self, context: &mut Context<'_>, _by: i64, _whence: u32) -> Result<u64, Errno> {
        *context.offset = 0;
        Ok(0)
    }

    fn pollable(&self) -> bool {
        matches!(self, Self::Random | Self::Urandom)
    }

    fn seekable(&self) -> bool {
        true
    }

    fn mappable(&mut self, _context: &mut Context<'_>) -> Result<Mappable, Errno> {
        if *self == Self::Zero { Ok(Mappable::Anonymous) } else { Err(Errno::ENODEV) }
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        Ok(device_metadata(*self))
    }

    fn link_text(&self) -> Vec<u8> {
        self.path()
    }
}

/// The metadata of a device.
pub(crate) fn device_metadata(device: Device) -> Metadata {
    Metadata { mode: S_IFCHR | 0o666, represents: device.numbers(), ..made_up(&device.path()) }
}
