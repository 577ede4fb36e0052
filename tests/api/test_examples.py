"""The examples run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("0*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, example], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = {
        "01_run": "output: ",
        "02_serve": "visit 1\nvisit 1\nvisit 1\n3 connections served\n",
        "03_fork": "in the other fork: []\nreset: rewritten []\n",
    }
    assert expected[example.stem] in done.stdout
