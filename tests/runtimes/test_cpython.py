"""CPython's own regression tests, of Debian's libpython3.11-testsuite, under `warmfork run`.

Each module runs natively and in warmfork, test by test compared: what passes natively passes there. Exceptions stand,
with their reasons, in cpython/open.txt; they are at most 3 % in all. cpython/left_out.txt has what is not run at all.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from server_kinds import DEBIAN_PYTHON
from serving import WARMFORK, environment
from timeouts import scaled

HERE = Path(__file__).parent / "cpython"
SUITE = Path("/usr/lib/python3.11/test/test_os.py")
MODULES = [
    # The longest first, for several run at the same time.
    *("test_subprocess", "test_io", "test_socket", "test_signal", "test_selectors", "test_threading", "test_os"),
    *("test_tempfile", "test_time", "test_bufio", "test_select", "test_fileio", "test_file", "test_mmap"),
    *("test_epoll", "test_poll", "test_memoryio", "test_univnewlines"),
]
SLOW_MODULES = ["test_io", "test_poll", "test_signal", "test_socket", "test_subprocess"]
AT_ONCE = 4
"""Modules that run at the same time: most of their tests sleep most of the time."""
STALLED = scaled(90.0)
"""Seconds after which a test that has not ended hangs."""
MOST_OPEN = 0.03
FEWEST_PASSED = 2000
"""As many tests pass natively anywhere."""


def listed(name: str) -> dict[str, str]:
    """A list of tests with a remark for each."""
    lines = [line for line in (HERE / name).read_text().splitlines() if not line.startswith("#")]
    return {test: remark.strip() for test, remark in (line.split(None, 1) for line in lines)}


OPEN, LEFT_OUT, SLOW = listed("open.txt"), listed("left_out.txt"), listed("slow.txt")


@dataclass
class Outcome:
    """What became of a test: passed, failed or skipped, and why."""

    outcome: str
    detail: str = ""


Outcomes = dict[str, Outcome]


def outcomes(records: Path) -> tuple[Outcomes, str | None, bool]:
    """What the records say: the tests' outcomes, the one that has begun and not ended, whether the module has ended."""
    found: Outcomes = {}
    running, ended = None, False
    for line in records.read_text().splitlines() if records.exists() else []:
        record = json.loads(line)
        if record["outcome"] == "begun":
            running = record["test"]
        elif record["outcome"] == "ended":
            ended = True
        else:
            found[record["test"]] = Outcome(record["outcome"], record["detail"])
            running = None
    return found, running, ended


def progress(records: Path) -> int:
    """A number that grows with each test."""
    return records.stat().st_size if records.exists() else 0


def watch(process: subprocess.Popen[bytes], records: Path) -> bool:
    """Waits for the end, and kills a run that makes no progress. Returns whether it did."""
    seen, since = -1, time.monotonic()
    while True:
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            if (now := progress(records)) != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STALLED:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return True
        else:
            return False


def run(module: str, prefix: Sequence[str | Path], python: str, choice: str, tests: Sequence[str]) -> Outcomes:
    """Runs a module's tests, behind ``prefix``, in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="cpython-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        records, choices, log = (directory / name for name in ("records", "choices", "log"))
        choices.write_text("".join(f"{test}\n" for test in tests))
        work = directory / "work"
        work.mkdir()
        command = [*prefix, python, HERE / "run_module.py", module, records, choice, choices]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=work,
                env=environment() | {"TMPDIR": str(work)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            hung = watch(process, records)
        found, running, ended = outcomes(records)
        if not ended or process.returncode:
            how = "hung" if hung else f"ended with {process.returncode}"
            said = log.read_text(errors="replace")[-2000:]
            found[running or module] = Outcome("failed", f"the run {how} here:\n{said}")
        return found


@dataclass
class Comparison:
    """One module's tests, natively and in warmfork."""

    native: Outcomes
    ours: Outcomes

    def ours_of(self, test: str) -> Outcome:
        """What became of a test in warmfork."""
        return self.ours.get(test, Outcome("missing"))

    @property
    def passed(self) -> list[str]:
        """The tests that pass natively."""
        return [test for test, outcome in self.native.items() if outcome.outcome == "passed"]

    @property
    def lost(self) -> list[str]:
        """Those of them that do not pass in warmfork."""
        return [test for test in self.passed if self.ours_of(test).outcome != "passed"]

    def check(self) -> None:
        """A test that passes natively passes, unless it is listed; a listed one does not pass."""
        assert self.passed, f"nothing passes natively: {self.native}"
        failures = [f"{test}: {self.ours_of(test)}" for test in self.lost if test not in OPEN]
        assert not failures, "passed natively, not in warmfork:\n" + "\n".join(failures)
        repaired = [test for test in self.passed if test in OPEN and self.ours_of(test).outcome == "passed"]
        assert not repaired, "passed in warmfork as well; take out of cpython/open.txt:\n" + "\n".join(repaired)


Compare = Callable[[str, str, Sequence[str]], Comparison]


@pytest.fixture(scope="module")
def compare(tool: Callable[[str, str], str]) -> Compare:
    """Runs a module's tests natively, then in warmfork."""
    python = tool(DEBIAN_PYTHON, "python3")
    if not SUITE.exists():
        pytest.skip(f"needs {SUITE} (Debian package libpython3.11-testsuite)")

    def comparison(module: str, choice: str, tests: Sequence[str]) -> Comparison:
        native = run(module, [], python, choice, tests)
        prefix = [WARMFORK, "run", "--quiet", "--allow-all", "--max-processes=200", "--"]
        return Comparison(native, run(module, prefix, python, choice, tests))

    return comparison


@pytest.fixture(scope="module")
def comparisons(compare: Compare, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Comparison]]]:
    """The comparisons of those modules that are asked for, some of them at a time."""
    wanted = {item.callspec.params["module"] for item in request.session.items if item.name.startswith("test_module[")}
    without = [*LEFT_OUT, *SLOW]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        modules = [module for module in MODULES if module in wanted]
        yield {module: pool.submit(compare, module, "without", without) for module in modules}
        pool.shutdown(cancel_futures=True)


@pytest.mark.shows("as natively", of="cpython tests")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("module", MODULES)
def test_module(module: str, comparisons: dict[str, Future[Comparison]]) -> None:
    comparisons[module].result().check()


@pytest.mark.shows("as natively", of="cpython tests")
def test_almost_everything_passes(comparisons: dict[str, Future[Comparison]]) -> None:
    if set(comparisons) != set(MODULES):
        pytest.skip("needs the run of all modules")
    done = [future.result() for future in comparisons.values()]
    passed, lost = (sum(len(part) for part in parts) for parts in zip(*((c.passed, c.lost) for c in done), strict=True))
    assert passed >= FEWEST_PASSED
    assert lost <= MOST_OPEN * passed, f"{lost} of {passed} tests that pass natively do not in warmfork"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("module", SLOW_MODULES)
def test_slow_tests(module: str, compare: Compare) -> None:
    compare(module, "only", [test for test in SLOW if test.startswith(f"{module}.")]).check()


@pytest.mark.shows("as natively", of="cpython tests")
def test_the_lists_name_tests_once() -> None:
    lists = [OPEN, LEFT_OUT, SLOW]
    tests = [test for tests in lists for test in tests]
    assert len(tests) == len(set(tests))
    assert {test.split(".")[0] for test in tests} <= set(MODULES)
    assert {test.split(".")[0] for test in SLOW} == set(SLOW_MODULES)
