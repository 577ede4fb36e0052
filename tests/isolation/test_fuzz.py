"""Requests that make system calls at random harm nobody: not the server, not the next request, not the host.

The seeds are fixed. A failure names its seed and how to make that request again, with each of its calls shown. (It may
take a few attempts: timers and threads interrupt the calls.) FUZZ says other seeds, and how many calls each makes:

    FUZZ=10000-14999x500 pytest tests/isolation/test_fuzz.py -k leave_nothing
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clients import ask, port_of
from timeouts import scaled

from warmfork import Limits, Policy, ServeOptions, Snapshot

# Short requests are many, long ones meet what they have left behind themselves.
BATCHES = ["1-250x300", "1001-1125x1000", "2001-2025x5000"]
MORE = [pytest.param(batch, marks=pytest.mark.slow) for batch in ("251-500x300", "1126-1250x1000", "2026-2050x5000")]
SECONDS = 3600 if "FUZZ" in os.environ else 110
FINE = re.compile(r"\d+ (served|exited|signaled|timeout|out_of_memory), (rewritten|dropped|replaced)")


def fuzz(*arguments: str | Path) -> tuple[list[str], str, str]:
    """Runs fuzzing.py; a line for each request, what went wrong with the process itself, its standard error."""
    command = [sys.executable, Path(__file__).with_name("fuzzing.py"), *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}  # for timeouts
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace"
    ) as process:
        try:
            output, errors = process.communicate(timeout=scaled(SECONDS))
            ended = f"the process ended with {process.returncode}" if process.returncode else ""
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            ended = f"the process was not done after {scaled(SECONDS):.0f} s"
    return output.splitlines(), ended, errors


@pytest.mark.timeout(SECONDS + 10)
@pytest.mark.parametrize("batch", os.environ["FUZZ"].split() if "FUZZ" in os.environ else [*BATCHES, *MORE])
def test_random_calls_leave_nothing(guest: Callable[[str], str], platform: str, tmp_path: Path, batch: str) -> None:
    seeds, calls = batch.split("x")
    first, _, last = seeds.partition("-")
    last = last or first
    if platform == "kvm" and "FUZZ" not in os.environ:
        last = str(int(first) + (int(last) - int(first)) // 5)  # where a call may cost twenty times as much
    lines, ended, errors = fuzz(guest("fuzz"), tmp_path, platform, first, last, calls)
    wrong = [line for line in lines if not FINE.fullmatch(line)]
    if wrong or ended:
        seed = wrong[0].split()[0] if wrong else seeds
        again = f"again: FUZZ={seed}x{calls} pytest --platform={platform} tests/isolation/test_fuzz.py -k leave_nothing"
        pytest.fail("\n".join([*errors.splitlines()[-40:], *wrong, ended, again]), pytrace=False)
    assert len(lines) == int(last) - int(first) + 1
    if len(lines) > 1:
        # Guests that get nowhere would say little. (On a busy machine many of those that get far are timeouts.)
        kinds = Counter(line.split()[1].rstrip(",") for line in lines)
        assert kinds["served"] + kinds["timeout"] + kinds["out_of_memory"] > len(lines) / 2, kinds


def test_a_server_outlives_random_calls(freeze: Callable[..., Snapshot], platform: str, tmp_path: Path) -> None:
    policy = Policy(allow_listen=["127.0.0.1"], volumes=[f"{tmp_path}:/scratch:rw"])
    snapshot = freeze("fuzz", policy=policy, cwd="/scratch", limits=Limits(memory="512M", files=256))
    port = port_of(snapshot)

    def one(seed: int) -> None:
        ask(port, f"fuzz {seed} 500\n".encode())
        assert ask(port, b"fuzz 0 0\n") == b"survived done\n", f"after seed {seed}, or the one beside it"

    seeds = range(3001, 3101 if platform == "process" else 3051)
    with snapshot.serve(ServeOptions(threads=2, max_request_time=scaled(2.0), max_request_memory="64M")) as server:
        with ThreadPoolExecutor(2) as clients:
            list(clients.map(one, seeds))
        server.stop(scaled(30.0))
        statistics = server.statistics()
    lost = sum(statistics[name] for name in ("crashes", "exits", "timeouts", "out_of_memory"))
    assert statistics["failures"] == 0
    assert statistics["connections"] == 2 * len(seeds) == statistics["served"] + lost
    assert statistics["served"] > len(seeds)
    assert statistics["forks"] <= 2 + lost
