"""What forks cost a Python program: ``python -m benches.compare.in_python PLATFORM``.

Freezes a Python server, the one of the engine's own bench, and forks it: one at a time, then a thousand at once. Says
a JSON object a line; costs.py reads them.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from warmfork import Machine, Policy, Snapshot, WarmforkError
from warmfork.types import Platform

SERVER = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "0"]
FORKS = 100
CROWD = 1000
SAMPLE = 20
"""What so many forks take of the host tells whether it has enough for a crowd."""
SPARE = 512 << 20
"""Bytes of the host's memory that are left alone."""

FORK = "fork and close of a Python server from Python"
CROWD_FORK = f"fork of a Python server from Python, {CROWD:,} at once"
CROWD_MEMORY = f"memory of a fork of a Python server from Python, {CROWD:,} at once"


@dataclass(frozen=True)
class Taken:
    """What this process and its children have of the host's."""

    memory: int
    """Bytes: of pages that several map, each has its part (Pss), so that every page counts once."""
    mappings: int
    """Of this process."""
    files: int
    """Of this process."""

    @classmethod
    def now(cls) -> Taken:
        """As the host shows it."""
        own = Path("/proc/self")
        children = [pid for task in (own / "task").iterdir() for pid in (task / "children").read_text().split()]
        memory = sum(_pss(Path("/proc") / pid) for pid in ["self", *children])
        return cls(memory, len((own / "maps").read_text().splitlines()), len(list((own / "fd").iterdir())))

    def lacks(self, before: Taken) -> str:
        """What the host has too little of for a crowd, when a sample has made this of ``before``; empty if nothing."""
        mappings = int(Path("/proc/sys/vm/max_map_count").read_text())
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        room = {
            "bytes of memory": (self.memory - before.memory, _available() - SPARE),
            "mappings of one process": (self.mappings - before.mappings, mappings - before.mappings),
            "open files": (self.files - before.files, files - before.files),
        }
        for what, (sample, left) in room.items():
            if (needed := sample * CROWD // SAMPLE) > left:
                return f"{CROWD:,} forks need {needed:,} {what}, and this machine has {left:,} left"
        return ""


def _pss(process: Path) -> int:
    """The memory of a process, in bytes."""
    for line in (process / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    return 0


def _available() -> int:
    """Bytes of memory that the host can give."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def say(name: str, **said: float | str) -> None:
    """Tells what was measured."""
    print(json.dumps({"name": name, **said}), flush=True)


def one_at_a_time(snapshot: Snapshot) -> float:
    """The median of the times to make a fork and to close it, in microseconds."""
    taken = []
    for _ in range(FORKS):
        begun = time.perf_counter()
        snapshot.fork().close()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e6


@contextmanager
def forks(snapshot: Snapshot, number: int) -> Iterator[float]:
    """So many forks until the end of the block; how long each took to make, in microseconds."""
    with ExitStack() as stack:
        begun = time.perf_counter()
        for _ in range(number):
            stack.enter_context(snapshot.fork())
        yield (time.perf_counter() - begun) / number * 1e6


def measure(platform: Platform) -> None:
    """Measures, and tells it."""
    stdio = os.open(os.devnull, os.O_RDWR)
    policy = Policy(allow_all=True)
    with Machine(SERVER, policy=policy, env={}, stdio=(stdio, stdio, stdio), platform=platform) as machine:
        machine.boot()
        snapshot = machine.freeze()
    say(f"{platform}/{FORK}", value=one_at_a_time(snapshot), unit="us")
    with snapshot.fork():
        before = Taken.now()
        with forks(snapshot, SAMPLE):
            lacks = Taken.now().lacks(before)
        if lacks:
            say(f"{platform}/{CROWD_FORK}", **{"left out": lacks})
            return
        with forks(snapshot, CROWD) as each:
            memory = (Taken.now().memory - before.memory) / CROWD / 1024
            say(f"{platform}/{CROWD_FORK}", value=each, unit="us")
            say(f"{platform}/{CROWD_MEMORY}", value=memory, unit="KiB")


def main() -> int:
    """Measures on the platform that is the argument; returns the exit code."""
    platform: Platform = "kvm" if sys.argv[1:] == ["kvm"] else "process"
    if not os.access(SERVER[0], os.X_OK):
        say(f"{platform}/{FORK}", **{"left out": f"{SERVER[0]} is not here"})
        return 0
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    try:
        measure(platform)
    except WarmforkError as error:
        say(f"{platform}/forks of a Python server from Python", failed=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
