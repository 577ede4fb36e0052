"""Servers with real clients of real backends, connected before the freeze: no request gets an answer for another.

Four users ask side by side; some leave before they have read what the backend says. Where a client does not connect
again by itself, the program asks again, and is told how often it had to: docs/guides/backends.md tells of that.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from backends import BACKENDS, Tool
from server_kinds import NGINX, SERVERS, Kind
from serving import TIMEOUT, Served, free_port, serving, starting

pytestmark = pytest.mark.timeout(300)
CommandOf = Callable[[Kind], list[str | Path]]
USERS = ("alice", "bob", "carol", "dave")
LEAVING = 25
"""One of so many requests leaves."""
OPTIONS = ("--allow-all", "--threads=2", "--warmup=2", "--warmup-path=/ask/warm/up")


@dataclass(frozen=True)
class Client:
    """A client of a backend, in a server."""

    name: str
    source: str
    """File in servers/backends."""
    backend: str
    variant: str = ""
    """What is special about it, where one client is used in several ways: those make a fifth of the requests."""
    arguments: tuple[str, ...] = ("start",)
    lost: int = 0
    """How often a program is told, in each request, that a connection is lost."""
    connections: int = 1
    """How many there are at the freeze."""
    program: str = "venv"
    """What runs it, as for other kinds of servers."""

    def told(self, *backend: str) -> Kind:
        """The kind of server that has it, told of the backend."""
        return Kind(self.name, self.program, f"backends/{self.source}", (*backend, *self.arguments))


CLIENTS = [
    Client("redis-py", "redis_client.py", "redis"),
    Client("redis-py", "redis_client.py", "redis", "lazy", ()),
    Client("redis-py", "redis_client.py", "redis socket", "socket"),
    Client("psycopg", "psycopg_client.py", "postgresql", lost=1),
    Client("psycopg", "psycopg_client.py", "postgresql", "two", ("two",), lost=2, connections=2),
    Client("psycopg", "psycopg_client.py", "postgresql", "check", ("check",)),
    Client("asyncpg", "asyncpg_client.py", "postgresql", connections=2),
    Client("pymemcache", "memcached_client.py", "memcached", lost=1),
    Client("pymemcache", "memcached_client.py", "memcached", "two", ("two",), lost=2, connections=2),
    Client("pymemcache", "memcached_client.py", "memcached", "retry", ("start", "retry")),
    Client("sqlalchemy", "sqlalchemy_client.py", "mariadb", lost=1),
    Client("sqlalchemy", "sqlalchemy_client.py", "mariadb", "two", ("two",), lost=1, connections=2),
    Client("sqlalchemy", "sqlalchemy_client.py", "mariadb", "ping", ("start", "ping")),
    Client("requests", "requests_client.py", "secure web"),
    Client("node-fetch", "node_client.mjs", "web", program="node"),
    Client("node-agent", "node_client.mjs", "web", arguments=("agent",), program="node"),
    Client("go-http", "client.go", "web", program="go"),
]


def parameters() -> list[Any]:
    """Each client, with its name, and of what docs/compatibility.md tells."""
    return [
        pytest.param(
            client,
            id="-".join(filter(None, (client.name, client.variant))),
            marks=pytest.mark.shows("backends", of=client.name),
        )
        for client in CLIENTS
    ]


@pytest.fixture(scope="module")
def backend(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[str]]]:
    """Starts a backend when it is first needed; returns the settings for its clients."""
    started: dict[str, list[str]] = {}
    with ExitStack() as running:

        def start(name: str) -> list[str]:
            if name not in started:
                directory = tmp_path_factory.mktemp("backend")
                started[name] = running.enter_context(BACKENDS[name](tool, directory)).split()
            return started[name]

        yield start


@pytest.fixture
def asked(requests: int, record_property: Callable[[str, object], None]) -> int:
    """How many requests all users make: not more than that, for each of them connects to a backend."""
    count = min(requests, 1000)
    record_property("requests", count)
    return count


def leave(server: Served, text: str) -> None:
    """Asks, and nothing comes: not even the end of an answer."""
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        server.get(f"/leave/{text}")


def hang_up(server: Served, text: str) -> None:
    """Asks, and leaves before there is an answer."""
    with closing(server.connect()) as connection:
        connection.request("GET", f"/leave/{text}")


def asking(server: Served, count: int, ending: str, leaving: Callable[[Served, str], None] = leave) -> list[str]:
    """All users' requests; the answers that were not theirs."""

    def ask(user: str) -> list[str]:
        for number in range(count // len(USERS)):
            text = f"{user}/{number}"
            if number % LEAVING == 1:
                leaving(server, text)
            elif (answer := server.get(f"/ask/{text}")) != text + ending:
                return [f"{text} got {answer}"]
        return []

    with ThreadPoolExecutor(len(USERS)) as users:
        return [wrong for found in users.map(ask, USERS) for wrong in found]


def said_of(address: str, connections: int) -> str:
    """The words about connections when the program is ready."""
    return rf"{connections} connections? to {address} ends? in each fork"


@pytest.mark.parametrize("client", parameters())
def test_each_request_has_its_own_answer(
    client: Client, backend: Callable[[str], list[str]], command_of: CommandOf, asked: int
) -> None:
    told = backend(client.backend)
    with serving(command_of(client.told(*told)), *OPTIONS) as server:
        assert asking(server, asked // (5 if client.variant else 1), f", lost {client.lost}") == []
        server.expect(said_of(told[0], client.connections))


@pytest.mark.shows("backends", of="nginx")
def test_each_request_to_nginx_has_its_own_answer(
    backend: Callable[[str], list[str]], tmp_path: Path, tool: Tool, asked: int
) -> None:
    (address,) = backend("web")
    settings = (SERVERS / "nginx_upstream.conf").read_text()
    (tmp_path / "settings").write_text(settings.replace("PORT", str(free_port())).replace("BACKEND", address))
    command = [tool(NGINX, "nginx"), "-c", tmp_path / "settings"]
    with serving(command, *OPTIONS, f"--volume={tmp_path}:/scratch:rw") as server:
        assert asking(server, asked, "", hang_up) == []
        server.expect(said_of(address, 1))


@pytest.mark.shows("flags", of="warmfork serve")
def test_a_connection_is_kept_where_it_is_asked_for(backend: Callable[[str], list[str]], command_of: CommandOf) -> None:
    """All requests go over the one connection; the user has been told that forks share it."""
    (address,) = backend("redis")
    options = (*OPTIONS, f"--keep-connections={address}")
    with (
        closing(redis.Redis.from_url(f"redis://{address}")) as outside,
        serving(command_of(CLIENTS[0].told(address)), *options) as server,
    ):
        server.expect(rf"warning: .*{address}")
        before = outside.info()["total_connections_received"]
        for number in range(10):
            assert server.get(f"/ask/{number}") == f"{number}, lost 0"
        assert outside.info()["total_connections_received"] == before


@pytest.mark.shows("flags", of="warmfork serve")
def test_connections_are_refused_where_it_is_asked_for(
    backend: Callable[[str], list[str]], command_of: CommandOf
) -> None:
    (address,) = backend("redis")
    with starting(command_of(CLIENTS[0].told(address)), *OPTIONS, "--refuse-connections") as server:
        assert server.process.wait(TIMEOUT) == 125
        server.expect(rf"error: .*{address}")
