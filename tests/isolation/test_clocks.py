"""Clocks stand still while a machine is frozen, but for a second, and that of the day."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from warmfork import Policy, Snapshot

SEEN = 1000
"""So many milliseconds of the time that they were frozen forks see pass at most."""
FROZEN = 2.5


@pytest.fixture(scope="module")
def old_snapshot(freeze: Callable[..., Snapshot]) -> Callable[..., Snapshot]:
    """Freezes the guest, and returns when more time has gone by since than forks are shown."""

    def frozen(*arguments: str) -> Snapshot:
        snapshot = freeze("clocks", *arguments, policy=Policy(allow_net=True, allow_read=["/"]))
        thawed = time.monotonic() + FROZEN
        while (left := thawed - time.monotonic()) > 0:
            time.sleep(left)
        return snapshot

    return frozen


class Passed:
    """What a fork answers: which timers have run out, and the milliseconds that have passed by each clock."""

    def __init__(self, answer: bytes) -> None:
        soon, late, *passed, done = answer.split()
        assert done == b"done", answer
        assert b"apart" not in answer, "the vDSO and the kernel do not agree"
        self.timers = (int(soon), int(late))
        self.before, self.day, *self.others, self.after = map(int, passed)

    @property
    def hidden(self) -> int:
        """How much of the time that passed the fork has not seen."""
        return self.day - self.before


def test_a_fork_sees_a_second_of_the_time_that_it_was_frozen(
    old_snapshot: Callable[..., Snapshot], request_of: Any
) -> None:
    with old_snapshot().fork() as fork:
        for action in ["look", "look-in-child", "look-after-exec", "look"]:
            passed = Passed(request_of(fork, action).answer)
            # A clock shows whole milliseconds here, and the day's may be adjusted meanwhile.
            assert passed.hidden >= FROZEN * 1000 - SEEN - 50
            # Some count hundredths of a second.
            assert all(passed.before - 25 <= other <= passed.after + 25 for other in passed.others), vars(passed)
            assert fork.differences()
            fork.reset()
            assert fork.differences() == []


def test_a_timer_of_a_second_runs_out_before_the_freeze_and_a_later_one_in_no_fork(
    old_snapshot: Callable[..., Snapshot], request_of: Any
) -> None:
    # The one of a second has the clocks put ahead by a second. By the host's clock, the other has run out since.
    with old_snapshot(str(int(FROZEN * 1000) + 1000)).fork() as fork:
        for _ in range(2):
            passed = Passed(request_of(fork, "look").answer)
            assert passed.timers == (1, 0)
            assert passed.before >= 1000
            fork.reset()
