//! Tests of the block on a new stack: walked as a program's start-up code walks it.

use std::collections::HashMap;

use super::*;

const TOP: u64 = 0x7fff_0000_0000;

/// What a program finds, read from the block alone.
struct Found {
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
    auxv: HashMap<u64, u64>,
}

struct Walker<'a> {
    block: &'a Block,
    at: u64,
}

impl Walker<'_> {
    fn word(&mut self) -> u64 {
        let start = usize::try_from(self.at - self.block.pointer).unwrap();
        self.at += 8;
        u64::from_le_bytes(self.block.bytes[start..start + 8].try_into().unwrap())
    }

    fn string(&self, address: u64) -> Vec<u8> {
        let start = usize::try_from(address - self.block.pointer).unwrap();
        self.block.bytes[start..].split(|&byte| byte == 0).next().unwrap().to_vec()
    }

    fn strings(&mut self) -> Vec<Vec<u8>> {
        let pointers: Vec<u64> = std::iter::from_fn(|| Some(self.word()).filter(|&word| word != 0)).collect();
        pointers.into_iter().map(|pointer| self.string(pointer)).collect()
    }
}

fn walk(block: &Block) -> Found {
    let mut walker = Walker { block, at: block.pointer };
    let count = walker.word();
    let argv = walker.strings();
    assert_eq!(count, argv.len() as u64);
    let envp = walker.strings();
    let start = usize::try_from(walker.at - block.pointer).unwrap();
    assert!(block.bytes[start..].starts_with(&block.auxv));
    let pairs = std::iter::from_fn(|| Some((walker.word(), walker.word())).filter(|pair| pair.0 != auxv::AT_NULL));
    Found { argv, envp, auxv: pairs.collect() }
}

fn strings(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn content<'a>(argv: &'a [Vec<u8>], envp: &'a [Vec<u8>]) -> Content<'a> {
    let auxv = &[(auxv::AT_PAGESZ, 4096), (auxv::AT_RANDOM, 0), (auxv::AT_EXECFN, 0), (auxv::AT_PLATFORM, 0)];
    Content {
        top: TOP,
        size: 8 << 20,
        jitter: 0,
        argv,
        envp,
        execfn: b"/bin/program",
        random: *b"0123456789abcdef",
        auxv,
    }
}

#[test]
fn a_program_finds_what_it_was_given() {
    let (argv, envp) = (strings(&["program", "", "two words", "caf\u{e9}"]), strings(&["A=1", "EMPTY=", "B=2"]));
    for jitter in [0, 1, 17, 4096, 8191] {
        let block = build(&Content { jitter, ..content(&argv, &envp) }).expect("fits");
        assert_eq!(block.pointer % 16, 0);
        assert_eq!(block.pointer + block.bytes.len() as u64, TOP);
        let found = walk(&block);
        assert_eq!((&found.argv, &found.envp), (&argv, &envp));
        let walker = Walker { block: &block, at: 0 };
        assert_eq!(walker.string(found.auxv[&auxv::AT_EXECFN]), b"/bin/program");
        assert_eq!(walker.string(found.auxv[&auxv::AT_PLATFORM]), b"x86_64");
        assert_eq!(walker.string(found.auxv[&auxv::AT_RANDOM])[..16], *b"0123456789abcdef");
        assert_eq!(found.auxv[&auxv::AT_PAGESZ], 4096);
        assert!(block.bytes.ends_with(b"/bin/program\0\0\0\0\0\0\0\0\0"));
    }
}

#[test]
fn the_spans_hold_the_strings_one_after_another() {
    let (argv, envp) = (strings(&["a", "bc"]), strings(&["X=1"]));
    let block = build(&content(&argv, &envp)).expect("fits");
    let bytes_of = |span: Span| {
        let start = usize::try_from(span.start - block.pointer).unwrap();
        block.bytes[start..start + usize::try_from(span.len()).unwrap()].to_vec()
    };
    let (arguments, environment) = (block.arguments.expect("some"), block.environment.expect("some"));
    assert_eq!(bytes_of(arguments), b"a\0bc\0");
    assert_eq!(bytes_of(environment), b"X=1\0");
    assert_eq!(arguments.end, environment.start);
    assert_eq!(build(&content(&argv, &[])).expect("fits").environment, None);
}

#[test]
fn what_is_too_big_or_would_be_cut_is_refused() {
    let refused = |argv: &[Vec<u8>], size: u64| build(&Content { size, ..content(argv, &[]) }).err();
    let longest = vec![vec![b'x'; MAX_STRING - 1]];
    assert_eq!(refused(&longest, 8 << 20), None);
    let longer = vec![vec![b'x'; MAX_STRING]];
    assert_eq!(refused(&longer, 8 << 20), Some(StackProblem::StringTooLong { length: MAX_STRING }));
    assert_eq!(refused(&strings(&["a\0b"]), 8 << 20), Some(StackProblem::Nul));

    // A quarter of the stack: 21 times 100,000 bytes in 8 MiB.
    let many = |count: usize| vec![vec![b'x'; 99_991]; count];
    assert_eq!(refused(&many(20), 8 << 20), None);
    let size = 21 * 100_000 + 13;
    assert_eq!(refused(&many(21), 8 << 20), Some(StackProblem::TooBig { size, limit: 2 << 20 }));
    assert_eq!(refused(&many(21), 16 << 20), None);
    // 128 KiB always, 6 MiB never more.
    assert_eq!(refused(&many(1), MIN_STACK), None);
    assert_eq!(refused(&many(2), MIN_STACK), Some(StackProblem::TooBig { size: 200_013, limit: ALWAYS_ALLOWED }));
    let size = 63 * 100_000 + 13;
    assert_eq!(refused(&many(63), 1 << 30), Some(StackProblem::TooBig { size, limit: NEVER_EXCEEDED }));
    // Pointers count as well: empty strings take nine bytes.
    assert_eq!(refused(&vec![Vec::new(); 233_000], 8 << 20), None);
    assert!(refused(&vec![Vec::new(); 234_000], 8 << 20).is_some());
}

#[test]
fn the_smallest_stack_holds_the_most_that_is_allowed() {
    let argv = vec![vec![b'x'; 99_991], vec![b'x'; 31_000]];
    let block = build(&Content { size: MIN_STACK, jitter: 8191, ..content(&argv, &[]) }).expect("fits");
    assert!(block.bytes.len() as u64 <= MIN_STACK);
}
