"""The resources that this process uses, with the engine in it, and its guests' memory: for tests that nothing leaks."""

from __future__ import annotations

import gc
import re
from dataclasses import dataclass
from pathlib import Path

from host_processes import host_processes

from warmfork import Server


def resident(process: Path) -> int:
    """Memory of a process's own, in bytes."""
    found = re.search(r"RssAnon:\s*(\d+)", (process / "status").read_text())
    assert found
    return int(found[1]) * 1024


AHEAD = 2
"""So many virtual machines are made ahead of use, by a thread that may be behind when somebody counts."""


def descriptors() -> tuple[int, int]:
    """How many descriptors this process has: of virtual machines, each of which has one such, and all others."""
    machines = others = 0
    for file in Path("/proc/self/fd").iterdir():
        try:
            name = str(file.readlink())
        except FileNotFoundError:  # the directory's own
            continue
        machines += name == "anon_inode:kvm-vm"
        others += not name.startswith("anon_inode:kvm-")
    return machines, others


def threads() -> int:
    """How many threads this process has. Linux adds one of KVM's own when a virtual machine first runs, to its end."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text())
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
    return sum(not name.startswith("kvm-") for name in names)


@dataclass
class Resources:
    """Counts, and bytes of memory."""

    files: int
    machines: int
    host_processes: int
    threads: int
    memory: int
    mappings: int
    guests: int

    @classmethod
    def now(cls) -> Resources:
        """The present use."""
        own = Path("/proc/self")
        gc.collect()  # what earlier tests left is not to be counted
        machines, files = descriptors()
        return cls(
            files=files,
            machines=machines,
            host_processes=len(host_processes()),
            threads=threads(),
            memory=resident(own),
            guests=sum(resident(Path("/proc") / pid) for pid in host_processes()),
            mappings=len((own / "maps").read_text().splitlines()),
        )

    def assert_no_more_than(self, before: Resources, memory: int, guests: int = 1 << 20) -> None:
        """Nothing has come, and no more than so many bytes of the engine's own memory and of all guests'.

        The memory of virtual machines is this process's.
        """
        own = memory if self.host_processes else memory + guests
        counted = {"files": self.files, "host_processes": self.host_processes, "threads": self.threads}
        assert counted == {"files": before.files, "host_processes": before.host_processes, "threads": before.threads}
        assert self.machines <= before.machines + AHEAD
        assert self.mappings <= before.mappings + 8
        assert self.memory <= before.memory + own
        assert self.guests <= before.guests + guests


def settle(server: Server) -> None:
    """Waits until every connection is over: each was served and its fork reset, or its fork replaced."""

    def settled() -> bool:
        now = server.statistics()
        reset = now["resets_rewritten"] + now["resets_dropped"] + now["resets_rebuilt"]
        return reset == now["served"] and now["forks"] == now["workers"] + now["connections"] - now["served"]

    while not settled():
        assert not server.wait(0.01)
