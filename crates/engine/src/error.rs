//! Errors of the engine, as opposed to a guest's.

use warmfork_abi::Errno;
use warmfork_linux::outside::Outside;
use warmfork_loader::vdso::VdsoError;
use warmfork_platform::PlatformError;

/// The engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// This host cannot run guests in virtual machines.
    #[error("the kvm platform does not work here: {0}")]
    Kvm(#[from] warmfork_platform::kvm::KvmError),
    /// The program could not be loaded.
    #[error(transparent)]
    Load(#[from] warmfork_loader::LoadError),
    /// The rules can't be applied.
    #[error(transparent)]
    Policy(#[from] warmfork_linux::policy::PolicyError),
    /// A memory image could not be made.
    #[error(transparent)]
    Image(#[from] warmfork_memory::image::ImageError),
    /// A call of the engine's own failed.
    #[error("{operation} failed: {source}")]
    Host {
        /// The operation that failed.
        operation: &'static str,
        /// The host's error.
        source: std::io::Error,
    },
    /// The emulated kernel could not go on (out of host memory or descriptors).
    #[error("{operation} failed: {source}")]
    Kernel {
        /// The operation that failed.
        operation: &'static str,
        /// The cause.
        source: Errno,
    },
    /// Guest memory could not be looked at or changed from outside.
    #[error("{operation} {length} bytes of guest memory at {address:#x} failed: {source}")]
    Memory {
        /// The operation that failed.
        operation: &'static str,
        /// The first address.
        address: u64,
        /// How many bytes.
        length: usize,
        /// The host's error.
        source: std::io::Error,
    },
    /// The program has connections to the outside at a freeze that refuses them.
    #[error("freezing is refused: the program has connections {}", list(.0))]
    Outside(Vec<Outside>),
    /// A request of the warm-up was not answered.
    #[error("a warm-up request failed: {0}")]
    WarmUp(std::io::Error),
    /// A call in the wrong order.
    #[error("{0}")]
    State(&'static str),
    /// The thread that owns the machine is gone.
    #[error("the machine's thread ended")]
    Ended,
}

fn list(connections: &[Outside]) -> String {
    connections.iter().filter(|connection| !connection.kept).map(Outside::to_string).collect::<Vec<_>>().join(", ")
}

impl EngineError {
    /// A failed host call.
    pub fn host(operation: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Host { operation, source }
    }
}

impl From<VdsoError> for EngineError {
    fn from(VdsoError::MemoryFile { errno, .. }: VdsoError) -> Self {
        Self::Kernel { operation: "making a clock page", source: errno }
    }
}
