"""Starts a server natively, with a fork per connection, or in warmfork, each on a CPU of its own.

Used by ``make demo`` and ``make bench``.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

WARMFORK = str(Path(sys.executable).with_name("warmfork"))
PYTHON = os.fspath(Path(sys.executable).resolve())
"""The interpreter behind the virtual environment: the same for every contestant."""

CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU = CPUS[0]
LOAD_CPU = CPUS[-1]
"""The load generator has a CPU of its own where there is a second one."""

_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 15.0


class ServerError(Exception):
    """A server did not start."""


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def in_warmfork(command: Sequence[str], *options: str) -> list[str]:
    """The command that serves ``command`` in warmfork, every connection in a pristine fork.

    The other servers are warm after their first requests and stay so; here requests before the freeze do that.
    """
    return [WARMFORK, "serve", "--allow-read", "--allow-listen", "--warmup=20", *options, "--", *command]


@contextmanager
def running(command: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server pinned to its CPU, from when it answers requests until the end of the block.

    Raises:
        ServerError: It ended or did not answer in time; what it said is in the message.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CPU}),
        start_new_session=True,
    )
    try:
        _wait_until_it_answers(process, port)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    """Connecting would not do: in warmfork a connection waits until the program is warm and frozen."""
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=_START_TIMEOUT)
        try:
            client.request("GET", "/")
            client.getresponse().read()
            return
        except (OSError, http.client.HTTPException):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                said = process.communicate()[1].decode(errors="replace").strip()
                raise ServerError(f"{process.args!r} does not answer on port {port}:\n{said}") from None
            time.sleep(0.02)
        finally:
            client.close()
