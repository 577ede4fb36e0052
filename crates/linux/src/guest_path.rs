//! Guest paths as byte strings. *Plain* paths are absolute, without `.`, `..`, doubled or trailing slashes.

/// Longest path that Linux takes, with its terminating NUL (PATH_MAX).
pub const PATH_MAX: usize = 4096;
/// Longest name of one directory entry (NAME_MAX).
pub const NAME_MAX: usize = 255;

/// The names between the slashes, without empty ones and `.`.
pub fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// Whether a path needs no look at the file system to be made plain: it has no `..`.
#[must_use]
pub fn is_straight(path: &[u8]) -> bool {
    components(path).all(|name| name != b"..")
}

/// `path` made plain. `..` is taken by name, so only for paths that are known to have no symlinks before it.
#[must_use]
pub fn plain(path: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(path.len().max(1));
    for name in components(path) {
        if name == b".." { pop(&mut result) } else { push(&mut result, name) }
    }
    if result.is_empty() {
        result.push(b'/');
    }
    result
}

/// Adds a name to a plain path.
pub fn push(path: &mut Vec<u8>, name: &[u8]) {
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// `directory` with `name` added; both plain.
#[must_use]
pub fn child(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = directory.to_vec();
    push(&mut path, name);
    path
}

/// Takes the last name off a plain path; `/` stays.
pub fn pop(path: &mut Vec<u8>) {
    let keep = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    path.truncate(keep);
    if path.is_empty() {
        path.push(b'/');
    }
}

/// A plain path's directory and last name; `None` for `/`.
#[must_use]
pub fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|&byte| byte == b'/')?;
    let name = &path[slash + 1..];
    if name.is_empty() {
        return None;
    }
    Some((if slash == 0 { b"/" } else { &path[..slash] }, name))
}

/// The rest of `path` after `prefix`, when `path` is `prefix` or lies beneath it (by whole names); both plain.
#[must_use]
pub fn beneath<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    if prefix == b"/" {
        return path.strip_prefix(b"/");
    }
    match path.strip_prefix(prefix)? {
        [] => Some(b""),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// A path for people: log lines and messages. Control characters, which a guest could forge lines with, are escaped.
#[must_use]
pub fn display(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.chars().fold(String::with_capacity(text.len()), |mut shown, character| {
        if character.is_control() {
            shown.extend(character.escape_default())
        } else {
            shown.push(character)
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_drops_dots_and_slashes() {
        assert_eq!(plain(b"//a/./b//c/"), b"/a/b/c");
        assert_eq!(plain(b"/a/../../b"), b"/b");
        assert_eq!(plain(b"/.."), b"/");
        assert_eq!(plain(b""), b"/");
    }

    #[test]
    fn control_characters_are_shown_escaped() {
        assert_eq!(display("/é\n\x1b[0m".as_bytes()), "/é\\n\\u{1b}[0m");
    }

    #[test]
    fn beneath_goes_by_whole_names() {
        assert_eq!(beneath(b"/srv/app", b"/srv"), Some(&b"app"[..]));
        assert_eq!(beneath(b"/srv", b"/srv"), Some(&b""[..]));
        assert_eq!(beneath(b"/srvx", b"/srv"), None);
        assert_eq!(beneath(b"/", b"/"), Some(&b""[..]));
        assert_eq!(beneath(b"/a/b", b"/"), Some(&b"a/b"[..]));
    }

    #[test]
    fn split_at_the_last_name() {
        assert_eq!(split(b"/a/b"), Some((&b"/a"[..], &b"b"[..])));
        assert_eq!(split(b"/a"), Some((&b"/"[..], &b"a"[..])));
        assert_eq!(split(b"/"), None);
    }
}
