"""Runs the Rust and the Python tests and ends in their sum; the exit code says whether all passed.

Called by ``make test``. The last line is also left in ``.make/test-counts`` for ``.ci/run``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
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


def stream(command: list[str]) -> tuple[list[str], int]:
    """Runs ``command``, shows its output as it comes, and returns it with the exit code."""
    print("+", " ".join(command), flush=True)
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line.rstrip("\n"))
    return lines, process.wait()


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
    """Reads pytest's last summary line."""
    counts: Counter[str] = Counter()
    for line in reversed(lines):
        if PYTEST_RESULT.match(line):
            for number, kind in PYTEST_COUNT.findall(line):
                counts[PYTEST_KIND[kind]] += int(number)
            break
    return counts


def main() -> int:
    """Runs both; returns the exit code."""
    total: Counter[str] = Counter()
    notices = []
    good = True
    runs = [
        (["cargo", "test", "--workspace", "--locked", "--no-fail-fast"], cargo_counts),
        ([sys.executable, "-m", "pytest", *sys.argv[1:]], pytest_counts),
    ]
    for command, count in runs:
        lines, code = stream(command)
        counts = count(lines)
        if code != 0 and counts["failed"] == 0:
            counts["failed"] += 1  # it did not get as far as running, or was killed
        if code != 0 or counts["failed"]:
            good = False
        total += counts
        notices += [line for line in lines if line.startswith(("SKIPPED", "notice:"))]
    if notices:
        print("\nnot run on this machine:")
        for notice in notices:
            print(" ", notice)
    summary = ", ".join(f"{total[kind]} {kind}" for kind in ("passed", "failed", "skipped"))
    COUNTS.parent.mkdir(exist_ok=True)
    COUNTS.write_text(summary + "\n")
    print(summary, flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
