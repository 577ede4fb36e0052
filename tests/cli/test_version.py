"""``warmfork --version``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_version_is_the_workspace_version(repository: Path) -> None:
    version = next(
        line.split('"')[1] for line in (repository / "Cargo.toml").read_text().splitlines() if line.startswith("version = ")
    )
    output = subprocess.run([sys.executable, "-m", "warmfork", "--version"], capture_output=True, text=True, check=True)
    assert output.stdout == f"warmfork {version}\n"
