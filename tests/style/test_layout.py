"""Rules that no linter knows: imports between crates, lengths of files, places of unsafe code."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# What each crate may use of the others. Only the engine brings loader, platform and linux together.
MAY_USE = {
    "abi": set(),
    "memory": {"abi"},
    "loader": {"abi", "memory"},
    "platform": {"abi", "memory"},
    "host": {"abi"},
    "linux": {"abi", "host", "memory"},
    "engine": {"abi", "memory", "loader", "platform", "linux"},
    "python": {"engine", "host"},
}
LONGEST_FILE = 500
SOURCES = {".rs", ".py", ".pyi", ".c", ".h", ".S", ".sh", ".toml", ".md"}
GENERATED = {"requirements/dev.txt", "Cargo.lock", "docs/reference/syscalls.md"}
UNSAFE_ALLOWED = re.compile(
    r"crates/(memory/src/mapping\.rs|memory/tests/.*|loader/src/vdso/tsc\.rs|platform/src/((alarm|pagemap)\.rs|(kvm|process)/.*)"
    r"|platform/(stub|tests|benches)/.*|host/src/.*)"
)
SAFE_CRATES = ["abi", "engine", "linux", "python"]
UNSAFE = re.compile(r"\bunsafe\b(?!_)")


@pytest.fixture(scope="session")
def tracked(repository: Path) -> list[Path]:
    """Every file of the project."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("this is not a git checkout")
    files = (repository / line for line in done.stdout.splitlines())
    return [file for file in files if file.is_file()]


@pytest.mark.parametrize("crate", MAY_USE)
def test_crates_use_only_what_they_may(repository: Path, crate: str) -> None:
    manifest = tomllib.loads((repository / "crates" / crate / "Cargo.toml").read_text())
    used = {name.removeprefix("warmfork-") for name in manifest.get("dependencies", {}) if name.startswith("warmfork-")}
    assert used <= MAY_USE[crate]


def test_every_crate_has_a_rule(repository: Path) -> None:
    assert {path.parent.name for path in (repository / "crates").glob("*/Cargo.toml")} == set(MAY_USE)


def test_python_modules_import_one_way(repository: Path) -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_file_is_too_long(repository: Path, tracked: list[Path]) -> None:
    long = {
        str(name): lines
        for file in tracked
        if file.suffix in SOURCES and str(name := file.relative_to(repository)) not in GENERATED
        if (lines := len(file.read_bytes().splitlines())) > LONGEST_FILE
    }
    assert not long


def test_unsafe_code_is_where_it_may_be(repository: Path, tracked: list[Path]) -> None:
    elsewhere = []
    for file in tracked:
        name = str(file.relative_to(repository))
        if file.suffix != ".rs" or UNSAFE_ALLOWED.fullmatch(name):
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if UNSAFE.search(line.split("//")[0]):
                elsewhere.append(f"{name}:{number}: {line.strip()}")
    assert not elsewhere


@pytest.mark.parametrize("crate", SAFE_CRATES)
def test_safe_crates_forbid_unsafe_code(repository: Path, crate: str) -> None:
    assert "#![forbid(unsafe_code)]" in (repository / "crates" / crate / "src" / "lib.rs").read_text()


def test_lints_are_expected_never_allowed(repository: Path, tracked: list[Path]) -> None:
    allowed = [
        f"{file.relative_to(repository)}:{number}"
        for file in tracked
        if file.suffix == ".rs"
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(r"#!?\[allow\(", line)
    ]
    assert not allowed
