"""The time that tests wait for an event: longer where every CPU is slow.

Imported by tests. ``TEST_SLOWNESS`` in the environment says how many times longer; scripts/run_tests.py sets it for the
emulated machine.
"""

from __future__ import annotations

import os

SLOWNESS = float(os.environ.get("TEST_SLOWNESS", "1"))


def scaled(seconds: float) -> float:
    """The time after which something is broken, where it is ``seconds`` on an ordinary CPU."""
    return seconds * SLOWNESS
