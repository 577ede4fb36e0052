"""Runs suites of tests and ends in their sum; the exit code says whether all passed.

The suites:
    process   all Rust and Python tests but the slow ones, guests on the process platform
    slow      those
    kvm       the Python tests that run guests, on the kvm platform, where that works
    machine   some of them, and the platform's own, in an emulated machine with hardware KVM (svm_machine.py)

A suite has one or more parts. As many parts run at a time as there are CPUs, the longest first, and each line of output
begins with its part. One test after the other leaves most of a second CPU idle.

Called by ``make test`` and ``make test-kvm``. The last line is also left in ``.make/test-counts`` for ``.ci/run``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNTS = ROOT / ".make" / "test-counts"
CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
PYTEST_RESULT = re.compile(r"^=*\s*(?=.*\bin [\d.]+s)(.*?)\s*in [\d.]+s")
PYTEST_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)")
PYTEST_KIND = {
    "passed": "passed",
    "failed": "failed",
    "error": "failed",
    "errors": "failed",
    "xpassed": "failed",
    "skipped": "skipped",
    "xfailed": "skipped",
}
PLATFORM_TESTS = ["tests/syscalls", "tests/freeze", "tests/isolation"]
"""They take about half of the time of all Python tests."""
RUN_GUESTS = ["syscalls", "freeze", "isolation", "runtimes", "cli/test_run.py", "cli/test_serve.py", "api"]
KVM_SLOWNESS = 4
"""How much longer tests wait on the kvm platform: inside a virtual machine, each exit can cost a tenth of a ms."""
MANY_REQUESTS = 10_000
"""After so many of every server, nothing may have leaked."""
MACHINE_SLOWNESS = 30
MACHINE_SECONDS = 3600
"""It takes a quarter of an hour with a CPU of its own; a hanging test ends sooner, by its own limit."""
MACHINE_PROCESS_TESTS = ["tests/api/test_snapshot.py"]
"""Its kernel is an old one, without what the process platform finds touched pages with on newer ones."""
OUTPUT = threading.Lock()
MACHINE_TESTS = ROOT / "tests" / "machine.txt"


@dataclass
class Result:
    """How a part went."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    notices: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def run(self, command: Sequence[str], slowness: int = 1) -> bool:
        """Runs a command, adds what came of the tests in it, and says whether it ended well."""
        lines, code = self.stream(command, slowness)
        counts = cargo_counts(lines) + pytest_counts(lines)
        if code != 0 and counts["failed"] == 0:
            counts["failed"] += 1  # it did not get as far as running, or was killed
        self.counts += counts
        self.notices += [line for line in lines if line.startswith(("SKIPPED", "notice:"))]
        return code == 0

    def skip(self, reason: str) -> None:
        """Notes that the suite cannot run here."""
        show(f"{self.name}: notice: {reason}")
        self.counts["skipped"] += 1
        self.notices.append(reason)

    def stream(self, command: Sequence[str], slowness: int) -> tuple[list[str], int]:
        """Runs ``command``, shows its output as it comes, and returns it with the exit code."""
        show(f"{self.name}: + {shlex.join(command)}")
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"TEST_SLOWNESS": str(slowness)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            show(f"{self.name}: {lines[-1]}")
        return lines, process.wait()


def show(line: str) -> None:
    """Writes a whole line, whichever parts write at the same time."""
    with OUTPUT:
        print(line, flush=True)


def in_words(counts: Counter[str]) -> str:
    """The counts in words."""
    return ", ".join(f"{counts[kind]} {kind}" for kind in ("passed", "failed", "skipped"))


def cargo_counts(lines: list[str]) -> Counter[str]:
    """Sums the result lines of every test binary."""
    counts: Counter[str] = Counter()
    for line in lines:
        if found := CARGO_RESULT.match(line):
            counts.update(
                zip_counts(("passed", "failed", "skipped"), (int(number) for number in found.groups())),
            )
    return counts


def zip_counts(names: tuple[str, ...], numbers: Iterator[int]) -> dict[str, int]:
    """Pairs names with numbers, as ``Counter.update`` wants them."""
    return dict(zip(names, numbers, strict=True))


def pytest_counts(lines: list[str]) -> Counter[str]:
    """Sums the last lines of every run of pytest."""
    counts: Counter[str] = Counter()
    for line in lines:
        if PYTEST_RESULT.match(line):
            for number, kind in PYTEST_COUNT.findall(line):
                counts[PYTEST_KIND[kind]] += int(number)
    return counts


def rust(result: Result) -> None:
    """All Rust tests."""
    result.run(["cargo", "test", "--workspace", "--locked", "--no-fail-fast"])


