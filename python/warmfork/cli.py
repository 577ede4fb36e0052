"""The command line: ``warmfork``."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line; returns the exit code."""
    from warmfork import _core

    if sys.argv[1:] == ["--version"]:
        print(f"warmfork {_core.__version__}")
        return 0
    print("usage: warmfork --version", file=sys.stderr)
    return 2
