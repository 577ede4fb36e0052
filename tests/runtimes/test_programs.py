"""Programs for each runtime that use it in all its width: what they print and how they end is as natively."""

from __future__ import annotations

import difflib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from server_kinds import Kind
from serving import PERMISSIONS, TIMEOUT, WARMFORK, environment

PROGRAMS = Path(__file__).parent / "programs"
ALLOWED = (*PERMISSIONS, "--allow-net", "--allow-env=*")
OPCACHE = (
    "-dopcache.enable_cli=1",
    "-dopcache.jit=tracing",
    "-dopcache.jit_buffer_size=64M",
    "-dopcache.lockfile_path=.",
)


# The program, named like the kinds of servers, and what its runtime is told first.
CASES = [
    ("bun", "bun.mjs", ()),
    ("deno", "deno.mjs", ()),
    ("go", "program.go", ()),
    ("lua", "program.lua", ()),
    ("luajit", "program.lua", ()),
    ("node", "node.mjs", ()),
    ("php", "program.php", OPCACHE),
    ("ruby", "program.rb", ()),
    ("venv", "program_numpy.py", ()),
]


def run(command: list[str | Path], directory: Path) -> str:
    """Runs a program in a new directory; how it ended and what it said."""
    directory.mkdir()
    caches = {"HOME": str(directory), "DENO_DIR": str(directory / "deno"), "DENO_NO_UPDATE_CHECK": "1"}
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment() | {"LC_ALL": "C.UTF-8", "TZ": "UTC"} | caches,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return f"status {status}\n{done.stderr}--- output\n{done.stdout}"


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("program", "source", "options"),
    [
        pytest.param(*case, marks=pytest.mark.shows("as natively", of=f"{case[0]} program"), id=case[0])
        for case in CASES
    ],
)
def test_as_natively(
    program: str,
    source: str,
    options: tuple[str, ...],
    command_of: Callable[[Kind], list[str | Path]],
    tmp_path: Path,
) -> None:
    command = command_of(Kind(f"{program}-program", program, str(PROGRAMS / source), options=options))
    expected = run(command, tmp_path / "native")
    actual = run([WARMFORK, "run", "--quiet", *ALLOWED, "--", *command], tmp_path / "guest")
    lines = expected.splitlines(), actual.splitlines()
    assert actual == expected, "\n".join(difflib.unified_diff(*lines, "natively", "in warmfork", lineterm=""))
    assert expected.startswith("status 0\n")