def process(result: Result) -> None:
    """The Python tests about what a platform does, on the process platform."""
    result.run([sys.executable, "-m", "pytest", *PLATFORM_TESTS])


def rest(result: Result) -> None:
    """All other Python tests."""
    result.run([sys.executable, "-m", "pytest", *(f"--ignore={directory}" for directory in PLATFORM_TESTS)])


def slow(result: Result) -> None:
    """The slow tests, on the process platform."""
    result.run([sys.executable, "-m", "pytest", "-m", "slow"])


def kvm(result: Result) -> None:
    """The tests that run guests, on the kvm platform of this very host."""
    from warmfork import _core

    fact = next(fact for fact in _core.doctor()["facts"] if fact["name"] == "kvm platform")
    if not fact["good"]:
        result.skip(f"no test has run on this host's own KVM: {fact['value']}")
        return
    tests = [f"tests/{name}" for name in RUN_GUESTS]
    result.run([sys.executable, "-m", "pytest", "--platform=kvm", "-k", "not test_native", *tests], KVM_SLOWNESS)


def compatibility(result: Result) -> None:
    """The tests behind docs/compatibility.md, with many requests each, and recorded: in one file, so one by one."""
    for platform, slowness in (("process", 2), ("kvm", KVM_SLOWNESS)):
        options = [f"--platform={platform}", "--compatibility=record", f"--requests={MANY_REQUESTS}"]
        result.run([sys.executable, "-m", "pytest", *options, "tests/runtimes"], slowness)


def machine(result: Result) -> None:
    """A choice of tests, on the kvm platform of an emulated machine."""
    script = str(ROOT / "scripts" / "svm_machine.py")
    ready = subprocess.run([sys.executable, script, "--prepare"], stderr=subprocess.PIPE, text=True, check=False)
    if ready.returncode:
        result.skip(f"no test has run in the emulated machine: {ready.stderr.removeprefix('error: ').strip()}")
        return
    program = platform_tests()
    if program is None or not result.run([sys.executable, str(ROOT / "tests" / "compiling.py")]):
        result.counts["failed"] += program is None
        return
    tests = [line for line in MACHINE_TESTS.read_text().splitlines() if line and not line.startswith("#")]
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    on_kvm = [*pytest, "--platform=kvm", *tests]
    on_process = [*pytest, "--platform=process", *MACHINE_PROCESS_TESTS]
    commands = " && ".join(shlex.join(command) for command in ([program, "--test-threads=1"], on_kvm, on_process))
    options = [f"--seconds={MACHINE_SECONDS}", f"--env=TEST_SLOWNESS={MACHINE_SLOWNESS}"]
    before = len(result.notices)
    result.run([sys.executable, script, *options, "--", "sh", "-c", commands])
    if any("no kvm platform here" in notice for notice in result.notices[before:]):
        result.counts["failed"] += 1  # there it has to work


def platform_tests() -> str | None:
    """The program with the kvm platform's own tests; nothing when it does not compile, and cargo has said why."""
    command = ["cargo", "test", "-p", "warmfork-platform", "--test", "kvm", "--locked", "--no-run"]
    done = subprocess.run([*command, "--message-format=json"], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        return None
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return str([message["executable"] for message in messages if message.get("executable")][-1])


Part = Callable[[Result], None]

SUITES: dict[str, list[Part]] = {
    "process": [rust, process, rest],
    "slow": [slow],
    "kvm": [kvm],
    "machine": [machine],
    "compatibility": [compatibility],
}
LONGEST_FIRST: list[Part] = [compatibility, slow, kvm, machine, process, rest, rust]
"""So that the last to end is a short one."""


def run_part(part: Part) -> Result:
    """Runs a part; how it went, and how long."""
    began = time.monotonic()
    result = Result(part.__name__)
    part(result)
    result.seconds = time.monotonic() - began
    return result


def main() -> int:
    """Runs the suites; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+", choices=SUITES, metavar="SUITE")
    wanted = [part for suite in parser.parse_args().suites for part in SUITES[suite]]
    began = time.monotonic()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = list(pool.map(run_part, sorted(wanted, key=LONGEST_FIRST.index)))
    if notices := [f"  {result.name}: {notice}" for result in results for notice in result.notices]:
        print("\nnot run on this machine:", *notices, sep="\n")
    print()
    for result in results:
        print(f"{result.name}: {in_words(result.counts)} in {result.seconds:.0f} s")
    print(f"all of it in {time.monotonic() - began:.0f} s")
    total = sum((result.counts for result in results), Counter[str]())
    COUNTS.parent.mkdir(exist_ok=True)
    COUNTS.write_text(f"{in_words(total)}\n")
    print(in_words(total), flush=True)
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
