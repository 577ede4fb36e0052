//! Texts about the process and its threads.

use std::fmt::Write as _;

use warmfork_abi::Errno;
use warmfork_abi::PAGE;
use warmfork_memory::maps as memory_maps;

use super::node::Scope;
use crate::guest_path;
use crate::kernel::Kernel;
use crate::objects::pidfd::ProcessState;
use crate::process::{Process, UNLIMITED};
use crate::processes::Zombie;
use crate::task::{State, Task};

/// Nanoseconds in the ticks of USER_HZ.
const TICK: u64 = 10_000_000;

/// Where /proc/thread-self leads.
pub(super) fn thread_self(process: &Process) -> Vec<u8> {
    format!("{}/task/{}", process.pid, process.tasks.current).into_bytes()
}

/// The thread that a text is about; the reader itself where that one has ended.
fn task<'a>(scope: &'a Scope<'_>) -> &'a Task {
    let tasks = &scope.process.tasks;
    tasks.lookup(scope.tid).unwrap_or_else(|| tasks.get(tasks.current))
}

/// Byte strings, each ended with a NUL.
fn joined(strings: &[Vec<u8>]) -> Vec<u8> {
    strings.iter().flat_map(|string| string.iter().copied().chain([0])).collect()
}

/// cmdline
pub(super) fn command_line(scope: &Scope<'_>) -> Vec<u8> {
    joined(&scope.process.arguments)
}

/// environ
pub(super) fn environment(scope: &Scope<'_>) -> Vec<u8> {
    joined(&scope.process.environment)
}

/// auxv
pub(super) fn auxiliary_vector(scope: &Scope<'_>) -> Vec<u8> {
    scope.process.auxiliary_vector.clone()
}

/// comm
pub(super) fn name(scope: &Scope<'_>) -> Vec<u8> {
    let mut name = task(scope).name.clone();
    name.push(b'\n');
    name
}

/// cgroup
pub(super) fn control_group(_: &Scope<'_>) -> Vec<u8> {
    b"0::/\n".to_vec()
}

/// oom_score and oom_score_adj
pub(super) fn zero(_: &Scope<'_>) -> Vec<u8> {
    b"0\n".to_vec()
}

/// loginuid: not set.
pub(super) fn login_user(_: &Scope<'_>) -> Vec<u8> {
    b"4294967295".to_vec()
}

/// personality
pub(super) fn personality(scope: &Scope<'_>) -> Vec<u8> {
    format!("{:08x}\n", scope.process.attributes.personality).into_bytes()
}

/// maps
pub(super) fn maps(scope: &Scope<'_>) -> Vec<u8> {
    memory_maps::maps(scope.space().areas())
}

/// smaps
pub(super) fn detailed_maps(scope: &Scope<'_>) -> Vec<u8> {
    memory_maps::smaps(scope.space().areas())
}

/// smaps_rollup: the sizes of smaps, added up.
pub(super) fn summed_maps(scope: &Scope<'_>) -> Vec<u8> {
    let areas = scope.space().areas();
    let (start, end) =
        areas.iter().fold((u64::MAX, 0), |(start, end), area| (start.min(area.span.start), end.max(area.span.end)));
    let mut text =
        format!("{:08x}-{end:08x} ---p 00000000 00:00 0                          [rollup]\n", start.min(end));
    let smaps = String::from_utf8_lossy(&memory_maps::smaps(areas)).into_owned();
    for field in [
        "Rss",
        "Pss",
        "Pss_Dirty",
        "Shared_Clean",
        "Shared_Dirty",
        "Private_Clean",
        "Private_Dirty",
        "Referenced",
        "Anonymous",
    ] {
        let label = format!("{field}:");
        let lines = smaps.lines().filter(|line| line.starts_with(&label));
        let sum: u64 = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum();
        _ = writeln!(text, "{label:<15} {sum:>8} kB");
    }
    text.into_bytes()
}

/// Pages in all mappings, in those with any access, in executable ones, and in writable private ones.
struct Pages {
    all: u64,
    resident: u64,
    code: u64,
    data: u64,
}

