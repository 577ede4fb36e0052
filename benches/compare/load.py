"""One connection at a time, ``Connection: close``: wrk where there is one, else a small client of our own."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass

from benches.compare.servers import LOAD_CPU

_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
_PERCENTILE = re.compile(r"^\s+(50|90|99)(?:\.0+)?%\s+([\d.]+)(us|ms|s)", re.MULTILINE)
_REQUESTS = re.compile(r"^\s+(\d+) requests in", re.MULTILINE)
_ERRORS = re.compile(
    r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)|Non-2xx or 3xx responses: (\d+)"
)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Load:
    """What a load generator saw. Times are seconds."""

    requests: int
    errors: int
    per_second: float
    p50: float
    p90: float
    p99: float


class LoadError(Exception):
    """The load generator failed."""


def generator() -> str:
    """What generates the load."""
    return "wrk" if shutil.which("wrk") else "Python client"


def generate(url: str, seconds: int) -> Load:
    """Loads ``url`` for ``seconds``, from the load generator's CPU."""
    return _wrk(url, seconds) if shutil.which("wrk") else _client(url, seconds)


def _wrk(url: str, seconds: int) -> Load:
    command = ["wrk", "-t1", "-c1", f"-d{seconds}s", "--latency", "-H", "Connection: close", url]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CPU}),
    )
    text = done.stdout
    rate, requests = _RATE.search(text), _REQUESTS.search(text)
    if done.returncode or rate is None or requests is None:
        raise LoadError(f"wrk ended with status {done.returncode}, and said: {text}{done.stderr}".strip())
    percentiles = {share: float(number) * _SECONDS[unit] for share, number, unit in _PERCENTILE.findall(text)}
    errors = sum(int(number) for groups in _ERRORS.findall(text) for number in groups if number)
    return Load(int(requests[1]), errors, float(rate[1]), *(percentiles[share] for share in ("50", "90", "99")))


def fetch(host: str, port: int) -> bool:
    """Asks once, on a connection of its own; whether there was a good answer."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        response = connection.getresponse()
        return bool(response.read()) and response.status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _client(url: str, seconds: int) -> Load:
    host, port = url.split("/")[2].split(":")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CPU})
    times: list[float] = []
    errors = 0
    start = time.perf_counter()
    try:
        while (begun := time.perf_counter()) < start + seconds:
            errors += not fetch(host, int(port))
            times.append(time.perf_counter() - begun)
    finally:
        os.sched_setaffinity(0, before)
    elapsed = time.perf_counter() - start
    times.sort()
    percentiles = (times[len(times) * share // 100] for share in (50, 90, 99))
    return Load(len(times), errors, len(times) / elapsed, *percentiles)
