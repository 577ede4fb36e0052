#!/bin/sh
# Makes .venv with the locked development requirements. Called by make; PYTHON=... chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3}; do
    if command -v "$candidate" >/dev/null 2>&1 && usable "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "error: no Python 3.11 or later with the venv module was found" >&2
    echo "hint: install it (Debian: apt-get install python3 python3-venv), or say which: make PYTHON=/path/to/python3" >&2
    exit 1
fi

# An environment that another Python version or another place made is made again.
if [ ! -x .venv/bin/python ] || ! usable .venv/bin/python || [ ! -x .venv/bin/pip ] ||
    ! .venv/bin/pip --version >/dev/null 2>&1; then
    "$python" -m venv --clear .venv
fi
echo "installing the locked requirements into .venv"
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
mkdir -p .make
touch .make/venv
