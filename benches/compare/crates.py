"""Runs the bench of the engine (crates/engine/benches/costs) and reads what it measured."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from benches.compare.machine import ROOT

SYSTEM_CALL_RATIO = "interception/ratio"
RESET = "process/reset, 200 dirty pages"
FORK_MEMORY = "kvm/memory of a fork of a Python server"
RATIO_AT_MOST = 1.5
FORK_KIBIBYTES = 300.0
RESET_MICROSECONDS = 120.0


@dataclass(frozen=True)
class Measurement:
    """What a bench measured: the median where its name says nothing else."""

    value: float
    unit: str


_BENCH = ["cargo", "bench", "--quiet", "--locked", "--package", "warmfork-engine", "--bench", "costs"]


def build() -> None:
    """Builds the bench of what the engine costs."""
    subprocess.run([*_BENCH, "--no-run"], cwd=ROOT, check=True)


def measure() -> dict[str, Measurement]:
    """Runs the bench of what the engine costs; returns what it measured, by name."""
    done = subprocess.run([*_BENCH, "--", "--json"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return {name: Measurement(**measurement) for name, measurement in json.loads(done.stdout).items()}


def checks(measured: Mapping[str, Measurement]) -> list[tuple[str, float, str, bool]]:
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
