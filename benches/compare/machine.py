"""Where and of what a measurement was made: a number without that says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def undisturbed() -> Iterator[bool]:
    """Has this process and what it starts go before all else on the machine, where that is allowed; whether it is.

    Without it, everything that shares the two CPUs with the contestants takes its share of each of them, and of those
    that are made of more processes a larger one. (A real-time priority would do more, and have Linux stop all of it for
    a twentieth of each second: see sched_rt_runtime_us in sched(7).)
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def describe() -> dict[str, Any]:
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
