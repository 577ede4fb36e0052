//! Chooses the platform that runs a guest. `auto` takes kvm where leaving a guest is cheap, else process: see `warmfork doctor`.

use std::time::Duration;

use warmfork_platform::Platform;
use warmfork_platform::kvm::{self, KvmPlatform};
use warmfork_platform::process::ProcessPlatform;

use crate::error::EngineError;

/// The longest time that a system call on kvm may take for `auto` to choose it: about that of one on the process platform.
pub const MAX_EXIT_COST: Duration = Duration::from_micros(4);

/// A kind of platform.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlatformKind {
    /// A virtual machine.
    Kvm,
    /// A traced process.
    Process,
}

/// The most mappings that the host lets a process have.
fn host_areas() -> Option<usize> {
    std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

impl PlatformKind {
    /// The most mappings that a guest may have. A traced process has Linux's usual number for itself. Virtual machines share this
    /// process's number; none may take more than an eighth of it, so that others get some.
    pub(crate) fn max_areas(self) -> usize {
        let usual = warmfork_memory::Limits::default().areas;
        match self {
            Self::Kvm => usual.min(host_areas().unwrap_or(usual) / 8),
            Self::Process => usual,
        }
    }

    /// Its name, as `--platform` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Process => "process",
        }
    }
}

/// The platform of a machine and of all of its forks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SelectedPlatform {
    /// The platform's kind.
    pub kind: PlatformKind,
    /// Whether `auto` chose it.
    pub automatic: bool,
    /// Whether the host may back the guest's memory with huge pages.
    pub huge_pages: bool,
}

impl SelectedPlatform {
    /// The reason for this platform, for people.
    #[must_use]
    pub fn reason(self) -> String {
        if self.automatic { automatic().1 } else { "it was asked for".into() }
    }

    /// An empty guest on it.
    pub(crate) fn guest(self) -> Result<Box<dyn Platform>, EngineError> {
        Ok(match self.kind {
            PlatformKind::Kvm => {
                kvm::probe()?;
                Box::new(KvmPlatform::new(self.huge_pages)?)
            }
            PlatformKind::Process => {
                if self.huge_pages {
                    log::warn!("huge pages are for guests on kvm: on the process platform there are none");
                }
                Box::new(ProcessPlatform::new()?)
            }
        })
    }
}

/// The platform that a caller asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PlatformChoice {
    /// The better one that works here.
    #[default]
    Auto,
    /// This one or none.
    Only(PlatformKind),
}

impl PlatformChoice {
    /// The choice of this name, as `--platform` has it; `None` for an unknown name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "kvm" => Some(Self::Only(PlatformKind::Kvm)),
            "process" => Some(Self::Only(PlatformKind::Process)),
            _ => None,
        }
    }

    /// The platform to use; probes the host once for [`Self::Auto`].
    #[must_use]
    pub fn select(self, huge_pages: bool) -> SelectedPlatform {
        let (kind, automatic) = match self {
            Self::Only(kind) => (kind, false),
            Self::Auto => {
                let (kind, reason) = automatic();
                log::info!("guests run on {}: {reason}", kind.name());
                (kind, true)
            }
        };
        SelectedPlatform { kind, automatic, huge_pages }
    }
}

/// The platform that `auto` chooses on this host, and the reason.
#[must_use]
pub fn automatic() -> (PlatformKind, String) {
    match kvm::probe() {
        Ok(found) if found.exit <= MAX_EXIT_COST => {
            (PlatformKind::Kvm, format!("a system call of a virtual machine costs {:.1?}", found.exit))
        }
        Ok(found) => {
            let reason =
                format!("a system call of a virtual machine costs {:.1?}, more than a traced process's", found.exit);
            (PlatformKind::Process, reason)
        }
        Err(error) => (PlatformKind::Process, error.to_string()),
    }
}
