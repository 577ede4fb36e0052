"""Whatever a request changes, its fork's reset undoes it, and ``differences`` would have told of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from warmfork import Outcome, Snapshot

# What `differences` says before the reset, for each kind of change: each pattern must be found.
MEMORY = {
    "write": ["memory at"],
    "write-shared": ["memory at"],
    "share-with-child": ["^mappings$", "host mapping .* is not in a new fork"],
    "map": ["^mappings$", "host mapping .* is not in a new fork"],
    "unmap": ["^mappings$", "host mapping .* is missing"],
    "unmap-and-fill": ["memory at", "host mapping"],
    "protect": ["^mappings$", "memory at", "host mapping .* r--p"],
    "protect-written": ["^mappings$", "memory at"],
    "grow": ["^mappings$", "host mapping"],
    "shrink": ["^mappings$", "host mapping .* is missing"],
    "move": ["^mappings$", "host mapping"],
    "map-over": ["^mappings$", "host mapping"],
    "drop": ["memory at"],
    "drop-much": ["memory at", "memfd:"],
    "wipe": ["^mappings$", "memory at"],
    "extend": ["^mappings$", "host mapping"],
    "retract": ["^mappings$", "host mapping"],
    "write-file": ["memfd:"],
    "write-file-view": ["memfd:", "memory at"],
    "lengthen-file": ["memfd:"],
    "shorten-file": ["memfd:"],
    "punch-file": ["memfd:"],
    "new-file": ["^descriptors$", "^mappings$"],
    "close-file": ["^descriptors$", "^mappings$", "memfd:"],
}
FILES = {
    "open": ["^descriptors$", "^pipes"],
    "dup": ["^descriptors$"],
    "close": ["^descriptors$"],
    "flags": ["^descriptors$"],
    "offset": ["^descriptors$"],
    "owner": ["^descriptors$"],
    "pipe": ["^pipes"],
    "pipe-size": ["^pipes"],
    "pair": ["^pipes"],
    "rights": ["^descriptors$", "^pipes"],
    "count": ["^descriptors$"],
    "timerfd": ["^descriptors$"],
    "epoll": ["^descriptors$"],
    "edge": ["^descriptors$"],
    "signalfd": ["^descriptors$"],
    "terminal": ["^descriptors$", "^pipes"],
    "lock": ["^pipes"],
    "directory": ["^working directory"],
    "limits": ["^process attributes$"],
    "attributes": ["^process attributes$", "^threads$"],
    "listener-options": ["^descriptors$"],
    "listen-again": [],
    "shut-listener": ["^descriptors$"],
    "disconnect-listener": ["^descriptors$"],
    "close-listener": ["^descriptors$"],
    "use-sockets": ["^descriptors$"],
}
THREADS = {
    "mask": ["^threads$"],
    "pending": ["^threads$", "^signal actions"],
    "handler": ["^signal actions"],
    "altstack": ["^threads$"],
    "itimer": ["^timers$"],
    "ticking": ["^timers$", "^signal actions"],
    "timer": ["^timers$"],
    "alarm": ["^timers$"],
    "threads": ["^threads$", "^processes$"],
    "ended-thread": ["^processes$"],
    "name": ["^threads$"],
    "robust": ["^threads$"],
    "control-words": ["^FPU"],
    "vectors": ["^FPU"],
    "thread-pointer": ["^registers$"],
    "segments": ["^registers$"],
    "frame": ["^registers$", "^signal actions"],
}
CASES = [
    (guest, action, expected)
    for guest, actions in (("memory", MEMORY), ("files", FILES), ("threads", THREADS))
    for action, expected in actions.items()
]


@pytest.fixture(scope="module")
def snapshots(freeze: Callable[..., Snapshot]) -> Callable[[str], Snapshot]:
    made: dict[str, Snapshot] = {}

    def snapshot(name: str) -> Snapshot:
        if name not in made:
            made[name] = freeze(name)
        return made[name]

    return snapshot


@pytest.mark.parametrize(("program", "action", "expected"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_a_reset_undoes(snapshots: Any, request_of: Any, program: str, action: str, expected: list[str]) -> None:
    with snapshots(program).fork() as fork:
        first = request_of(fork, "look")
        fork.reset()
        assert fork.differences() == []
        for _ in range(2):
            served = request_of(fork, f"{action} secret-{action}")
            assert served.outcome == Outcome("served", 0), served
            assert b"line " not in served.answer
            assert served.answer.endswith(b"done\n")
            found = fork.differences()
            for pattern in expected:
                assert any(re.search(pattern, line) for line in found), (pattern, found)
            fork.reset()
            assert fork.differences() == []
            assert f"secret-{action}" not in fork.describe()
        assert request_of(fork, "look").answer == first.answer
        assert first.answer.endswith(b"\ndone\n")
