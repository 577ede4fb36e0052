"""Freeze anywhere: a program that is frozen at any of its system calls goes on in every fork as if nothing had been.

Each program of tests/programs is stopped at some of its calls and frozen there. A fork of it runs to the end, is reset,
runs again, and once more: output and status are those of an uninterrupted run on Linux, and a reset leaves no difference
to a new fork. exceptions.toml names what cannot be, with the reason; open.txt what is not yet.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from compiling import compiled
from freezing import failures
from guest_programs import ALL, Program, run_natively

FEW_POINTS = 4
"""Calls at which each program is frozen in every run of the tests."""
MANY_POINTS = 12
SHORT = 60
"""Calls of a program that is frozen at every one of them where there is time for it."""
MOST_EXCEPTIONS = 0.05

HERE = Path(__file__).parent
OPEN = {line for line in (HERE / "open.txt").read_text().splitlines() if not line.startswith("#")}
EXCEPTIONS: dict[str, dict[str, str]] = tomllib.loads((HERE / "exceptions.toml").read_text())


@pytest.fixture(params=ALL, ids=lambda program: program.name)
def program(request: pytest.FixtureRequest, hardware: bool) -> Program:
    """Each program in turn."""
    assert isinstance(request.param, Program)
    if request.param.needs_hardware and not hardware:
        pytest.skip("this host's KVM emulates what the program is about")
    return request.param


def expect_transparent(program: Program, platform: str, points: int, scratch: Path) -> None:
    """Fails unless freezing does not show, or shows as exceptions.toml says."""
    if program.name in OPEN and points < MANY_POINTS:
        pytest.skip("freezing it shows, by tests/freeze/open.txt")
    expected = run_natively(program, compiled(program.source), scratch / "native")
    found = failures(program, platform, expected, points, scratch)
    if program.name in OPEN:
        assert found, "it is as natively at each call: take it out of open.txt"
        pytest.xfail("tests/freeze/open.txt")
    exception = EXCEPTIONS.get(program.name)
    if exception is None:
        assert not found, "\n\n".join(found)
        return
    pattern = re.compile(exception["ends"], re.MULTILINE)
    unknown = [failure for failure in found if not pattern.search(failure)]
    assert not unknown, f"this is not how it ends by exceptions.toml: {exception['ends']}\n" + "\n\n".join(unknown)
    # A few points may all be good ones.
    assert found or points < MANY_POINTS, "it is as natively at each call: take it out of exceptions.toml"


def test_few_programs_are_exceptions() -> None:
    names = {program.name for program in ALL}
    assert set(EXCEPTIONS) <= names and names >= OPEN
    assert all(exception.keys() == {"reason", "ends"} for exception in EXCEPTIONS.values())
    assert len(EXCEPTIONS) <= MOST_EXCEPTIONS * len(names)


def test_frozen_at_some_calls(program: Program, platform: str, tmp_path: Path) -> None:
    expect_transparent(program, platform, FEW_POINTS, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_frozen_at_many_calls(program: Program, platform: str, tmp_path: Path) -> None:
    expect_transparent(program, platform, MANY_POINTS, tmp_path)
