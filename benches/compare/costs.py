"""Runs the programs that measure the costs of the engine, and reads their results as they come.

One is the bench of the engine (crates/engine/benches/costs): here, and in an emulated machine that has the KVM of
hardware, where only ratios mean something. Another forks from Python (in_python.py), and one serves in the emulated
machine (in_machine.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from benches.compare.machine import ROOT
from benches.compare.results import Measured, Measurement, Results
from benches.compare.servers import SERVER_CPU

SECONDS = 900
MACHINE = ROOT / "scripts" / "svm_machine.py"
MACHINE_SECONDS = 1800
MACHINE_DOES_LESS = 40
"""Times: its CPU is 10 to 30 times slower."""
_BENCH = ["cargo", "bench", "--quiet", "--locked", "--package", "warmfork-engine", "--bench", "costs"]


class CostsError(Exception):
    """A program that measures did not end well."""


def build() -> Path:
    """Builds the bench of the engine; returns the program.

    Raises:
        subprocess.CalledProcessError: It can't be built.
    """
    command = [*_BENCH, "--no-run", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return Path([message["executable"] for message in messages if message.get("executable")][-1])


def measure(program: Path, results: Results) -> None:
    """Runs the bench of the engine.

    Raises:
        CostsError: It did not end well.
    """
    read([os.fspath(program), "--bench", "--json"], results, results.costs)


def measure_in_machine(program: Path, results: Results) -> None:
    """The same in the emulated machine, if that can be had, and a Hello that is served there."""
    machine = [sys.executable, os.fspath(MACHINE)]
    if subprocess.run([*machine, "--prepare"], cwd=ROOT, check=False).returncode:
        results.left_out["emulated machine"] = "it cannot be had here (above)"
        return
    parts = {
        "the bench of the engine": [os.fspath(program), "--bench", "--json", f"--less={MACHINE_DOES_LESS}"],
        "a Hello": [sys.executable, "-B", "-m", "benches.compare.in_machine"],
    }
    for name, command in parts.items():
        inside = [*machine, f"--seconds={MACHINE_SECONDS}", "--", *command]
        with results.part(f"emulated machine: {name}"):
            read(inside, results, results.costs_in_machine, "emulated machine: ", MACHINE_SECONDS + SECONDS)


def measure_in_python(platform: str, results: Results) -> None:
    """Forks from Python on one platform, on the CPU that the engine's own forks were made on.

    Raises:
        CostsError: It did not end well.
    """
    pin = ["taskset", "--cpu-list", str(SERVER_CPU)]
    read([*pin, sys.executable, "-m", "benches.compare.in_python", platform], results, results.costs)


def read(command: list[str], results: Results, costs: Measured, place: str = "", seconds: float = SECONDS) -> None:
    """Runs a program that says a JSON object a line: what it has measured, or of which part it cannot and why.

    Args:
        command: The program.
        results: Get failures, and are written after each line.
        costs: Those of the results that get what was measured.
        place: Before the name of each failure.
        seconds: It is ended then.

    Raises:
        CostsError: It was ended, or failed without a word.
    """
    failed, late = len(results.failed), threading.Event()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:

        def end() -> None:
            late.set()
            process.terminate()

        limit = threading.Timer(seconds, end)
        limit.start()
        try:
            for line in process.stdout or ():
                _note(json.loads(line), results, costs, place)
            process.wait()
        finally:
            limit.cancel()
            process.terminate()  # nothing where it has ended
    if late.is_set():
        raise CostsError(f"not done within {seconds:g} s")
    if process.returncode and len(results.failed) == failed:
        raise CostsError(f"{Path(command[0]).name} ended with status {process.returncode}")


def _note(said: dict[str, object], results: Results, costs: Measured, place: str) -> None:
    """Takes one line into the results."""
    match said:
        case {"name": str(name), "value": float(value), "unit": str(unit)}:
            costs[name] = Measurement(value, unit)
            print(f"{place}{name}: {value:,.3f} {unit}", file=sys.stderr, flush=True)
        case {"name": str(name), "failed": str(why)}:
            results.failed[place + name] = why
        case {"name": str(name), "left out": str(why)}:
            results.left_out[place + name] = why
        case _:
            raise CostsError(f"a line was not expected: {said}")
    results.write()
