//! /proc/self/maps and /proc/self/smaps as text, in Linux's own columns.

use crate::areas::{Area, Backing, Protection};
use crate::tree::AreaTree;

/// Where the name begins.
const NAME_COLUMN: usize = 73;

/// The text of /proc/self/maps.
#[must_use]
pub fn maps(areas: &AreaTree) -> String {
    let mut text = String::with_capacity(100 * areas.len());
    for area in areas.iter() {
        line(&mut text, area);
    }
    text
}

/// The text of /proc/self/smaps. Of the sizes only those are known that follow from the mapping; what is resident
/// is given as if all of an accessible mapping were, and as private and dirty when it can be written.
#[must_use]
pub fn smaps(areas: &AreaTree) -> String {
    let mut text = String::with_capacity(800 * areas.len());
    for area in areas.iter() {
        line(&mut text, area);
        sizes(&mut text, area);
    }
    text
}

fn line(text: &mut String, area: &Area) {
    let has = |protection, letter| if area.protection.contains(protection) { letter } else { '-' };
    let (offset, major, minor, inode, path) = match &area.backing {
        Backing::Anonymous => (0, 0, 0, 0, if area.shared { "/dev/zero (deleted)" } else { "" }),
        Backing::File { file, offset } => {
            let (major, minor) = (rustix::fs::major(file.device), rustix::fs::minor(file.device));
            (*offset, major, minor, file.inode, file.path.as_str())
        }
    };
    let begin = text.len();
    let access = [has(Protection::READ, 'r'), has(Protection::WRITE, 'w'), has(Protection::EXEC, 'x')];
    text.push_str(&format!("{:08x}-{:08x} ", area.span.start, area.span.end));
    text.extend(access);
    text.push_str(if area.shared { "s " } else { "p " });
    text.push_str(&format!("{offset:08x} {major:02x}:{minor:02x} {inode} "));
    if area.label.is_some() || !path.is_empty() {
        let used = text.len() - begin;
        text.extend(std::iter::repeat_n(' ', NAME_COLUMN.saturating_sub(used).max(1)));
    }
    match area.label {
        Some(label) => text.extend(["[", label, "]"]),
        None => text.push_str(&path.replace('\n', "\\012")),
    }
    text.push('\n');
}

fn sizes(text: &mut String, area: &Area) {
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
        text.push_str(&format!("{name:<16}{kilobytes:>8} kB\n"));
    }
    text.push_str(&format!("{:<16}{:>8}\nVmFlags: {}\n", "THPeligible:", 0, flags(area)));
}

fn flags(area: &Area) -> String {
    let may_write = match &area.backing {
        Backing::File { file, .. } => !area.shared || file.writable,
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
        (area.protection.contains(Protection::WRITE) && !area.shared, "ac "),
        (area.wipe_on_fork, "wf "),
    ];
    flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect()
}
