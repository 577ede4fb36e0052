"""Runs the benches of the crates (criterion) and reads what they measured."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.compare.machine import ROOT

SYSTEM_CALL = "interception/system call"
BARE_INTERCEPTION = "interception/bare"
RESET = "reset/200 dirty pages"
SYSTEM_CALL_RATIO = 1.5
RESET_MICROSECONDS = 120.0


@dataclass(frozen=True)
class Measurement:
    """The median of a bench."""

    value: float
    unit: str


def measure() -> dict[str, Measurement]:
    """Runs every bench; returns the medians by name, in microseconds."""
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=ROOT, capture_output=True, check=True
        ).stdout
    )
    benches = [
        argument
        for package in metadata["packages"]
        for target in package["targets"]
        if "bench" in target["kind"]
        for argument in ("--bench", target["name"])
    ]
    if not benches:
        return {}
    subprocess.run(["cargo", "bench", "--workspace", "--locked", *benches], cwd=ROOT, check=True)
    return read_criterion(Path(metadata["target_directory"]) / "criterion")


def read_criterion(directory: Path) -> dict[str, Measurement]:
    """Reads the results that criterion left."""
    measured = {}
    for file in sorted(directory.glob("**/new/benchmark.json")):
        name: str = json.loads(file.read_text())["full_id"]
        estimates: dict[str, Any] = json.loads(file.with_name("estimates.json").read_text())
        measured[name] = Measurement(estimates["median"]["point_estimate"] / 1000, "us")
    return measured


def checks(measured: Mapping[str, Measurement]) -> list[tuple[str, float, str, bool]]:
    """The promises that the crates' benches hold: what, how much, the bound, whether it holds."""
    if not measured:
        return []
    ratio = measured[SYSTEM_CALL].value / measured[BARE_INTERCEPTION].value
    reset = measured[RESET].value
    return [
        (
            "a trivial system call, times the bare interception",
            ratio,
            f"<= {SYSTEM_CALL_RATIO:g}",
            ratio <= SYSTEM_CALL_RATIO,
        ),
        ("reset with 200 dirty pages, us", reset, f"<= {RESET_MICROSECONDS:g}", reset <= RESET_MICROSECONDS),
    ]
