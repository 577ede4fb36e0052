"""A server that has served for long has no more files, processes, threads and memory than one that has just started."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from clients import ask, port_of
from resources import Resources, settle

from warmfork import ServeOptions, Snapshot


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


# Where kvm is itself virtual, leaving a guest takes a tenth of a millisecond.
REQUESTS = {"process": 100_000, "kvm": 20_000}


def test_many_requests_leak_nothing(platform: str, snapshot: Snapshot, client: Callable[[int, int, str], str]) -> None:
    port = port_of(snapshot)
    count = REQUESTS[platform]
    with snapshot.serve(ServeOptions(threads=2)) as server:
        assert client(port, 2_000, "work") == "1 done\n"
        settle(server)
        before = Resources.now()
        assert client(port, count - 2_000, "work") == "1 done\n"
        settle(server)
        Resources.now().assert_no_more_than(before, memory=4 << 20)
        server.stop(10.0)
        statistics = server.statistics()
    assert statistics["served"] == statistics["connections"] == count
    assert statistics["forks"] == 2


def test_what_requests_leave_behind_is_cleared_away(snapshot: Snapshot, client: Callable[[int, int, str], str]) -> None:
    port = port_of(snapshot)
    with snapshot.serve(ServeOptions(threads=2)) as server:
        assert client(port, 500, "leave") == "1 done\n"
        settle(server)
        before = Resources.now()
        assert client(port, 5_000, "leave") == "1 done\n"
        settle(server)
        Resources.now().assert_no_more_than(before, memory=4 << 20)


def test_lost_forks_leave_nothing(snapshot: Snapshot, client: Callable[[int, int, str], str]) -> None:
    port = port_of(snapshot)
    with snapshot.serve(ServeOptions(threads=2)) as server:
        assert client(port, 20, "crash") == ""
        settle(server)
        before = Resources.now()
        assert client(port, 300, "crash") == ""
        settle(server)
        Resources.now().assert_no_more_than(before, memory=8 << 20)
        assert server.statistics()["crashes"] == 320


def test_servers_snapshots_and_machines_leave_nothing(freeze: Callable[..., Snapshot]) -> None:
    def once() -> None:
        snapshot = freeze("quick")
        with snapshot.serve(ServeOptions(threads=2)) as server, snapshot.fork() as fork:
            assert ask(port_of(snapshot), b"work\n") == b"1 done\n"
            settle(server)
            fork.run(timeout=0.01)
            fork.reset()

    for _ in range(3):
        once()
    before = Resources.now()
    for _ in range(20):
        once()
    Resources.now().assert_no_more_than(before, memory=8 << 20)
