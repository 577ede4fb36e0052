"""docs/compatibility.md tells of every test of a runtime, and of nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def collected(repository: Path) -> list[list[str]]:
    """What the tests of runtimes would show, were they run: lines of `shows`, subject, aspect, or `nothing`, test."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--compatibility=list", "tests/runtimes"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split("\t") for line in done.stdout.splitlines() if line.startswith(("shows\t", "nothing\t"))]


def test_every_test_of_a_runtime_says_what_it_shows(collected: list[list[str]]) -> None:
    assert [line[1] for line in collected if line[0] == "nothing"] == []


@pytest.mark.parametrize("platform", ["process", "kvm"])
def test_what_tests_show_is_recorded(repository: Path, collected: list[list[str]], platform: str) -> None:
    results = json.loads((repository / "tests" / "runtimes" / "results.json").read_text())
    recorded = {(name, aspect) for name, subject in results.items() for aspect in subject.get(platform, {})}
    shown = {(line[1], line[2]) for line in collected if line[0] == "shows"}
    assert shown
    assert recorded == shown, "run: make compatibility"


def test_each_subject_is_on_the_page(repository: Path, collected: list[list[str]]) -> None:
    results = json.loads((repository / "tests" / "runtimes" / "results.json").read_text())
    page = (repository / "docs" / "compatibility.md").read_text()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")]
    missing = {line[1] for line in collected if line[0] == "shows"} - set(results)
    assert not missing, "run: make compatibility"
    assert [
        name for name, subject in results.items() if not any(row.startswith(subject["about"]) for row in rows)
    ] == []
