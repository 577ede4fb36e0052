"""Forks share the threads of a pool: each goes on while others wait or compute."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from timeouts import scaled

from warmfork import Fork, Machine, Outcome, Policy, Snapshot

FORKS = 3 * len(os.sched_getaffinity(0))
"""More than the pool has threads."""


@contextmanager
def serving(fork: Fork, path: str) -> Iterator[tuple[socket.socket, list[Outcome]]]:
    """Has the fork serve a request for a path; the client's end, and how it ended, once that is shut down."""
    client, connection = socket.socketpair()
    outcomes: list[Outcome] = []
    with client, connection:
        client.settimeout(scaled(30))
        client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        thread = threading.Thread(target=lambda: outcomes.append(fork.serve(connection.fileno())))
        thread.start()
        try:
            yield client, outcomes
        finally:
            thread.join()


def ask(fork: Fork) -> bytes:
    with serving(fork, "/") as (client, _):
        answer = client.recv(1000)
    assert fork.reset() == "rewritten"
    return answer.split(b"\r\n\r\n")[1]


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def said(fork: Fork) -> str:
    """The next line of a fork, which all forks of its snapshot write to one place."""
    text = b""
    while not text.endswith(b"\n"):
        text += fork.output()[0]
    return text.decode()


def test_forks_that_wait_let_others_go_on(frozen: tuple[Snapshot, int]) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(frozen[0].fork()) for _ in range(FORKS)]
        other = stack.enter_context(frozen[0].fork())
        with ExitStack() as requests:
            clients = [requests.enter_context(serving(fork, "/stall")) for fork in waiting]
            # Every one of them has its request, and waits for more of it.
            lines = ""
            while lines.count("stalls") < FORKS:
                lines += said(other)
            assert ask(other) == b"1 \n"
            for client, _ in clients:
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1000).endswith(b"1 \n")
        assert {outcome.kind for _, outcomes in clients for outcome in outcomes} == {"served"}
        for fork in waiting:
            fork.reset()
            assert fork.differences() == []


def test_forks_that_compute_let_others_go_on(frozen: tuple[Snapshot, int]) -> None:
    with ExitStack() as stack:
        busy = [stack.enter_context(frozen[0].fork()) for _ in range(FORKS)]
        other = stack.enter_context(frozen[0].fork())
        with ExitStack() as requests:
            spinning = [requests.enter_context(serving(fork, "/spin")) for fork in busy]
            assert [ask(other) for _ in range(3)] == [b"1 \n"] * 3
            assert all(not outcomes for _, outcomes in spinning)
            for fork in busy:
                fork.interrupt()
        assert {outcome.kind for _, outcomes in spinning for outcome in outcomes} == {"interrupted"}


def test_forks_of_several_snapshots_cost_no_threads(guest: Callable[[str], str]) -> None:
    with ExitStack() as stack:
        snapshots = []
        for _ in range(3):
            machine = stack.enter_context(Machine([guest("server")], policy=Policy(allow_listen=True)))
            machine.boot(scaled(10.0))
            snapshots.append(machine.freeze())
        with snapshots[0].fork() as fork:
            assert ask(fork) == b"1 \n"
        before = threads()
        forks = [stack.enter_context(snapshots[number % 3].fork()) for number in range(60)]
        assert threads() == before
        for _ in range(2):
            assert {ask(fork) for fork in forks} == {b"1 \n"}
        assert all(fork.differences() == [] for fork in forks[:6])
