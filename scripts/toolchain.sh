#!/bin/sh
# Says clearly what is missing to compile the engine: a Rust toolchain and a C compiler.
set -eu
missing=0
if ! command -v cargo >/dev/null 2>&1; then
    echo "error: no Rust toolchain: cargo was not found in PATH" >&2
    echo "hint: install Rust 1.88 or later from https://rustup.rs" >&2
    missing=1
else
    version=$(cargo --version | cut -d' ' -f2)
    oldest=$(printf '1.88.0\n%s\n' "$version" | sort -V | head -n 1)
    if [ "$oldest" != 1.88.0 ]; then
        echo "error: Rust $version is too old: 1.88 or later is needed" >&2
        echo "hint: rustup update stable" >&2
        missing=1
    fi
fi
if ! command -v gcc >/dev/null 2>&1; then
    echo "error: no C compiler: gcc was not found in PATH" >&2
    echo "hint: Debian: apt-get install gcc libc6-dev" >&2
    missing=1
fi
exit $missing
