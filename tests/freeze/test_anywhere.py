"""Freeze anywhere: a program that is frozen at any of its system calls goes on in every fork as if nothing had been.

Each program of tests/programs is stopped at some of its calls and frozen there. A fork of it runs to the end, is reset
and runs again: output and status are those of an uninterrupted run on Linux, and the reset leaves no difference to a
new fork. exceptions.toml names what cannot be, with the reason; open.txt what is not yet.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from compiling import compiled
from freezing import ENDLESS_TURN_SECONDS, TURN_SECONDS, failures
from guest_programs import ALL, Program, run_natively

FEW_POINTS = 4
"""Calls at which each program is frozen in every run of the tests."""
MANY_POINTS = 12
SHORT = 48
"""Calls of a program that is frozen at every one of them where there is time for it."""
MOST_EXCEPTIONS = 0.05

ENDLESS = "no end within"
"""In the pattern of an exception that some forks do not end in."""

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


def failures_of(program: Program, platform: str, points: Callable[[int], int], scratch: Path) -> list[str]:
    """How freezing shows, if it does."""
    expected = run_natively(program, compiled(program.source), scratch / "native")
    endless = ENDLESS in (pattern_of(program, platform) or "")
    return failures(program, platform, expected, points, scratch, ENDLESS_TURN_SECONDS if endless else TURN_SECONDS)


def pattern_of(program: Program, platform: str) -> str | None:
    """The text to find in the end of an exception's run; some are exceptions on one platform only."""
    exception = EXCEPTIONS.get(program.name, {"ends": ""})
    return exception["ends"] or None if exception.get("platform", platform) == platform else None


def expect_documented(program: Program, platform: str, found: list[str]) -> None:
    """Fails where freezing shows, and not as exceptions.toml says."""
    pattern = pattern_of(program, platform)
    unknown = [failure for failure in found if not (pattern and re.search(pattern, failure, re.MULTILINE))]
    assert not unknown, "\n\n".join(unknown)


def test_few_programs_are_exceptions() -> None:
    names = {program.name for program in ALL}
    assert set(EXCEPTIONS) <= names and names >= OPEN
    assert all(exception.keys() - {"platform"} == {"reason", "ends"} for exception in EXCEPTIONS.values())
    assert len(EXCEPTIONS) <= MOST_EXCEPTIONS * len(names)


def test_frozen_at_some_calls(program: Program, platform: str, tmp_path: Path) -> None:
    if program.name in OPEN:
        pytest.skip("freezing it shows, by tests/freeze/open.txt")
    expect_documented(program, platform, failures_of(program, platform, lambda _: FEW_POINTS, tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_frozen_at_many_calls(program: Program, platform: str, tmp_path: Path) -> None:
    found = failures_of(program, platform, lambda calls: calls if calls <= SHORT else MANY_POINTS, tmp_path)
    if program.name in OPEN or pattern_of(program, platform):
        assert found, "it is as natively at each call: take it out of the list"
    if program.name in OPEN:
        pytest.xfail("tests/freeze/open.txt")
    expect_documented(program, platform, found)
