//! Texts about the system as a whole.

use std::fmt::Write as _;

use super::node::Scope;

/// The host's name as the guest sees it.
pub const NODE: &str = "warmfork";
/// The kernel release: one that C libraries and runtimes take for recent enough.
pub const RELEASE: &str = "6.1.0";
/// The kernel version.
pub const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC warmfork";

/// Nanoseconds in the ticks of USER_HZ.
const TICK: u64 = 10_000_000;

/// /proc/cmdline: the kernel's own command line.
pub(super) fn command_line(_: &Scope<'_>) -> Vec<u8> {
    b"\n".to_vec()
}

/// /proc/cpuinfo: one CPU, described as the host describes its first.
pub(super) fn cpu_information(_: &Scope<'_>) -> Vec<u8> {
    let host = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = host.split("\n\n").next().unwrap_or_default();
    let mut text = String::new();
    for line in first.lines() {
        let key = line.split(['\t', ':']).next().unwrap_or_default();
        match key {
            "siblings" | "cpu cores" => _ = writeln!(text, "{}: 1", line.split(':').next().unwrap_or_default()),
            "processor" | "core id" | "apicid" | "initial apicid" | "physical id" => {
                _ = writeln!(text, "{}: 0", line.split(':').next().unwrap_or_default());
            }
            _ => _ = writeln!(text, "{line}"),
        }
    }
    text.push('\n');
    text.into_bytes()
}

/// /proc/meminfo: the machine's limit is all the memory there is.
pub(super) fn memory_information(scope: &Scope<'_>) -> Vec<u8> {
    let (total, free) = memory(scope);
    let mut text = String::new();
    let fields = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("Active", total - free),
        ("Inactive", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("AnonPages", total - free),
        ("Mapped", 0),
        ("Shmem", 0),
        ("Slab", 0),
        ("CommitLimit", total),
        ("Committed_AS", total - free),
    ];
    for (name, kilobytes) in fields {
        let label = format!("{name}:");
        _ = writeln!(text, "{label:<15} {kilobytes:>8} kB");
    }
    text.push_str("HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
    text.into_bytes()
}

/// Memory of the machine, and the part that is not mapped, in kilobytes.
fn memory(scope: &Scope<'_>) -> (u64, u64) {
    /// The size that a machine without a limit shows, for programs that size caches by it.
    const UNLIMITED: u64 = 8 << 30;
    let limit = scope.space().limits().accessible_bytes;
    let total = if limit >= warmfork_abi::USER_END { UNLIMITED } else { limit };
    let used = scope.space().areas().accessible_bytes().reserved;
    (total / 1024, total.saturating_sub(used) / 1024)
}

/// /proc/stat
pub(super) fn statistics(scope: &Scope<'_>) -> Vec<u8> {
    let uptime = scope.host.boottime() / TICK;
    let busy = scope.host.busy() / TICK;
    let idle = uptime.saturating_sub(busy);
    let booted = scope.host.realtime().saturating_sub(scope.host.boottime()) / 1_000_000_000;
    let threads = scope.process.tasks.len();
    format!(
        "cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {busy} 0 0 {idle} 0 0 0 0 0 0\nintr 0\nctxt 0\nbtime {booted}\n\
         processes {threads}\nprocs_running 1\nprocs_blocked 0\n"
    )
    .into_bytes()
}

/// /proc/uptime
pub(super) fn uptime(scope: &Scope<'_>) -> Vec<u8> {
    let hundredths = scope.host.boottime() / TICK;
    let idle = hundredths.saturating_sub(scope.host.busy() / TICK);
    format!("{}.{:02} {}.{:02}\n", hundredths / 100, hundredths % 100, idle / 100, idle % 100).into_bytes()
}

/// /proc/loadavg
pub(super) fn load_average(scope: &Scope<'_>) -> Vec<u8> {
    format!("0.00 0.00 0.00 1/{} {}\n", scope.process.tasks.len(), scope.process.pid).into_bytes()
}

/// /proc/version
pub(super) fn version(_: &Scope<'_>) -> Vec<u8> {
    format!("Linux version {RELEASE} (warmfork) {VERSION}\n").into_bytes()
}

/// /proc/sys/kernel/version
pub(super) fn build(_: &Scope<'_>) -> Vec<u8> {
    format!("{VERSION}\n").into_bytes()
}

/// /proc/sys/kernel/osrelease
pub(super) fn release(_: &Scope<'_>) -> Vec<u8> {
    format!("{RELEASE}\n").into_bytes()
}

/// /proc/sys/kernel/hostname
pub(super) fn host_name(_: &Scope<'_>) -> Vec<u8> {
    format!("{NODE}\n").into_bytes()
}

/// /proc/sys/kernel/threads-max
pub(super) fn most_threads(scope: &Scope<'_>) -> Vec<u8> {
    format!("{}\n", scope.kernel.processes.max_threads).into_bytes()
}

/// /proc/sys/vm/max_map_count
pub(super) fn most_areas(scope: &Scope<'_>) -> Vec<u8> {
    format!("{}\n", scope.space().limits().areas).into_bytes()
}

/// /proc/sys/kernel/random/boot_id: the host's.
pub(super) fn boot_id(_: &Scope<'_>) -> Vec<u8> {
    std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// /proc/sys/kernel/random/uuid: a new one each time.
pub(super) fn random_id(_: &Scope<'_>) -> Vec<u8> {
    std::fs::read("/proc/sys/kernel/random/uuid").unwrap_or_default()
}

/// /proc/filesystems
pub(super) fn file_systems(_: &Scope<'_>) -> Vec<u8> {
    b"nodev\tproc\nnodev\tsysfs\nnodev\ttmpfs\n\text4\n".to_vec()
}

/// /proc/net/dev: the loopback device.
pub(super) fn network_devices(_: &Scope<'_>) -> Vec<u8> {
    let head = "Inter-|   Receive                                                |  Transmit\n \
                face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo \
                colls carrier compressed\n";
    let zeroes = "       0       0    0    0    0     0          0         0";
    format!("{head}    lo:{zeroes}        0       0    0    0    0     0       0          0\n").into_bytes()
}

/// /proc/net/tcp and its like: the heading only.
pub(super) fn no_sockets(_: &Scope<'_>) -> Vec<u8> {
    b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n".to_vec()
}
