#!/bin/sh
# Builds Lune, a Luau runtime, for the tests that serve it: from crates.io into .make/lune. Called by `make lune` only,
# for it takes two CPUs some ten minutes; without it those tests are skipped. Its licence is MPL-2.0: nothing links it.
set -eu
cd "$(dirname "$0")/.."
scripts/toolchain.sh
version=0.11.1
[ -x .make/lune/bin/lune ] && [ "$(.make/lune/bin/lune --version)" = "lune $version" ] && exit 0
echo "compiling Lune $version (some ten minutes)"
cargo install lune --version "=$version" --locked --quiet --root .make/lune
