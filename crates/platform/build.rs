//! Assembles the stub program of the process platform.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=stub/stub.S");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let compiler = std::env::var("CC").unwrap_or_else(|_| "gcc".into());
    let stub = out.join("stub");
    let status = Command::new(&compiler)
        .args(["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,noseparate-code", "-o"])
        .arg(&stub)
        .arg("stub/stub.S")
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{compiler} could not assemble stub/stub.S ({status})"),
        Err(error) => panic!("a C compiler is needed to assemble stub/stub.S: {compiler}: {error}"),
    }
    let resident = out.join("resident.bin");
    let symbols = Command::new("nm").arg(&stub).output().expect("nm (binutils) is needed beside the C compiler");
    let text = String::from_utf8_lossy(&symbols.stdout).into_owned();
    let address = |name: &str| -> u64 {
        let line = text.lines().find(|line| line.split_whitespace().nth(2) == Some(name));
        let field = line.and_then(|line| line.split_whitespace().next()).unwrap_or_else(|| panic!("no symbol {name}"));
        u64::from_str_radix(field, 16).expect("nm prints hexadecimal addresses")
    };
    let base = address("resident");
    let status = Command::new("objcopy")
        .args(["-O", "binary", "-j", ".text"])
        .arg(&stub)
        .arg(&resident)
        .status()
        .expect("objcopy (binutils) is needed beside the C compiler");
    assert!(status.success(), "objcopy could not extract the stub's code");
    let code = std::fs::read(&resident).expect("objcopy wrote the stub's code");
    let start = usize::try_from(base - address("_start")).expect("a small offset");
    let end = usize::try_from(address("resident_end") - address("_start")).expect("a small offset");
    std::fs::write(&resident, &code[start..end]).expect("the build directory is writable");
    let offsets = ["single", "single_end", "batch", "batch_call_end", "caught", "copy"]
        .map(|name| format!("pub const {}: u64 = {};\n", name.to_uppercase(), address(name) - base))
        .concat();
    std::fs::write(out.join("offsets.rs"), offsets).expect("the build directory is writable");
}
