"""``warmfork serve`` with a Python server, from the ready line to the graceful end."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from timeouts import scaled

APP = """
import socketserver, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    visits = 0

    def do_GET(self):
        Handler.visits += 1
        if self.path == "/spin":
            while True: pass
        body = f"{Handler.visits}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Serving:
    """A server that runs, and what it said."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.said: list[str] = []

    def line(self, start: str) -> str:
        """Reads standard error until a line begins with ``start``."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith(start):
                return line
        raise AssertionError(f"ended without {start!r}: {self.said}")

    def ask(self, path: str = "/") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=scaled(60))
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Sends a signal; returns the exit code and the rest of standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=scaled(60))
        return self.process.returncode, errors


@pytest.fixture
def serve(
    warmfork_command: Path, tmp_path: Path, environment: dict[str, str], tool: Callable[[str, str], str]
) -> Callable[..., Any]:
    """Starts the app; a context manager that ends it."""
    python = tool("/usr/bin/python3", "python3")
    (tmp_path / "app.py").write_text(APP)

    @contextmanager
    def serving(*options: str, allow: tuple[str, ...] = ("--allow-read", "--allow-listen")) -> Iterator[Serving]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [str(warmfork_command), "serve", *allow, *options, "--", python, "app.py", str(port)]
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield Serving(process, port)
            finally:
                process.kill()

    return serving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_from_ready_to_stopped(serve: Any, number: int) -> None:
    with serve() as server:
        ready = server.line("ready: ")
        assert ready.startswith(f"ready: python3 on 127.0.0.1:{server.port}, booted in ")
        assert ready.endswith(" frozen, 1 fork\n")
        assert [server.ask() for _ in range(5)] == ["1"] * 5
        assert server.stop(number) == (0, "stopping: open connections have 10s\n")


def test_state_stays_where_resetting_is_off(serve: Any) -> None:
    with serve("--no-ephemeral") as server:
        server.line("ready: ")
        assert [server.ask() for _ in range(3)] == ["1", "2", "3"]
        assert server.stop()[0] == 0


def test_warm_up_and_statistics(serve: Any) -> None:
    with serve("-v", "--warmup=3", "--warmup-path=/warm", "--threads=2") as server:
        ready = server.line("ready: ")
        assert "3 warm-up requests in " in ready
        # http.server does.
        why = "the program calls accept4 for the client's address before it waits for a request"
        assert f"info: each fork accepts by itself: {why}\n" in server.said
        assert ready.endswith(", 2 forks\n")
        assert [server.ask() for _ in range(4)] == ["4"] * 4
        code, said = server.stop()
    assert code == 0
    numbers = {name: value for name, _, value in (line.strip().rpartition("  ") for line in said.splitlines())}
    assert {name.strip(): value for name, value in numbers.items()}["connections"].strip() == "4"


def test_a_request_that_hangs_is_cut(serve: Any) -> None:
    with serve("--max-request-time=200ms") as server:
        server.line("ready: ")
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            server.ask("/spin")
        assert "--max-request-time" in server.line("warning: worker 0")
        assert server.ask() == "1"


def test_metrics(serve: Any, tmp_path: Path) -> None:
    with serve("--metrics", f"unix:{tmp_path}/metrics", "--metrics", "127.0.0.1:0") as server:
        address = server.line("metrics: ").split()[-1]
        server.line("ready: ")
        server.ask()
        host, port = address.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=scaled(30))
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        assert server.stop()[0] == 0
    assert "warmfork_connections_total 1.0\n" in text
    assert 'warmfork_request_seconds_bucket{le="0.001"}' in text


def test_a_program_that_may_not_listen(serve: Any) -> None:
    with serve(allow=("--allow-read",)) as server:
        _, errors = server.process.communicate(timeout=scaled(60))
        assert server.process.returncode == 125
    assert f"--allow-listen=127.0.0.1:{server.port}" in errors
    assert "error: the program exited with status 1 before it was ready\n" in errors


def test_a_program_that_does_not_listen_in_time(warmfork: Any, tool: Callable[[str, str], str]) -> None:
    busybox = tool("busybox", "busybox-static")
    done = warmfork("serve", "--max-boot-time=50ms", busybox, "sleep", "1000")
    assert done.returncode == 125
    assert done.stderr.startswith("error: the program was not ready within 0.05 s\nhint: ")


def test_a_metrics_address_in_use(serve: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        address = f"127.0.0.1:{used.getsockname()[1]}"
        with serve("--metrics", address) as server:
            _, errors = server.process.communicate(timeout=scaled(60))
            assert server.process.returncode == 2
    assert errors.endswith(f"error: metrics: cannot listen on {address}: Address already in use\n")
