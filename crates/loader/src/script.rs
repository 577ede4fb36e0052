//! `#!` lines: which interpreter a script wants, by the rules of Linux's binfmt_script. Called by
//! [`crate::interpreter`].

/// Scripts whose interpreters are scripts: this many in a row, then ELOOP.
pub(crate) const MAX_SCRIPTS: usize = 5;

/// Bytes of a script that are looked at (BINPRM_BUF_SIZE). The last of them is never part of a line.
pub(crate) const LINE_LIMIT: usize = 256;

/// Why a `#!` line names no interpreter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScriptProblem {
    /// Nothing but blanks follows `#!`.
    #[error("its #! line names no interpreter")]
    NoInterpreter,
    /// The interpreter's name reaches beyond the bytes that Linux looks at.
    #[error("the interpreter's name in its #! line is longer than 255 bytes allow")]
    TooLong,
}

/// The content of a `#!` line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ScriptLine {
    /// The interpreter's path, as written.
    pub interpreter: Vec<u8>,
    /// Everything that follows it, as one argument.
    pub argument: Option<Vec<u8>>,
}

/// Reads the `#!` line at the start of a file; `None` when there is none. `start` is the file's first bytes,
/// [`LINE_LIMIT`] of them if it has as many.
pub(crate) fn parse_line(start: &[u8]) -> Option<Result<ScriptLine, ScriptProblem>> {
    let start = &start[..start.len().min(LINE_LIMIT)];
    Some(parse_rest(start.strip_prefix(b"#!")?, start.len() == LINE_LIMIT))
}

/// `filled`: the file has more bytes than `rest` shows, or just as many.
fn parse_rest(rest: &[u8], filled: bool) -> Result<ScriptLine, ScriptProblem> {
    let newline = rest.iter().position(|&byte| byte == b'\n');
    let mut line = &rest[..newline.unwrap_or(rest.len())];
    if newline.is_none() && filled {
        // The line was cut. A cut argument is harmless (the interpreter can read the script itself), a cut path is
        // not: only what follows it tells that it is whole.
        line = &line[..line.len() - 1];
        let name = line.iter().position(|&byte| !is_blank(byte)).ok_or(ScriptProblem::NoInterpreter)?;
        if !rest[name..].iter().any(|&byte| is_blank(byte) || byte == 0) {
            return Err(ScriptProblem::TooLong);
        }
    }
    let line = trim_blanks(line);
    let name_end = line.iter().position(|&byte| is_blank(byte) || byte == 0).unwrap_or(line.len());
    let (name, tail) = line.split_at(name_end);
    if name.is_empty() {
        return Err(ScriptProblem::NoInterpreter);
    }
    let tail = if tail.first() == Some(&0) { &[] } else { trim_blanks(tail) };
    // The kernel handles it as a C string.
    let argument = tail.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(ScriptLine { interpreter: name.to_vec(), argument: (!argument.is_empty()).then(|| argument.to_vec()) })
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|&byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8]) -> Option<Result<(String, Option<String>), ScriptProblem>> {
        let text_of = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        parse_line(text).map(|result| result.map(|line| (text_of(line.interpreter), line.argument.map(text_of))))
    }

    fn names(name: &str, argument: Option<&str>) -> Option<Result<(String, Option<String>), ScriptProblem>> {
        Some(Ok((name.to_owned(), argument.map(str::to_owned))))
    }

    #[test]
    fn other_files_have_no_line() {
        assert_eq!(line(b""), None);
        assert_eq!(line(b"#"), None);
        assert_eq!(line(b" #!/bin/sh\n"), None);
    }

    #[test]
    fn one_argument_holds_all_that_follows() {
        assert_eq!(line(b"#!/bin/sh\necho"), names("/bin/sh", None));
        assert_eq!(line(b"#! \t /bin/sh \t \n"), names("/bin/sh", None));
        assert_eq!(line(b"#!/usr/bin/env  python3 -u \nx"), names("/usr/bin/env", Some("python3 -u")));
        assert_eq!(line(b"#!interpreter"), names("interpreter", None));
        assert_eq!(line(b"#!interpreter -x"), names("interpreter", Some("-x")));
        assert_eq!(line(b"#!/bin/sh\r\n"), names("/bin/sh\r", None));
    }

    #[test]
    fn a_nul_ends_the_name_or_the_argument() {
        assert_eq!(line(b"#!/bin/sh\0 -x\n"), names("/bin/sh", None));
        assert_eq!(line(b"#!/bin/sh -x\0y\n"), names("/bin/sh", Some("-x")));
        assert_eq!(line(b"#!\0\n"), Some(Err(ScriptProblem::NoInterpreter)));
    }

    #[test]
    fn an_empty_line_names_nothing() {
        assert_eq!(line(b"#!"), Some(Err(ScriptProblem::NoInterpreter)));
        assert_eq!(line(b"#!\n/bin/sh"), Some(Err(ScriptProblem::NoInterpreter)));
        assert_eq!(line(b"#!  \t\n"), Some(Err(ScriptProblem::NoInterpreter)));
        assert_eq!(line(&[b"#!".as_slice(), &[b' '; 400]].concat()), Some(Err(ScriptProblem::NoInterpreter)));
    }

    #[test]
    fn a_long_name_is_refused_and_a_long_argument_is_cut() {
        let name = |length: usize| format!("/{}", "a".repeat(length - 1));
        for (length, file, expected) in [
            // 2 + 253 bytes and the newline are 256.
            (253, "\n", true),
            (254, "\n", false),
            (253, " -x\n", true),
            (254, " -x\n", false),
            // A file that ends within the limit needs no newline.
            (253, "", true),
            (300, "", false),
        ] {
            let got = line(format!("#!{}{file}", name(length)).as_bytes());
            if expected {
                assert_eq!(got, names(&name(length), None), "{length} {file:?}");
            } else {
                assert_eq!(got, Some(Err(ScriptProblem::TooLong)), "{length} {file:?}");
            }
        }
        let got = line(format!("#!/bin/sh {}\n", "b".repeat(400)).as_bytes());
        assert_eq!(got, names("/bin/sh", Some(&"b".repeat(255 - 10))));
    }
}
