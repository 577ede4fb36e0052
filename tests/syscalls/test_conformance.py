"""Differential conformance: what a program does on Linux, it does under warmfork.

Each C program in tests/programs is compiled once and run natively and on each platform, in a
fresh directory each time. Standard output, standard error and exit status must be the same.
"""

import difflib
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from compiling import PROGRAMS, compiled, markers
from patience import patience

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
# Nothing of the caller's environment reaches a program: some read GUEST_WORD. With LANG=C, the Python interpreter
# under warmfork's command line would add LC_CTYPE to it.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "GUEST_WORD": "from the environment"}
TIMEOUT_SECONDS = patience(30)


@dataclass(frozen=True)
class Program:
    """One guest program and what the marker lines at its top say."""

    source: Path
    arguments: list[str]
    stdin: bytes
    status: int
    needs_hardware: bool

    @classmethod
    def read(cls, source: Path) -> "Program":
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


def expect_same(expected: Outcome, actual: Outcome) -> None:
    """Fail with both outputs and their difference unless the outcomes are equal."""
    if actual == expected:
        return
    difference = difflib.unified_diff(
        str(expected).splitlines(), str(actual).splitlines(), "expected", "actual", lineterm=""
    )
    text = "\n".join(difference)
    pytest.fail(f"{text}\n\nexpected {expected}\nactual {actual}", pytrace=False)


ALL = [Program.read(source) for source in sorted(PROGRAMS.glob("*/*.c"))]


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
