"""Fixtures that every test directory shares."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


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
