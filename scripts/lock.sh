#!/bin/sh
# Writes requirements/dev.txt again from pyproject.toml, with hashes, for every Python that warmfork supports.
# Run it by hand after a change of dependencies; needs uv.
set -eu
cd "$(dirname "$0")/.."
uv pip compile pyproject.toml --group tools --group runtimes --group backends --universal --python-version 3.11 \
    --generate-hashes --no-header --quiet --output-file requirements/dev.txt "$@"
