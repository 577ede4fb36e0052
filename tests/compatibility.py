"""What tests show of the programs that run unmodified: kept when asked for, and told in docs/compatibility.md.

A test says it with the marker ``shows``: an aspect, and of which subject where its parameters do not say that.
``pytest --compatibility=record`` puts how such tests went in place of what ``RESULTS`` has of the same aspects and
platform; ``--compatibility=list`` names what the collected tests would show. Hooked in by tests/conftest.py; read by
scripts/compatibility.py.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tests" / "runtimes" / "results.json"
MARKER = "shows(aspect, of=subject): what the test shows, in docs/compatibility.md"


@dataclass(frozen=True, order=True)
class Key:
    """One line of the results: of what, and which aspect."""

    subject: str
    aspect: str


@dataclass
class Tally:
    """How the tests of one aspect went."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: set[str] = field(default_factory=set)
    """Of those that were skipped."""
    requests: int = 0
    """How many requests were made, where that is the point."""


def key_of(item: pytest.Item) -> Key | None:
    """What a test shows; nothing when it does not say."""
    marker = item.get_closest_marker("shows")
    if marker is None:
        return None
    parameters = getattr(item, "callspec", None)
    values: dict[str, Any] = parameters.params if parameters else {}
    subject = marker.kwargs.get("of")
    if subject is None and "kind" in values:
        subject = values["kind"].name
    if subject is None:
        subject = values.get("package")
    if subject is None:
        raise pytest.UsageError(f"{item.nodeid}: shows() needs of=, for its parameters do not say of what")
    return Key(subject, marker.args[0])


class Recorder:
    """The plugin: looks at how tests go, and writes it down at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.platform = str(config.getoption("--platform"))
        self.keys: dict[str, Key] = {}
        self.incomplete: set[Key] = set()
        self.tallies: defaultdict[Key, Tally] = defaultdict(Tally)

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        """An aspect of which not all tests run is left as it was."""
        self.incomplete |= {key for item in items if (key := key_of(item))}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Notes what each test is going to show."""
        self.keys = {item.nodeid: key for item in session.items if (key := key_of(item))}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts."""
        key = self.keys.get(report.nodeid)
        if key is None:
            return
        tally = self.tallies[key]
        if report.skipped:
            tally.skipped += 1
            reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
            tally.reasons.add(reason.removeprefix("Skipped: ").replace(f"{ROOT}/", ""))
        elif report.failed:
            tally.failed += 1
        elif report.when == "call":
            tally.passed += 1
            tally.requests = max(tally.requests, int(dict(report.user_properties).get("requests", 0)))

    def pytest_sessionfinish(self) -> None:
        """Writes the results."""
        from subjects import SUBJECTS  # beside the tests of runtimes, and only they are recorded

        results, commit = read(), described_commit()
        for key, tally in self.tallies.items():
            if key in self.incomplete or not (tally.passed or tally.failed or tally.skipped):
                continue
            known = SUBJECTS[key.subject]
            subject = results.setdefault(key.subject, {})
            subject |= {"about": known.about, "kind": known.kind, "version": known.version()}
            subject.setdefault(self.platform, {})[key.aspect] = {
                name: sorted(value) if isinstance(value, set) else value for name, value in vars(tally).items() if value
            } | {"commit": commit}
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


class Lister:
    """The plugin that only says what there is to be shown."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Prints each aspect of each subject, and each test of a runtime that shows none."""
        keys = {item: key_of(item) for item in session.items}
        for key in sorted({key for key in keys.values() if key}):
            print(f"shows\t{key.subject}\t{key.aspect}")
        for item, key in keys.items():
            if key is None:
                print(f"nothing\t{item.nodeid}")


def described_commit(root: Path = ROOT) -> str:
    """The commit that is checked out; it ends in ``-dirty`` if files other than the results differ from it."""
    git = ["git", "-C", str(root)]
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    if commit.returncode:
        return "unknown"
    others = f":(exclude){RESULTS.relative_to(ROOT)}"
    changes = subprocess.run([*git, "status", "--porcelain", "--", ".", others], capture_output=True, check=True)
    return commit.stdout.strip() + ("-dirty" if changes.stdout else "")


def read() -> dict[str, Any]:
    """What is known: for each subject its version, and for each platform how each aspect went."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return results
