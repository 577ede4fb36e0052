#!/bin/sh
# Builds the engine in release mode and installs the package into .venv (editable). Called by make.
set -eu
cd "$(dirname "$0")/.."
scripts/toolchain.sh
began=$(date +%s)
echo "compiling the engine (a few minutes the first time)"
VIRTUAL_ENV=$PWD/.venv PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/maturin develop --release --locked --quiet
echo "built in $(($(date +%s) - began)) s"
mkdir -p .make
touch .make/build
