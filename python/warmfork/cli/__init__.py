"""The command line: ``warmfork run``, ``serve``, ``doctor`` and ``syscalls``.

A command's modules are imported when it runs, so that the program starts quickly.
"""

from __future__ import annotations

import sys

from warmfork.errors import ConfigError, PolicyError, ProgramError, WarmforkError


def main() -> int:
    """Runs the command line of this process.

    Returns:
        The exit code: that of the command, 2 for wrong usage or settings, 127 for a program that cannot be loaded,
        125 for any other error of warmfork.
    """
    if sys.argv[1:] == ["--version"]:
        return _version()
    from warmfork.cli import output
    from warmfork.cli.app import app

    try:
        app(prog_name="warmfork")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except WarmforkError as error:
        output.error(error)
        if isinstance(error, ConfigError | PolicyError):
            return 2
        return 127 if isinstance(error, ProgramError) else 125
    except KeyboardInterrupt:
        return 130
    return 0


def _version() -> int:
    """Answers ``--version``."""
    from warmfork import _core

    print(f"warmfork {_core.__version__}{' (debug build)' if _core.DEBUG_BUILD else ''}")
    return 0
