"""Connections that are open at the freeze: no request gets bytes for another, or bytes that another left."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from clients import ask, port_of
from timeouts import scaled

from warmfork import Policy, ServeOptions, Snapshot

USERS = ("alice", "bob", "carol", "dave")
REQUESTS = 40
"""Of each user; of some of them the forks are lost."""


class Lines(socketserver.StreamRequestHandler):
    """Answers each line with the same."""

    def handle(self) -> None:
        for line in self.rfile:
            try:
                self.wfile.write(line)
            except OSError:  # whoever asked has left
                return


class Datagrams(socketserver.DatagramRequestHandler):
    """Answers each datagram with the same."""

    def handle(self) -> None:
        self.wfile.write(self.rfile.read())


SERVERS: dict[str, tuple[Any, Any]] = {
    "tcp": (socketserver.ThreadingTCPServer, Lines),
    "udp": (socketserver.UDPServer, Datagrams),
    "unix": (socketserver.ThreadingUnixStreamServer, Lines),
}


@contextmanager
def backend(family: str, directory: Path) -> Iterator[str]:
    """A backend outside, of which a guest knows the port or path."""
    kind, handler = SERVERS[family]
    with kind(str(directory / "backend") if family == "unix" else ("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield str(server.server_address if family == "unix" else server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.fixture(params=["tcp", "tcp-lazy", "udp", "udp-lazy", "unix", "unix-lazy"])
def family(request: pytest.FixtureRequest) -> str:
    """How a guest is connected to its backend; lazily: by the warm-up, not when it starts."""
    return str(request.param)


@pytest.fixture
def asking(family: str, freeze: Callable[..., Snapshot], tmp_path: Path) -> Iterator[Snapshot]:
    """A guest that asks a backend, with a connection made before the freeze."""
    family, _, lazy = family.partition("-")
    with backend(family, tmp_path) as address:
        variables = {"FAMILY": family, "BACKEND": address} | ({"LAZY": lazy} if lazy else {})
        yield freeze("backends", warm_up=1, policy=Policy(allow_all=True), env=variables)


def all_users(port: int, requests: Callable[[str], list[tuple[str, str]]]) -> list[tuple[str, bytes]]:
    """All users make ``requests`` side by side. Returns each one's first wrong answer, with its request."""

    def use(user: str) -> list[tuple[str, bytes]]:
        for number in range(REQUESTS):
            for request, expected in requests(f"{user}-{number}"):
                got = ask(port, f"{request}\n".encode())
                if got != expected.encode():
                    return [(request, got)]
        return []

    with ThreadPoolExecutor(len(USERS)) as users:
        return [each for wrong in users.map(use, USERS) for each in wrong]


def test_backends_answer_who_has_asked(family: str, asking: Snapshot) -> None:
    """A datagram's socket is connected as before; a stream is connected again by each fork that needs it."""
    count = 1 if family.startswith("udp") else 2

    def requests(text: str) -> list[tuple[str, str]]:
        return [(f"leave {text}", ""), (f"ask {text}", f"{text} got {text}, {count} connections done\n")]

    with asking.serve(ServeOptions(threads=2, max_request_time=scaled(8))):
        assert all_users(port_of(asking), requests) == []


def test_a_reset_takes_back_what_was_asked(asking: Snapshot, request_of: Any) -> None:
    with asking.fork() as fork:
        first = request_of(fork, "ask something").answer
        for _ in range(3):
            fork.reset()
            assert fork.differences() == []
            assert request_of(fork, "ask something").answer == first


@pytest.mark.parametrize(
    ("family", "action", "expected"),
    [
        ("tcp", "look read", "TCP connections"),
        ("tcp", "ask something", "descriptors"),
        ("unix", "look read", "pipes, socket pairs"),
        ("udp", "ask something", "descriptors"),
    ],
    indirect=["family"],
)
def test_differences_see_what_was_done_to_a_connection(
    asking: Snapshot, request_of: Any, action: str, expected: str
) -> None:
    with asking.fork() as fork:
        assert fork.differences() == []
        request_of(fork, action)
        assert any(line.startswith(expected) for line in fork.differences())


def test_differences_see_what_was_said_inside(inside: Snapshot, request_of: Any) -> None:
    with inside.fork() as fork:
        request_of(fork, "write something")
        assert any(line.startswith("TCP connections") for line in fork.differences())


@pytest.mark.parametrize("family", ["tcp", "unix"], indirect=True)
def test_what_a_program_sees_of_a_connection_that_has_ended(family: str, asking: Snapshot, request_of: Any) -> None:
    """As where the peer has reset it: readable, writable, in error, hung up, of which an edge tells, too."""
    seen = {"read": "ECONNRESET, end", "write": "ECONNRESET, EPIPE" if family == "tcp" else "EPIPE, EPIPE"}
    with asking.fork() as fork:
        for way in ("read", "write", "read"):
            assert request_of(fork, f"look {way}").answer == f"poll 201d, 1 edge 2019, {seen[way]} done\n".encode()
            fork.reset()


@pytest.fixture(scope="module")
def inside(freeze: Callable[..., Snapshot]) -> Snapshot:
    """A guest that is connected to itself."""
    return freeze("inside")


@pytest.mark.parametrize("threads", [1, 2])
def test_who_is_inside_answers_who_has_asked(inside: Snapshot, threads: int) -> None:
    def requests(text: str) -> list[tuple[str, str]]:
        return [
            (f"write {text}", "done\n"),
            (f"die {text}", ""),
            (f"read {text}", f"{text} done\n"),
            (f"itself {text}", f"outer({text}) outer({text}) done\n"),
            (f"back {text}", f"{text} 1 done\n"),
        ]

    with inside.serve(ServeOptions(threads=threads, max_request_time=scaled(8))):
        assert all_users(port_of(inside), requests) == []


@pytest.mark.parametrize("action", ["write", "read", "itself", "back"])
def test_a_reset_takes_back_what_was_said_inside(inside: Snapshot, request_of: Any, action: str) -> None:
    with inside.fork() as fork:
        first = request_of(fork, f"{action} something").answer
        assert b"line " not in first
        for _ in range(3):
            fork.reset()
            assert fork.differences() == []
            assert request_of(fork, f"{action} something").answer == first
