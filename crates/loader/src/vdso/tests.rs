//! The built vDSO is the ELF file that C libraries and language runtimes expect, and nothing else.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::Command;

use goblin::elf64::program_header::{PF_R, PF_X, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_GNU_STACK, PT_LOAD};
use warmfork_abi::PAGE;

use super::*;
use crate::elf::{self, Kind};

const FUNCTIONS: [&str; 5] =
    ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_clock_getres", "__vdso_getcpu"];

fn readelf(arguments: &[&str]) -> String {
    let path = concat!(env!("OUT_DIR"), "/vdso.so");
    let output = Command::new("readelf").args(arguments).args(["--wide", path]).output().expect("readelf");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn it_is_one_small_read_only_segment() {
    let image = elf::parse(IMAGE).expect("an ELF file");
    assert_eq!((image.kind, image.entry, image.interpreter), (Kind::Relocatable, 0, None));
    let [segment] = image.segments.as_slice() else { panic!("{:?}", image.segments) };
    assert_eq!((segment.address, segment.offset, segment.protection), (0, 0, Protection::READ | Protection::EXEC));
    assert_eq!(segment.file_size, segment.memory_size);
    assert!(IMAGE.len() as u64 <= 2 * PAGE, "{} bytes", IMAGE.len());

    let header = goblin::elf64::header::Header::parse(IMAGE).expect("header");
    let offset = usize::try_from(header.e_phoff).expect("offset");
    let endian = goblin::container::Endian::Little;
    let entries = goblin::elf64::program_header::ProgramHeader::parse(IMAGE, offset, header.e_phnum.into(), endian);
    let kinds: Vec<(u32, u32)> = entries.expect("table").iter().map(|entry| (entry.p_type, entry.p_flags)).collect();
    let expected = [
        (PT_LOAD, PF_R | PF_X),
        (PT_DYNAMIC, PF_R),
        (PT_GNU_EH_FRAME, PF_R),
        (PT_GNU_STACK, PF_R | goblin::elf64::program_header::PF_W),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn it_has_names_versions_and_both_hash_tables_and_no_relocations() {
    let dynamic = readelf(&["--dynamic"]);
    assert!(dynamic.contains("Library soname: [linux-vdso.so.1]"), "{dynamic}");
    for table in ["(HASH)", "(GNU_HASH)", "(VERDEF)", "(VERSYM)", "(SYMTAB)", "(STRTAB)"] {
        assert!(dynamic.contains(table), "no {table} in {dynamic}");
    }
    assert!(readelf(&["--relocs"]).contains("There are no relocations in this file."));
    let symbols = readelf(&["--dyn-syms"]);
    for function in FUNCTIONS {
        assert_eq!(symbols.matches(&format!("{function}@@LINUX_2.6")).count(), 1, "{function} in {symbols}");
    }
    assert_eq!(symbols.matches(" FUNC ").count(), FUNCTIONS.len(), "{symbols}");
    assert!(!symbols.contains("UND __"), "{symbols}");
}

#[test]
fn the_file_has_whole_pages_that_nobody_can_change() {
    let file = image_file().expect("a file");
    assert!(Arc::ptr_eq(&file, &image_file().expect("the same file")));
    assert!(!file.writable());
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let bytes = fs::read(&path).expect("read");
    assert_eq!(bytes.len() as u64 % PAGE, 0);
    assert!(bytes.starts_with(IMAGE) && bytes[IMAGE.len()..].iter().all(|&byte| byte == 0));
    assert!(rustix::io::pwrite(&file, b"x", 0).is_err());
}
