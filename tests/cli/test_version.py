"""``warmfork --version``."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path


def test_version_is_the_workspace_version(repository: Path) -> None:
    workspace = tomllib.loads((repository / "Cargo.toml").read_text())
    version = workspace["workspace"]["package"]["version"]
    output = subprocess.run([sys.executable, "-m", "warmfork", "--version"], capture_output=True, text=True, check=True)
    assert output.stdout == f"warmfork {version}\n"
