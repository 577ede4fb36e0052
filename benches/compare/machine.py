"""Where and of what a measurement was made: a number without that says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from benches.compare.servers import CPUS, LOAD_CPU, SERVER_CPU

ROOT = Path(__file__).resolve().parents[2]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _hypervisor() -> str:
    """Whether the CPU says that it is virtual: system calls and interrupts across CPUs cost more there."""
    return "yes" if " hypervisor" in Path("/proc/cpuinfo").read_text() else "no"


def describe() -> dict[str, str | int]:
    """The machine, its kernel, its /dev/kvm, and the build."""
    return {
        "cpu": _cpu_model(),
        "cpus": len(CPUS),
        "server_cpu": SERVER_CPU,
        "load_cpu": LOAD_CPU,
        "virtual_machine": _hypervisor(),
        "kvm": "yes" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "no",
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "commit": _commit(),
    }
