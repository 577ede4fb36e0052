"""Runs the bench of the engine (crates/engine/benches/costs) and reads what it measured.

It runs here, and in an emulated machine that has the KVM of hardware: of what is measured there, only ratios mean
something.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benches.compare.machine import ROOT
from benches.compare.promises import Check

SYSTEM_CALL_RATIO = "interception/ratio"
RESET = "process/reset, 200 dirty pages"
KVM_ENTRIES = "kvm/entries for a system call"
KVM_CALLS = "kvm/host calls in a steady request"
KVM_FAULTS = "kvm/page faults in a steady request"
FORK_MEMORY = "kvm/memory of a fork of a Python server"
RATIO_AT_MOST = 1.5
FORK_KIBIBYTES = 300.0
RESET_MICROSECONDS = 120.0


@dataclass(frozen=True)
class Measurement:
    """What a bench measured: the median where its name says nothing else."""

    value: float
    unit: str


Measured = Mapping[str, Measurement]
"""By name."""

_BENCH = ["cargo", "bench", "--quiet", "--locked", "--package", "warmfork-engine", "--bench", "costs"]
MACHINE = ROOT / "scripts" / "svm_machine.py"
MACHINE_SECONDS = 1200
MACHINE_DOES_LESS = 40
"""Times: its CPU is 10 to 30 times slower."""


def build() -> Path:
    """Builds the bench of what the engine costs; returns the program."""
    command = [*_BENCH, "--no-run", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return Path([message["executable"] for message in messages if message.get("executable")][-1])


def measure(program: Path) -> dict[str, Measurement]:
    """Runs the bench of what the engine costs; returns what it measured, by name."""
    return _run([str(program), "--bench", "--json"])


def measure_in_machine(program: Path) -> dict[str, Measurement]:
    """The same in the emulated machine; nothing where that cannot be had."""
    machine = [sys.executable, str(MACHINE)]
    if subprocess.run([*machine, "--prepare"], cwd=ROOT, check=False).returncode:
        return {}
    options = [f"--seconds={MACHINE_SECONDS}", "--"]
    return _run([*machine, *options, str(program), "--bench", "--json", f"--less={MACHINE_DOES_LESS}"])


def _run(command: list[str]) -> dict[str, Measurement]:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return {name: Measurement(**measurement) for name, measurement in json.loads(done.stdout).items()}


def as_plain(measured: Measured) -> dict[str, dict[str, Any]]:
    """For JSON."""
    return {name: asdict(measurement) for name, measurement in measured.items()}


def checks(measured: Measured) -> list[Check]:
    """The promises that the crates' benches hold: what, how much, the bound, whether it holds."""
    if not measured:
        return []
    ratio = measured[SYSTEM_CALL_RATIO].value
    reset = measured[RESET].value
    checked = [
        (
            "a trivial system call, times the bare interception",
            ratio,
            f"<= {RATIO_AT_MOST:g}",
            ratio <= RATIO_AT_MOST,
        ),
        ("reset with 200 dirty pages, us", reset, f"<= {RESET_MICROSECONDS:g}", reset <= RESET_MICROSECONDS),
    ]
    if FORK_MEMORY in measured:
        memory = measured[FORK_MEMORY].value
        checked.append(
            ("memory of a fork on kvm, KiB", memory, f"<= {FORK_KIBIBYTES:g}", memory <= FORK_KIBIBYTES),
        )
    return checked


def kvm_checks(place: str, measured: Measured) -> list[Check]:
    """What is promised of kvm wherever it runs, as counts; ``place`` says where that was."""
    if KVM_ENTRIES not in measured:
        return []
    entries, calls, faults = (measured[name].value for name in (KVM_ENTRIES, KVM_CALLS, KVM_FAULTS))
    return [
        # An interrupt of the guest's CPU costs one more entry, now and then.
        (f"exits for a system call on kvm, {place}", entries, "1", round(entries, 2) == 1),
        (f"host calls in a steady request on kvm, {place}", calls, "0", round(calls, 2) == 0),
        (f"page faults in a steady request on kvm, {place}", faults, "0", round(faults, 2) == 0),
    ]
