"""No system call, whatever its arguments, keeps the machine from looking at its limits for long."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from timeouts import scaled

LONGEST = 1.0
"""Seconds. Calls that are split take milliseconds between two looks, and one that was not split took half a minute."""


@pytest.mark.timeout(scaled(150))
def test_no_call_lasts_whatever_its_arguments(guest: Callable[[str], str], platform: str) -> None:
    run = [sys.executable, "-m", "warmfork", "run", "--platform", platform, "--allow-read=/", "--max-processes=8"]
    command = [*run, "--", guest("extremes"), str(scaled(LONGEST))]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout.decode()) == (0, "done\n"), done.stderr.decode()[-2000:]
