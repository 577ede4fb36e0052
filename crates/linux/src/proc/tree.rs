//! The tree of made-up files, as data.

use super::node::Generator;
use super::{process, system};
use crate::objects::device::Device;
use crate::process::Process;

/// A name and its kind.
pub(super) type Item = (&'static str, Kind);

/// The kind of a name.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A directory with these names.
    Directory(&'static [Item]),
    /// /proc itself: [`SYSTEM`] and a directory for each process and thread.
    Processes,
    /// /proc/PID/task
    Tasks,
    /// /proc/PID/fd
    Descriptors,
    /// /proc/PID/fdinfo
    DescriptorInfos,
    /// A name in /proc/PID/fd.
    Descriptor,
    /// A file, with its permission bits.
    Text(Generator, u32),
    /// A symlink; where it leads.
    Link(fn(&Process) -> Vec<u8>),
    /// A device.
    Device(Device),
    /// /dev/tty
    Terminal,
    /// /dev/shm
    SharedMemory,
    /// A name in /dev/shm.
    Memory,
    /// /dev/ptmx
    Multiplexer,
    /// /dev/pts
    Slaves,
    /// A name in /dev/pts.
    Slave,
}

use Kind::{DescriptorInfos, Descriptors, Directory, Link, Processes, Tasks, Terminal};

const fn text(generator: Generator) -> Kind {
    Kind::Text(generator, 0o444)
}

/// The three directories.
pub(super) static ROOT: &[Item] = &[("proc", Processes), ("dev", Directory(DEVICES)), ("sys", Directory(SYS))];

static DEVICES: &[Item] = &[
    ("null", Kind::Device(Device::Null)),
    ("zero", Kind::Device(Device::Zero)),
    ("full", Kind::Device(Device::Full)),
    ("random", Kind::Device(Device::Random)),
    ("urandom", Kind::Device(Device::Urandom)),
    ("tty", Terminal),
    ("ptmx", Kind::Multiplexer),
    ("pts", Kind::Slaves),
    ("shm", Kind::SharedMemory),
    ("fd", Link(|_| b"/proc/self/fd".to_vec())),
    ("stdin", Link(|_| b"/proc/self/fd/0".to_vec())),
    ("stdout", Link(|_| b"/proc/self/fd/1".to_vec())),
    ("stderr", Link(|_| b"/proc/self/fd/2".to_vec())),
];

/// The entries of /proc beside the processes.
pub(super) static SYSTEM: &[Item] = &[
    ("self", Link(|process| process.pid.to_string().into_bytes())),
    ("thread-self", Link(process::thread_self)),
    ("cmdline", text(system::command_line)),
    ("cpuinfo", text(system::cpu_information)),
    ("filesystems", text(system::file_systems)),
    ("loadavg", text(system::load_average)),
    ("meminfo", text(system::memory_information)),
    ("mounts", Link(|_| b"self/mounts".to_vec())),
    ("net", Link(|_| b"self/net".to_vec())),
    ("stat", text(system::statistics)),
    ("sys", Directory(SYSCTL)),
    ("uptime", text(system::uptime)),
    ("version", text(system::version)),
];

/// /proc/PID
pub(super) static PROCESS: &[Item] = &[
    ("auxv", Kind::Text(process::auxiliary_vector, 0o400)),
    ("cgroup", text(process::control_group)),
    ("cmdline", text(process::command_line)),
    ("comm", Kind::Text(process::name, 0o644)),
    ("cwd", Link(|process| process.fs.cwd.clone())),
    ("environ", Kind::Text(process::environment, 0o400)),
    ("exe", Link(|process| process.executable.clone())),
    ("fd", Descriptors),
    ("fdinfo", DescriptorInfos),
    ("limits", text(process::limits)),
    ("loginuid", Kind::Text(process::login_user, 0o644)),
    ("maps", text(process::maps)),
    ("mountinfo", text(process::mount_information)),
    ("mounts", text(process::mounts)),
    ("net", Directory(NETWORK)),
    ("oom_score", text(process::zero)),
    ("oom_score_adj", Kind::Text(process::zero, 0o644)),
    ("personality", Kind::Text(process::personality, 0o400)),
    ("root", Link(|_| b"/".to_vec())),
    ("smaps", text(process::detailed_maps)),
    ("smaps_rollup", text(process::summed_maps)),
    ("stat", text(process::stat)),
    ("statm", text(process::memory_pages)),
    ("status", text(process::status)),
    ("task", Tasks),
    ("wchan", text(|_| b"0".to_vec())),
];

/// /proc/PID of a process that has ended and has not been waited for
pub(super) static ZOMBIE: &[Item] = &[
    ("cmdline", text(|_| Vec::new())),
    ("comm", text(process::zombie_name)),
    ("stat", text(process::zombie_stat)),
    ("statm", text(|_| b"0 0 0 0 0 0 0\n".to_vec())),
    ("status", text(process::zombie_status)),
];

/// /proc/PID/task/TID
pub(super) static TASK: &[Item] = &[
    ("auxv", Kind::Text(process::auxiliary_vector, 0o400)),
    ("cgroup", text(process::control_group)),
    ("cmdline", text(process::command_line)),
    ("comm", Kind::Text(process::name, 0o644)),
    ("cwd", Link(|process| process.fs.cwd.clone())),
    ("environ", Kind::Text(process::environment, 0o400)),
    ("exe", Link(|process| process.executable.clone())),
    ("fd", Descriptors),
    ("fdinfo", DescriptorInfos),
    ("limits", text(process::limits)),
    ("maps", text(process::maps)),
    ("mountinfo", text(process::mount_information)),
    ("mounts", text(process::mounts)),
    ("oom_score", text(process::zero)),
    ("oom_score_adj", Kind::Text(process::zero, 0o644)),
    ("root", Link(|_| b"/".to_vec())),
    ("smaps", text(process::detailed_maps)),
    ("stat", text(process::stat)),
    ("statm", text(process::memory_pages)),
    ("status", text(process::status)),
];

static NETWORK: &[Item] = &[
    ("dev", text(system::network_devices)),
    ("if_inet6", text(|_| Vec::new())),
    ("tcp", text(system::no_sockets)),
    ("tcp6", text(system::no_sockets)),
    ("udp", text(system::no_sockets)),
    ("udp6", text(system::no_sockets)),
];

/// /proc/sys
static SYSCTL: &[Item] = &[
    ("fs", Directory(SYSCTL_FS)),
    ("kernel", Directory(SYSCTL_KERNEL)),
    ("net", Directory(&[("core", Directory(SYSCTL_NET_CORE)), ("ipv4", Directory(SYSCTL_NET_IPV4))])),
    ("vm", Directory(SYSCTL_VM)),
];

static SYSCTL_FS: &[Item] = &[
    ("file-max", text(|_| b"9223372036854775807\n".to_vec())),
    ("nr_open", text(|_| b"1048576\n".to_vec())),
    ("pipe-max-size", text(|_| b"1048576\n".to_vec())),
];

static SYSCTL_KERNEL: &[Item] = &[
    ("cap_last_cap", text(|_| b"40\n".to_vec())),
    ("hostname", text(system::host_name)),
    ("ngroups_max", text(|_| b"65536\n".to_vec())),
    ("osrelease", text(system::release)),
    ("ostype", text(|_| b"Linux\n".to_vec())),
    ("pid_max", text(|_| b"4194304\n".to_vec())),
    ("random", Directory(&[("boot_id", text(system::boot_id)), ("uuid", text(system::random_id))])),
    ("threads-max", text(system::most_threads)),
    ("version", text(system::build)),
];

static SYSCTL_NET_CORE: &[Item] = &[("somaxconn", text(|_| b"4096\n".to_vec()))];

static SYSCTL_NET_IPV4: &[Item] = &[("ip_local_port_range", text(|_| b"32768\t60999\n".to_vec()))];

static SYSCTL_VM: &[Item] = &[
    ("max_map_count", text(system::most_areas)),
    ("mmap_min_addr", text(|_| b"65536\n".to_vec())),
    ("overcommit_memory", text(|_| b"1\n".to_vec())),
];

static SYS: &[Item] = &[
    ("devices", Directory(&[("system", Directory(&[("cpu", Directory(SYS_CPU))]))])),
    ("fs", Directory(&[("cgroup", Directory(&[]))])),
    ("kernel", Directory(&[("mm", Directory(&[("transparent_hugepage", Directory(SYS_HUGE_PAGES))]))])),
];

static SYS_CPU: &[Item] = &[
    ("cpu0", Directory(&[])),
    ("kernel_max", text(|_| b"0\n".to_vec())),
    ("offline", text(|_| b"\n".to_vec())),
    ("online", text(|_| b"0\n".to_vec())),
    ("possible", text(|_| b"0\n".to_vec())),
    ("present", text(|_| b"0\n".to_vec())),
];

static SYS_HUGE_PAGES: &[Item] =
    &[("enabled", text(|_| b"always madvise [never]\n".to_vec())), ("hpage_pmd_size", text(|_| b"2097152\n".to_vec()))];
