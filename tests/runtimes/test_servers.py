"""Unmodified servers of every kind: each connection gets a pristine fork, and within one all is as usual."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from server_kinds import Kind
from serving import Served, ask

LARGE = b"0123456789abcdef" * 65536
pytestmark = pytest.mark.timeout(240)  # the first of a kind compiles and boots it


@pytest.mark.shows("isolation")
def test_nothing_is_left_for_the_next_connection(server: Served) -> None:
    assert [server.get("/count") for _ in range(6)] == ["1"] * 6


@pytest.mark.shows("keep-alive")
def test_a_connection_keeps_its_state(server: Served, kind: Kind) -> None:
    for _ in range(2):
        connection = server.connect()
        assert ask(connection, "/count") == b"1"
        assert (connection.sock is not None) == kind.keeps_alive
        if kind.keeps_alive:
            assert [ask(connection, "/count") for _ in range(2)] == [b"2", b"3"]
            assert ask(connection, "/echo", b"in between") == b"in between"
            assert ask(connection, "/count") == b"4"
        connection.close()


@pytest.mark.shows("large bodies")
def test_large_bodies_go_both_ways(server: Served) -> None:
    assert server.fetch("/large") == LARGE
    assert server.fetch("/echo", LARGE) == LARGE


@pytest.mark.shows("files")
def test_files_are_written_and_read(server: Served) -> None:
    assert [server.get("/file") for _ in range(2)] == ["written by a request, 0 before"] * 2


@pytest.mark.shows("isolation")
def test_connections_wait_for_each_other(server: Served) -> None:
    with ThreadPoolExecutor(8) as clients:
        assert list(clients.map(lambda _: server.get("/count"), range(24))) == ["1"] * 24


@pytest.mark.shows("isolation")
def test_a_connection_that_says_nothing_costs_only_itself(server: Served) -> None:
    server.connect().close()
    assert server.get("/count") == "1"
