"""docs/compatibility.md tells of every test of a runtime, and of nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from compatibility import RESULTS, ROOT, described_commit


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


def test_a_record_names_its_commit(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=tests", "-c", "user.email=tests@localhost"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert described_commit(tmp_path / "nowhere") == "unknown"
    git("init", "--quiet")
    results = tmp_path / RESULTS.relative_to(ROOT)
    results.parent.mkdir(parents=True)
    for file in (results, tmp_path / "program"):
        file.write_text("before")
    git("add", ".")
    git("commit", "--quiet", "--message=first")
    commit = git("rev-parse", "--short=12", "HEAD")
    results.write_text("after")
    assert described_commit(tmp_path) == commit
    (tmp_path / "program").write_text("after")
    assert described_commit(tmp_path) == f"{commit}-dirty"