fn pages(scope: &Scope<'_>) -> Pages {
    use warmfork_memory::Protection;
    let mut pages = Pages { all: 0, resident: 0, code: 0, data: 0 };
    for area in scope.space().areas().iter() {
        let count = area.span.len() / PAGE;
        let on = |protection| if area.protection.contains(protection) { count } else { 0 };
        pages.all += count;
        pages.resident += if area.protection.is_empty() { 0 } else { count };
        pages.code += on(Protection::EXEC);
        pages.data += if area.shared { 0 } else { on(Protection::WRITE) };
    }
    pages
}

/// statm
pub(super) fn memory_pages(scope: &Scope<'_>) -> Vec<u8> {
    let Pages { all, resident, code, data } = pages(scope);
    format!("{all} {resident} 0 {code} 0 {data} 0\n").into_bytes()
}

fn state(scope: &Scope<'_>) -> &'static str {
    if scope.process.tasks.stopped {
        return "T (stopped)";
    }
    match task(scope).state() {
        State::Blocked(_) => "S (sleeping)",
        State::Ready | State::Retry(_) => "R (running)",
    }
}

/// stat
pub(super) fn stat(scope: &Scope<'_>) -> Vec<u8> {
    let process = scope.process;
    let task = task(scope);
    let own = scope.tid != process.pid || scope.process.tasks.len() == 1;
    let cpu = if own { task.cpu_time } else { process.cpu_time };
    let pages = pages(scope);
    let stack = scope.space().areas().iter().find(|area| area.label == Some("stack"));
    let mut text = format!("{} ({}) {}", scope.tid, String::from_utf8_lossy(&task.name), &state(scope)[..1]);
    let limit = scope.process.limits[crate::process::RLIMIT_RSS].soft;
    // Fields 4 to 52 of proc_pid_stat(5), in tens: 11 begins the second line, 21 the fourth, ...
    #[rustfmt::skip]
    let fields: [i128; 49] = [
        process.parent.into(), process.group.into(), process.session.into(), 0, -1, 0, 0,
        0, 0, 0, (cpu / TICK).into(), 0, 0, 0, (20 + process.attributes.nice).into(),
        process.attributes.nice.into(), scope.process.tasks.len() as i128,
        0, (process.started / TICK).into(), (pages.all * PAGE).into(), pages.resident.into(), limit.into(), 0, 0,
        stack.map_or(0, |area| area.span.end).into(), 0, 0,
        0, task.signals.mask.into(), 0, 0, 0, 0, 0, 17, 0, 0,
        0, 0, 0, 0, 0, 0, scope.space().heap().start.into(), 0, 0, 0,
        0, 0,
    ];
    for field in fields {
        _ = write!(text, " {field}");
    }
    text.push('\n');
    text.into_bytes()
}

/// status
pub(super) fn status(scope: &Scope<'_>) -> Vec<u8> {
    let process = scope.process;
    let task = task(scope);
    let groups: Vec<String> = process.groups.iter().map(u32::to_string).collect();
    let mut text = String::new();
    let ids = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
    _ = writeln!(text, "Name:\t{}", String::from_utf8_lossy(&task.name));
    _ = writeln!(text, "Umask:\t{:04o}\nState:\t{}", scope.process.fs.umask, state(scope));
    _ = writeln!(text, "Tgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}", process.pid, scope.tid, process.parent);
    _ = writeln!(text, "TracerPid:\t0\nUid:\t{}\nGid:\t{}", ids(process.uid), ids(process.gid));
    _ = writeln!(text, "FDSize:\t64\nGroups:\t{} ", groups.join(" "));
    _ = writeln!(text, "NStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{}", process.pid, scope.tid, process.group);
    _ = writeln!(text, "NSsid:\t{}\nKthread:\t0", process.session);
    memory_sizes(scope, &mut text);
    _ = writeln!(text, "CoreDumping:\t0\nTHP_enabled:\t0\nThreads:\t{}", scope.process.tasks.len());
    signals(scope, &mut text);
    text.push_str("CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n");
    text.push_str("CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n");
    _ = writeln!(text, "NoNewPrivs:\t{}", i32::from(process.attributes.no_new_privileges));
    text.push_str("Seccomp:\t0\nSeccomp_filters:\t0\nCpus_allowed:\t1\nCpus_allowed_list:\t0\n");
    text.push_str("Mems_allowed:\t1\nMems_allowed_list:\t0\n");
    text.push_str("voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n");
    text.into_bytes()
}

/// The sizes in status.
fn memory_sizes(scope: &Scope<'_>, text: &mut String) {
    let Pages { all, resident, code, data } = pages(scope);
    let kilobytes = |pages: u64| pages * (PAGE / 1024);
    let sizes = [
        ("VmPeak", all),
        ("VmSize", all),
        ("VmLck", 0),
        ("VmPin", 0),
        ("VmHWM", resident),
        ("VmRSS", resident),
        ("RssAnon", resident),
        ("RssFile", 0),
        ("RssShmem", 0),
        ("VmData", data),
        ("VmStk", 0),
        ("VmExe", code),
        ("VmLib", 0),
        ("VmPTE", 0),
        ("VmSwap", 0),
    ];
    for (name, pages) in sizes {
        _ = writeln!(text, "{name}:\t{:>8} kB", kilobytes(pages));
    }
}

/// The signal sets in status.
fn signals(scope: &Scope<'_>, text: &mut String) {
    let signals = &scope.process.signals;
    let own = &task(scope).signals;
    let (mut ignored, mut caught) = (0_u64, 0_u64);
    for signal in 1..=64 {
        let bit = warmfork_abi::signals::signal_bit(signal);
        match signals.action(signal).handler {
            warmfork_abi::signals::SIG_DFL => {}
            warmfork_abi::signals::SIG_IGN => ignored |= bit,
            _ => caught |= bit,
        }
    }
    _ = writeln!(text, "SigQ:\t0/{}", scope.process.limits[crate::process::RLIMIT_SIGPENDING].soft);
    _ = writeln!(text, "SigPnd:\t{:016x}\nShdPnd:\t{:016x}", own.pending.set(), signals.pending.set());
    _ = writeln!(text, "SigBlk:\t{:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}", own.mask);
}

/// limits
pub(super) fn limits(scope: &Scope<'_>) -> Vec<u8> {
    const NAMES: [(&str, &str); crate::process::LIMITS] = [
        ("Max cpu time", "seconds"),
        ("Max file size", "bytes"),
        ("Max data size", "bytes"),
        ("Max stack size", "bytes"),
        ("Max core file size", "bytes"),
        ("Max resident set", "bytes"),
        ("Max processes", "processes"),
        ("Max open files", "files"),
        ("Max locked memory", "bytes"),
        ("Max address space", "bytes"),
        ("Max file locks", "locks"),
        ("Max pending signals", "signals"),
        ("Max msgqueue size", "bytes"),
        ("Max nice priority", ""),
        ("Max realtime priority", ""),
        ("Max realtime timeout", "us"),
    ];
    let show = |value: u64| if value == UNLIMITED { "unlimited".to_owned() } else { value.to_string() };
    let mut text = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for ((name, unit), limit) in NAMES.iter().zip(&scope.process.limits) {
        _ = writeln!(text, "{name:<25} {:<20} {:<20} {unit:<10}", show(limit.soft), show(limit.hard));
    }
    text.into_bytes()
}

/// The mounts that a guest sees: the root, the made-up file systems, and the volumes.
fn mount_points(scope: &Scope<'_>) -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let mut mounts = vec![
        (b"/".to_vec(), "ext4", "rw"),
        (b"/proc".to_vec(), "proc", "rw"),
        (b"/dev".to_vec(), "devtmpfs", "rw"),
        (b"/sys".to_vec(), "sysfs", "ro"),
    ];
    for (path, writable) in scope.kernel.policy.volumes() {
        mounts.push((path.to_vec(), "ext4", if writable { "rw" } else { "ro" }));
    }
    mounts
}

