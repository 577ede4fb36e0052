"""A client that says nothing keeps no other waiting, where clients speak first."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from clients import all_of, ask, port_of
from timeouts import scaled

from warmfork import ServeOptions, Snapshot

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nHello"
NO_LIMIT = ServeOptions(threads=1, max_request_time=0, max_idle_time=0)


def client_of(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=scaled(60))


@pytest.fixture(scope="module")
def snapshot(freeze: Callable[..., Snapshot]) -> Snapshot:
    return freeze("silent", warm_up=1)


@pytest.mark.parametrize("threads", [1, 2])
def test_silent_clients_hold_no_fork(snapshot: Snapshot, threads: int) -> None:
    port = port_of(snapshot)
    options = ServeOptions(threads=threads, max_request_time=0, max_idle_time=0)
    with snapshot.serve(options) as server, ExitStack() as stack:
        silent = [stack.enter_context(client_of(port)) for _ in range(5)]
        for _ in range(3):
            assert ask(port, REQUEST) == ANSWER
        for client in reversed(silent):
            client.sendall(REQUEST)
            assert all_of(client) == ANSWER
        assert ask(port, REQUEST) == ANSWER
        statistics = server.statistics()
        assert (statistics["connections"], statistics["idle"], statistics["timeouts"]) == (9, 0, 0)


def test_a_client_that_says_nothing_for_too_long_is_closed(snapshot: Snapshot) -> None:
    port = port_of(snapshot)
    with snapshot.serve(ServeOptions(threads=1, max_request_time=0, max_idle_time="50ms")) as server:
        with client_of(port) as silent:
            assert all_of(silent) == b""
        assert ask(port, REQUEST) == ANSWER
        assert server.statistics()["idle"] == 1


def test_a_client_that_only_leaves_is_served(snapshot: Snapshot) -> None:
    port = port_of(snapshot)
    with snapshot.serve(NO_LIMIT) as server:
        with client_of(port) as client:
            client.shutdown(socket.SHUT_WR)
            assert all_of(client) == b""
        client_of(port).close()
        assert ask(port, REQUEST) == ANSWER
        assert server.statistics()["idle"] == 0


def test_silent_clients_go_with_the_server(snapshot: Snapshot) -> None:
    with snapshot.serve(NO_LIMIT) as server, client_of(port_of(snapshot)) as client:
        while server.statistics()["connections"] == 0:
            pass
        server.stop(scaled(20))
        assert all_of(client) == b""


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """How many silent connections are kept: a quarter of the descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, before[1]))
    yield 250
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_more_silent_clients_than_are_kept_cost_those_that_came_first(snapshot: Snapshot, few_descriptors: int) -> None:
    port = port_of(snapshot)
    with snapshot.serve(NO_LIMIT) as server, ExitStack() as stack:
        clients = [stack.enter_context(client_of(port)) for _ in range(few_descriptors + 2)]
        assert all_of(clients[0]) == all_of(clients[1]) == b""
        assert ask(port, REQUEST) == ANSWER
        clients[-1].sendall(REQUEST)
        assert all_of(clients[-1]) == ANSWER
        # The one that asked may have been silent at first.
        assert server.statistics()["idle"] in (2, 3)


@pytest.mark.parametrize(("arguments", "warm_up"), [(["greets"], 1), (["greets"], 0), ([], 0)])
def test_where_that_is_not_known_each_connection_has_its_fork(
    freeze: Callable[..., Snapshot], arguments: list[str], warm_up: int
) -> None:
    snapshot = freeze("silent", *arguments, warm_up=warm_up)
    with snapshot.serve(NO_LIMIT) as server, client_of(port_of(snapshot)) as client:
        if arguments:
            assert client.recv(17) == ANSWER[:17]
        client.sendall(REQUEST)
        assert all_of(client) == (ANSWER[17:] if arguments else ANSWER)
        assert server.statistics()["idle"] == 0
