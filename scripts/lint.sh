#!/bin/sh
# Every static check, each run even when one before it failed. Called by make.
set -u
cd "$(dirname "$0")/.."
scripts/toolchain.sh || exit 1
failed=
check() {
    name=$1
    began=$(date +%s)
    shift
    if "$@"; then echo "ok: $name in $(($(date +%s) - began)) s"; else
        echo "failed: $name" >&2
        failed="$failed $name"
    fi
}
check rustfmt cargo fmt --all --check
check clippy cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
check ruff .venv/bin/ruff check --quiet .
check ruff-format .venv/bin/ruff format --quiet --check .
check mypy .venv/bin/mypy --no-error-summary
check imports env PYTHONPATH=python .venv/bin/lint-imports --no-cache
[ -z "$failed" ] || { echo "lint failed:$failed" >&2; exit 1; }