/// mounts
pub(super) fn mounts(scope: &Scope<'_>) -> Vec<u8> {
    let mut text = String::new();
    for (path, kind, options) in mount_points(scope) {
        _ = writeln!(text, "{kind} {} {kind} {options},relatime 0 0", escaped(&path));
    }
    text.into_bytes()
}

/// mountinfo
pub(super) fn mount_information(scope: &Scope<'_>) -> Vec<u8> {
    let mut text = String::new();
    for ((path, kind, options), id) in mount_points(scope).into_iter().zip(21..) {
        let parent = if path == b"/" { 1 } else { 21 };
        let shown = escaped(&path);
        _ = writeln!(text, "{id} {parent} 0:{id} / {shown} {options},relatime - {kind} {kind} {options}");
    }
    text.into_bytes()
}

/// White space and backslashes in octal, as in mounts.
fn escaped(path: &[u8]) -> String {
    let mut text = String::new();
    for &byte in path {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\\') {
            _ = write!(text, "\\{byte:03o}");
        } else {
            text.push(char::from(byte));
        }
    }
    text
}

/// fdinfo/N
pub(super) fn descriptor_info(scope: &Scope<'_>) -> Vec<u8> {
    let Ok(descriptor) = scope.process.descriptors.get(scope.fd) else { return Vec::new() };
    let description = scope.kernel.files.description(descriptor.description);
    let close = if descriptor.close_on_exec { warmfork_abi::fcntl::O_CLOEXEC } else { 0 };
    let flags = description.flags | close;
    let mut text = format!("pos:\t{}\nflags:\t0{flags:o}\nmnt_id:\t21\n", description.offset);
    if let Some(pidfd) = scope.kernel.pidfd(descriptor.description) {
        let pid = if scope.kernel.process_state(pidfd) == ProcessState::Gone { -1 } else { pidfd.id };
        text.push_str(&format!("Pid:\t{pid}\nNSpid:\t{pid}\n"));
    }
    text.into_bytes()
}

