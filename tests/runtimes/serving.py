"""A server under `warmfork serve`, as a test sees it: its port, what it says, requests to it, its end."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from timeouts import scaled

WARMFORK = Path(__file__).parents[2] / ".venv" / "bin" / "warmfork"
PERMISSIONS = ("--allow-read", "--allow-listen", "--allow-write")
TIMEOUT = scaled(90.0)
"""Seconds for anything at all. Only a server that is broken lets a test wait so long."""

PLATFORM = "WARMFORK_PLATFORM"
"""The variable that chooses the platform; tests/conftest.py sets it."""

READY = re.compile(r"ready: \S+ on 127\.0\.0\.1:(\d+)")


def environment() -> dict[str, str]:
    """This process's environment: of warmfork's only the platform and time to boot, and nothing of a make around us."""
    foreign = ("WARMFORK_", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign) or name == PLATFORM}
    return kept | {"WARMFORK_MAX_BOOT_TIME": f"{scaled(20):.0f}s", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def free_port() -> int:
    """A port of the loopback interface that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Served:
    """A server that runs: natively or in warmfork, it is asked in the same way."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.port = 0
        self._said: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                with self._changed:
                    self._said.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def said(self) -> str:
        """What it has written to standard error so far."""
        with self._changed:
            return "".join(self._said)

    def expect(self, pattern: str | re.Pattern[str], times: int = 1) -> re.Match[str]:
        """Waits until so many lines that it writes have ``pattern`` in them, and returns the first match."""
        with self._changed:
            found: list[re.Match[str]] = []

            def come() -> bool:
                found[:] = [match for line in self._said if (match := re.search(pattern, line))]
                return len(found) >= times or self._ended

            self._changed.wait_for(come, TIMEOUT)
            assert len(found) >= times, f"{len(found)} lines with {pattern!r}, not {times}:\n{''.join(self._said)}"
            return found[0]

    def wait_until_ready(self) -> None:
        """Reads on which port it listens from its status line."""
        self.port = int(self.expect(READY)[1])

    def wait_until_silent(self) -> None:
        """Waits until nobody holds its standard error any more."""
        self._listener.join(TIMEOUT)

    def connect(self) -> http.client.HTTPConnection:
        """A connection, which may be kept for several requests."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        connection.connect()
        return connection

    def get(self, path: str, body: bytes | None = None) -> str:
        """The body that answers one request on a connection of its own."""
        return self.fetch(path, body).decode()

    def fetch(self, path: str, body: bytes | None = None) -> bytes:
        """As ``get``, in bytes."""
        connection = self.connect()
        try:
            return ask(connection, path, body)
        finally:
            connection.close()

    def stop(self) -> None:
        """Sends SIGTERM and expects a good end."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(TIMEOUT)
        assert status == 0, f"exit status {status}:\n{self.said}"


def ask(connection: http.client.HTTPConnection, path: str, body: bytes | None = None) -> bytes:
    """The body that answers one request on ``connection``, which succeeds."""
    connection.request("GET" if body is None else "POST", path, body)
    response = connection.getresponse()
    answer = response.read()
    assert response.status == 200, answer
    return answer


@contextmanager
def starting(
    command: Sequence[str | Path], *options: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Iterator[Served]:
    """Starts ``warmfork serve``, and kills its processes that are left at the end."""
    with subprocess.Popen(
        [WARMFORK, "serve", *options, "--", *command],
        cwd=cwd,
        env=environment() | (env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        server = Served(process)
        try:
            yield server
        finally:
            process.kill()
            server.wait_until_silent()


@contextmanager
def serving(
    command: Sequence[str | Path], *options: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Iterator[Served]:
    """A server that is ready; it must end well when it is stopped at the end of the block."""
    with starting(command, *options, cwd=cwd, env=env) as server:
        server.wait_until_ready()
        yield server
        server.stop()
