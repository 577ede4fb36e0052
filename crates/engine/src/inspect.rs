//! Looking into a machine from outside: its mappings and its memory. For the Python API and for tests.

use warmfork_linux::Kernel;
use warmfork_memory::{Backing, Protection};

use crate::error::EngineError;
use crate::machine::Machine;
use crate::serve::Address;
use crate::snapshot::Snapshot;

fn addresses(kernel: &Kernel) -> Vec<Address> {
    kernel.listeners().iter().filter_map(Address::of).collect()
}

impl Snapshot {
    /// Where its forks listen.
    #[must_use]
    pub fn listening(&self) -> Vec<Address> {
        addresses(self.kernel())
    }
}

/// One mapping of a guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AreaInfo {
    /// Its first address.
    pub start: u64,
    /// One past its last address.
    pub end: u64,
    /// PROT_READ
    pub readable: bool,
    /// PROT_WRITE
    pub writable: bool,
    /// PROT_EXEC
    pub executable: bool,
    /// MAP_SHARED
    pub shared: bool,
    /// The file behind it, or what it is (`[stack]`); empty for other anonymous memory.
    pub name: String,
}

/// The most that is read at once.
pub const LARGEST_READ: usize = 1 << 30;

impl Machine {
    /// Where the program listens.
    #[must_use]
    pub fn listening(&self) -> Vec<Address> {
        addresses(self.kernel())
    }

    /// The guest's mappings, in address order.
    #[must_use]
    pub fn areas(&self) -> Vec<AreaInfo> {
        let areas = self.kernel().space.areas().iter();
        areas
            .map(|area| AreaInfo {
                start: area.span.start,
                end: area.span.end,
                readable: area.protection.contains(Protection::READ),
                writable: area.protection.contains(Protection::WRITE),
                executable: area.protection.contains(Protection::EXEC),
                shared: area.shared,
                name: match (&area.backing, area.label) {
                    (_, Some(label)) => format!("[{label}]"),
                    (Backing::File { file, .. }, None) => file.path.clone(),
                    (Backing::Anonymous, None) => String::new(),
                },
            })
            .collect()
    }

    /// Reads guest memory, whatever its protection.
    ///
    /// # Errors
    /// [`EngineError::Memory`] where nothing is mapped, and for more than [`LARGEST_READ`] bytes.
    pub fn read_memory(&self, address: u64, length: usize) -> Result<Vec<u8>, EngineError> {
        let failed = |source| EngineError::Memory { operation: "reading", address, length, source };
        if length > LARGEST_READ {
            return Err(failed(std::io::ErrorKind::InvalidInput.into()));
        }
        let mut bytes = vec![0; length];
        self.platform.read_any(address, &mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Writes guest memory, as the guest itself could.
    ///
    /// # Errors
    /// [`EngineError::Memory`] where the guest may not write; what comes before that is written.
    pub fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), EngineError> {
        let written = self.platform.write_some(address, bytes);
        if written == bytes.len() {
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        Err(EngineError::Memory { operation: "writing", address, length: bytes.len(), source })
    }
}
