"""A server that has served for long has what it had at the start: no file, process or memory more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stubs import stubs
from talking import ask, get, port_of

from warmfork import Snapshot

REQUESTS = 100_000
WARM_UP = 2_000
NOISE_KIB = 8 << 10
"""What an allocator may keep for itself."""


def resident(process: int | str = "self") -> int:
    """Memory of a process in KiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def test_a_hundred_thousand_requests_leak_nothing(freeze: Callable[..., Snapshot]) -> None:
    before = stubs()
    snapshot = freeze("hello")
    port, request = port_of(snapshot), get("/")
    with snapshot.serve() as server:
        for _ in range(WARM_UP):
            assert ask(port, request).endswith(b"hello\n")
        (stub,) = stubs() - before
        files, memory, guest = set(Path("/proc/self/fd").iterdir()), resident(), resident(stub)
        for _ in range(REQUESTS):
            assert ask(port, request).endswith(b"hello\n")
        assert stubs() - before == {stub}
        assert set(Path("/proc/self/fd").iterdir()) == files
        assert resident() < memory + NOISE_KIB
        assert resident(stub) <= guest + 64
        statistics = server.statistics()
    assert statistics["served"] >= REQUESTS
    assert statistics["forks"] == 1
