"""A program that keeps a connection whose client has ended keeps nobody waiting, and loses no answer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from clients import all_of, port_of
from timeouts import scaled

from warmfork import ServeOptions, Snapshot


@pytest.fixture(scope="module")
def port(freeze: Callable[..., Snapshot]) -> Iterator[int]:
    """Where one fork serves, with no limit of time."""
    snapshot = freeze("late")
    with snapshot.serve(ServeOptions(threads=1, max_request_time=0)):
        yield port_of(snapshot)


def connect(port: int, request: bytes) -> socket.socket:
    """A client that has sent its request."""
    client = socket.create_connection(("127.0.0.1", port), timeout=scaled(60))
    client.sendall(request)
    return client


def answered(port: int) -> None:
    """A client that is answered, and leaves."""
    with connect(port, b"answer\n") as client:
        assert client.recv(100) == b"answer\n"


def test_who_comes_next_does_not_wait(port: int) -> None:
    for _ in range(5):
        answered(port)


def test_who_waits_is_served_when_the_client_ends(port: int) -> None:
    with connect(port, b"answer\n") as first:
        assert first.recv(100) == b"answer\n"
        with connect(port, b"answer\n") as second:
            first.shutdown(socket.SHUT_WR)
            assert second.recv(100) == b"answer\n"
        assert all_of(first) == b""


@pytest.mark.parametrize(("request_", "answer"), [(b"late\n", b"late\n"), (b"twice\n", b"one two\n")])
def test_no_answer_is_lost(port: int, request_: bytes, answer: bytes) -> None:
    with connect(port, request_) as client:
        client.shutdown(socket.SHUT_WR)
        with connect(port, b"answer\n") as other:
            assert all_of(client) == answer
            assert other.recv(100) == b"answer\n"


def test_what_it_does_elsewhere_is_done(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(scaled(60))
        with connect(port, b"tell %d\n" % elsewhere.getsockname()[1]) as client:
            assert client.recv(100) == b"later\n"
        told, _ = elsewhere.accept()
        with told, connect(port, b"answer\n") as other:
            told.settimeout(scaled(60))
            told.sendall(b"g")
            assert all_of(told) == b"told"
            assert other.recv(100) == b"answer\n"
