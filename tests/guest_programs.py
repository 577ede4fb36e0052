"""The guest programs of tests/programs: what the marker lines at their tops say, and what a run of one leaves behind.

Imported by the suites that run all of them: as they are (tests/syscalls), and frozen on the way (tests/freeze).
"""

from __future__ import annotations

import difflib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from compiling import PROGRAMS, markers
from timeouts import scaled

# Nothing of the caller's environment reaches a program: some read GUEST_WORD. With LANG=C, the Python interpreter
# under warmfork's command line would add LC_CTYPE to it.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "GUEST_WORD": "from the environment"}
TIMEOUT_SECONDS = scaled(30)


@dataclass(frozen=True)
class Program:
    """One guest program and what the marker lines at its top say."""

    source: Path
    arguments: list[str]
    stdin: bytes
    status: int
    needs_hardware: bool

    @classmethod
    def read(cls, source: Path) -> Program:
        """Read the markers."""
        marked = markers(source)
        status = marked.get("exit", "0")
        return cls(
            source=source,
            arguments=marked.get("args", "").split(),
            stdin=marked.get("stdin", "").replace(r"\n", "\n").encode(),
            status=int(status) if status.isdigit() else 128 + signal.Signals[status],
            needs_hardware=marked.get("kvm") == "hardware",
        )

    @property
    def name(self) -> str:
        """Area and name, such as `files/append`."""
        return f"{self.source.parent.name}/{self.source.stem}"


@dataclass(frozen=True)
class Outcome:
    """What a run left behind. The status is a shell's: 128 + signal for a death by signal."""

    status: int | str
    stdout: str
    stderr: str

    def __str__(self) -> str:
        """Everything, to be read by a person."""
        return f"status: {self.status}\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}"


def run(command: list[str], directory: Path, stdin: bytes) -> Outcome:
    """Run a command in a new directory and a session of its own, which a timeout kills whole."""
    directory.mkdir()
    with subprocess.Popen(
        command,
        cwd=directory,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        status: int | str
        try:
            stdout, stderr = process.communicate(stdin, timeout=TIMEOUT_SECONDS)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            status = f"no end within {TIMEOUT_SECONDS} s"
    return Outcome(status, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


def run_natively(program: Program, binary: Path, directory: Path) -> Outcome:
    """Run a program on Linux itself."""
    outcome = run([str(binary), *program.arguments], directory, program.stdin)
    if isinstance(outcome.status, int) and outcome.status < 0:
        return Outcome(128 - outcome.status, outcome.stdout, outcome.stderr)
    return outcome


def difference(expected: Outcome, actual: Outcome) -> str:
    """How the outcomes differ, line by line; nothing when they are equal."""
    if actual == expected:
        return ""
    lines = difflib.unified_diff(
        str(expected).splitlines(), str(actual).splitlines(), "expected", "actual", lineterm=""
    )
    return "\n".join(lines)


def expect_same(expected: Outcome, actual: Outcome) -> None:
    """Fail with both outputs and their difference unless the outcomes are equal."""
    if text := difference(expected, actual):
        pytest.fail(f"{text}\n\nexpected {expected}\nactual {actual}", pytrace=False)


ALL = [Program.read(source) for source in sorted(PROGRAMS.glob("*/*.c"))]
