"""Runs the command line as a user would, in an empty directory, with no settings in the environment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Warmfork = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(platform: str) -> dict[str, str]:
    """This process's environment, with no setting of warmfork but the platform, and without colours."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("WARMFORK_")}
    return variables | {"NO_COLOR": "1", "COLUMNS": "200", "WARMFORK_PLATFORM": platform}


@pytest.fixture
def warmfork(warmfork_command: Path, tmp_path: Path, environment: dict[str, str]) -> Warmfork:
    """Runs the command line; keywords are environment variables."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [warmfork_command, *arguments],
            cwd=tmp_path,
            env=environment | variables,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
