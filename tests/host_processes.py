"""Looks at a guest's host process from outside, as the host shows it: nothing of warmfork's own is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

USER_END = 1 << 47
PAGE = 4096
IMAGE_BYTES = 256 << 30
"""Below its code it may have as many of a snapshot's image."""


class HostProcess:
    """A guest's host process."""

    def __init__(self, pid: str) -> None:
        self.directory = Path("/proc") / pid

    def maps(self) -> list[tuple[int, int, str]]:
        """First address, one past the last, and protection of each mapping."""
        lines = (self.directory / "maps").read_text().splitlines()
        fields = [line.split() for line in lines]
        ranges = [(field[0].split("-"), field[1]) for field in fields]
        return [(int(start, 16), int(end, 16), protection) for (start, end), protection in ranges]

    def shared_pages(self) -> tuple[int, int]:
        """The pages that it shares with its parent, at the top of the address space."""
        shared = [(start, end) for start, end, protection in self.maps() if protection == "rw-s"]
        assert shared[-1][1] > USER_END - (1 << 20)
        return shared[-1]

    def code(self) -> int:
        """Its own code: a page."""
        return self.shared_pages()[0] - PAGE

    def files(self) -> list[str]:
        """The files of its descriptors."""
        return [str(file.readlink()).split(":")[0] for file in (self.directory / "fd").iterdir()]

    def read(self, address: int, length: int) -> bytes:
        """Its memory, regardless of the protection."""
        with (self.directory / "mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(length)

    def memory(self) -> Iterator[tuple[int, bytes]]:
        """All that is mapped and in memory: the guest's and its own, readable for the guest or not."""
        with (self.directory / "mem").open("rb", buffering=0) as memory:
            for start, end, _ in self.maps():
                for at in range(start, min(end, USER_END), 1 << 24):
                    memory.seek(at)
                    try:
                        yield at, memory.read(min(end - at, 1 << 24))
                    except OSError:
                        continue  # behind the end of a mapped file

    def places_of(self, secret: bytes) -> list[int]:
        """Where a few bytes are in its memory."""
        found = []
        for start, content in self.memory():
            at = content.find(secret)
            while at >= 0:
                found.append(start + at)
                at = content.find(secret, at + 1)
        return found


def host_processes() -> set[str]:
    """The process ids of all guests' host processes: children of any thread of this process."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}
