//! Shows a machine's mappings, threads and memory to the Python API and to tests.

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
    /// The addresses that its forks listen on.
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
    /// The file behind it, or its kind (`[stack]`); empty for other anonymous memory.
    pub name: String,
}

/// One thread of a guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadInfo {
    /// Its id.
    pub tid: i32,
    /// Its name.
    pub name: Vec<u8>,
    /// Its integer registers, in the order of `struct user_regs_struct`.
    pub registers: [u64; 27],
    /// Its FPU and vector state in XSAVE layout; empty before it ever ran.
    pub vectors: Vec<u8>,
}

/// The most bytes that one [`Machine::read_memory`] reads.
pub const MAX_READ: usize = 1 << 30;

impl Machine {
    /// The addresses that the program listens on.
    #[must_use]
    pub fn listening(&self) -> Vec<Address> {
        addresses(self.kernel())
    }

    /// The guest's mappings, in address order.
    #[must_use]
    pub fn areas(&self) -> Vec<AreaInfo> {
        let areas = self.kernel().space().areas().iter();
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
                    (Backing::File { file, .. }, None) => String::from_utf8_lossy(file.name()).into_owned(),
                    (Backing::Anonymous, None) => String::new(),
                },
            })
            .collect()
    }

    /// The threads of the current process, with all of their registers.
    ///
    /// # Errors
    /// [`EngineError::Platform`] when the platform fails.
    pub fn threads(&mut self) -> Result<Vec<ThreadInfo>, EngineError> {
        let loaded = self.executor.platform.fpu()?;
        let current = self.guest.kernel.process().tasks.current;
        let threads = self.guest.kernel.process().tasks.iter().map(|task| {
            let running = task.tid == current;
            ThreadInfo {
                tid: task.tid,
                name: task.name.clone(),
                registers: if running { self.executor.registers } else { task.registers }.words(),
                vectors: if running { loaded.clone() } else { task.fpu.clone().unwrap_or_default() },
            }
        });
        Ok(threads.collect())
    }

    /// The emulated kernel's whole state as text, for people: descriptors, pipes with their content, signals, timers. The form may
    /// change.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{:#?}", self.guest.kernel)
    }

    /// Reads guest memory, whatever its protection.
    ///
    /// # Errors
    /// [`EngineError::Memory`] where nothing is mapped, and for more than [`MAX_READ`] bytes.
    pub fn read_memory(&self, address: u64, length: usize) -> Result<Vec<u8>, EngineError> {
        let failed = |source| EngineError::Memory { operation: "reading", address, length, source };
        if length > MAX_READ {
            return Err(failed(std::io::ErrorKind::InvalidInput.into()));
        }
        let mut bytes = vec![0; length];
        self.executor.platform.read_any(address, &mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Writes guest memory, as the guest itself could.
    ///
    /// # Errors
    /// [`EngineError::Memory`] where the guest may not write; the bytes before that address are written.
    pub fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), EngineError> {
        let written = self.executor.platform.write_some(address, bytes);
        if written == bytes.len() {
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        Err(EngineError::Memory { operation: "writing", address, length: bytes.len(), source })
    }
}
