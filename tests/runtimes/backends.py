"""Backends of the servers of these tests: real servers, which run outside as ordinary processes.

Each is started on a free port of the loopback interface, and is ready when it takes a connection.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from server_kinds import DEBIAN, SERVERS
from serving import TIMEOUT, free_port

Tool = Callable[[str, str], str]


@contextmanager
def running(
    command: Sequence[str | Path],
    directory: Path,
    connect: Callable[[], object],
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    """Runs a server, and waits until somebody can connect; in the end it is told to stop, and has stopped."""
    said = directory / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, stderr=output, stdout=output, user=user)
    with process:
        try:
            wait_until(connect, process, said)
            yield
        finally:
            process.send_signal(stop)
            try:
                process.wait(TIMEOUT)
            finally:
                process.kill()


def wait_until(connect: Callable[[], object], process: subprocess.Popen[bytes], said: Path) -> None:
    """Tries to connect until it succeeds; the server's end ends it too."""
    for _ in range(int(TIMEOUT * 20)):
        try:
            connect()
            return
        except OSError:
            try:
                process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                continue
    raise AssertionError(f"nobody can connect:\n{said.read_text(errors='replace')}")


def connecting(port: int) -> Callable[[], object]:
    """Makes a connection, and ends it."""
    return lambda: socket.create_connection(("127.0.0.1", port), TIMEOUT).close()


def redis_program(tool: Tool, directory: Path) -> Path:
    """Redis: Debian's package of tools has it all in one program, which looks at its name."""
    program = directory / "redis-server"
    program.symlink_to(tool("redis-check-rdb", "redis-tools"))
    return program


@contextmanager
def redis(tool: Tool, directory: Path) -> Iterator[str]:
    """Redis, which listens to a Unix socket too."""
    port = free_port()
    settings = f"--port {port} --bind 127.0.0.1 --unixsocket {directory}/socket --save".split()
    command = [redis_program(tool, directory), *settings, ""]
    with running(command, directory, connecting(port)):
        yield f"127.0.0.1:{port}"


@contextmanager
def redis_socket(tool: Tool, directory: Path) -> Iterator[str]:
    """Redis, by its Unix socket."""
    with redis(tool, directory):
        yield str(directory / "socket")


@contextmanager
def memcached(tool: Tool, directory: Path) -> Iterator[str]:
    """Memcached, which root must tell that it may stay root."""
    port = free_port()
    command = [tool(str(DEBIAN / "bin" / "memcached"), "memcached"), "-l", "127.0.0.1", "-p", str(port), "-u", "root"]
    with running(command, directory, connecting(port)):
        yield f"127.0.0.1:{port}"


@contextmanager
def postgresql(tool: Tool, directory: Path) -> Iterator[str]:
    """PostgreSQL, as another user than root, for it refuses root, in a directory of that user."""
    programs = next(iter(DEBIAN.glob("lib/postgresql/*/bin")), DEBIAN)
    server, initialise = (tool(str(programs / name), "postgresql") for name in ("postgres", "initdb"))
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    port = free_port()

    def connect() -> None:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="tester", dbname="postgres").close()
        except psycopg.OperationalError as error:
            raise ConnectionError from error

    with tempfile.TemporaryDirectory() as name:
        shutil.chown(name, user)
        data = f"{name}/data"
        command = [initialise, "-D", data, "-U", "tester", "-A", "trust", "--locale=C", "--encoding=UTF8", "--no-sync"]
        try:
            made = subprocess.run(command, cwd=name, user=user, capture_output=True, text=True, check=False)
        except PermissionError:
            pytest.skip(f"{user} may not run {initialise}: some directory above it is closed to others")
        assert made.returncode == 0, made.stdout + made.stderr
        settings = [f"--port={port}", f"--unix_socket_directories={name}", "--fsync=off", "--jit=off"]
        # At SIGTERM it would wait for its clients.
        with running([server, "-D", data, *settings], Path(name), connect, user, signal.SIGINT):
            yield f"127.0.0.1:{port}"


@contextmanager
def mariadb(tool: Tool, directory: Path) -> Iterator[str]:
    """MariaDB, without tables of its own: every client may do everything."""
    port = free_port()
    command = [
        tool(str(DEBIAN / "sbin" / "mariadbd"), "mariadb-server-core"),
        "--no-defaults",
        f"--user={pwd.getpwuid(os.geteuid()).pw_name}",
        f"--datadir={directory}",
        f"--socket={directory}/socket",
        f"--lc-messages-dir={DEBIAN}/share/mysql",
        f"--character-sets-dir={DEBIAN}/share/mysql/charsets",
        "--skip-grant-tables",
        "--bind-address=127.0.0.1",
        f"--port={port}",
        "--innodb-buffer-pool-size=8M",
        "--innodb-log-file-size=4M",
    ]
    with running(command, directory, connecting(port)):
        yield f"127.0.0.1:{port}"


@contextmanager
def web(tool: Tool, directory: Path, *secrets: str) -> Iterator[str]:
    """An HTTP server of the tests' own."""
    port = free_port()
    command = [sys.executable, SERVERS / "backends" / "web.py", str(port), *secrets]
    with running(command, directory, connecting(port)):
        yield f"127.0.0.1:{port}"


@contextmanager
def secure_web(tool: Tool, directory: Path) -> Iterator[str]:
    """The same over TLS; after its address comes where its certificate is."""
    certificate, key = str(directory / "certificate"), str(directory / "key")
    kind = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", key, "-out", certificate]
    command = [tool("openssl", "openssl"), "req", "-x509", "-nodes", *kind.split(), *files]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    with web(tool, directory, certificate, key) as address:
        yield f"{address} {certificate}"


BACKENDS = {
    "memcached": memcached,
    "mariadb": mariadb,
    "postgresql": postgresql,
    "redis": redis,
    "redis socket": redis_socket,
    "web": web,
    "secure web": secure_web,
}
"""Each is a context manager of how its clients name it: an address, and what else they are told."""
