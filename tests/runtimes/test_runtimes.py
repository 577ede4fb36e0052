"""Every kind of server, through the API: a reset puts everything back, and thousands of requests leak nothing."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from resources import Resources, settle
from server_kinds import ENVIRONMENT, KINDS, Kind
from serving import TIMEOUT, ask
from timeouts import scaled

from warmfork import Fork, Machine, Outcome, Policy, ServeOptions, Snapshot

pytestmark = pytest.mark.timeout(240)  # the first of a kind compiles and boots it
WARM_UP = 20
"""Requests before the freeze: without them every one would compile the same code anew."""


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of server in turn."""
    assert isinstance(request.param, Kind)
    return request.param


@pytest.fixture(scope="module")
def snapshot(
    kind: Kind,
    command_of: Callable[[Kind], list[str | Path]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Snapshot]:
    """A server of this kind when it was ready."""
    scratch = tmp_path_factory.mktemp("scratch")
    policy = Policy(allow_read=True, allow_listen=True, volumes=[f"{scratch}:/scratch:rw"])
    environment = dict(variable.split("=", 1) for variable in ENVIRONMENT)
    command = [str(word) for word in command_of(kind)]
    with Machine(command, policy=policy, env=environment) as machine:
        machine.boot(scaled(60.0))
        machine.warm_up(WARM_UP, "/count")
        yield machine.freeze(1, "/count")


class Client(http.client.HTTPConnection):
    """Asks on a connection that is there already."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__("127.0.0.1")
        self.sock = connection


def talk(connection: socket.socket, kind: Kind) -> list[bytes]:
    """Makes requests on one connection; the answers. Then it is closed."""
    with connection:
        client = Client(connection)
        answers = [ask(client, "/count")]
        if kind.keeps_alive:
            answers += [ask(client, "/count"), ask(client, "/echo", b"in between"), ask(client, "/file")]
            answers += [ask(client, "/large")[-16:], ask(client, "/count")]
        return answers


COUNTS = [str(WARM_UP + number).encode() for number in (1, 2, 3)]
EXPECTED = [*COUNTS[:2], b"in between", b"written by a request, 0 before", b"0123456789abcdef", COUNTS[2]]


# Which of several processes served the warm-up requests is not the same each time, nor is their count.
FORKING = {"node-cluster", "puma-cluster", "python-forking"}


def serve_one(fork: Fork, kind: Kind) -> list[bytes]:
    """Has the fork serve one connection, in this very thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), TIMEOUT)
        connection, _ = listener.accept()
    with connection, ThreadPoolExecutor(1) as pool:
        answers = pool.submit(talk, client, kind)
        assert fork.serve(connection.fileno(), timeout=TIMEOUT) == Outcome("served", 0)
        return answers.result(TIMEOUT)


def from_the_first(answers: list[bytes]) -> list[bytes]:
    """The answers, with counts from the connection's first on."""
    return [b"%d" % (int(answer) - int(answers[0])) if answer.isdigit() else answer for answer in answers]


def possible(count: bytes) -> set[bytes]:
    """What a connection's first count may be where one was that: two processes share the warm-up requests."""
    return {count, b"%d" % (WARM_UP + 2 - int(count))}


@pytest.mark.shows("pristine")
def test_a_reset_leaves_no_difference(snapshot: Snapshot, kind: Kind) -> None:
    expected = EXPECTED if kind.keeps_alive else EXPECTED[:1]
    firsts = {expected[0]}
    with snapshot.fork() as fork:
        assert fork.differences() == []
        if kind.name in FORKING:
            firsts = possible(serve_one(fork, kind)[0])
            fork.reset()
        for _ in range(3):
            answers = serve_one(fork, kind)
            assert from_the_first(answers) == from_the_first(expected)
            assert answers[0] in firsts
            assert fork.differences() != []
            fork.reset()
            assert fork.differences() == []


@pytest.mark.shows("no leak")
def test_thousands_of_requests_leak_nothing(snapshot: Snapshot, kind: Kind, requests: int) -> None:
    port = int(snapshot.info()["listening"][0].rsplit(":", 1)[1])

    def count(path: str = "/count") -> bytes:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            return ask(Client(connection), path)

    with snapshot.serve(ServeOptions(threads=2, max_request_time=TIMEOUT)) as server:
        counts = {count() for _ in range(40)}
        files = {count("/file") for _ in range(10)}
        assert files == {b"written by a request, 0 before"}
        if kind.name in FORKING:
            first = next(iter(counts))
            assert counts <= possible(first)
            counts = possible(first)
        else:
            assert counts == set(COUNTS[:1])
        settle(server)
        before = Resources.now()
        for number in range(requests):
            if number % 10:
                assert count() in counts
            else:
                assert count("/file") == b"written by a request, 0 before"
        settle(server)
        # A fork keeps the pages that it ever touched, up to a limit; a collector now and then comes to new ones.
        Resources.now().assert_no_more_than(before, memory=4 << 20, guests=32 << 20)
        statistics = server.statistics()
        assert (statistics["forks"], statistics["served"]) == (2, requests + 50)
