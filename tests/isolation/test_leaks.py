"""A server that has served for long has no more files, processes, threads and memory than one that has just started."""

from __future__ import annotations

import gc
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from stubs import stubs
from talking import ask, port_of

from warmfork import Server, Snapshot


def resident(process: Path) -> int:
    """Memory of a process's own, in bytes."""
    found = re.search(r"RssAnon:\s*(\d+)", (process / "status").read_text())
    assert found
    return int(found[1]) * 1024


@dataclass
class Holdings:
    """What this process, with the engine in it, has, and its guests' memory."""

    files: int
    stubs: int
    threads: int
    memory: int
    mappings: int
    guests: int

    @classmethod
    def now(cls) -> Holdings:
        own = Path("/proc/self")
        gc.collect()  # what earlier tests left is not to be counted
        return cls(
            files=len(list((own / "fd").iterdir())),
            stubs=len(stubs()),
            threads=len(list((own / "task").iterdir())),
            memory=resident(own),
            guests=sum(resident(Path("/proc") / pid) for pid in stubs()),
            mappings=len((own / "maps").read_text().splitlines()),
        )

    def assert_no_more_than(self, before: Holdings, memory: int) -> None:
        assert (self.files, self.stubs, self.threads) == (before.files, before.stubs, before.threads)
        assert self.mappings <= before.mappings + 8
        assert self.memory <= before.memory + memory
        assert self.guests <= before.guests + (1 << 20)


@pytest.fixture(scope="module")
def snapshot(freeze: Callable[..., Snapshot]) -> Snapshot:
    return freeze("quick")


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int, str], str]:
    """Makes many requests, from a process of its own; the answer that all of them got."""
    binary = tmp_path_factory.mktemp("client") / "client"
    source = Path(__file__).parent / "guests" / "client.c"
    subprocess.run(["gcc", "-O1", "-w", "-o", binary, source], check=True)

    def make(port: int, count: int, request: str) -> str:
        command = [binary, str(port), str(count), request]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return make


def settle(server: Server) -> None:
    """Waits until every connection is over: each was served and its fork reset, or its fork replaced."""

    def settled() -> bool:
        now = server.statistics()
        reset = now["resets_rewritten"] + now["resets_dropped"]
        return reset == now["served"] and now["forks"] == now["workers"] + now["connections"] - now["served"]

    while not settled():
        assert not server.wait(0.01)


def test_a_hundred_thousand_requests_leak_nothing(snapshot: Snapshot, client: Callable[[int, int, str], str]) -> None:
    port = port_of(snapshot)
    with snapshot.serve(threads=2) as server:
        assert client(port, 5_000, "work") == "1 done\n"
        settle(server)
        before = Holdings.now()
        assert client(port, 95_000, "work") == "1 done\n"
        settle(server)
        Holdings.now().assert_no_more_than(before, memory=4 << 20)
        server.stop(10.0)
        statistics = server.statistics()
    assert statistics["served"] == statistics["connections"] == 100_000
    assert statistics["forks"] == 2


def test_what_requests_leave_behind_is_cleared_away(snapshot: Snapshot, client: Callable[[int, int, str], str]) -> None:
    port = port_of(snapshot)
    with snapshot.serve(threads=2) as server:
        assert client(port, 500, "leave") == "1 done\n"
        settle(server)
        before = Holdings.now()
        assert client(port, 5_000, "leave") == "1 done\n"
        settle(server)
        Holdings.now().assert_no_more_than(before, memory=4 << 20)


def test_lost_forks_leave_nothing(snapshot: Snapshot, client: Callable[[int, int, str], str]) -> None:
    port = port_of(snapshot)
    with snapshot.serve(threads=2) as server:
        assert client(port, 20, "crash") == ""
        settle(server)
        before = Holdings.now()
        assert client(port, 300, "crash") == ""
        settle(server)
        Holdings.now().assert_no_more_than(before, memory=8 << 20)
        assert server.statistics()["crashes"] == 320


def test_servers_snapshots_and_machines_leave_nothing(freeze: Callable[..., Snapshot]) -> None:
    def once() -> None:
        snapshot = freeze("quick")
        with snapshot.serve(threads=2) as server, snapshot.fork() as fork:
            assert ask(port_of(snapshot), b"work\n") == b"1 done\n"
            settle(server)
            fork.run(timeout=0.01)
            fork.reset()

    for _ in range(3):
        once()
    before = Holdings.now()
    for _ in range(20):
        once()
    Holdings.now().assert_no_more_than(before, memory=8 << 20)
