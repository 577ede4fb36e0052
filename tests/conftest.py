"""Fixtures that every test directory shares."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# A shell's background job ignores SIGINT, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["process"])
def platform(request: pytest.FixtureRequest) -> str:
    """The platform that runs the guest, as `--platform` names it."""
    return str(request.param)


@pytest.fixture(scope="session")
def warmfork_command() -> Path:
    """The installed command-line tool of this checkout."""
    command = REPOSITORY / ".venv" / "bin" / "warmfork"
    if not command.exists():
        pytest.fail(f"{command} is missing: build and install the package first", pytrace=False)
    return command


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def tool() -> Callable[[str, str], str]:
    """Finds a command that a Debian package brings; skips the test, naming the package, when it is missing."""

    def find(command: str, package: str) -> str:
        path = shutil.which(command)
        if path is None:
            pytest.skip(f"needs {command} (Debian package {package})")
        return path

    return find
