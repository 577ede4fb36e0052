"""Servers that are no interpreter's: nginx and Redis, each as it is used."""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import BinaryIO

import pytest
from backends import redis_program
from resources import Resources, settle
from server_kinds import NGINX, SERVERS
from serving import TIMEOUT, Served, ask, free_port, serving
from timeouts import scaled
from wrk import Load

from warmfork import Fork, Machine, Outcome, Policy, ServeOptions, Snapshot

PAGE = b"<p>a page</p>\n" * 100
LARGE = bytes(range(256)) * 8192


def port_of(snapshot: Snapshot) -> int:
    """Where its forks listen."""
    return int(snapshot.info()["listening"][0].rsplit(":", 1)[1])


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname(), TIMEOUT)
        far, _ = listener.accept()
    with near, far:
        yield near, far


# nginx


class Nginx:
    """The server in one process, with a few pages: how it is started."""

    def __init__(self, program: str, directory: Path) -> None:
        for name in ("pages", "scratch"):
            (directory / name).mkdir()
        (directory / "pages" / "page").write_bytes(PAGE)
        (directory / "pages" / "large").write_bytes(LARGE)
        (directory / "nginx.conf").write_text((SERVERS / "nginx.conf").read_text().replace("PORT", str(free_port())))
        self.command = [program, "-c", str(directory / "nginx.conf")]
        self.volumes = [f"{directory}/pages:/pages", f"{directory}/scratch:/scratch:rw"]


