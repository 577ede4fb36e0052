"""Runs one module of CPython's regression tests and notes, test by test, what became of each.

``python3 run_module.py MODULE RECORDS CHOICE LIST``: a line of JSON is added to the file RECORDS when a test begins and
when it ends, so that whoever started this sees what a run that hangs or dies was at. CHOICE is ``only`` or ``without``:
the tests whose ids, less the leading ``test.``, are lines of the file LIST.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import unittest
from pathlib import Path

from test import support

RESOURCES: list[str] = []
"""None of what CPython calls resources: no Internet, no gigabytes, no minutes."""


def identity(test: unittest.TestCase) -> str:
    """The module's name, the class and the method."""
    return test.id().removeprefix("test.")


class Recorder(unittest.TestResult):
    """Notes each test's begin and end."""

    def __init__(self, records: Path) -> None:
        super().__init__()
        self.records = records
        self.outcome = ("", "")
        self.began = time.monotonic()

    def note(self, name: str, outcome: str, detail: str = "") -> None:
        """Adds a line with the system's own calls, for a test may leave the modules above them changed."""
        seconds = round(time.monotonic() - self.began, 2)
        line = json.dumps({"test": name, "outcome": outcome, "detail": detail, "seconds": seconds})
        descriptor = os.open(self.records, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode() + b"\n")
        finally:
            os.close(descriptor)

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.outcome = ("passed", "")
        self.began = time.monotonic()
        self.note(identity(test), "begun")

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.note(identity(test), *self.outcome)

    def worse(self, test: object, error: object) -> None:
        """A failure of a test, of one of its parts, or of what stands around a class or the module."""
        detail = self._exc_info_to_string(error, test)  # type: ignore[attr-defined]
        if isinstance(test, unittest.TestCase):
            self.outcome = ("failed", self.outcome[1] + detail)
        else:
            self.note(str(test), "failed", detail)

    def addError(self, test: object, err: object) -> None:
        self.worse(test, err)

    def addFailure(self, test: object, err: object) -> None:
        self.worse(test, err)

    def addSubTest(self, test: object, subtest: object, err: object) -> None:
        if err is not None:
            self.worse(test, err)

    def addSkip(self, test: object, reason: str) -> None:
        if not isinstance(test, unittest.TestCase):
            self.note(str(test), "skipped", reason)
        elif self.outcome[0] == "passed":
            self.outcome = ("skipped", reason)

    def addExpectedFailure(self, test: object, err: object) -> None:
        self.outcome = ("passed", "it fails, as is expected")

    def addUnexpectedSuccess(self, test: object) -> None:
        self.outcome = ("failed", "it passes, which is not expected")


def chosen(suite: unittest.TestSuite, choice: str, listed: set[str]) -> unittest.TestSuite:
    """The same suite, nested the same way, with the tests that are wanted."""
    kept: list[unittest.TestSuite | unittest.TestCase] = []
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.append(chosen(test, choice, listed))
        elif (identity(test) in listed) == (choice == "only"):
            kept.append(test)
    return type(suite)(kept)


def main() -> None:
    """Runs the module that the command line names, in the current directory."""
    module, records, choice, list_name = sys.argv[1:]
    listed = set(Path(list_name).read_text().splitlines())
    recorder = Recorder(Path(records).resolve())
    support.use_resources = RESOURCES
    try:
        suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(f"test.{module}"))
    except unittest.SkipTest as reason:
        recorder.note(module, "skipped", str(reason))
    else:
        chosen(suite, choice, listed).run(recorder)
    recorder.note(module, "ended")


if __name__ == "__main__":
    main()
