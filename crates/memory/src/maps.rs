//! /proc/self/maps and /proc/self/smaps as text, in Linux's own columns.

use crate::areas::{Area, Backing};
use crate::host_file::Origin;
use crate::span::Protection;
use crate::tree::AreaTree;

/// Where the name begins.
const NAME_COLUMN: usize = 73;

/// The text of /proc/self/maps.
#[must_use]
pub fn maps(areas: &AreaTree) -> Vec<u8> {
    let mut text = Vec::with_capacity(100 * areas.len());
    for area in areas.iter() {
        line(&mut text, area);
    }
    text
}

/// The text of /proc/self/smaps. Only sizes that follow from the mapping are known; what is resident
/// is given as if all of an accessible mapping were, and as private and dirty when it can be written.
#[must_use]
pub fn smaps(areas: &AreaTree) -> Vec<u8> {
    let mut text = Vec::with_capacity(800 * areas.len());
    for area in areas.iter() {
        line(&mut text, area);
        sizes(&mut text, area);
    }
    text
}

fn line(text: &mut Vec<u8>, area: &Area) {
    let has = |protection, letter| if area.protection.contains(protection) { letter } else { '-' };
    let (offset, (device, inode), name) = match &area.backing {
        Backing::Anonymous => (0, (0, 0), if area.shared { &b"/dev/zero (deleted)"[..] } else { b"" }),
        Backing::File { file, offset } => (*offset, file.inode(), file.name()),
    };
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let begin = text.len();
    let access = [has(Protection::READ, 'r'), has(Protection::WRITE, 'w'), has(Protection::EXEC, 'x')];
    let access: String = access.into_iter().chain([if area.shared { 's' } else { 'p' }]).collect();
    let (start, end) = (area.span.start, area.span.end);
    text.extend(format!("{start:08x}-{end:08x} {access} {offset:08x} {major:02x}:{minor:02x} {inode} ").bytes());
    if area.label.is_some() || !name.is_empty() {
        let used = text.len() - begin;
        text.extend(std::iter::repeat_n(b' ', NAME_COLUMN.saturating_sub(used).max(1)));
    }
    match area.label {
        Some(label) => text.extend(format!("[{label}]").bytes()),
        None => name.iter().for_each(|byte| match byte {
            b'\n' => text.extend(b"\\012"),
            byte => text.push(*byte),
        }),
    }
    if area.label.is_none() && is_unlinked(&area.backing) {
        text.extend(b" (deleted)");
    }
    text.push(b'\n');
}

/// Whether it is a file that was opened by a name and has none any more.
fn is_unlinked(backing: &Backing) -> bool {
    let Backing::File { file, .. } = backing else { return false };
    let opened = matches!(file.origin(), Origin::Opened { .. });
    opened && rustix::fs::fstat(file.to_look()).is_ok_and(|status| status.st_nlink == 0)
}

