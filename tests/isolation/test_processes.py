"""Snapshots of several processes, and requests that start more: a reset leaves the snapshot's, as they were."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from clients import ask, port_of
from resources import Resources, settle

from warmfork import Policy, ServeOptions, Snapshot

# What a request changes, and what `differences` says of it before the reset.
CHANGES = {
    "fork-and-wait": ["memory at", "/dev/zero"],
    "fork-and-leave": ["^processes$"],
    "leave-zombie": ["^processes$"],
    "spawn": ["memory at"],
    "write-in-child": ["^process 3: memory at", "/dev/zero"],
    "map-in-child": ["^processes$", "^process 3: host mapping"],
    "change-child": ["^processes$", "^descriptors$"],
    "stop-child": ["^processes$"],
    "signal-child": ["^processes$"],
    "move-child": ["^processes$"],
    "describe": ["^descriptors$", "^pipes"],
    "connect": ["^descriptors$", "^pipes", "^process 3: memory at"],
    "watch": ["^descriptors$"],
    "write-to": ["^descriptors$", "^pipes", "^process 3: memory at"],
}


@pytest.fixture(scope="module")
def snapshot(freeze: Callable[..., Snapshot]) -> Snapshot:
    return freeze("processes", policy=Policy(allow_net=True, allow_read=True))


@pytest.mark.parametrize(("action", "expected"), CHANGES.items())
def test_a_reset_undoes(snapshot: Snapshot, request_of: Any, action: str, expected: list[str]) -> None:
    with snapshot.fork() as fork:
        first = request_of(fork, "look").answer
        assert first == b"none shared before   children 0\ndone\n"
        fork.reset()
        assert fork.differences() == []
        for _ in range(2):
            answer = request_of(fork, f"{action} secret").answer
            assert answer.endswith(b"done\n") and b"line " not in answer
            found = fork.differences()
            for pattern in expected:
                assert any(re.search(pattern, line) for line in found), (pattern, found)
            fork.reset()
            assert fork.differences() == []
        assert request_of(fork, "look").answer == first


def test_forks_talk_to_their_own_processes(snapshot: Snapshot, request_of: Any) -> None:
    with snapshot.fork() as one, snapshot.fork() as other:
        for fork, text in ((one, b"first"), (other, b"second")) * 2:
            assert request_of(fork, b"connect " + text).answer == text + b" done\n"
            assert request_of(fork, b"write-to " + text).answer == text + b" done\n"
            fork.reset()


def test_forks_watch_files_each_for_itself(snapshot: Snapshot, request_of: Any) -> None:
    with snapshot.fork() as one, snapshot.fork() as other:
        for fork in (one, other) * 2:
            assert request_of(fork, "watch").answer == b"1 40000020 done\n"
            fork.reset()


def test_a_program_is_run(snapshot: Snapshot, request_of: Any) -> None:
    with snapshot.fork() as fork:
        for _ in range(3):
            assert request_of(fork, "spawn some text").answer == b"3 SOME TEXT\ndone\n"
            fork.reset()


@pytest.mark.parametrize(("action", "outcome"), [("end-child", "served"), ("execute", "timeout"), ("exit", "exited")])
def test_a_fork_without_a_process_of_the_snapshot_is_made_anew(
    snapshot: Snapshot, request_of: Any, action: str, outcome: str
) -> None:
    with snapshot.fork() as fork:
        first = request_of(fork, "look").answer
        assert fork.reset() != "rebuilt"
        for _ in range(2):
            assert request_of(fork, action, timeout=2.0).outcome.kind == outcome
            assert fork.reset() == "rebuilt"
            assert fork.differences() == []
            assert request_of(fork, "look").answer == first
            assert fork.reset() != "rebuilt"
        assert fork.statistics()["resets_rebuilt"] == 2


def test_a_thousand_programs_leak_nothing(snapshot: Snapshot) -> None:
    port = port_of(snapshot)
    with snapshot.serve(ServeOptions(threads=2)) as server:
        for _ in range(20):
            assert ask(port, b"spawn a\n") == b"3 A\ndone\n"
        settle(server)
        before = Resources.now()
        for _ in range(1000):
            assert ask(port, b"spawn a\n") == b"3 A\ndone\n"
        settle(server)
        Resources.now().assert_no_more_than(before, memory=8 << 20)
        server.stop(10.0)
        statistics = server.statistics()
    assert statistics["served"] == 1020
    assert statistics["forks"] == 2


def test_a_lost_process_of_the_snapshot_costs_no_connection(snapshot: Snapshot) -> None:
    port = port_of(snapshot)
    with snapshot.serve(ServeOptions(threads=1)) as server:
        for _ in range(3):
            assert ask(port, b"end-child\n") == b"done\n"
            assert ask(port, b"look\n") == b"none shared before   children 0\ndone\n"
        server.stop(10.0)
        statistics = server.statistics()
    assert (statistics["served"], statistics["resets_rebuilt"], statistics["forks"]) == (6, 3, 1)
