"""Differential conformance: what a program does on Linux, it does under warmfork.

Each C program in tests/programs is compiled once and run natively and on each platform, in a
fresh directory each time. Standard output, standard error and exit status must be the same.
"""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from compiling import compiled
from guest_programs import ALL, Program, expect_same, run, run_natively

AREAS = [
    "events",
    "files",
    "memory",
    "pipes",
    "polling",
    "proc",
    "process",
    "processes",
    "processor",
    "signals",
    "sockets",
    "terminals",
    "threads",
    "time",
]

@pytest.fixture(params=ALL, ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> Program:
    """Each program in turn."""
    assert isinstance(request.param, Program)
    return request.param


@pytest.fixture(autouse=True, scope="module")
def no_core_files() -> Iterator[None]:
    """Programs that a signal kills leave no core file behind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def test_every_area_has_programs() -> None:
    """No area has been lost, by a wrong path or a deletion."""
    assert len(ALL) >= 60
    assert {program.source.parent.name for program in ALL} == set(AREAS)


def test_native(program: Program, tmp_path: Path) -> None:
    """On Linux each program ends as it says, with the same output in every run."""
    binary = compiled(program.source)
    first = run_natively(program, binary, tmp_path / "first")
    second = run_natively(program, binary, tmp_path / "second")
    assert first.status == program.status, first
    expect_same(first, second)


def test_platform(program: Program, platform: str, hardware: bool, warmfork_command: Path, tmp_path: Path) -> None:
    """Under warmfork each program does what it does on Linux."""
    if program.needs_hardware and not hardware:
        pytest.skip("this host's KVM emulates what the program is about")
    binary = compiled(program.source)
    expected = run_natively(program, binary, tmp_path / "native")
    policy = ["--allow-read", "--allow-write", "--allow-env", "--allow-net"]
    command = [str(warmfork_command), "run", "--quiet", "--platform", platform, *policy, "--"]
    guest = [str(binary), *program.arguments]
    expect_same(expected, run([*command, *guest], tmp_path / platform, program.stdin))