fn sizes(text: &mut Vec<u8>, area: &Area) {
    let size = area.span.len() / 1024;
    let resident = if area.protection.is_empty() { 0 } else { size };
    let dirty = if area.protection.contains(Protection::WRITE) && !area.shared { resident } else { 0 };
    let anonymous = if area.is_anonymous() { resident } else { 0 };
    let fields = [
        ("Size", size),
        ("KernelPageSize", 4),
        ("MMUPageSize", 4),
        ("Rss", resident),
        ("Pss", resident),
        ("Pss_Dirty", dirty),
        ("Shared_Clean", 0),
        ("Shared_Dirty", 0),
        ("Private_Clean", resident - dirty),
        ("Private_Dirty", dirty),
        ("Referenced", resident),
        ("Anonymous", anonymous),
        ("KSM", 0),
        ("LazyFree", 0),
        ("AnonHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", 0),
        ("Private_Hugetlb", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", 0),
    ];
    for (name, kilobytes) in fields {
        let name = format!("{name}:");
        text.extend(format!("{name:<16}{kilobytes:>8} kB\n").bytes());
    }
    text.extend(format!("{:<16}{:>8}\nVmFlags: {}\n", "THPeligible:", 0, flags(area)).bytes());
}

fn flags(area: &Area) -> String {
    let may_write = match &area.backing {
        Backing::File { file, .. } => !area.shared || file.writable(),
        Backing::Anonymous => true,
    };
    let flags = [
        (area.protection.contains(Protection::READ), "rd "),
        (area.protection.contains(Protection::WRITE), "wr "),
        (area.protection.contains(Protection::EXEC), "ex "),
        (area.shared && may_write, "sh "),
        (true, "mr "),
        (may_write, "mw "),
        (true, "me "),
        (area.shared, "ms "),
        (area.label == Some("stack"), "gd "),
        (area.protection.contains(Protection::WRITE) && !area.shared && !area.unreserved, "ac "),
        (area.unreserved, "nr "),
        (area.wipe_on_fork, "wf "),
    ];
    flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use warmfork_abi::fcntl::O_RDWR;
    use warmfork_abi::stat::Timestamp;

    use super::*;
    use crate::host_file::HostFile;
    use crate::span::Span;

    /// The area that a line of /proc/self/maps describes, and whether it has a name of the kernel's own.
    fn parse(line: &str) -> Option<Area> {
        let mut fields = line.splitn(6, ' ');
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = fields.next()?.split_once('-')?;
        let access = fields.next()?;
        let offset = hex(fields.next()?)?;
        let (major, minor) = fields.next()?.split_once(':')?;
        let inode = fields.next()?.parse().ok()?;
        let name = fields.next().unwrap_or("").trim_start();
        let flag = |letter, bit| if access.contains(letter) { bit } else { Protection::empty() };
        let label = ["heap", "stack", "vdso", "vvar"].into_iter().find(|label| name == format!("[{label}]"));
        let device = rustix::fs::makedev(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
        let fd = std::fs::File::open("/dev/null").ok()?.into();
        let (path, inode) = (name.into(), (device, inode));
        let file =
            HostFile::new(fd, Origin::Opened { path, flags: O_RDWR, inode, size: 0, changed: Timestamp::default() });
        Some(Area {
            span: Span { start: hex(start)?, end: hex(end)? },
            protection: flag('r', Protection::READ) | flag('w', Protection::WRITE) | flag('x', Protection::EXEC),
            shared: access.ends_with('s'),
            backing: if inode.1 == 0 { Backing::Anonymous } else { Backing::File { file, offset } },
            wipe_on_fork: false,
            unreserved: false,
            label,
        })
    }

    #[test]
    fn lines_are_linuxs() {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        let mut compared = 0;
        for expected in maps.lines() {
            // Names in brackets that guests never see.
            if ["[vsyscall]", "[anon", "[vvar_vclock]"].iter().any(|name| expected.contains(name)) {
                continue;
            }
            let mut text = Vec::new();
            line(&mut text, &parse(expected).expect("a line"));
            assert_eq!(String::from_utf8(text).expect("text"), format!("{expected}\n"));
            compared += 1;
        }
        assert!(compared > 10);
    }

    #[test]
    fn sizes_have_linuxs_names() {
        let smaps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
        let names = |text: &str| -> Vec<String> {
            let is_header = |line: &&str| !line.split(' ').next().is_some_and(|word| word.ends_with(':'));
            let lines = text.lines().skip(1).take_while(|line| !is_header(line));
            lines.filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
        };
        let mut text = Vec::new();
        let area = parse(smaps.lines().next().expect("a line")).expect("a header");
        line(&mut text, &area);
        sizes(&mut text, &area);
        let text = String::from_utf8(text).expect("text");
        let own = names(&text);
        assert!(own.len() > 20);
        // A newer or older kernel may have some more or fewer.
        let theirs = names(&smaps);
        let common: Vec<&String> = theirs.iter().filter(|name| own.contains(name)).collect();
        assert!(common.len() > 15 && own.iter().filter(|name| theirs.contains(name)).eq(common));
        let width = |text: &str| text.lines().find(|line| line.starts_with("Size:")).map(str::len);
        assert_eq!(width(&text), width(&smaps));
    }

    #[test]
    fn newlines_in_names_are_escaped() {
        let area = parse("00400000-00401000 r--s 00000000 08:01 7 /a\nb").expect("a line");
        let mut text = Vec::new();
        line(&mut text, &area);
        assert_eq!(
            String::from_utf8(text).expect("text"),
            format!("{:<73}/a\\012b\n", "00400000-00401000 r--s 00000000 08:01 7")
        );
    }
}