@pytest.fixture(scope="module")
def nginx(tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server, as the command line serves it."""
    nginx = Nginx(tool(NGINX, "nginx"), tmp_path_factory.mktemp("nginx"))
    volumes = (f"--volume={volume}" for volume in nginx.volumes)
    with serving(nginx.command, "--allow-read", "--allow-listen", *volumes) as server:
        yield server


@pytest.fixture(scope="module")
def frozen_nginx(tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """The server when it was ready."""
    nginx = Nginx(tool(NGINX, "nginx"), tmp_path_factory.mktemp("nginx"))
    policy = Policy(allow_read=True, allow_listen=True, volumes=nginx.volumes)
    with Machine(nginx.command, policy=policy, env={}) as machine:
        machine.boot(scaled(60.0))
        yield machine.freeze()


def counted(status: bytes) -> int:
    """How many requests nginx has counted, the present one included."""
    found = re.search(rb"accepts handled requests\s+\d+ \d+ (\d+)", status)
    assert found
    return int(found[1])


@pytest.mark.shows("isolation", of="nginx")
def test_nginx_counts_anew_for_each_connection(nginx: Served) -> None:
    assert [counted(nginx.fetch("/requests")) for _ in range(4)] == [1] * 4
    with closing(nginx.connect()) as connection:
        assert [counted(ask(connection, "/requests")) for _ in range(3)] == [1, 2, 3]


@pytest.mark.shows("files", of="nginx")
def test_nginx_serves_files(nginx: Served) -> None:
    for _ in range(3):
        with closing(nginx.connect()) as connection:
            assert ask(connection, "/page") == PAGE
            assert ask(connection, "/large") == LARGE
            connection.request("GET", "/large", headers={"Range": "bytes=1000000-1000009"})
            response = connection.getresponse()
            assert (response.status, response.read()) == (206, LARGE[1000000:1000010])
            connection.request("GET", "/page", headers={"Accept-Encoding": "gzip"})
            response = connection.getresponse()
            assert response.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(response.read()) == PAGE
            connection.request("GET", "/missing")
            response = connection.getresponse()
            assert response.status == 404
            response.read()


@pytest.mark.shows("large bodies", of="nginx")
def test_nginx_takes_files(nginx: Served) -> None:
    """The second one finds what the first one left: files are not the fork's."""
    for status in (201, 204):
        with closing(nginx.connect()) as connection:
            connection.request("PUT", "/put/file", LARGE)
            response = connection.getresponse()
            assert (response.status, response.read()) == (status, b"")
            assert ask(connection, "/put/file") == LARGE


@pytest.mark.shows("wrk with close", of="nginx")
def test_a_connection_to_nginx_for_each_request(nginx: Served, load: Load) -> None:
    assert load(nginx, "/requests", "close", 2) > 1


@pytest.mark.shows("wrk with keep-alive", of="nginx")
def test_many_requests_to_nginx_on_a_connection(nginx: Served, load: Load) -> None:
    assert load(nginx, "/requests", "keep", 1) > 1


@pytest.mark.shows("pristine", of="nginx")
def test_nginx_resets_to_the_last_byte(frozen_nginx: Snapshot) -> None:
    with frozen_nginx.fork() as fork:
        for _ in range(3):
            with connected() as (near, far), closing(HTTPConnection("127.0.0.1")) as connection:
                connection.sock = near
                with ThreadPoolExecutor(1) as pool:
                    outcome = pool.submit(ask_all, connection)
                    assert fork.serve(far.fileno(), timeout=TIMEOUT) == Outcome("served", 0)
                    outcome.result(TIMEOUT)
            assert fork.differences() != []
            fork.reset()
            assert fork.differences() == []


def ask_all(connection: HTTPConnection) -> None:
    """Requests of each kind, then the end of the connection."""
    assert counted(ask(connection, "/requests")) == 1
    assert ask(connection, "/page") == PAGE
    assert ask(connection, "/large") == LARGE
    assert counted(ask(connection, "/requests")) == 4
    connection.close()


@pytest.mark.shows("no leak", of="nginx")
def test_thousands_of_connections_to_nginx_leak_nothing(frozen_nginx: Snapshot, requests: int) -> None:
    port = port_of(frozen_nginx)

    def fetch() -> int:
        with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as connection:
            assert ask(connection, "/page") == PAGE
            return counted(ask(connection, "/requests"))

    with frozen_nginx.serve(ServeOptions(threads=2)) as server:
        assert {fetch() for _ in range(50)} == {2}
        settle(server)
        before = Resources.now()
        assert {fetch() for _ in range(requests)} == {2}
        settle(server)
        Resources.now().assert_no_more_than(before, memory=4 << 20)


# Redis


@pytest.fixture(scope="module")
def redis(tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """Redis when it was ready."""
    directory = tmp_path_factory.mktemp("redis")
    settings = f"--port {free_port()} --bind 127.0.0.1 --loglevel warning --save".split()
    command = [str(redis_program(tool, directory)), *settings, ""]
    policy = Policy(allow_read=True, allow_listen=True)
    with Machine(command, policy=policy, env={}, cwd=directory) as machine:
        machine.boot(scaled(60.0))
        yield machine.freeze()


class Client:
    """A client of Redis."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.answers: BinaryIO = connection.makefile("rb")

    def send(self, *words: str | bytes) -> None:
        """Sends a command."""
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        lines = [b"*%d\r\n" % len(parts), *(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)]
        self.connection.sendall(b"".join(lines))

    def receive(self) -> object:
        """An answer."""
        line = self.answers.readline()
        kind, value = line[:1], line[1:-2]
        if kind in b"+-":
            return line[:-2].decode()
        if kind == b":":
            return int(value)
        if kind == b"$":
            return None if value == b"-1" else self.answers.read(int(value) + 2)[:-2]
        assert kind == b"*", line
        if value == b"-1":
            return None
        return [self.receive() for _ in range(int(value))]

    def ask(self, *words: str | bytes) -> object:
        """Sends a command and returns the answer."""
        self.send(*words)
        return self.receive()


@contextmanager
def talking(snapshot: Snapshot) -> Iterator[Client]:
    """A client of what serves the snapshot."""
    with socket.create_connection(("127.0.0.1", port_of(snapshot)), TIMEOUT) as connection:
        client = Client(connection)
        with client.answers:
            yield client


@pytest.mark.shows("isolation", of="redis")
def test_redis_forgets_what_a_connection_stored(redis: Snapshot) -> None:
    value = LARGE[:1000000]
    with redis.serve() as server:
        for _ in range(3):
            with talking(redis) as client:
                assert client.ask("DBSIZE") == 0
                assert [client.ask("INCR", "counter") for _ in range(3)] == [1, 2, 3]
                assert client.ask("SET", "large", value) == "+OK"
                assert client.ask("GET", "large") == value
                assert client.ask("GETRANGE", "large", "255", "257") == value[255:258]
                assert client.ask("HSET", "hash", "one", "1", "two", "2") == 2
                assert str(client.ask("SORT", "hash")).startswith("-WRONGTYPE")
                assert client.ask("EXPIRE", "hash", "100") == 1
                assert client.ask("TTL", "hash") in (99, 100)
                assert client.ask("CONFIG", "SET", "maxmemory", "64mb") == "+OK"
                assert client.ask("DBSIZE") == 3
        for _ in range(2):
            with talking(redis) as client:
                assert client.ask("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"0"]
        settle(server)
        assert server.statistics()["forks"] == 1


@pytest.mark.shows("keep-alive", of="redis")
def test_redis_runs_scripts_and_background_work(redis: Snapshot) -> None:
    script = "local sum = 0 for i = 1, ARGV[1] do sum = sum + redis.call('INCR', KEYS[1]) end return sum"
    with redis.serve():
        for _ in range(2):
            with talking(redis) as client:
                assert client.ask("EVAL", script, "1", "key", "1000") == 500500
                assert client.ask("RPUSH", "list", *(str(number) for number in range(5000))) == 5000
                assert client.ask("UNLINK", "list") == 1  # a thread frees it
                assert client.ask("FLUSHALL", "ASYNC") == "+OK"
                assert client.ask("BLPOP", "nothing", "0.05") is None
                for number in range(200):
                    client.send("SET", f"key{number}", str(number))
                assert {client.receive() for _ in range(200)} == {"+OK"}
                assert client.ask("MGET", "key0", "key199") == [b"0", b"199"]


@pytest.mark.shows("pristine", of="redis")
def test_redis_resets_to_the_last_byte(redis: Snapshot) -> None:
    def serve(fork: Fork) -> None:
        with connected() as (near, far):
            client = Client(near)
            client.send("RPUSH", "list", *(str(number) for number in range(20000)))
            client.send("QUIT")
            assert fork.serve(far.fileno(), timeout=TIMEOUT) == Outcome("served", 0)
            far.close()
            assert [client.receive(), client.receive()] == [20000, "+OK"]
            client.answers.close()

    with redis.fork() as fork:
        for _ in range(3):
            serve(fork)
            assert fork.differences() != []
            fork.reset()
            assert fork.differences() == []


@pytest.mark.shows("no leak", of="redis")
def test_thousands_of_connections_to_redis_leak_nothing(redis: Snapshot, requests: int) -> None:
    def count() -> object:
        with talking(redis) as client:
            return client.ask("INCR", "counter")

    with redis.serve(ServeOptions(threads=2)) as server:
        assert {count() for _ in range(50)} == {1}
        settle(server)
        before = Resources.now()
        assert {count() for _ in range(requests)} == {1}
        settle(server)
        Resources.now().assert_no_more_than(before, memory=4 << 20)
