//! Builds the vDSO (vdso/vdso.c) into one shared object that src/vdso embeds.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

/// Everything that the C compiler and the linker need to know; vdso/vdso.lds says the rest.
const FLAGS: &[&str] = &[
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fPIC",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-jump-tables",
    "-fasynchronous-unwind-tables",
    "-fcf-protection=none",
    "-fvisibility=default",
    "-mgeneral-regs-only",
    "-m64",
    "-g0",
    "-shared",
    "-nostdlib",
    "-s",
    "-Wl,-soname,linux-vdso.so.1",
    "-Wl,--hash-style=both",
    "-Wl,--build-id=none",
    "-Wl,--eh-frame-hdr",
    "-Wl,--no-undefined",
    "-Wl,-z,max-page-size=4096",
];

fn main() {
    println!("cargo::rerun-if-changed=vdso");
    println!("cargo::rerun-if-env-changed=CC");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("vdso.so");
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status =
        Command::new(&compiler).args(FLAGS).args(["-Wl,-T,vdso/vdso.lds", "vdso/vdso.c", "-o"]).arg(&out).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("{} failed to build vdso/vdso.c: {status}", compiler.display())),
        Err(error) => fail(&format!("{} cannot be run ({error}): install gcc or set CC", compiler.display())),
    }
}

fn fail(message: &str) {
    println!("cargo::error={message}");
    exit(1);
}
