"""Each fork has its own of what the host would keep once: memory files, files without a name, locks, futexes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from clients import pair
from timeouts import scaled

from warmfork import Policy, Snapshot

KINDS = ("memfd", "named", "unlinked", "unnamed")
# What a request changes, and what `differences` says of it before the reset; NAME stands for what the file is called.
CHANGES = {
    "write": ["^NAME from 0x32000 on$", "^descriptors$"],
    "view": ["^NAME from 0x14000 on$"],
    "length": ["^length of NAME$", "^NAME from 0x1e000 on$"],
    "mode": ["^mode of NAME$"],
    "locks": ["^pipes, socket pairs"],
    "close": ["^NAME from 0x1000 on$", "^mappings$", "^descriptors$", "host mapping .* is missing"],
}
NAMES = {"memfd": "/memfd:memory .*", "named": "/dev/shm/owned", "unlinked": ".*/unlinked", "unnamed": ".*"}
OTHERS = {
    "orphan": [".*/orphan from 0x5000 on$"],
    "seal": ["^seals of /memfd:sealed", "^length of /memfd:sealed", "^/memfd:sealed .* from 0x0 on$"],
    "closing": ["^/memfd:closing .* from 0x0 on$"],
}
CASES = [
    (f"{change} {kind}", [pattern.replace("NAME", NAMES[kind]) for pattern in patterns])
    for change, patterns in CHANGES.items()
    for kind in KINDS
] + list(OTHERS.items())
SEEN = "\n".join(
    [
        *(
            f"{kind}: inode 1 1 1, deleted {1 - links}, links {links}, mode 100{mode}, size 262144, offset 3, "
            f"link {link}, flock 1, record 1 at 10, text {kind} middle  "
            for kind, links, mode, link in (
                ("memfd", 0, 777, "/memfd:memory (deleted)"),
                ("named", 1, 600, "/owned"),
                ("unlinked", 0, 600, "/unlinked (deleted)"),
                ("unnamed", 0, 600, " (deleted)"),
            )
        ),
        "orphan  unlinked sealed, seals 0 16",
        "done\n",
    ]
)


@pytest.fixture(scope="module")
def snapshots(freeze: Callable[..., Snapshot], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Snapshot]:
    made: dict[str, Snapshot] = {}

    def snapshot(name: str) -> Snapshot:
        if name not in made:
            place = tmp_path_factory.mktemp(name)
            made[name] = freeze(name, policy=Policy(allow_net=True, allow_read=[place], allow_write=[place]), cwd=place)
        return made[name]

    return snapshot


@pytest.mark.parametrize(("request_text", "expected"), CASES, ids=[case[0].replace(" ", "-") for case in CASES])
def test_a_reset_undoes(snapshots: Any, request_of: Any, request_text: str, expected: list[str]) -> None:
    with snapshots("owned").fork() as fork, snapshots("owned").fork() as other:
        assert request_of(fork, "look").answer.decode() == SEEN
        fork.reset()
        for _ in range(2):
            assert request_of(fork, request_text).answer == b"done\n"
            found = fork.differences()
            for pattern in expected:
                assert any(re.search(pattern, line) for line in found), (pattern, found)
            fork.reset()
            assert fork.differences() == []
            assert "secret" not in fork.describe()
            assert request_of(fork, "look").answer.decode() == SEEN
            fork.reset()
        assert request_of(other, "look").answer.decode() == SEEN


@pytest.mark.parametrize(("action", "outcome"), [("leave-alone", "served"), ("grow", "out_of_memory")])
def test_a_request_answers_for_the_memory_that_it_adds(snapshots: Any, action: str, outcome: str) -> None:
    with snapshots("owned").fork() as fork:
        client, connection = pair()
        with client, connection:
            client.sendall(f"{action}\n".encode())
            served = fork.serve(connection.fileno(), timeout=scaled(20.0), max_memory="6M")
        assert served.kind == outcome


WOKEN = {"wake": b"1 1 ", "requeue": b"1 0 1 ", "unlock": b"unlocked ", "end-owner": b"inherited "}
WAITED = [
    (action, place)
    for action in WOKEN
    for place in ("memfd", "named", "anonymous", "file", "unlinked")
    # A file that has a name is everybody's, with the words of its locks.
    if place != "file" or action in ("wake", "requeue")
]


@pytest.mark.parametrize(("action", "place"), WAITED)
def test_who_waited_at_the_freeze_is_woken_in_each_fork(
    snapshots: Any, request_of: Any, action: str, place: str
) -> None:
    with snapshots("waiters").fork() as fork:
        for _ in range(3):
            assert request_of(fork, f"{action} {place}").answer == WOKEN[action] + b"done\n"
            fork.reset()
            assert fork.differences() == []
