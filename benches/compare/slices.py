"""How threads of a machine share its CPU: slices.c natively and on each platform, in turn."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benches.compare.contests import BUILT
from benches.compare.results import Measurement, Results
from benches.compare.servers import SERVER_CPU, WARMFORK

SOURCE = Path(__file__).with_name("slices.c")
ROUNDS = 3
SECONDS = 60
BLOCKED = 1000

SLEEP = "1 ms sleep beside a busy thread"
ALARMS = "alarms a second of a 2 ms timer"
TOKEN = "handing a token to another thread"
TOKEN_BLOCKED = f"{TOKEN}, {BLOCKED:,} others blocked"
WORK = "work beside two threads with a token"
WORK_BLOCKED = f"{WORK}, {BLOCKED:,} others blocked"
OF_NONE = "of none"

_SAID = {
    (SLEEP, "ms"): ("sleep",),
    (ALARMS, "1/s"): ("alarm",),
    (TOKEN, "us"): ("token", "0"),
    (TOKEN_BLOCKED, "us"): ("token", str(BLOCKED)),
    (WORK, "ms"): ("work", "0"),
    (WORK_BLOCKED, "ms"): ("work", str(BLOCKED)),
}
"""What the program says, and the arguments for it."""
_RATIOS = {TOKEN_BLOCKED: TOKEN, WORK_BLOCKED: WORK}
"""What is told as a ratio, too, and to what."""


class SlicesError(Exception):
    """The program did not end well."""


def build() -> Path:
    """Compiles the program.

    Raises:
        subprocess.CalledProcessError: It can't be compiled.
    """
    BUILT.mkdir(parents=True, exist_ok=True)
    program = BUILT / "slices"
    compiler = os.environ.get("CC", "gcc")
    subprocess.run([compiler, "-O2", "-static", "-pthread", "-o", program, SOURCE], check=True)
    return program


def measure(program: Path, platforms: Sequence[str], results: Results) -> None:
    """Runs the program, natively and on each of ``platforms``. What fails in one of them is not tried there again."""
    commands = {"native": [os.fspath(program)]}
    for platform in platforms:
        commands[platform] = [WARMFORK, "run", f"--platform={platform}", os.fspath(program)]
    said: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for (name, unit), arguments in _SAID.items():
            for place, command in commands.items():
                part = f"{place}/{name}"
                if part in results.failed:
                    continue
                with results.part(part):
                    said.setdefault(part, []).append(_run([*command, *arguments]))
                    results.costs[part] = Measurement(statistics.median(said[part]), unit)
    for place in commands:
        for name, to in _RATIOS.items():
            above, below = (results.costs.get(f"{place}/{one}") for one in (name, to))
            if above and below:
                results.costs[f"{place}/{name}, {OF_NONE}"] = Measurement(above.value / below.value, "times")


def _run(command: list[str]) -> float:
    """The number that the program says; on the CPU of the servers."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CPU}),
    )
    if done.returncode:
        raise SlicesError(f"{' '.join(command)} ended with status {done.returncode}: {done.stderr.strip()}")
    return float(done.stdout)
