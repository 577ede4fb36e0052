"""``make bench`` reports its results even when a part fails: tested with a load generator that follows orders."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Written = Callable[[], dict[str, Any]]

MEASURED = """\
    Latency Distribution
     50%    1.00ms
     90%    2.00ms
     99%    3.00ms
  100 requests in 1.00s
Requests/sec:    100.00
"""
# The load of each contestant, after as much to warm up: native, a fork per connection, warmfork.
WRK = """\
#!/bin/sh
echo >>'{directory}/calls'
case $(wc -l <'{directory}/calls') in
    {failing}) echo broken >&2; exit 3;;
    {last}) echo >'{directory}/waiting'; exec sleep 60;;
esac
cat '{directory}/measured'
"""


@pytest.fixture
def results(tmp_path: Path) -> Written:
    """What the bench has written so far."""
    return lambda: json.loads((tmp_path / "results.json").read_text())


@pytest.fixture
def costs(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that runs what measures."""
    monkeypatch.syspath_prepend(str(repository))
    return importlib.import_module("benches.compare.costs")


def start(
    repository: Path, directory: Path, *, failing: int = 0, last: int = 0, program: str = ""
) -> subprocess.Popen[str]:
    """A bench whose load generator fails when it is called the ``failing``-th time and waits when the ``last``."""
    (directory / "measured").write_text(MEASURED)
    wrk = directory / "wrk"
    wrk.write_text(WRK.format(directory=directory, failing=failing, last=last))
    wrk.chmod(0o755)
    os.mkfifo(directory / "waiting")
    choice = ["--only=Python", "--platform=process", "--rounds=1", "--no-pages", "--no-costs"]
    whole = ["benches.compare", *choice, f"--output={directory}/results.json"]
    return subprocess.Popen(
        [sys.executable, "-m", *([program] if program else whole)],
        cwd=repository,
        env=os.environ | {"PATH": f"{directory}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_part_that_fails_ends_no_other(repository: Path, tmp_path: Path, results: Written) -> None:
    with start(repository, tmp_path, failing=3) as bench:
        text, _ = bench.communicate()
    assert bench.returncode == 1
    assert "failed: Hello by wsgiref, fork per connection: wrk ended with status 3, and said: broken" in text.replace(
        "\n", " "
    )
    assert "throughput, times fork per connection" in text
    written = results()
    assert list(written["failed"]) == ["Hello by wsgiref, fork per connection"]
    assert list(written["loads"]["Hello"]["Python"]) == ["native", "warmfork process", "warmfork process, not reset"]
    holds = {check["promise"]: check["holds"] for check in written["checks"]}
    assert holds["throughput, times fork per connection"] is None
    assert holds["throughput, of native without isolation"] is True
    assert written["machine"]["commit"] in text


def test_what_is_measured_is_written_at_once(repository: Path, tmp_path: Path, results: Written) -> None:
    with start(repository, tmp_path, last=3) as bench:
        (tmp_path / "waiting").read_text()
        written = results()
        bench.send_signal(signal.SIGINT)
        bench.communicate()
    assert list(written["loads"]["Hello"]["Python"]) == ["native"]
    assert written["loads"]["Hello"]["Python"]["native"][0]["per_second"] == 100


def test_what_serves_in_the_machine(repository: Path, tmp_path: Path) -> None:
    with start(repository, tmp_path, failing=1, program="benches.compare.in_machine") as bench:
        text, _ = bench.communicate()
    said = {line["name"]: line for line in map(json.loads, text.splitlines())}
    assert bench.returncode == 1
    assert "broken" in said["native/Hello by wsgiref, requests a second"]["failed"]
    assert said["process/Hello by wsgiref, requests a second"]["value"] == 100
    assert said["process/Hello by wsgiref, p50"]["value"] == 1
    assert said["process/Hello by wsgiref, p99 of p50"]["value"] == 3
    assert "process/Hello by wsgiref, requests a second, of native" not in said


def read(costs: ModuleType, directory: Path, program: str, seconds: float = 60) -> Any:
    """What is noted of a program in Python that measures."""
    noted = costs.Results(directory / "results.json", {})
    try:
        costs.read([sys.executable, "-c", program], noted, noted.costs, "here: ", seconds)
    except costs.CostsError as error:
        noted.failed["all"] = str(error)
    return noted


def test_a_program_says_what_it_has_measured_and_what_not(costs: ModuleType, tmp_path: Path, results: Written) -> None:
    lines = [
        {"name": "reset", "value": 2.5, "unit": "us"},
        {"name": "fork", "failed": "no memory"},
        {"name": "kvm", "left out": "none here"},
    ]
    program = f"import json\nfor line in {lines}: print(json.dumps(line))\nexit(1)"
    noted = read(costs, tmp_path, program)
    assert noted.costs == {"reset": costs.Measurement(2.5, "us")}
    assert (noted.failed, noted.left_out) == ({"here: fork": "no memory"}, {"here: kvm": "none here"})
    assert results()["costs"] == {"reset": {"value": 2.5, "unit": "us"}}


def test_a_program_that_fails_without_a_word_is_told(costs: ModuleType, tmp_path: Path) -> None:
    assert read(costs, tmp_path, "exit(3)").failed == {"all": f"{Path(sys.executable).name} ended with status 3"}


def test_a_program_that_hangs_is_ended(costs: ModuleType, tmp_path: Path) -> None:
    noted = read(costs, tmp_path, "import signal\nsignal.pause()", seconds=0.1)
    assert noted.failed == {"all": "not done within 0.1 s"}
