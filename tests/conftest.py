"""Fixtures that every test directory shares."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from compatibility import MARKER, Lister, Recorder
from timeouts import SLOWNESS, scaled

from warmfork import Machine, _core

REPOSITORY = Path(__file__).resolve().parents[1]

# A shell's background job ignores SIGINT, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The platform is chosen for a whole session."""
    parser.addoption("--platform", choices=("process", "kvm"), default="process", help="what runs the guests")
    parser.addoption("--requests", type=int, help="how many requests tests make that nothing leaks, where not a few")
    parser.addoption("--compatibility", choices=("record", "list"), help="of what docs/compatibility.md tells")


def pytest_configure(config: pytest.Config) -> None:
    """Makes the platform the default of the command line and of the Python API, for tests that do not name one."""
    chosen = config.getoption("--platform")
    os.environ["WARMFORK_PLATFORM"] = chosen
    Machine.__init__.__kwdefaults__["platform"] = chosen
    config.addinivalue_line("markers", MARKER)
    if config.getoption("--compatibility") == "record":
        config.pluginmanager.register(Recorder(config))
    elif config.getoption("--compatibility") == "list":
        config.pluginmanager.register(Lister())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Nothing runs where the platform cannot be had; each test has more time where every CPU is slow."""
    chosen = config.getoption("--platform")
    for fact in _core.doctor()["facts"]:
        if fact["name"] == f"{chosen} platform" and not fact["good"]:
            for item in items:
                item.add_marker(pytest.mark.skip(reason=f"no {chosen} platform here: {fact['value']}"))
    if SLOWNESS == 1:
        return
    usual = float(config.getini("timeout"))
    for item in items:
        marker = item.get_closest_marker("timeout")
        seconds = float(marker.args[0]) if marker else usual
        item.add_marker(pytest.mark.timeout(scaled(seconds)), append=False)


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> str:
    """The platform that runs the guest, as `--platform` names it."""
    return str(request.config.getoption("--platform"))


@pytest.fixture(scope="session")
def hardware(platform: str) -> bool:
    """Whether the processor itself has the last word on what guests do: not where KVM emulates some of it."""
    facts = {fact["name"]: fact["value"] for fact in _core.doctor()["facts"]}
    return platform != "kvm" or "emulated" not in facts["kvm platform"]


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