/// Takes the bytes that the guest writes to comm, and to files whose value does not matter here.
pub(super) fn write(kernel: &mut Kernel, path: &[u8], bytes: &[u8]) -> Result<(), Errno> {
    let Some((directory, b"comm")) = guest_path::split(path) else { return Ok(()) };
    let last = guest_path::split(directory).map_or(&b""[..], |(_, name)| name);
    let tid = std::str::from_utf8(last).ok().and_then(|name| name.parse().ok()).ok_or(Errno::EINVAL)?;
    let end = bytes.iter().position(|&byte| byte == 0 || byte == b'\n').unwrap_or(bytes.len());
    let task = kernel.processes.find_task_mut(tid).ok_or(Errno::ESRCH)?;
    task.name = bytes[..end.min(15)].to_vec();
    Ok(())
}

/// The zombie that a text is about, if it has not been waited for since.
fn zombie<'a>(scope: &'a Scope<'_>) -> Option<&'a Zombie> {
    scope.kernel.processes.zombie(scope.tid)
}

/// comm of a zombie
pub(super) fn zombie_name(scope: &Scope<'_>) -> Vec<u8> {
    let mut name = zombie(scope).map(|zombie| zombie.name.clone()).unwrap_or_default();
    name.push(b'\n');
    name
}

/// stat of a zombie
pub(super) fn zombie_stat(scope: &Scope<'_>) -> Vec<u8> {
    let Some(zombie) = zombie(scope) else { return Vec::new() };
    let (name, cpu) = (String::from_utf8_lossy(&zombie.name), zombie.cpu_time / TICK);
    let Zombie { parent, group, session, .. } = zombie;
    let mut text = format!("{} ({name}) Z {parent} {group} {session} 0 -1 0 0 0 0 0 {cpu} 0 0 0 20 0 1", scope.tid);
    text.push_str(&" 0".repeat(32));
    text.push('\n');
    text.into_bytes()
}

/// status of a zombie
pub(super) fn zombie_status(scope: &Scope<'_>) -> Vec<u8> {
    let Some(zombie) = zombie(scope) else { return Vec::new() };
    let (name, uid) = (String::from_utf8_lossy(&zombie.name), zombie.uid);
    let ids = format!("Tgid:\t{0}\nNgid:\t0\nPid:\t{0}\nPPid:\t{1}\nTracerPid:\t0", scope.tid, zombie.parent);
    format!("Name:\t{name}\nState:\tZ (zombie)\n{ids}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nThreads:\t1\n").into_bytes()
}
